//! The one place where tasks and threads start and stop.
//!
//! # Invariants
//!
//! * Every task has a name and says what its failure means, so nothing dies in
//!   silence.
//! * After [`Supervisor::stop`] every task has been told to stop; the ones that
//!   did not within the grace period are counted.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// What the end of a task by panic means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The process cannot do its work any more: everything is told to stop.
    Stop,
    /// Only this task is lost; it is logged.
    Log,
}

/// Starts, tracks and stops tasks and threads. Clones share the same tasks.
#[derive(Clone, Default)]
pub struct Supervisor {
    tracker: TaskTracker,
    stopping: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Supervisor {
    /// Returns a supervisor without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task on the current runtime.
    pub fn spawn<F>(&self, name: &'static str, on_failure: OnFailure, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let this = self.clone();
        #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
        tokio::spawn(self.tracker.track_future(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                this.failed(name, on_failure);
            }
        }))
    }

    /// Starts a thread, for work that blocks.
    ///
    /// # Errors
    ///
    /// When the operating system cannot start another thread.
    pub fn spawn_thread<F>(
        &self,
        name: &'static str,
        on_failure: OnFailure,
        work: F,
    ) -> std::io::Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        let this = self.clone();
        let alive: TaskTrackerToken = self.tracker.token();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if std::panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
                    this.failed(name, on_failure);
                }
                drop(alive);
            })?;
        Ok(())
    }

    /// Resolves when the tasks have been told to stop.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Returns whether the tasks have been told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Tells all tasks to stop, without waiting.
    pub fn request_stop(&self) {
        self.stopping.cancel();
    }

    /// Returns whether a task that the process cannot do without has panicked.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Tells all tasks to stop and waits up to `grace` for them.
    ///
    /// Returns how many are still running.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.request_stop();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
        {
            return 0;
        }
        self.tracker.len()
    }

    fn failed(&self, name: &'static str, on_failure: OnFailure) {
        tracing::error!(task = name, "a task has panicked");
        if on_failure == OnFailure::Stop {
            self.failed.store(true, Ordering::Release);
            self.request_stop();
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("tasks", &self.tracker.len())
            .field("stopping", &self.is_stopping())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_of_a_vital_task_stops_the_rest() {
        let supervisor = Supervisor::new();
        let other = supervisor.clone();
        supervisor.spawn(
            "waits",
            OnFailure::Log,
            async move { other.stopping().await },
        );
        supervisor.spawn("dies", OnFailure::Stop, async {
            panic!("broken invariant")
        });
        supervisor.stopping().await;
        assert!(supervisor.has_failed());
        assert_eq!(supervisor.stop(Duration::from_secs(5)).await, 0);
    }

    #[tokio::test]
    async fn panic_of_a_lesser_task_stops_nothing() {
        let supervisor = Supervisor::new();
        supervisor
            .spawn("dies", OnFailure::Log, async { panic!("lost") })
            .await
            .expect("the panic is caught");
        assert!(!supervisor.is_stopping() && !supervisor.has_failed());
    }

    #[tokio::test(start_paused = true)]
    async fn task_that_ignores_the_stop_is_counted() {
        let supervisor = Supervisor::new();
        supervisor.spawn("stubborn", OnFailure::Log, std::future::pending());
        assert_eq!(supervisor.stop(Duration::from_secs(1)).await, 1);
    }

    #[tokio::test]
    async fn threads_are_waited_for() {
        let supervisor = Supervisor::new();
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        supervisor
            .spawn_thread("writer", OnFailure::Log, move || {
                seen.store(true, Ordering::Release);
            })
            .unwrap();
        assert_eq!(supervisor.stop(Duration::from_secs(5)).await, 0);
        assert!(done.load(Ordering::Acquire));
    }
}
