//! Brings feeds from the configured mirror into the data folder.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_base::Timestamp;
use airside_config::Mirror;
use airside_identity::{Fetch, FetchRequest, Reach};
use airside_inventory::feeds::mirror::{
    Intake, Key, LIST, Listing, MAX_FILE_BYTES, MAX_LIST_BYTES, SIGNATURE,
};
use bytes::Bytes;

/// Longest time that one file takes.
const FILE_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest wait after a look that failed.
const RETRY_S: i64 = 900;

/// When the mirror was looked at, and what was wrong then.
#[derive(Debug, Default)]
pub(super) struct Looked {
    next: Option<Timestamp>,
    problem: Option<String>,
}

impl Looked {
    /// Looks at the mirror when it is time to. Returns what is wrong with it.
    pub(super) async fn look(
        &mut self,
        mirror: &Mirror,
        folder: &Path,
        fetch: &Arc<dyn Fetch>,
        now: Timestamp,
    ) -> Option<String> {
        if self.next.is_some_and(|next| now < next) {
            return self.problem.clone();
        }
        let regular = i64::from(mirror.every_h) * 3600;
        let taken = take(mirror, folder, fetch).await;
        let pause = match &taken {
            Ok(_) => regular,
            Err(_) => RETRY_S.min(regular),
        };
        if let Ok(true) = taken {
            tracing::info!(folder = %folder.display(), "feeds came from the mirror");
        }
        self.next = now.checked_add(jiff::SignedDuration::from_secs(pause)).ok();
        self.problem = taken.err().map(|why| format!("the mirror: {why}"));
        self.problem.clone()
    }
}

/// Takes what the mirror has now. Returns whether anything is new.
async fn take(mirror: &Mirror, folder: &Path, fetch: &Arc<dyn Fetch>) -> Result<bool, String> {
    let list = get(mirror, fetch, LIST, MAX_LIST_BYTES).await?;
    if let Some(file) = &mirror.key_file {
        let signature = get(mirror, fetch, SIGNATURE, 1024).await?;
        let pem = read(file.clone(), 4096).await?;
        let key = Key::from_pem(&String::from_utf8_lossy(&pem));
        let key = key.map_err(|error| error.to_string())?;
        key.check(&list, &signature)
            .map_err(|error| error.to_string())?;
    }
    let listing = Listing::read(&list).map_err(|error| error.to_string())?;
    let folder = folder.to_owned();
    let mut intake = blocking(move || Intake::begin(&folder, listing)).await?;
    for name in intake.missing() {
        let content = get(mirror, fetch, &name, MAX_FILE_BYTES).await?;
        intake = blocking(move || intake.put(&name, &content).map(|()| intake)).await?;
    }
    blocking(move || intake.finish()).await
}

/// Reads a file of the mirror.
async fn get(
    mirror: &Mirror,
    fetch: &Arc<dyn Fetch>,
    name: &str,
    limit: usize,
) -> Result<Bytes, String> {
    let url = match (&mirror.url, &mirror.folder) {
        (Some(url), _) => url,
        (None, Some(folder)) => return read(folder.join(name), limit).await,
        (None, None) => return Err("it is nowhere".to_owned()),
    };
    let mut file = url.clone();
    // A folder with or without its slash.
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    file.set_path(&path);
    let reach = Reach::of(url, mirror.internal);
    let request = FetchRequest {
        accept: "*/*",
        max_bytes: limit,
        timeout: FILE_TIMEOUT,
        ..FetchRequest::get(file, reach)
    };
    let fetched = fetch.fetch(request).await;
    fetched
        .map(|fetched| fetched.body)
        .map_err(|error| format!("`{name}`: {error}"))
}

async fn read(path: PathBuf, limit: usize) -> Result<Bytes, String> {
    blocking(move || -> std::io::Result<Bytes> {
        use std::io::Read as _;
        let mut content = Vec::new();
        let file = std::fs::File::open(&path)?;
        file.take(limit as u64 + 1).read_to_end(&mut content)?;
        match content.len() > limit {
            true => Err(std::io::ErrorKind::FileTooLarge.into()),
            false => Ok(content.into()),
        }
    })
    .await
}

/// Does what waits for the disk on a thread for that.
async fn blocking<T: Send + 'static, E: std::error::Error + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| "it was stopped".to_owned())?;
    done.map_err(|error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests;
