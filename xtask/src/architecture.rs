//! `architecture.toml`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jiff::civil::Date;
use serde::Deserialize;

/// Everything the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Architecture {
    pub(crate) crates: BTreeMap<String, Edges>,
    #[serde(default)]
    pub(crate) restricted: Vec<Restricted>,
    pub(crate) budget: Budget,
    pub(crate) names: Names,
    pub(crate) errors: Errors,
    #[serde(default)]
    pub(crate) exemption: Vec<Exemption>,
}

/// What one crate may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Edges {
    pub(crate) may_use: Vec<String>,
    #[serde(default)]
    pub(crate) may_use_in_tests: Vec<String>,
}

/// A dependency that only some crates may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Restricted {
    pub(crate) dependency: String,
    pub(crate) only: Vec<String>,
    #[serde(default)]
    pub(crate) in_tests: Vec<String>,
    pub(crate) reason: String,
}

/// How large things may get, in lines without tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Budget {
    pub(crate) file_lines: usize,
    pub(crate) inline_test_lines: usize,
    pub(crate) crate_lines: usize,
    pub(crate) crate_share_percent: usize,
    pub(crate) share_from_lines: usize,
}

/// Names that crates must not have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Names {
    pub(crate) forbidden: Vec<String>,
}

/// Areas of error codes with the crates that may raise them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Errors {
    pub(crate) areas: BTreeMap<String, Vec<String>>,
}

/// An exception from one rule for one subject.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Exemption {
    pub(crate) rule: String,
    pub(crate) subject: String,
    pub(crate) reason: String,
    /// Last day on which it holds.
    pub(crate) until: Date,
}

impl Architecture {
    /// Parses the file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("cannot read architecture.toml")
    }
}
