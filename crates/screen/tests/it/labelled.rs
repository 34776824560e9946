//! Labelled texts of attacks, and what published servers say of their tools.
//!
//! Rules were written looking at one half of the labelled attacks only. The halves are
//! cut by a hash of the attack's class or of the server, so that rewordings of one text
//! do not lie in both.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

use airside_screen::{Groups, definition, text};
use serde_json::Value;

/// One labelled record.
pub(crate) struct Sample {
    pub(crate) source: String,
    pub(crate) category: String,
    pub(crate) malicious: bool,
    /// Rules were written looking at it.
    pub(crate) seen: bool,
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) tool: Option<Value>,
}

impl Sample {
    /// Returns whether the rules flag it.
    pub(crate) fn is_flagged(&self) -> bool {
        match &self.tool {
            Some(tool) => !definition(tool).is_empty(),
            None => !text(&self.text, Groups::DEFINITION, &|| {
                airside_screen::card::About::Nothing
            })
            .is_empty(),
        }
    }
}

pub(crate) fn shared() -> PathBuf {
    let shared = std::env::var_os("AIRSIDE_SHARED");
    shared.map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    )
}

/// Returns the lines of a compressed file of the shared data; none if there is no such
/// data here.
///
/// # Panics
///
/// When they are missing where `CI` is set.
pub(crate) fn lines(path: &str) -> Option<Vec<Value>> {
    let path = shared().join(path);
    let Ok(file) = std::fs::File::open(&path) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            path.display()
        );
        return None;
    };
    let mut all = String::new();
    if path.extension().is_some_and(|end| end == "zst") {
        let mut decoder = zstd::Decoder::new(file).expect("zstd");
        decoder.read_to_string(&mut all).expect("compressed text");
    } else {
        let mut decoder = flate2::read::GzDecoder::new(file);
        decoder.read_to_string(&mut all).expect("compressed text");
    }
    let parse = |line: &str| serde_json::from_str(line).expect("one JSON object a line");
    Some(all.lines().map(parse).collect())
}

/// Returns the labelled samples.
pub(crate) fn samples() -> Option<Vec<Sample>> {
    let lines = lines("data/mcp-threats/tools-labelled.dev.ndjson.zst")?;
    Some(lines.iter().map(sample).collect())
}

fn sample(record: &Value) -> Sample {
    let string = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let (source, id) = (string("source"), string("id"));
    let class = match source.as_str() {
        "atr" => id.split('/').next().unwrap_or_default().to_owned(),
        _ if record["server"].is_string() => string("server"),
        _ => id.clone(),
    };
    Sample {
        category: string("category"),
        malicious: string("label") == "malicious",
        seen: is_seen(&class),
        text: string("text"),
        tool: match &record["tool"] {
            Value::Object(_) => Some(record["tool"].clone()),
            Value::String(tool) => serde_json::from_str(tool).ok(),
            _ => None,
        },
        source,
        id,
    }
}

/// FNV-1a and the finish of MurmurHash3.
fn is_seen(class: &str) -> bool {
    let fnv = class.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ fnv >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ mixed >> 33) & 1 == 0
}

/// How many of how many were flagged.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) flagged: usize,
    pub(crate) all: usize,
}

impl Share {
    pub(crate) fn add(&mut self, flagged: bool) {
        self.flagged += usize::from(flagged);
        self.all += 1;
    }

    pub(crate) fn percent(self) -> f64 {
        self.flagged as f64 * 100.0 / self.all.max(1) as f64
    }
}

/// Returns the shares by what the samples are, for the half that was looked at and the
/// other.
pub(crate) fn measure(samples: &[Sample]) -> BTreeMap<String, [Share; 2]> {
    let mut shares: BTreeMap<String, [Share; 2]> = BTreeMap::new();
    for sample in samples {
        let label = if sample.malicious {
            "attacks"
        } else {
            "harmless"
        };
        let name = format!("{label}: {}, {}", sample.source, sample.category);
        let halves = shares.entry(name).or_default();
        halves[usize::from(!sample.seen)].add(sample.is_flagged());
    }
    shares
}
