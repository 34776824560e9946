//! Labelled data beside the repository.

use std::{io::Read as _, path::PathBuf};

use serde_json::Value;

/// Returns the records of a file; none where there is no such data, except in CI.
pub(crate) fn records(file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var("AIRSIDE_SHARED").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join("data/mcp-threats").join(file);
    let Ok(opened) = std::fs::File::open(&path) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            path.display()
        );
        return None;
    };
    let mut text = String::new();
    match file.ends_with(".zst") {
        true => zstd::Decoder::new(opened)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap(),
        false => {
            let mut opened = opened;
            opened.read_to_string(&mut text).unwrap()
        }
    };
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}
