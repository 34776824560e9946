//! Packages of apk: `P`, `V`, `o` and `F`/`R` lines, paragraphs apart by empty lines.

use super::{Package, Read};

pub(super) fn installed(text: &str) -> Read {
    let mut read = Read::default();
    let (mut name, mut version, mut origin) = ("", "", "");
    let mut folder = "";
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if !name.is_empty() && version.is_empty() {
                read.problems.push(format!("`{name}` has no version"));
            } else if !name.is_empty() {
                let source = if origin.is_empty() { name } else { origin };
                read.packages.push(Package {
                    name: source.to_owned(),
                    version: version.to_owned(),
                    installed_as: name.to_owned(),
                    source: String::new(),
                });
            }
            (name, version, origin, folder) = ("", "", "", "");
            continue;
        }
        // Letters count: `p` is what the package provides.
        match line.split_once(':') {
            Some(("P", value)) => name = value.trim(),
            Some(("V", value)) => version = value.trim(),
            Some(("o", value)) => origin = value.trim(),
            Some(("F", value)) => folder = value,
            Some(("R", value)) => read.file(&format!("{folder}/{value}")),
            _ => {}
        }
    }
    read
}
