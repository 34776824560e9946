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
//! * On Linux the threads of a node stand behind those of calls and commits: an upkeep
//!   computes for a second or two.

use std::{fmt, mem, sync::Arc, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::error::Error;

/// How long a thread waits for work before it ends; another would take its memory from
/// another place.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Nice values: of what ships entries, which are soon missed, and of what tends to them.
pub(super) const SHIPS: i32 = 5;
pub(super) const TENDS: i32 = 10;

/// The threads. They are started by the first work.
pub(super) struct Hand {
    /// Only its threads for work that blocks are used; `None` once dropped.
    runtime: Option<Runtime>,
}

impl Hand {
    /// Returns one with a single thread of the priority `nice`.
    pub(super) fn new(nice: i32) -> Self {
        Self::start(1, nice)
    }

    /// Returns one with up to so many threads, at least one.
    pub(super) fn of(threads: usize) -> Self {
        Self::start(threads, 0)
    }

    fn start(threads: usize, nice: i32) -> Self {
        let runtime = Builder::new_current_thread()
            .thread_name("archive-hand")
            .max_blocking_threads(threads)
            .thread_keep_alive(KEPT)
            .on_thread_start(move || step_back(nice))
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

/// Gives the calling thread the priority `nice`.
fn step_back(nice: i32) {
    // On Linux "this process" is the calling thread; elsewhere it would be all of them.
    if cfg!(target_os = "linux") && nice > 0 {
        // One that keeps its priority does the same work.
        let _ = rustix::process::setpriority_process(None, nice);
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn only_its_own_threads_step_back() {
        let before = getpriority_process(None).unwrap();
        for (hand, expected) in [(Hand::new(TENDS), before.max(TENDS)), (Hand::of(2), before)] {
            let nice = hand.run(|| getpriority_process(None).unwrap()).await;
            assert_eq!(nice.unwrap(), expected);
        }
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
