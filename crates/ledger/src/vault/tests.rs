use std::fs;

use super::{contract, file::FileVault, memory::MemoryVault, *};

#[tokio::test]
async fn memory_keeps_the_contract() {
    for (name, case) in contract::CASES {
        println!("{name}");
        case(Box::<MemoryVault>::default(), Box::<MemoryVault>::default()).await;
    }
}

#[tokio::test]
async fn file_keeps_the_contract() {
    for (name, case) in contract::CASES {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| FileVault::load_or_create(&folder.path().join(name)).unwrap();
        case(Box::new(make("one.key")), Box::new(make("other.key"))).await;
    }
}

#[tokio::test]
async fn key_file_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.key");
    assert!(matches!(
        FileVault::load(&file),
        Err(VaultError::File { .. })
    ));
    let first = FileVault::load_or_create(&file).unwrap();
    let again = FileVault::load_or_create(&file).unwrap();
    assert_eq!(first.id().await.unwrap(), again.id().await.unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = FileVault::load(&file);
        assert!(
            matches!(exposed, Err(VaultError::Exposed { .. })),
            "{exposed:?}"
        );
    }
}

#[tokio::test]
async fn destroyed_key_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.key");
    let vault = FileVault::load_or_create(&file).unwrap();
    vault.destroy().await.unwrap();
    assert!(!file.exists());
}

#[test]
fn other_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.key");
    drop(FileVault::load_or_create(&file).unwrap());
    let good = fs::read_to_string(&file).unwrap();
    for bad in [
        "",
        "airside-vault-1 ",
        &good[1..],
        &good.replacen('=', "", 1),
        &good.repeat(9),
    ] {
        fs::write(&file, bad).unwrap();
        let refused = FileVault::load(&file);
        assert!(
            matches!(refused, Err(VaultError::Foreign { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn sealed_bytes_open_only_in_their_place() {
    let key = DataKey::generate();
    for plain in [&b""[..], b"a", &[7; 5000]] {
        let sealed = key.seal(b"here", plain.to_vec());
        assert_eq!(sealed.len(), plain.len() + 28);
        assert_eq!(key.open(b"here", sealed.clone()).unwrap(), plain);
        assert_eq!(key.open(b"there", sealed.clone()), Err(Tampered));
        assert_eq!(DataKey::generate().open(b"here", sealed), Err(Tampered));
    }
    for short in 0..28 {
        assert_eq!(key.open(b"here", vec![0; short]), Err(Tampered));
    }
}

#[test]
fn key_has_no_printable_form() {
    let text = format!("{:?}", DataKey::generate());
    assert_eq!(text, "DataKey([redacted])");
}
