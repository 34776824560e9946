//! Create-only objects in a storage.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    local::LocalFileSystem, path::Path,
};
use url::Url;

use super::{
    ROOT,
    error::Error,
    hand::{self, Hand},
    s3::{self, Access, AccessError},
};

/// Longest wait for one answer of the storage.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A storage. Objects are made once and never changed.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Whether it is a folder, which the storage makes if it has gone.
    is_folder: bool,
    /// Reads files, and does what is done with large objects.
    pub(super) hand: Arc<Hand>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what it is reached with.
        write!(f, "Objects({})", self.store)
    }
}

impl Objects {
    /// Returns the objects in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            is_folder: false,
            hand: Arc::new(Hand::new(hand::TENDS)),
        }
    }

    /// Returns the same, handled by so many threads.
    pub(super) fn handled_by(&self, threads: usize) -> Self {
        Self {
            hand: Arc::new(Hand::of(threads)),
            ..self.clone()
        }
    }

    /// Returns the storage at `url`: `file:///folder`, which is made if it is missing, or
    /// `s3://bucket/prefix`.
    ///
    /// # Errors
    ///
    /// When the URL is of another kind, the folder cannot be made or the credentials
    /// cannot be used.
    pub fn open(url: &Url, access: &Access) -> Result<Self, Error> {
        if url.scheme() == "s3" {
            return s3::open(url, access);
        }
        let folder = folder(url)?;
        std::fs::create_dir_all(&folder).map_err(|_| unusable(url))?;
        Self::existing(url, access)
    }

    /// Returns the storage at `url` as [`Objects::open`], but makes no folder.
    ///
    /// # Errors
    ///
    /// As [`Objects::open`], or [`Error::Absent`] if there is no folder.
    pub fn existing(url: &Url, access: &Access) -> Result<Self, Error> {
        if url.scheme() == "s3" {
            return s3::open(url, access);
        }
        let folder = folder(url)?;
        if !folder.is_dir() {
            return Err(Error::Absent);
        }
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|_| unusable(url))?;
        Ok(Self {
            is_folder: true,
            ..Self::new(Arc::new(store.with_fsync(true)))
        })
    }

    /// Finds out with the new object `probe` whether the storage refuses to overwrite.
    pub(super) async fn check_create(&self, probe: &str) -> Result<(), Error> {
        self.create(probe, &Bytes::from_static(b"first")).await?;
        let second = self.create(probe, &Bytes::from_static(b"second")).await;
        self.delete(probe).await?;
        match second {
            Err(Error::Taken { .. }) => Ok(()),
            Ok(()) => Err(Error::Access(AccessError::NotCreateOnly)),
            Err(error) => Err(error),
        }
    }

    /// Makes `object` as [`Objects::create`], but only where the archive is: a folder whose
    /// file system is not mounted any more must not get what belongs into that.
    pub(super) async fn add(&self, object: &str, bytes: &Bytes) -> Result<(), Error> {
        if self.is_folder && !self.has(ROOT).await? {
            return Err(Error::Absent);
        }
        self.create(object, bytes).await
    }

    /// Makes `object`. Repeating with the same bytes is safe: what an earlier attempt
    /// has written, though its answer was lost, counts as written.
    pub(super) async fn create(&self, object: &str, bytes: &Bytes) -> Result<(), Error> {
        let doing = "write";
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        let path = Path::from(object);
        let put = self.store.put_opts(&path, bytes.clone().into(), options);
        match limited(doing, object, put).await {
            Ok(_) => Ok(()),
            Err(Error::Storage { source, .. })
                if matches!(
                    *source,
                    object_store::Error::AlreadyExists { .. }
                        | object_store::Error::Precondition { .. }
                ) =>
            {
                let present = self.find(object, bytes.len()).await;
                match present {
                    Ok(Some(present)) if present == *bytes => Ok(()),
                    Ok(_) | Err(Error::Damaged { .. }) => Err(Error::Taken {
                        object: object.to_owned(),
                    }),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Returns `object` if there is one; one of more than `max` bytes is damaged.
    pub(super) async fn find(&self, object: &str, max: usize) -> Result<Option<Bytes>, Error> {
        let doing = "read";
        let path = Path::from(object);
        let get = self.store.get_opts(&path, GetOptions::default());
        let found = match limited(doing, object, get).await {
            Ok(found) => found,
            Err(Error::Storage { source, .. })
                if matches!(*source, object_store::Error::NotFound { .. }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if found.meta.size > max as u64 {
            let what = format!("it has {} bytes instead of {max} at most", found.meta.size);
            return Err(Error::damaged(object, what));
        }
        let length = usize::try_from(found.meta.size).unwrap_or(max);
        let read = match found.payload {
            GetResultPayload::File(file, _) => self.hand.run(move || whole(file, length)).await?,
            GetResultPayload::Stream(_) => {
                return limited(doing, object, found.bytes()).await.map(Some);
            }
        };
        read.map(Some).map_err(|error| Error::Storage {
            doing,
            object: object.to_owned(),
            source: Arc::new(object_store::Error::Generic {
                store: "LocalFileSystem",
                source: Box::new(error),
            }),
        })
    }

    /// Returns `object`.
    pub(super) async fn read(&self, object: &str, max: usize) -> Result<Bytes, Error> {
        let missing = || Error::Missing {
            object: object.to_owned(),
        };
        self.find(object, max).await?.ok_or_else(missing)
    }

    /// Returns whether there is `object`.
    pub(super) async fn has(&self, object: &str) -> Result<bool, Error> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let path = Path::from(object);
        let found = limited("look for", object, self.store.get_opts(&path, options)).await;
        match found {
            Ok(_) => Ok(true),
            Err(Error::Storage { source, .. })
                if matches!(*source, object_store::Error::NotFound { .. }) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes `object`; one that is not there counts as deleted.
    pub(super) async fn delete(&self, object: &str) -> Result<(), Error> {
        let path = Path::from(object);
        match limited("delete", object, self.store.delete(&path)).await {
            Err(Error::Storage { source, .. })
                if matches!(*source, object_store::Error::NotFound { .. }) =>
            {
                Ok(())
            }
            deleted => deleted,
        }
    }

    /// As [`Objects::list`], but only what comes behind the name `after`.
    pub(super) async fn list_behind(
        &self,
        prefix: &str,
        after: &str,
    ) -> Result<Vec<String>, Error> {
        let (prefix, after) = (Path::from(prefix), Path::from(after));
        let listed = self.store.list_with_offset(Some(&prefix), &after);
        let names = listed.map_ok(|meta| meta.location.to_string());
        limited("list", prefix.as_ref(), names.try_collect()).await
    }

    /// Returns the names of the objects below `prefix` as the storage lists them:
    /// a hint, since a list may be late.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let listed = self.store.list(Some(&Path::from(prefix)));
        let names = listed.map_ok(|meta| meta.location.to_string());
        limited("list", prefix, names.try_collect()).await
    }
}

fn whole(file: File, length: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    // One that grows meanwhile is not what was asked for.
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn folder(url: &Url) -> Result<std::path::PathBuf, Error> {
    if url.scheme() != "file" {
        return Err(unusable(url));
    }
    url.to_file_path().map_err(|()| unusable(url))
}

fn unusable(url: &Url) -> Error {
    let url = url.to_string();
    Error::Url { url }
}

async fn limited<T>(
    doing: &'static str,
    object: &str,
    answer: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|source| Error::Storage {
            doing,
            object: object.to_owned(),
            source: Arc::new(source),
        }),
        Err(_) => Err(Error::Timeout {
            doing,
            object: object.to_owned(),
        }),
    }
}
