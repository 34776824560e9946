use super::*;
use crate::read::path;

/// One thing in a layer.
#[derive(Clone, Copy)]
enum Put<'a> {
    File(&'a str, &'a [u8]),
    Folder(&'a str),
    Soft(&'a str, &'a str),
    Hard(&'a str, &'a str),
}
use Put::{File as F, Folder, Hard, Soft};

/// Packs a layer; paths are written as they are, whatever they lead to.
fn tar(entries: &[Put<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let (path, target, content, kind): (&str, &str, &[u8], _) = match entry {
            F(path, content) => (path, "", content, tar::EntryType::Regular),
            Folder(path) => (path, "", &[], tar::EntryType::Directory),
            Soft(path, target) => (path, target, &[], tar::EntryType::Symlink),
            Hard(path, target) => (path, target, &[], tar::EntryType::Link),
        };
        header.as_ustar_mut().expect("ustar").name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_ustar_mut().expect("ustar").linkname[..target.len()]
            .copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append(&header, content).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut from = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    from.read_to_end(&mut packed).expect("in memory");
    packed
}

/// Makes an OCI layout of layers as they are to lie there.
fn layout(layers: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", sha256(bytes)), bytes.to_vec());
    let described = |bytes: &[u8]| {
        let digest = format!("sha256:{}", sha256(bytes));
        serde_json::json!({"mediaType": "x", "digest": digest, "size": bytes.len()})
    };
    let config = br#"{"os":"linux","architecture":"amd64"}"#;
    let mut of_config = described(config);
    of_config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    let all: Vec<_> = layers.iter().map(|layer| described(layer)).collect();
    let manifest = serde_json::json!({"schemaVersion": 2, "config": of_config, "layers": all});
    let manifest = manifest.to_string();
    let mut of_manifest = described(manifest.as_bytes());
    of_manifest["annotations"] =
        serde_json::json!({"io.containerd.image.name": "registry.example/acme/shop:1.2"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [of_manifest]});
    let mut files = vec![
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        blob(manifest.as_bytes()),
        blob(config),
    ];
    files.extend(layers.iter().map(|layer| blob(layer)));
    files
}

/// Makes what `docker save` wrote before it was an OCI layout too.
fn saved(layers: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let ids: Vec<_> = layers
        .iter()
        .map(|l| format!("sha256:{}", sha256(l)))
        .collect();
    let config = serde_json::json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": ids}});
    let names: Vec<_> = (0..layers.len())
        .map(|n| format!("layer{n}/layer.tar"))
        .collect();
    let manifest =
        serde_json::json!([{"Config": "c.json", "RepoTags": ["acme/shop:1.2"], "Layers": names}]);
    let mut files = vec![
        (
            "manifest.json".to_owned(),
            manifest.to_string().into_bytes(),
        ),
        ("c.json".to_owned(), config.to_string().into_bytes()),
    ];
    files.extend(names.into_iter().zip(layers.iter().cloned()));
    files
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<Put<'_>> = files
        .iter()
        .map(|(path, content)| F(path, content))
        .collect();
    tar(&entries)
}

/// Scans an archive as `shop.tar`.
fn scanned(bytes: &[u8]) -> Result<Inventory, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.tar");
    std::fs::write(&file, bytes).expect("written");
    let read = path(&file).map_err(|error| error.to_string());
    let root = format!("{}/", folder.path().display());
    let told = |text: &str| text.replace(&root, "");
    read.map(|mut read| {
        read.components
            .iter_mut()
            .for_each(|c| c.place = told(&c.place));
        read.gaps
            .iter_mut()
            .for_each(|gap| gap.place = told(&gap.place));
        read
    })
    .map_err(|error| told(&error))
}

fn lines(inventory: &Inventory) -> Vec<String> {
    let components = inventory.components.iter().map(|c| {
        let version = c.version.as_deref().unwrap_or("?");
        let place = c.place.strip_prefix("shop.tar#").unwrap_or(&c.place);
        format!("{} {} {version} {place}", c.ecosystem, c.name)
    });
    let gaps = inventory
        .gaps
        .iter()
        .map(|gap| format!("gap {}: {}", gap.place, gap.reason));
    components.chain(gaps).collect()
}

/// Makes an image of layers in every form and compares what is found in it.
fn check(layers: &[&[Put<'_>]], expected: &[&str]) {
    let plain: Vec<Vec<u8>> = layers.iter().map(|layer| tar(layer)).collect();
    let gzipped: Vec<Vec<u8>> = plain.iter().map(|layer| gzip(layer)).collect();
    let zstd: Vec<Vec<u8>> = plain
        .iter()
        .map(|l| zstd::encode_all(&**l, 1).expect("packed"))
        .collect();
    for files in [
        layout(&plain),
        layout(&gzipped),
        layout(&zstd),
        saved(&plain),
    ] {
        let read = scanned(&archive(&files)).expect("an image");
        assert_eq!(lines(&read), expected);
    }
}

const DEBIAN: &[u8] = b"ID=debian\nVERSION_ID=12\n";
const STATUS: &[u8] =
    b"Package: libssl3\nSource: openssl\nVersion: 3.0.11-1\nStatus: install ok installed\n";
const LOCK: &[u8] = br#"{"packages":{"node_modules/left-pad":{"version":"1.0.0"}}}"#;
const LEFT_PAD: &str = "npm left-pad 1.0.0 /app/package-lock.json#node_modules/left-pad";

#[test]
fn packages_of_system_and_application_are_found() {
    check(
        &[
            &[
                Folder("etc/"),
                Soft("etc/os-release", "../usr/lib/os-release"),
                F("usr/lib/os-release", DEBIAN),
                F("./var/lib/dpkg/status", STATUS),
            ],
            &[
                F("app/package-lock.json", LOCK),
                F(
                    "usr/lib/python3/site-packages/Foo-1.0.dist-info/METADATA",
                    b"Metadata-Version: 2.1\nName: Foo\nVersion: 1.0\n\nVersion: 9\n",
                ),
            ],
        ],
        &[
            LEFT_PAD,
            "PyPI foo 1.0 /usr/lib/python3/site-packages/Foo-1.0.dist-info/METADATA",
            "Debian:12 openssl 3.0.11-1 /var/lib/dpkg/status#libssl3",
        ],
    );
}

#[test]
fn images_are_products() {
    let files = layout(&[tar(&[F("app/package-lock.json", LOCK)])]);
    let manifest = sha256(&files[2].1);
    let read = scanned(&archive(&files)).expect("an image");
    assert_eq!(
        read.product,
        Some(format!("pkg:oci/shop@sha256:{manifest}"))
    );
    let read = scanned(&archive(&saved(&[tar(&[])]))).expect("an image");
    assert_eq!(read.product.as_deref(), Some("pkg:oci/shop"));
}

#[test]
fn upper_layers_replace_files_and_remove_them() {
    let newer = br#"{"packages":{"node_modules/left-pad":{"version":"2.0.0"}}}"#;
    check(
        &[
            &[F("app/package-lock.json", LOCK)],
            &[F("app/package-lock.json", newer)],
        ],
        &["npm left-pad 2.0.0 /app/package-lock.json#node_modules/left-pad"],
    );
    let base: &[Put<'_>] = &[
        F("app/package-lock.json", LOCK),
        F("b/package-lock.json", LOCK),
    ];
    check(
        &[base, &[F("app/.wh.package-lock.json", b"")]],
        &[&LEFT_PAD.replace("app", "b")],
    );
    check(
        &[base, &[F(".wh.app", b"")]],
        &[&LEFT_PAD.replace("app", "b")],
    );
    // A folder, a link or a file in the place of what was there.
    check(
        &[base, &[Soft("app", "b")]],
        &[&LEFT_PAD.replace("app", "b")],
    );
    check(&[base, &[F("app", b"")]], &[&LEFT_PAD.replace("app", "b")]);
    check(
        &[base, &[Folder("app/package-lock.json")]],
        &[&LEFT_PAD.replace("app", "b")],
    );
    // A folder that is there again hides nothing.
    check(
        &[base, &[Folder("app")]],
        &[LEFT_PAD, &LEFT_PAD.replace("app", "b")],
    );
    // Removed, and back in a layer above that.
    check(
        &[base, &[F(".wh.app", b"")], base],
        &[LEFT_PAD, &LEFT_PAD.replace("app", "b")],
    );
}

#[test]
fn opaque_folders_hide_what_is_below_and_not_what_is_beside() {
    let base: &[Put<'_>] = &[
        F("app/package-lock.json", LOCK),
        F("app/deep/package-lock.json", LOCK),
    ];
    let deep = LEFT_PAD.replace("app", "app/new");
    check(
        &[
            base,
            &[
                F("app/.wh..wh..opq", b""),
                F("app/new/package-lock.json", LOCK),
            ],
        ],
        &[&deep],
    );
    // In any order within the layer.
    check(
        &[
            base,
            &[
                F("app/new/package-lock.json", LOCK),
                F("app/.wh..wh..opq", b""),
            ],
        ],
        &[&deep],
    );
    check(&[base, &[F(".wh..wh..opq", b"")]], &[]);
    // Notes of another file system, and names that would remove the folder above.
    check(
        &[
            &[F("app/package-lock.json", LOCK)],
            &[
                F("app/.wh..wh.plnk", b""),
                F("app/.wh...", b""),
                F("app/.wh.", b""),
            ],
        ],
        &[LEFT_PAD],
    );
}

#[test]
fn hard_links_are_other_names_of_their_content() {
    check(
        &[&[
            F("store/ab", LOCK),
            Hard("x", "store/ab"),
            Hard("app/package-lock.json", "x"),
        ]],
        &[LEFT_PAD],
    );
    // Its first name is gone, its content is not.
    check(
        &[
            &[
                F("a/package-lock.json", LOCK),
                Hard("app/package-lock.json", "a/package-lock.json"),
            ],
            &[F("a/.wh.package-lock.json", b"")],
        ],
        &[LEFT_PAD],
    );
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_told() {
    let why = "it cannot be read: its layer does not hold what it links to";
    check(
        &[&[
            Hard("app/package-lock.json", "app/package-lock.json"),
            Hard("b/package-lock.json", "c/package-lock.json"),
            Hard("c/package-lock.json", "b/package-lock.json"),
            Hard("d/package-lock.json", "../../etc/passwd"),
            Soft("e/package-lock.json", "e/package-lock.json"),
        ]],
        &[
            &format!("gap shop.tar#/app/package-lock.json: {why}"),
            &format!("gap shop.tar#/b/package-lock.json: {why}"),
            &format!("gap shop.tar#/c/package-lock.json: {why}"),
            "gap shop.tar#/d/package-lock.json: it cannot be read: the link leads out of the image",
        ],
    );
}

#[test]
fn paths_that_lead_out_of_the_image_are_left_out_and_told() {
    check(
        &[&[
            F("../../etc/package-lock.json", LOCK),
            F("app/../../package-lock.json", LOCK),
            F("/app/./package-lock.json", LOCK),
        ]],
        &[
            LEFT_PAD,
            "gap shop.tar#/: 2 entries have paths that lead out of the image",
        ],
    );
}

#[test]
fn what_belongs_to_a_package_of_the_system_is_counted_once() {
    let list = b"/.\n/usr\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n/usr/lib/vendor/node_modules/left-pad/package.json\n";
    check(
        &[&[
            F("etc/os-release", DEBIAN),
            F(
                "var/lib/dpkg/status",
                b"Package: python3-six\nSource: six\nVersion: 1.16.0-4\n",
            ),
            F("var/lib/dpkg/info/python3-six.list", list),
            F(
                "usr/lib/python3/dist-packages/six-1.16.0.egg-info",
                b"Name: six\nVersion: 1.16.0\n",
            ),
            // Of a package that others publish: no advisory of the distribution speaks of it.
            F(
                "usr/lib/vendor/node_modules/left-pad/package.json",
                br#"{"name":"left-pad","version":"1.0.0"}"#,
            ),
            F(
                "usr/local/lib/python3/site-packages/a-1.dist-info/METADATA",
                b"Name: a\nVersion: 1\n",
            ),
        ]],
        &[
            "npm left-pad 1.0.0 /usr/lib/vendor/node_modules/left-pad/package.json",
            "PyPI a 1 /usr/local/lib/python3/site-packages/a-1.dist-info/METADATA",
            "Debian:12 six 1.16.0-4 /var/lib/dpkg/status#python3-six",
        ],
    );
}

#[test]
fn installed_packages_answer_open_requirements() {
    check(
        &[
            &[F("app/requirements.txt", b"requests\nflask\n")],
            &[F(
                "usr/lib/python3/site-packages/requests-2.0.0.dist-info/METADATA",
                b"Name: requests\nVersion: 2.0.0\n",
            )],
        ],
        &[
            "PyPI flask ? /app/requirements.txt:2",
            "PyPI requests 2.0.0 /usr/lib/python3/site-packages/requests-2.0.0.dist-info/METADATA",
        ],
    );
}

#[test]
fn damaged_layers_are_told_and_the_others_read() {
    let good = tar(&[F("app/package-lock.json", LOCK)]);
    let mut odd = tar(&[F("b/package-lock.json", LOCK), F("c", b"x")]);
    odd[1024 + 124..1024 + 136]
        .copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    for (bad, why) in [
        (
            gzip(&tar(&[F("b/package-lock.json", LOCK)]))[..40].to_vec(),
            "gap shop.tar#/: layer 2 cannot be read: ",
        ),
        (
            b"no archive of any sort".to_vec(),
            "gap shop.tar#/: layer 2 cannot be read: ",
        ),
        (vec![7; 4096], "gap shop.tar#/: layer 2 cannot be read: "),
        (odd, "gap shop.tar#/: layer 2 cannot be read: "),
    ] {
        let read = scanned(&archive(&layout(&[good.clone(), bad]))).expect("an image");
        let lines = lines(&read);
        assert!(lines.contains(&LEFT_PAD.to_owned()), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with(why)), "{lines:?}");
    }
}

#[test]
fn layers_that_are_missing_are_told() {
    let mut files = layout(&[
        tar(&[F("app/package-lock.json", LOCK)]),
        tar(&[F("x", b"")]),
    ]);
    files.pop();
    let read = scanned(&archive(&files)).expect("an image");
    assert_eq!(
        lines(&read),
        [
            LEFT_PAD,
            "gap shop.tar#/: layer 2 cannot be read: it is not in the archive"
        ]
    );
}

#[test]
fn contents_with_another_digest_are_refused() {
    for form in [layout, saved] {
        let mut files = form(&[tar(&[F("app/package-lock.json", LOCK)])]);
        let last = files.len() - 1;
        files[last].1 = tar(&[F("app/package-lock.json", br#"{"packages":{}}"#)]);
        let error = scanned(&archive(&files)).expect_err("another content");
        assert!(error.contains("has another digest"), "{error}");
    }
    let mut files = layout(&[tar(&[])]);
    files[2].1.push(b' ');
    assert!(
        scanned(&archive(&files))
            .expect_err("another manifest")
            .contains("another digest")
    );
}

#[test]
fn long_names_are_read_and_longer_ones_refused() {
    let long = format!("{}/package-lock.json", vec!["folder"; 40].join("/"));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(LOCK.len() as u64);
    builder
        .append_data(&mut header, &long, LOCK)
        .expect("in memory");
    let layer = builder.into_inner().expect("in memory");
    let read = scanned(&archive(&layout(&[layer]))).expect("an image");
    assert_eq!(
        lines(&read),
        [format!("npm left-pad 1.0.0 /{long}#node_modules/left-pad")]
    );
    // Two megabytes that claim to be a name.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(2 << 20);
    header.set_cksum();
    builder
        .append(&header, vec![b'a'; 2 << 20].as_slice())
        .expect("in memory");
    let layer = gzip(&builder.into_inner().expect("in memory"));
    let read = scanned(&archive(&layout(&[layer]))).expect("an image");
    assert_eq!(
        lines(&read),
        ["gap shop.tar#/: layer 1 cannot be read: an extended header is longer than any real one"]
    );
}

#[test]
fn entries_that_state_two_sizes_are_refused() {
    let record = b"18 size=4294967296\n";
    let record = [b"22 size=4294967296123\n".as_slice(), &record[..0]].concat();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(record.len() as u64);
    header.set_cksum();
    builder
        .append(&header, record.as_slice())
        .expect("in memory");
    let mut bytes = builder.into_inner().expect("in memory");
    bytes.truncate(1024);
    bytes.extend(tar(&[F("app/package-lock.json", LOCK)]));
    let read = scanned(&archive(&layout(&[bytes]))).expect("an image");
    let lines = lines(&read);
    assert!(lines[0].contains("states two sizes"), "{lines:?}");
}

#[test]
fn bombs_end_where_the_budget_does() {
    // 4 MB of zeros in 20 kB.
    let layer = gzip(&tar(&[
        F("zeros", &vec![0; 4 << 20]),
        F("app/package-lock.json", LOCK),
    ]));
    assert!(layer.len() < 1 << 16);
    let files = layout(&[layer]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bomb.tar");
    std::fs::write(&file, archive(&files)).expect("written");
    let source = Source::archive(&file).expect("an archive");
    let images = manifest::images(&source).expect("an image");
    let mut survey = Survey::new("", true);
    let mut budget = archive::Budget::layers();
    budget.unpacked_bytes = 1 << 20;
    let (mut upper, found) = (layer::Upper::default(), &images[0].layers[0]);
    let ended = layer::read(&source, found, true, &mut upper, &mut budget, &mut survey);
    let Err(layer::Broken::Image(why)) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(why, "it holds more files or bytes than are read");
    // More files than are counted.
    let many: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    let many: Vec<Put<'_>> = many.iter().map(|name| F(name, b"")).collect();
    let many = tar(&many);
    let mut counted = 0;
    let mut budget = archive::Budget::entries(19);
    let mut entries = tar::Archive::new(many.as_slice());
    let ended = archive::each(entries.entries().expect("tar"), &mut budget, |_, _| {
        counted += 1;
        Ok(())
    });
    assert!(matches!(ended, Err(archive::Broken::TooMuch)));
    assert_eq!(counted, 19);
}

#[test]
fn every_platform_of_an_image_is_read() {
    let one = layout(&[tar(&[F("app/package-lock.json", LOCK)])]);
    let other = layout(&[tar(&[F("b/package-lock.json", LOCK)])]);
    let manifests: Vec<_> = [(&one, "amd64"), (&other, "arm64")]
        .iter()
        .map(|(files, architecture)| {
            serde_json::json!({"digest": format!("sha256:{}", sha256(&files[2].1)),
                "platform": {"os": "linux", "architecture": architecture}})
        })
        .chain([
            serde_json::json!({"digest": format!("sha256:{}", "0".repeat(64)),
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
        ])
        .collect();
    let inner = serde_json::json!({"manifests": manifests})
        .to_string()
        .into_bytes();
    let digest = sha256(&inner);
    let index = serde_json::json!({"manifests": [{"digest": format!("sha256:{digest}")}]});
    let mut files = one.clone();
    files.extend(other);
    files.retain(|(name, _)| name != "index.json");
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files.push((format!("blobs/sha256/{digest}"), inner));
    let read = scanned(&archive(&files)).expect("images");
    assert_eq!(
        lines(&read),
        [
            "npm left-pad 1.0.0 linux/amd64:/app/package-lock.json#node_modules/left-pad",
            "npm left-pad 1.0.0 linux/arm64:/b/package-lock.json#node_modules/left-pad",
        ]
    );
    assert_eq!(read.product, None);
}

#[test]
fn layouts_are_read_as_folders_too() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in layout(&[tar(&[F("app/package-lock.json", LOCK)])]) {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, content).expect("written");
    }
    let read = path(folder.path()).expect("an image");
    assert_eq!(read.components.len(), 1);
}

#[test]
fn other_archives_are_refused_with_a_reason() {
    for (bytes, why) in [
        (
            tar(&[F("src/main.rs", b"")]),
            "it is no image: it has neither `oci-layout` nor `manifest.json`",
        ),
        (
            archive(&layout(&[tar(&[])]))[..1500].to_vec(),
            "cannot be read",
        ),
        (
            archive(&[("manifest.json".to_owned(), b"[]".to_vec())]),
            "the archive names no image",
        ),
        (
            archive(&[("manifest.json".to_owned(), b"[".repeat(9000))]),
            "it nests deeper than",
        ),
        (gzip(&tar(&[])), "is packed; unpack it first"),
        (b"words".to_vec(), "is no file that names components"),
    ] {
        let error = scanned(&bytes).expect_err("no image");
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn layers_that_come_twice_may_be_links() {
    let layer = tar(&[F("app/package-lock.json", LOCK)]);
    let config = serde_json::json!({"os": "linux", "architecture": "amd64"}).to_string();
    let manifest = br#"[{"Config":"c.json","Layers":["a/layer.tar","b/layer.tar"]}]"#;
    let bytes = tar(&[
        F("manifest.json", manifest),
        F("c.json", config.as_bytes()),
        F("a/layer.tar", &layer),
        Soft("b/layer.tar", "../a/layer.tar"),
    ]);
    assert_eq!(lines(&scanned(&bytes).expect("an image")), [LEFT_PAD]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn damaged_images_never_panic(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255_u8), 1..20),
        packed in proptest::prelude::any::<bool>(),
    ) {
        let layer = tar(&[F("app/package-lock.json", LOCK), F("etc/os-release", DEBIAN), Hard("x", "y"), F("a/.wh.b", b"")]);
        let layer = if packed { gzip(&layer) } else { layer };
        let mut bytes = archive(&layout(&[layer]));
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let _ = scanned(&bytes);
    }
}
