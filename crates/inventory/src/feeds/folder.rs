//! Folders of feeds, and the index that is kept of one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use aws_lc_rs::digest::{Context, SHA256, digest};
use jiff::civil::Date;

use crate::index::{Builder, Index, hex};

use super::{
    Feed, Kind, MAX_FILES, MAX_RECORD_BYTES, MAX_UNPACKED_BYTES, content,
    read::{self, Columns},
};

/// Most levels of folders.
const MAX_DEPTH: usize = 16;
/// Most bytes of one file as it lies there.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// Why a folder of feeds cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("cannot read the feeds in {}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No file in it is a feed.
    #[error("{} holds no advisories", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// There are too many files.
    #[error("{} holds more than {MAX_FILES} files", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// Returns the index of the feeds in `folder`. With a file `kept`, an index of the same
/// files is read from there and a new one is written there; where that is not possible
/// it is made anew each time.
///
/// # Errors
///
/// When the folder cannot be read or holds no advisories.
pub fn load(folder: &Path, kept: Option<&Path>) -> Result<Index, Problem> {
    let files = list(folder)?;
    let origin = fingerprint(&files);
    if let Some(index) = kept.and_then(open).filter(|index| index.origin() == origin) {
        return Ok(index);
    }
    let bytes = build(folder, &files, &origin)?;
    if let Some(path) = kept {
        keep(path, &bytes);
    }
    Ok(Index::open(bytes).expect("an index that was just made is whole"))
}

/// Like [`load`], for somebody who asks again and again: what is worse than the index in
/// `kept` is not taken, and why is said. Whoever wants it all the same removes that file.
///
/// # Errors
///
/// When the folder cannot be read or holds no advisories.
pub fn renew(folder: &Path, kept: &Path) -> Result<(Index, Option<String>), Problem> {
    let files = list(folder)?;
    let origin = fingerprint(&files);
    let before = match open(kept) {
        Some(index) if index.origin() == origin => return Ok((index, None)),
        before => before,
    };
    let bytes = build(folder, &files, &origin)?;
    let index = Index::open(bytes.clone()).expect("an index that was just made is whole");
    if let Some(before) = before
        && let Some(why) = worse(before.feeds(), index.feeds())
    {
        return Ok((before, Some(why)));
    }
    keep(kept, &bytes);
    Ok((index, None))
}

/// Returns what is worse now: an older day, a sort of feed that is gone, a file that
/// was whole.
fn worse(before: &[Feed], after: &[Feed]) -> Option<String> {
    let sorts = [
        Kind::Advisories,
        Kind::Kev,
        Kind::Epss,
        Kind::Points,
        Kind::Exploits,
        Kind::Vex,
    ];
    let of = |feeds: &[Feed], kind: Kind| {
        let all = feeds.iter().filter(|feed| feed.kind == kind);
        let records: u64 = all.clone().map(|feed| feed.records).sum();
        (records, all.filter_map(|feed| feed.date).max())
    };
    for kind in sorts {
        let ((had, old), (has, new)) = (of(before, kind), of(after, kind));
        if had > 0 && has == 0 {
            return Some(format!("{} is gone", kind.name()));
        }
        if let (Some(old), Some(new)) = (old, new)
            && new < old
        {
            return Some(format!(
                "{} of {new} is older than that of {old}",
                kind.name()
            ));
        }
    }
    after.iter().find_map(|feed| {
        let problem = feed.problem.as_ref()?;
        let mut earlier = before.iter();
        let was_whole = earlier.any(|b| b.name == feed.name && b.problem.is_none());
        was_whole.then(|| format!("{}: {problem}", feed.name))
    })
}

fn build(folder: &Path, files: &[File], origin: &str) -> Result<Vec<u8>, Problem> {
    let mut builder = Builder::default();
    let mut advisories = 0;
    for file in files {
        let feed = take(folder, file, &mut builder)?;
        if feed.kind == Kind::Advisories {
            advisories += feed.records;
        }
        builder.feed(feed);
    }
    if advisories == 0 {
        let path = folder.to_owned();
        return Err(Problem::Empty { path });
    }
    Ok(builder.finish(origin))
}

fn open(path: &Path) -> Option<Index> {
    Index::open(fs::read(path).ok()?).ok()
}

/// Writes the index beside its place and moves it there, so that a reader sees all of
/// it or the one before. A place that cannot be written costs time at the next start.
fn keep(path: &Path, bytes: &[u8]) {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = written
        .and_then(|()| fs::write(&beside, bytes))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        tracing::warn!(path = %path.display(), %error, "the index of the feeds cannot be kept");
    }
}

struct File {
    path: PathBuf,
    name: String,
    size_bytes: u64,
    changed_ns: u128,
}

/// Lists the files of a folder in a fixed order. Links are not followed: a folder of
/// feeds may have come in an archive.
fn list(folder: &Path) -> Result<Vec<File>, Problem> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let unreadable = |source| Problem::Unreadable {
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let meta = entry.metadata().map_err(unreadable)?;
            if meta.is_dir() && depth < MAX_DEPTH {
                open.push((entry.path(), depth + 1));
            } else if meta.is_file() {
                let path = entry.path();
                let name = path.strip_prefix(folder).unwrap_or(&path);
                let changed = meta.modified().ok();
                let changed = changed.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                files.push(File {
                    name: name.to_string_lossy().into_owned(),
                    size_bytes: meta.len(),
                    changed_ns: changed.map_or(0, |t| t.as_nanos()),
                    path,
                });
                if files.len() > MAX_FILES {
                    let path = folder.to_owned();
                    return Err(Problem::TooMany { path });
                }
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn fingerprint(files: &[File]) -> String {
    let mut context = Context::new(&SHA256);
    for file in files {
        let line = format!("{}\0{}\0{}\n", file.name, file.size_bytes, file.changed_ns);
        context.update(line.as_bytes());
    }
    hex(context.finish().as_ref())
}

/// Takes one file in.
fn take(folder: &Path, file: &File, into: &mut Builder) -> Result<Feed, Problem> {
    let mut feed = Feed {
        name: file.name.clone(),
        kind: Kind::Other,
        date: None,
        digest: String::new(),
        records: 0,
        unreadable: 0,
        problem: None,
    };
    if file.size_bytes > MAX_FILE_BYTES {
        feed.problem = Some(format!("it is larger than {MAX_FILE_BYTES} bytes"));
        return Ok(feed);
    }
    let bytes = fs::read(&file.path).map_err(|source| Problem::Unreadable {
        path: folder.join(&file.name),
        source,
    })?;
    feed.digest = hex(digest(&SHA256, &bytes).as_ref());
    let read = if bytes.starts_with(&content::ZIP) {
        archive(&bytes, &mut feed, into)
    } else {
        content::unpack(&bytes).and_then(|from| stream(from, &mut feed, into))
    };
    if let Err(error) = read {
        feed.problem = Some(format!("it cannot be unpacked: {error}"));
    } else if feed.kind == Kind::Other && feed.problem.is_none() {
        feed.problem = Some("no known sort of feed".to_owned());
    }
    feed.date = newest_in_name(&file.name).max(feed.date);
    Ok(feed)
}

/// Returns the newest day in a file name such as `kev-2026-08-21.json.zst`.
fn newest_in_name(name: &str) -> Option<Date> {
    (0..name.len())
        .filter_map(|at| Date::from_str(name.get(at..at + 10)?).ok())
        .max()
}

/// Takes in a stream: comma-separated lines, one JSON record per line, or one JSON
/// document over several.
fn stream(
    mut from: Box<dyn std::io::BufRead + '_>,
    feed: &mut Feed,
    into: &mut Builder,
) -> io::Result<()> {
    let first = from.fill_buf()?;
    let start = first.iter().find(|b| !b.is_ascii_whitespace()).copied();
    match start {
        Some(b'{') => {}
        None => return Ok(()),
        Some(_) => return table(from, feed, into),
    }
    let mut line = Vec::new();
    {
        use std::io::{BufRead as _, Read as _};
        (&mut from)
            .take(MAX_RECORD_BYTES as u64)
            .read_until(b'\n', &mut line)?;
    }
    let Some(kind) = read::sniff(line.trim_ascii()) else {
        // Not whole on its first line: one document, or nothing we know.
        use std::io::Read as _;
        let rest = line.as_slice().chain(from);
        return match content::whole(rest, 16 * MAX_RECORD_BYTES)? {
            Some(json) => {
                document(&json, feed, into);
                Ok(())
            }
            None => {
                feed.problem = Some("the document is too large".to_owned());
                Ok(())
            }
        };
    };
    feed.kind = kind;
    let mut newest = None;
    let mut take = |json: &[u8]| match read::record(kind, json, into) {
        Some(taken) => {
            newest = newest.max(taken.date);
            true
        }
        None => false,
    };
    let first = take(line.trim_ascii());
    let (taken, refused) = content::lines(from, take)?;
    feed.records += taken + u64::from(first);
    feed.unreadable += refused + u64::from(!first);
    if kind == Kind::Kev {
        feed.records = read::listed(line.trim_ascii());
    }
    feed.date = newest;
    Ok(())
}

fn document(json: &[u8], feed: &mut Feed, into: &mut Builder) {
    let Some(kind) = read::sniff(json) else {
        return;
    };
    feed.kind = kind;
    match read::record(kind, json, into) {
        Some(taken) => {
            feed.records = if kind == Kind::Kev {
                read::listed(json)
            } else {
                1
            };
            feed.date = taken.date;
        }
        None => feed.unreadable = 1,
    }
}

fn table(
    from: Box<dyn std::io::BufRead + '_>,
    feed: &mut Feed,
    into: &mut Builder,
) -> io::Result<()> {
    let mut columns: Option<Columns> = None;
    let mut date = None;
    let mut known = true;
    let (taken, refused) = content::lines(from, |line| {
        if line.starts_with(b"#") {
            // #model_version:v2025.03.14,score_date:2026-01-30T12:55:00Z
            let text = String::from_utf8_lossy(line);
            let score = text.split("score_date:").nth(1);
            date = date.max(score.and_then(read::day));
            return true;
        }
        match &columns {
            Some(columns) => read::row(columns, line, into),
            None => {
                columns = read::heading(line);
                known &= columns.is_some();
                known
            }
        }
    })?;
    feed.kind = match columns {
        Some(Columns::Epss) => Kind::Epss,
        Some(Columns::Exploits) => Kind::Exploits,
        None => return Ok(()),
    };
    // Comment and heading are no records.
    feed.records = taken.saturating_sub(1 + u64::from(date.is_some()));
    feed.unreadable = refused;
    feed.date = date;
    Ok(())
}

/// Takes in an archive with one record per file, as OSV publishes its ecosystems.
fn archive(bytes: &[u8], feed: &mut Feed, into: &mut Builder) -> io::Result<()> {
    use std::io::Read as _;
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes))?;
    if archive.len() > MAX_FILES {
        feed.problem = Some(format!("it holds more than {MAX_FILES} files"));
        return Ok(());
    }
    let mut left = MAX_UNPACKED_BYTES;
    let mut newest = None;
    for number in 0..archive.len() {
        let Ok(entry) = archive.by_index(number) else {
            feed.unreadable += 1;
            continue;
        };
        if !entry.is_file() {
            continue;
        }
        // The size that an entry claims is not believed.
        let limit = left.min(MAX_RECORD_BYTES as u64) + 1;
        let mut json = Vec::new();
        if entry.take(limit).read_to_end(&mut json).is_err() || json.len() as u64 >= limit {
            feed.unreadable += 1;
            if json.len() as u64 > left {
                feed.problem = Some("it unpacks to too much; the rest was not read".to_owned());
                break;
            }
            continue;
        }
        left -= json.len() as u64;
        let kind = read::sniff(&json);
        match kind.and_then(|kind| read::record(kind, &json, into)) {
            Some(taken) => {
                feed.kind = taken.kind;
                feed.records += 1;
                newest = newest.max(taken.date);
            }
            None => feed.unreadable += 1,
        }
    }
    feed.date = newest;
    Ok(())
}
