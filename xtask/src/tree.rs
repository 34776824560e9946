//! The files of the repository: what git tracks or would track.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

/// Texts by path, relative to the root, with `/` between folders.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the text files below `root`. Binary files are left out.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listing = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .context("cannot run git")?;
        ensure!(
            listing.status.success(),
            "git ls-files failed: {}",
            String::from_utf8_lossy(&listing.stderr)
        );
        let listing = String::from_utf8(listing.stdout).context("a path is not UTF-8")?;
        let mut files = BTreeMap::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            // Deleted and not yet committed: git still lists it.
            let Ok(bytes) = std::fs::read(root.join(path)) else {
                continue;
            };
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Self(files))
    }

    /// Returns a tree of these files.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self(files.iter().map(owned).collect())
    }

    /// Returns the text of a file that may be there.
    pub(crate) fn find(&self, path: &str) -> Option<&String> {
        self.0.get(path)
    }

    /// Returns the text of a file that has to be there.
    pub(crate) fn text(&self, path: &str) -> Result<&str> {
        let text = self
            .find(path)
            .with_context(|| format!("{path} is missing"))?;
        Ok(text)
    }

    /// Returns how many files there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns path and text of the files below `folder`, which ends with `/`, or
    /// of all files if it is empty. Sorted by path.
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(folder))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}
