//! Waking those who wait for commits, whichever node made them.

use std::sync::Arc;

use airside_base::{Clock, OnFailure, Supervisor};
use deadpool_postgres::Pool;
use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream,
};
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Config};

use super::{POLL, connection, tls};

/// The channel of notifications, which commits name in their statement.
const CHANNEL: &str = "airside_commits";

/// Starts the tasks that listen and, every [`POLL`], look.
pub(super) fn start(
    config: Config,
    pool: Pool,
    commits: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    supervisor: &Supervisor,
) {
    let (bell, rest) = (commits.clone(), clock.clone());
    until_stopped(supervisor, "ledger-listen", async move {
        loop {
            listen(&config, &bell).await;
            rest.sleep(POLL).await;
        }
    });
    until_stopped(supervisor, "ledger-poll", async move {
        let mut seen = None;
        loop {
            clock.sleep(POLL).await;
            let now = total(&pool).await;
            if now.is_some() && now != seen {
                seen = now;
                ring(&commits);
            }
        }
    });
}

fn until_stopped<F>(supervisor: &Supervisor, name: &'static str, work: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = supervisor.clone();
    supervisor.spawn(name, OnFailure::Log, async move {
        let (stop, work) = (std::pin::pin!(stop.stopping()), std::pin::pin!(work));
        select(stop, work).await;
    });
}

fn ring(commits: &watch::Sender<u64>) {
    commits.send_modify(|count| *count += 1);
}

/// Rings for every notification until the connection ends.
async fn listen(config: &Config, commits: &watch::Sender<u64>) {
    let Ok((client, mut connection)) = config.connect(tls()).await else {
        // The pool reports the same trouble to whoever needs the database.
        return;
    };
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
    let subscribe = format!("LISTEN {CHANNEL}");
    let mut subscribing = std::pin::pin!(client.batch_execute(&subscribe));
    let mut subscribed = false;
    loop {
        let message = if subscribed {
            messages.next().await
        } else {
            match select(messages.next(), subscribing.as_mut()).await {
                Either::Left((message, _)) => message,
                Either::Right((Ok(()), _)) => {
                    subscribed = true;
                    // What was committed before is not notified.
                    ring(commits);
                    continue;
                }
                Either::Right((Err(_), _)) => return,
            }
        };
        match message {
            Some(Ok(AsyncMessage::Notification(_))) => ring(commits),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// Returns the number of entries, unless the database is away.
async fn total(pool: &Pool) -> Option<i64> {
    let client = connection(pool).await.ok()?;
    let row = client
        .query_one(
            "SELECT coalesce(sum(seq), 0)::bigint FROM airside.chain",
            &[],
        )
        .await;
    Some(row.ok()?.get(0))
}
