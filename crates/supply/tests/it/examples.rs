//! Every published example message of AlpineBits, valid and invalid, by name: what
//! becomes of it, and why where that is not what its name says.

use std::{collections::BTreeMap, fs, io::Read as _, path::PathBuf};

use airside_supply::alpinebits::{Action, Version, read};
use flate2::read::GzDecoder;

/// One line per file: path, outcome, explanation where the outcome is not the one
/// that the name of the file says.
const TABLE: &str = include_str!("examples.tsv");

fn folder() -> PathBuf {
    let shared = std::env::var_os("AIRSIDE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared"),
        PathBuf::from,
    );
    shared.join("data/travel/specs/alpinebits")
}

/// Returns the files of a tar archive by name.
fn unpack(packed: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed)
        .read_to_end(&mut bytes)
        .expect("a gzip file");
    let text = |field: &[u8]| {
        let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).trim().to_owned()
    };
    let mut files = BTreeMap::new();
    let (mut at, mut long_name) = (0, None);
    while bytes.get(at).is_some_and(|first| *first != 0) {
        let header = &bytes[at..at + 512];
        let size = usize::from_str_radix(&text(&header[124..136]), 8).expect("an octal size");
        let content = &bytes[at + 512..at + 512 + size];
        match header[156] {
            b'L' => long_name = Some(text(content)),
            b'0' => {
                let name = long_name.take().unwrap_or_else(|| text(&header[..100]));
                files.insert(name, content.to_vec());
            }
            _ => {}
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files
}

/// Returns every example by path.
fn examples() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = folder();
    if !folder.is_dir() && std::env::var_os("CI").is_none() {
        return None;
    }
    let packed = fs::read(folder.join("odh_examples_cc0.tar.gz")).expect("the packed examples");
    let mut files = unpack(&packed);
    for entry in fs::read_dir(folder.join("examples")).expect("the folder of examples") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        files.insert(name, fs::read(path).expect("an example"));
    }
    Some(files)
}

fn kind(path: &str) -> (Version, Option<Action>) {
    let version = if path.contains("2020") {
        Version::V2020
    } else {
        Version::V2018
    };
    let lower = path.to_lowercase();
    let action = if lower.contains("freerooms") {
        Some(Action::FreeRooms)
    } else if lower.contains("_hotelinfo-") {
        Some(Action::HotelInfo)
    } else if lower.contains("inventory") {
        Some(Action::Inventory)
    } else if lower.contains("rateplans") {
        Some(Action::RatePlans)
    } else {
        None
    };
    (version, action)
}

/// What becomes of a message, in a few words.
fn outcome(path: &str, bytes: &[u8]) -> String {
    let (version, action) = kind(path);
    let Some(action) = action else {
        // Reservations go from a server to a hotel: nothing that a hotel sends here.
        let actions = ["OTA_Read:GuestRequests", "OTA_ResRetrieve:GuestRequests"];
        let known = actions.iter().find_map(|name| Action::parse(name, version));
        return format!("no action ({known:?})");
    };
    match read(action, version, bytes) {
        Ok(_) => "taken".to_owned(),
        Err(problems) => {
            let reasons = problems.iter().map(|p| format!("{} {}", p.code, p.text));
            format!("refused: {}", reasons.collect::<Vec<_>>().join("; "))
        }
    }
}

#[test]
fn every_published_example_has_its_outcome() {
    let Some(files) = examples() else { return };
    let found: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.clone(), outcome(path, bytes)))
        .collect();
    let table: Vec<_> = TABLE
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let path = fields.next().unwrap_or_default().to_owned();
            (path, fields.next().unwrap_or_default().to_owned())
        })
        .collect();
    if found != table {
        let lines: Vec<_> = found.iter().map(|(a, b)| format!("{a}\t{b}")).collect();
        panic!("outcomes have changed; now they are\n{}", lines.join("\n"));
    }
}

#[test]
fn outcome_is_the_one_that_the_name_says_or_explained() {
    let mut explained = 0;
    for line in TABLE.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let (path, outcome) = (fields[0].to_lowercase(), fields[1]);
        let invalid = path.contains("_err_") || path.contains("-err-");
        let expected = if invalid { "refused" } else { "taken" };
        let explanation = fields.get(2).copied().unwrap_or_default();
        assert!(
            outcome.starts_with(expected) == explanation.is_empty(),
            "{line}: as the name says, or an explanation"
        );
        explained += usize::from(!explanation.is_empty());
    }
    assert_eq!((TABLE.lines().count(), explained), (217, 14));
}
