//! The three tables, row by row as CERT/CC publishes them in machine-readable form
//! (CERTCC/SSVC, `data/json`). A test compares every row with the published files.

use serde::{Deserialize, Serialize};

use crate::exploit::{Exploitation, Technical};

/// Who can reach a server (`ssvc:EXP:1.0.1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// Local service or highly controlled network.
    Small,
    /// Networked service with some access restrictions.
    Controlled,
    /// Internet or another widely accessible network.
    Open,
}

/// Harm to people and to the mission (`ssvc:HI:2.0.2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Very high.
    VeryHigh,
}

/// Harm to the well-being of people (`ssvc:SI:2.0.1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// None to speak of.
    Negligible,
    /// Discomfort, small losses of money, emotional distress of some.
    Marginal,
    /// Losses and distress of many people.
    Critical,
    /// Lives.
    Catastrophic,
}

/// Harm to the mission (`ssvc:MI:2.0.0`; MEF: mission essential function).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mission {
    /// Non-essential functions suffer.
    Degraded,
    /// What supports an essential function is crippled.
    Crippled,
    /// One essential function fails.
    Failure,
    /// The mission fails.
    Total,
}

/// How soon to act (`ssvc:DSOI:1.0.0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Not at present.
    Defer,
    /// During regular maintenance.
    Scheduled,
    /// Sooner than regular maintenance, overtime if necessary.
    OutOfCycle,
    /// At once, with all resources.
    Immediate,
}

/// The deadline of the directive (`cisa:BOD2604:1.0.0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timeline {
    /// With the next upgrade.
    NextUpgrade,
    /// Within 60 days.
    SixtyDays,
    /// Within 14 days.
    FourteenDays,
    /// Within 3 days.
    ThreeDays,
    /// Within 3 days, with a search for signs of compromise.
    ThreeDaysForensic,
}

/// Rows of the deployer table: exploitation, exposure, automatable; one letter for each
/// human impact from low to very high.
const DEPLOYER: [&[u8; 4]; 18] = [
    // none: small, controlled, open; each not automatable, then automatable
    b"DDSS", b"DSSS", b"DSSS", b"SSSS", b"DSSS", b"SSSO", //
    // public PoC
    b"DSSS", b"SSSS", b"DSSS", b"SSSO", b"SSSO", b"SSOO", //
    // active
    b"SSOO", b"SOOO", b"SSOO", b"OOOO", b"SOOI", b"OOII",
];

/// Rows of the human impact table: safety, then mission.
const HUMAN: [&[u8; 4]; 4] = [b"LLMV", b"LLMV", b"MHHV", b"VVVV"];

/// Looks up the deployer table.
#[must_use]
pub fn deployer(
    exploitation: Exploitation,
    exposure: Exposure,
    automatable: bool,
    impact: Impact,
) -> Priority {
    let row = exploitation as usize * 6 + exposure as usize * 2 + usize::from(automatable);
    match DEPLOYER[row][impact as usize] {
        b'D' => Priority::Defer,
        b'S' => Priority::Scheduled,
        b'O' => Priority::OutOfCycle,
        _ => Priority::Immediate,
    }
}

/// Looks up the human impact table.
#[must_use]
pub fn human(safety: Safety, mission: Mission) -> Impact {
    match HUMAN[safety as usize][mission as usize] {
        b'L' => Impact::Low,
        b'M' => Impact::Medium,
        b'H' => Impact::High,
        _ => Impact::VeryHigh,
    }
}

/// Looks up BOD 26-04.
#[must_use]
pub fn directive(in_kev: bool, public: bool, automatable: bool, technical: Technical) -> Timeline {
    use Technical::{Partial, Total};
    match (in_kev, public, automatable, technical) {
        (false, false, false, Partial | Total) => Timeline::NextUpgrade,
        (false, false, true, Partial | Total) | (false, true, false, Partial) => {
            Timeline::SixtyDays
        }
        (false, true, false, Total) | (false, true, true, Partial) => Timeline::FourteenDays,
        (false, true, true, Total) => Timeline::ThreeDays,
        (true, true, true, Partial) => Timeline::ThreeDays,
        (true, _, _, Partial) | (true, false, false, Total) => Timeline::FourteenDays,
        (true, true, _, Total) | (true, false, true, Total) => Timeline::ThreeDaysForensic,
    }
}

impl Timeline {
    /// Returns the days it leaves; none for the next upgrade.
    #[must_use]
    pub fn days(self) -> Option<u16> {
        match self {
            Self::NextUpgrade => None,
            Self::SixtyDays => Some(60),
            Self::FourteenDays => Some(14),
            Self::ThreeDays | Self::ThreeDaysForensic => Some(3),
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NextUpgrade => "next upgrade",
            Self::SixtyDays => "60 days",
            Self::FourteenDays => "14 days",
            Self::ThreeDays => "3 days",
            Self::ThreeDaysForensic => "3 days and forensic triage",
        }
    }
}

impl Priority {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Defer => "defer",
            Self::Scheduled => "scheduled",
            Self::OutOfCycle => "out-of-cycle",
            Self::Immediate => "immediate",
        }
    }
}

impl Exposure {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Controlled => "controlled",
            Self::Open => "open",
        }
    }
}

impl Impact {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::VeryHigh => "very high",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn published(name: &str) -> Vec<Value> {
        let path = format!("{}/tests/data/ssvc/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a published table");
        let table: Value = serde_json::from_str(&text).expect("JSON");
        table["mapping"].as_array().expect("rows").clone()
    }

    fn place(row: &Value, key: &str, names: &[&str]) -> usize {
        let name = row[key].as_str().expect("a value");
        let found = names.iter().position(|known| *known == name);
        found.unwrap_or_else(|| panic!("{key} {name}"))
    }

    #[test]
    fn every_row_of_the_deployer_table_is_as_published() {
        let rows = published("deployer_patch_application_priority_1_0_0.json");
        let mut seen = BTreeSet::new();
        for row in &rows {
            let e = place(row, "ssvc:E:1.1.0", &["N", "P", "A"]);
            let x = place(row, "ssvc:EXP:1.0.1", &["S", "C", "O"]);
            let a = place(row, "ssvc:A:2.0.0", &["N", "Y"]);
            let h = place(row, "ssvc:HI:2.0.2", &["L", "M", "H", "VH"]);
            let got = deployer(
                [Exploitation::None, Exploitation::Poc, Exploitation::Active][e],
                [Exposure::Small, Exposure::Controlled, Exposure::Open][x],
                a == 1,
                [Impact::Low, Impact::Medium, Impact::High, Impact::VeryHigh][h],
            );
            let wanted = [
                Priority::Defer,
                Priority::Scheduled,
                Priority::OutOfCycle,
                Priority::Immediate,
            ][place(row, "ssvc:DSOI:1.0.0", &["D", "S", "O", "I"])];
            assert_eq!(got, wanted, "{row}");
            seen.insert((e, x, a, h));
        }
        assert_eq!(seen.len(), 72);
    }

    #[test]
    fn every_row_of_the_human_impact_table_is_as_published() {
        let rows = published("human_impact_1_0_0.json");
        let mut seen = BTreeSet::new();
        for row in &rows {
            let s = place(row, "ssvc:SI:2.0.1", &["N", "M", "R", "C"]);
            let m = place(row, "ssvc:MI:2.0.0", &["D", "MSC", "MEF", "MF"]);
            let got = human(
                [
                    Safety::Negligible,
                    Safety::Marginal,
                    Safety::Critical,
                    Safety::Catastrophic,
                ][s],
                [
                    Mission::Degraded,
                    Mission::Crippled,
                    Mission::Failure,
                    Mission::Total,
                ][m],
            );
            let wanted = [Impact::Low, Impact::Medium, Impact::High, Impact::VeryHigh]
                [place(row, "ssvc:HI:2.0.2", &["L", "M", "H", "VH"])];
            assert_eq!(got, wanted, "{row}");
            seen.insert((s, m));
        }
        assert_eq!(seen.len(), 16);
    }

    #[test]
    fn every_row_of_the_directive_is_as_published() {
        let rows = published("cisa_bod_26_04_1_0_0.json");
        let mut seen = BTreeSet::new();
        for row in &rows {
            let k = place(row, "cisa:KEV:1.0.0", &["N", "Y"]);
            let p = place(row, "cisa:PE:1.0.0", &["N", "Y"]);
            let a = place(row, "ssvc:A:2.0.0", &["N", "Y"]);
            let t = place(row, "ssvc:TI:1.0.0", &["P", "T"]);
            let technical = [Technical::Partial, Technical::Total][t];
            let got = directive(k == 1, p == 1, a == 1, technical);
            let wanted = [
                Timeline::NextUpgrade,
                Timeline::SixtyDays,
                Timeline::FourteenDays,
                Timeline::ThreeDays,
                Timeline::ThreeDaysForensic,
            ][place(
                row,
                "cisa:BOD2604:1.0.0",
                &["FSU", "60D", "14D", "3D", "3DF"],
            )];
            assert_eq!(got, wanted, "{row}");
            seen.insert((k, p, a, t));
        }
        assert_eq!(seen.len(), 16);
    }
}
