//! Threads that make, read and merge large objects.
//!
//! # Invariants
//!
//! * Buffers of several MiB are made by one thread, in their order. The allocator keeps
//!   what each thread gave back for a while, and each thread takes its memory from another
//!   place: spread over the pool of a runtime, an upkeep over 2 million entries that never
//!   had more than 24 MiB in use took 130 MiB from the system, here 30.
//! * An archive has one for whatever goes through much of it (upkeep, drills, restores),
//!   its archiver another, for which callers may wait. A program that restores and ends
//!   takes several ([`Archive::for_restore`](super::Archive::for_restore)).

use std::{fmt, mem, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::error::Error;

/// How long a thread waits for work before it ends; another would take its memory from
/// another place.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The threads. They are started by the first work.
pub(super) struct Hand {
    /// Only its threads for work that blocks are used; `None` once dropped.
    runtime: Option<Runtime>,
}

impl Hand {
    /// Returns one with a single thread.
    pub(super) fn new() -> Self {
        Self::of(1)
    }

    /// Returns one with up to so many threads, at least one.
    pub(super) fn of(threads: usize) -> Self {
        let runtime = Builder::new_current_thread()
            .thread_name("archive-hand")
            .max_blocking_threads(threads)
            .thread_keep_alive(KEPT)
            .build();
        Self {
            runtime: Some(runtime.expect("one without drivers asks nothing of the system")),
        }
    }

    /// Runs `work`, which takes some milliseconds, as soon as a thread is free.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        let done = runtime.spawn_blocking(work).await;
        done.map_err(|source| Error::Interrupted(Arc::new(source)))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // Nobody waits: a runtime must not be waited for where another runs.
        if let Some(runtime) = mem::take(&mut self.runtime) {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hand")
    }
}
