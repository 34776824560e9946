//! Seals, and proofs that stand without the ledger.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use airside_base::NodeId;
use airside_ledger::{
    note::{Signer, Verifier},
    proof::{CheckError, Proof, ProveError, prove},
    seal::{SealError, Sealer, load_signer},
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
    let proof = prove(&rig.ledger, &tenant(name), seq).await.unwrap();
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
        let early = prove(&rig.ledger, &tenant("a"), 2).await.unwrap_err();
        assert!(
            matches!(early, ProveError::Unsealed { sealed: 0, .. }),
            "{early:?}"
        );
        sealer.seal().await.unwrap();
        append(&rig, "a", 1).await;
        let young = prove(&rig.ledger, &tenant("a"), 4).await.unwrap_err();
        assert!(
            matches!(young, ProveError::Unsealed { sealed: 2, .. }),
            "{young:?}"
        );
        for (name, seq) in [("a", 0), ("a", 5), ("nobody", 1)] {
            let absent = prove(&rig.ledger, &tenant(name), seq).await.unwrap_err();
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
        let proof = prove(&rig.ledger, &tenant("a"), 3).await.unwrap();
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
