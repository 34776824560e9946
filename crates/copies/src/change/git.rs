//! Reads objects through the `git` command.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Error;

/// Most bytes that git may answer.
const MOST: u64 = 512 << 20;
/// Ids that git is asked for at once: with 64 digits each they fit into a pipe (64 KiB on
/// Linux), so that asking ends before answers are read.
const AT_ONCE: usize = 1_000;

/// One commit of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub time: Option<i64>,
    /// Its whole message, trailers included.
    pub message: String,
    /// The note of git-ai on it.
    pub note: Option<String>,
}

/// One line of `git ls-tree`.
struct Entry {
    /// `blob`, or `commit` for a submodule.
    kind: String,
    id: String,
    path: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        // mode SP type SP id TAB path
        let (head, path) = line.split_once('\t')?;
        let mut fields = head.split(' ').skip(1);
        Some(Self {
            kind: fields.next()?.to_owned(),
            id: fields.next()?.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// A repository on disk.
#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    pub(super) fn of(root: &Path) -> Result<Self, Error> {
        let found = Self::at(root);
        found.check()?;
        Ok(found)
    }

    /// Returns what may be one.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Asks whether it is one.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.run(&["rev-parse", "--git-dir"], b"") {
            Ok(_) => Ok(()),
            Err(Error::Git { reason }) if reason.contains("not a git repository") => {
                Err(Error::NoRepository)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the folder that is reviewed.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |reason: String| Error::Git { reason };
        let mut child = Command::new("git")
            .args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args([
                "-c",
                "protocol.allow=never",
                "--no-pager",
                "--no-optional-locks",
            ])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // What it says is read.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Error::Absent,
                _ => failed(error.to_string()),
            })?;
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut stderr = child.stderr.take().expect("standard error is piped");
        // Not more than a pipe holds, so this waits for nobody.
        let written = stdin.write_all(input);
        drop(stdin);
        let mut answer = Vec::new();
        let read = stdout.take(MOST + 1).read_to_end(&mut answer);
        let read = read.map(|_| answer);
        let answer = read.map_err(|error| failed(error.to_string()));
        let too_large = answer.as_ref().is_ok_and(|a| a.len() as u64 > MOST);
        if too_large {
            // It waits for its reader otherwise.
            let _ = child.kill();
        }
        let mut said = String::new();
        let _ = (&mut stderr).take(4096).read_to_string(&mut said);
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        if too_large {
            return Err(Error::TooLarge { most: MOST });
        }
        if !status.success() {
            return Err(failed(
                said.lines().next().unwrap_or("it failed").to_owned(),
            ));
        }
        written.map_err(|error| failed(error.to_string()))?;
        answer
    }

    /// Returns the commit where `base` and the present one have parted.
    pub(super) fn fork_point(&self, base: &str) -> Result<String, Error> {
        if base.starts_with('-') {
            return Err(unknown(base));
        }
        let found = match self.run(&["merge-base", base, "HEAD"], b"") {
            Ok(found) => found,
            // Without a common commit the revision itself is compared with.
            Err(_) => {
                let commit = format!("{base}^{{commit}}");
                let found = self.run(&["rev-parse", "--verify", "--quiet", &commit], b"");
                found.map_err(|error| match error {
                    Error::Git { .. } => unknown(base),
                    other => other,
                })?
            }
        };
        Ok(text(&found).trim().to_owned())
    }

    /// Returns the id of the present commit.
    pub(super) fn head(&self) -> Result<String, Error> {
        let found = self.run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], b"");
        let found = found.map_err(|error| match error {
            Error::Git { .. } => unknown("HEAD"),
            other => other,
        })?;
        Ok(text(&found).trim().to_owned())
    }

    /// Returns the ids of all blobs of `commit` below the scanned folder, by path.
    pub(super) fn tree(&self, commit: &str) -> Result<BTreeMap<String, String>, Error> {
        let listed = self.listed(commit)?;
        let blobs = listed.into_iter().filter(|entry| entry.kind == "blob");
        Ok(blobs.map(|entry| (entry.path, entry.id)).collect())
    }

    /// Returns the folders of `commit` that are submodules: repositories of their own.
    pub(super) fn submodules(&self, commit: &str) -> Result<Vec<String>, Error> {
        let listed = self.listed(commit)?;
        let modules = listed.into_iter().filter(|entry| entry.kind == "commit");
        Ok(modules.map(|entry| entry.path).collect())
    }

    fn listed(&self, commit: &str) -> Result<Vec<Entry>, Error> {
        let listed = self.run(&["ls-tree", "-r", "-z", commit], b"")?;
        let listed = text(&listed);
        Ok(listed.split('\0').filter_map(Entry::parse).collect())
    }

    /// Returns the contents of `ids`, in order.
    pub(super) fn blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, Error> {
        let mut blobs: Vec<Vec<u8>> = Vec::with_capacity(ids.len());
        let mut size = 0;
        for part in ids.chunks(AT_ONCE) {
            let read = self.part(part)?;
            size += read.iter().map(Vec::len).sum::<usize>() as u64;
            if size > MOST {
                return Err(Error::TooLarge { most: MOST });
            }
            blobs.extend(read);
        }
        Ok(blobs)
    }

    fn part(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>, Error> {
        let input = ids.join("\n") + "\n";
        let answer = self.run(&["cat-file", "--batch"], input.as_bytes())?;
        let malformed = || Error::Git {
            reason: "its answer is malformed".to_owned(),
        };
        let (mut blobs, mut rest) = (Vec::with_capacity(ids.len()), &answer[..]);
        for _ in ids {
            let end = memchr::memchr(b'\n', rest).ok_or_else(malformed)?;
            let head = text(&rest[..end]);
            let size: usize = match head.rsplit(' ').next().map(str::parse) {
                Some(Ok(size)) => size,
                _ => return Err(malformed()),
            };
            let body = rest.get(end + 1..end + 1 + size).ok_or_else(malformed)?;
            blobs.push(body.to_vec());
            rest = rest.get(end + size + 2..).ok_or_else(malformed)?;
        }
        Ok(blobs)
    }

    /// Returns the commits after `base`, the newest first.
    pub(super) fn commits(&self, base: &str) -> Result<Vec<Commit>, Error> {
        let range = format!("{base}..HEAD");
        let log = [
            "log",
            "-z",
            "--max-count=2000",
            "--format=%H %ct%n%B",
            &range,
        ];
        let (log, notes) = rayon::join(|| self.run(&log, b""), || self.notes());
        let (log, notes) = (log?, notes?);
        let commits = text(&log);
        let mut found = Vec::new();
        let mut noted = Vec::new();
        for (head, message) in commits.split('\0').filter_map(|one| one.split_once('\n')) {
            let (id, time) = head.split_once(' ').unwrap_or((head, ""));
            if let Some(note) = notes.get(id) {
                noted.push((found.len(), note.as_str()));
            }
            found.push(Commit {
                id: id.to_owned(),
                time: time.parse().ok(),
                message: message.to_owned(),
                note: None,
            });
        }
        let ids: Vec<&str> = noted.iter().map(|(_, id)| *id).collect();
        for ((at, _), note) in noted.iter().zip(self.blobs(&ids)?) {
            found[*at].note = Some(text(&note));
        }
        Ok(found)
    }

    /// Returns the blobs of the notes of git-ai, by commit; none where there are no notes.
    fn notes(&self) -> Result<BTreeMap<String, String>, Error> {
        const NOTES: &str = "refs/notes/ai";
        if self
            .run(&["rev-parse", "--verify", "--quiet", NOTES], b"")
            .is_err()
        {
            return Ok(BTreeMap::new());
        }
        let listed = self.run(&["ls-tree", "-r", "-z", "--full-tree", NOTES], b"")?;
        let mut notes = BTreeMap::new();
        for line in text(&listed).split('\0') {
            if let Some((head, path)) = line.split_once('\t')
                && let Some(id) = head.split(' ').nth(2)
            {
                notes.insert(path.replace('/', ""), id.to_owned());
            }
        }
        Ok(notes)
    }
}

fn unknown(base: &str) -> Error {
    let revision = base.chars().take(80).collect();
    Error::Revision { revision }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
