//! Seals, and proofs that stand without the ledger.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use airside_base::NodeId;
use airside_ledger::{
    Hash, VerifyError, Wrong,
    note::{Signer, Verifier},
    proof::{CheckError, Proof, ProveError, prove},
    seal::{SealError, Sealer, load_signer},
    store::Tile,
};

use crate::harness::{Rig, draft, stores, tenant};

fn sealer(rig: &Rig) -> (Sealer, Verifier) {
    let signer = Signer::generate().0;
    let key = signer.verifier();
    let node = NodeId::generate(&rig.clock);
    (Sealer::new(rig.ledger.clone(), signer, node), key)
}

async fn append(rig: &Rig, name: &str, count: u64) {
    for number in 0..count {
        rig.ledger.append(vec![draft(name, number)]).await.unwrap();
    }
}

/// Proves the entry, through the file's form, and checks it.
async fn check(rig: &Rig, key: &Verifier, name: &str, seq: u64) {
    let proof = prove(&rig.ledger, &tenant(name), seq, None).await.unwrap();
    let file = serde_json::to_vec_pretty(&proof).unwrap();
    let statement = Proof::parse(&file).unwrap().check(key).unwrap();
    let place = (statement.tenant.as_str(), statement.seq);
    assert_eq!(place, (name, seq));
}

#[tokio::test]
async fn every_sealed_entry_is_proved() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (sealer, key) = sealer(&rig);
        append(&rig, "a", 9).await;
        append(&rig, "b", 1).await;
        assert_eq!(sealer.seal().await.unwrap(), 2);
        append(&rig, "a", 5).await;
        append(&rig, "c", 2).await;
        assert_eq!(sealer.seal().await.unwrap(), 2);
        // Nine entries, a seal, five entries.
        for seq in 1..=15 {
            check(&rig, &key, "a", seq).await;
        }
        check(&rig, &key, "b", 1).await;
        check(&rig, &key, "c", 2).await;
        rig.ledger.verify(&|_| {}).await.unwrap();
        rig.stop().await;
    }
}

#[tokio::test]
async fn chains_at_rest_are_not_sealed_again() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (sealer, _) = sealer(&rig);
        assert_eq!(sealer.seal().await.unwrap(), 0);
        append(&rig, "a", 1).await;
        assert_eq!(sealer.seal().await.unwrap(), 1);
        assert_eq!(sealer.seal().await.unwrap(), 0);
        assert_eq!(rig.ledger.head(&tenant("a")).await.unwrap().seq, 2);
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_proved_is_said() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (sealer, _) = sealer(&rig);
        append(&rig, "a", 2).await;
        let early = prove(&rig.ledger, &tenant("a"), 2, None).await.unwrap_err();
        assert!(
            matches!(early, ProveError::Unsealed { sealed: 0, .. }),
            "{early:?}"
        );
        sealer.seal().await.unwrap();
        append(&rig, "a", 1).await;
        let young = prove(&rig.ledger, &tenant("a"), 4, None).await.unwrap_err();
        assert!(
            matches!(young, ProveError::Unsealed { sealed: 2, .. }),
            "{young:?}"
        );
        for (name, seq) in [("a", 0), ("a", 5), ("nobody", 1)] {
            let absent = prove(&rig.ledger, &tenant(name), seq, None)
                .await
                .unwrap_err();
            assert!(matches!(absent, ProveError::Absent { .. }), "{absent:?}");
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn one_node_seals_at_a_time() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let ((one, _), (other, _)) = (sealer(&rig), sealer(&rig));
        append(&rig, "a", 1).await;
        one.seal().await.unwrap();
        append(&rig, "a", 1).await;
        let refused = other.seal().await.unwrap_err();
        assert!(matches!(refused, SealError::Lease(_)), "{refused:?}");
        rig.stop().await;
    }
}

/// Turns every byte of a proof file into another one.
#[tokio::test]
async fn every_changed_byte_of_a_proof_is_found() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (sealer, key) = sealer(&rig);
        append(&rig, "a", 5).await;
        append(&rig, "b", 1).await;
        sealer.seal().await.unwrap();
        append(&rig, "a", 3).await;
        sealer.seal().await.unwrap();
        let proof = prove(&rig.ledger, &tenant("a"), 3, Some(5)).await;
        let proof = proof.unwrap();
        let file = serde_json::to_string(&proof).unwrap();
        let honest = Proof::parse(file.as_bytes()).unwrap().check(&key).unwrap();
        for at in 0..file.len() {
            let mut changed = file.clone().into_bytes();
            changed[at] ^= 1;
            let statement = Proof::parse(&changed).and_then(|proof| proof.check(&key));
            // Only a change that says the same may pass, such as another spelling
            // of the same moment.
            assert!(
                statement.is_err() || statement == Ok(honest.clone()),
                "byte {at}"
            );
        }
        let stranger = Signer::generate().0.verifier();
        let refused = Proof::parse(file.as_bytes()).unwrap().check(&stranger);
        assert!(matches!(refused, Err(CheckError::Note(_))), "{refused:?}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn chain_is_proved_to_begin_with_every_earlier_seal() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (sealer, key) = sealer(&rig);
        let mut sealed = Vec::new();
        for count in [1, 6, 1, 300, 512] {
            append(&rig, "a", count).await;
            sealed.push(rig.ledger.head(&tenant("a")).await.unwrap().seq);
            sealer.seal().await.unwrap();
        }
        let mut roots = Vec::new();
        for size in &sealed {
            let proof = prove(&rig.ledger, &tenant("a"), 7, Some(*size)).await;
            let statement = proof.unwrap().check(&key).unwrap();
            assert_eq!(statement.covered.entries, sealed[4]);
            let earlier = statement.earlier.unwrap();
            assert_eq!(earlier.entries, *size);
            roots.push(earlier.root);
        }
        roots.dedup();
        assert_eq!(roots.len(), sealed.len());
        for size in [0, 2, sealed[4] + 1] {
            let refused = prove(&rig.ledger, &tenant("a"), 7, Some(size)).await;
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, ProveError::NoSuchSeal { .. }),
                "{refused:?}"
            );
        }
        rig.stop().await;
    }
}

/// The tile that covers the first 256 entries of "a", with one byte changed.
fn damaged(hashes: &[Hash]) -> Tile {
    let mut bytes = *hashes[0].as_bytes();
    bytes[31] ^= 1;
    let mut hashes = hashes.to_vec();
    hashes[0] = Hash::from_bytes(bytes);
    Tile {
        level: 1,
        number: 0,
        hashes,
    }
}

#[tokio::test]
async fn changed_tile_is_named_does_not_hinder_proofs_and_is_made_again() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store.clone()).await;
        let (sealer, key) = sealer(&rig);
        append(&rig, "a", 700).await;
        sealer.seal().await.unwrap();
        let hashes = store.tile(tenant("a"), 1, 0).await.unwrap().unwrap();
        assert_eq!(hashes.len(), 2);
        rig.ledger.verify(&|_| {}).await.unwrap();

        let put = store.put_tiles(tenant("a"), vec![damaged(&hashes)]).await;
        put.unwrap();
        let found = rig.ledger.verify(&|_| {}).await.unwrap_err();
        let tile = Wrong::Tile {
            level: 1,
            number: 0,
        };
        assert!(
            matches!(&found, VerifyError::Defect(d) if d.seq == 256 && d.wrong == tile),
            "{found:?}"
        );
        for seq in [1, 257, 600, 700] {
            check(&rig, &key, "a", seq).await;
        }
        // Another node, or this one after a restart.
        let (other, _) = self::sealer(&rig);
        other.seal().await.unwrap();
        rig.ledger.verify(&|_| {}).await.unwrap();
        assert_eq!(store.tile(tenant("a"), 1, 0).await.unwrap(), Some(hashes));
        rig.stop().await;
    }
}

#[tokio::test]
async fn tiles_that_are_not_there_are_made() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store.clone()).await;
        let (one, key) = sealer(&rig);
        append(&rig, "a", 600).await;
        one.seal().await.unwrap();
        let made = store.tile(tenant("a"), 1, 0).await.unwrap();
        let none = Tile {
            level: 1,
            number: 0,
            hashes: Vec::new(),
        };
        // As good as missing, and named because it is no tile.
        store.put_tiles(tenant("a"), vec![none]).await.unwrap();
        rig.ledger.verify(&|_| {}).await.unwrap_err();
        check(&rig, &key, "a", 300).await;
        // The one who knew them complete finds out while sealing.
        append(&rig, "a", 1).await;
        one.seal().await.unwrap();
        append(&rig, "a", 1).await;
        one.seal().await.unwrap();
        assert_eq!(store.tile(tenant("a"), 1, 0).await.unwrap(), made);
        rig.ledger.verify(&|_| {}).await.unwrap();
        rig.stop().await;
    }
}

#[test]
fn the_key_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seal.key");
    let made = load_signer(&file).unwrap();
    let loaded = load_signer(&file).unwrap();
    assert_eq!(made.verifier(), loaded.verifier());
    assert!(!format!("{made:?}").contains("key:"), "{made:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&file, b"not a key").unwrap();
    assert!(load_signer(&file).is_err());
}
