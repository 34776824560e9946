//! Packages of dpkg: one file of paragraphs, or in images without a package manager one
//! file for each package.

use super::{Package, Read};

/// Reads paragraphs of deb822: fields up to an empty line, continued by indentation.
pub(super) fn status(text: &str) -> Read {
    let mut read = Read::default();
    let mut paragraph = Paragraph::default();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            let whole = std::mem::take(&mut paragraph);
            whole.close(&mut read);
            continue;
        }
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name {
            "Package" => paragraph.package = value,
            "Version" => paragraph.version = value,
            "Source" => paragraph.source = value,
            "Status" => paragraph.status = value,
            _ => {}
        }
    }
    read
}

#[derive(Default)]
struct Paragraph<'a> {
    package: &'a str,
    version: &'a str,
    source: &'a str,
    status: &'a str,
}

impl Paragraph<'_> {
    fn close(self, into: &mut Read) {
        if self.package.is_empty() {
            return;
        }
        // What was removed and left its configuration is listed too. Images without a
        // package manager have no such field.
        let state = self.status.rsplit(' ').next().unwrap_or_default();
        if matches!(state, "not-installed" | "config-files") {
            return;
        }
        // Advisories speak of the source package, whose version is another where a
        // binary package was built again or has a scheme of its own.
        let (source, version) = match self.source.split_once(" (") {
            Some((source, version)) => (source.trim(), version.trim_end_matches(')')),
            None => (self.source, self.version),
        };
        let source = if source.is_empty() {
            self.package
        } else {
            source
        };
        if version.is_empty() {
            let name = self.package;
            into.problems.push(format!("`{name}` has no version"));
            return;
        }
        into.packages.push(Package {
            name: source.to_owned(),
            version: version.to_owned(),
            installed_as: self.package.to_owned(),
            source: String::new(),
        });
    }
}

/// Reads which files a package brought: paths, or digests and paths.
pub(super) fn files(text: &str) -> Read {
    let mut read = Read::default();
    for line in text.lines() {
        read.file(line.split_once("  ").map_or(line, |(_, path)| path));
    }
    read
}
