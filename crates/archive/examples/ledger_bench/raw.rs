//! The store alone: the same rows, committed in groups under the same settings, with
//! neither numbers that are checked nor hashes, heads, conditions and an archive.

use std::path::Path;

use airside_base::{OnFailure, Supervisor};
use airside_ledger::Draft;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::NoTls;

/// Most rows of one group, as in the ledger.
const GROUP: usize = 1024;

/// When the first row was written, so that times take as many bytes as in the ledger.
const FIRST_US: i64 = 1_795_435_200_000_000;

type Job = (Draft, oneshot::Sender<()>);

/// A committer of groups. Clones share it.
#[derive(Clone)]
pub(crate) struct Raw {
    jobs: mpsc::Sender<Job>,
}

impl Raw {
    /// Resolves when the row is durable.
    pub(crate) async fn append(&self, draft: Draft) {
        let (sender, done) = oneshot::channel();
        self.jobs.send((draft, sender)).await.unwrap();
        done.await.unwrap();
    }

    /// Returns a committer to one SQLite file. It ends when it is dropped.
    pub(crate) fn sqlite(file: &Path, tasks: &Supervisor) -> Self {
        let mut connection = Connection::open(file).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal;
                 PRAGMA synchronous = FULL;
                 PRAGMA journal_size_limit = 16777216;
                 CREATE TABLE entries (
                     id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL,
                     version INTEGER NOT NULL, subject TEXT NOT NULL, body BLOB NOT NULL
                 ) STRICT;
                 CREATE INDEX entries_by_subject ON entries (subject) WHERE subject <> '';",
            )
            .unwrap();
        let (jobs, mut waiting) = mpsc::channel::<Job>(8192);
        let work = move || {
            // As the ledger's writer has it; without the right to it neither has.
            let _ = rustix::process::setpriority_process(None, -15);
            let mut seq = 0_i64;
            while let Some(first) = waiting.blocking_recv() {
                let mut group = vec![first];
                while group.len() < GROUP
                    && let Ok(more) = waiting.try_recv()
                {
                    group.push(more);
                }
                let transaction = connection.transaction().unwrap();
                {
                    let mut insert = transaction
                        .prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
                        .unwrap();
                    for (draft, _) in &group {
                        seq += 1;
                        let time = FIRST_US + seq;
                        let (kind, version) = (draft.kind().as_str(), draft.version());
                        let (subject, body) = (draft.subject(), &draft.body()[..]);
                        insert
                            .execute(params![seq, time, kind, version, subject, body])
                            .unwrap();
                    }
                }
                transaction.commit().unwrap();
                for (_, done) in group {
                    let _ = done.send(());
                }
            }
        };
        tasks.spawn_thread("raw", OnFailure::Stop, work).unwrap();
        Self { jobs }
    }

    /// Returns a committer to one PostgreSQL database: one statement for each group.
    pub(crate) async fn postgres(url: &str, tasks: &Supervisor) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tasks.spawn("raw connection", OnFailure::Log, async move {
            // The end of the connection shows where it is used.
            let _ = connection.await;
        });
        client
            .batch_execute(
                r#"CREATE TABLE entry (
                     chain bigint NOT NULL, seq bigint NOT NULL, time bigint NOT NULL,
                     kind text COLLATE "C" NOT NULL, version integer NOT NULL,
                     subject text COLLATE "C" NOT NULL, body bytea NOT NULL,
                     PRIMARY KEY (chain, seq));
                 CREATE INDEX entry_by_subject ON entry (chain, subject, seq)
                     WHERE subject <> '';"#,
            )
            .await
            .unwrap();
        let insert = client
            .prepare(
                "INSERT INTO entry SELECT 1, unnest($1::bigint[]), unnest($2::bigint[]),
                     unnest($3::text[]), unnest($4::integer[]), unnest($5::text[]),
                     unnest($6::bytea[])",
            )
            .await
            .unwrap();
        let (jobs, mut waiting) = mpsc::channel::<Job>(8192);
        tasks.spawn("raw", OnFailure::Stop, async move {
            let (mut seq, mut group) = (0_i64, Vec::new());
            while waiting.recv_many(&mut group, GROUP).await > 0 {
                let seqs: Vec<i64> = (seq + 1..).take(group.len()).collect();
                seq += group.len() as i64;
                let times: Vec<i64> = seqs.iter().map(|seq| FIRST_US + seq).collect();
                let kinds: Vec<&str> = group.iter().map(|(d, _)| d.kind().as_str()).collect();
                let versions: Vec<i32> = group.iter().map(|(d, _)| d.version().into()).collect();
                let subjects: Vec<&str> = group.iter().map(|(d, _)| d.subject()).collect();
                let bodies: Vec<&[u8]> = group.iter().map(|(d, _)| &d.body()[..]).collect();
                client
                    .execute(
                        &insert,
                        &[&seqs, &times, &kinds, &versions, &subjects, &bodies],
                    )
                    .await
                    .unwrap();
                for (_, done) in group.drain(..) {
                    let _ = done.send(());
                }
            }
        });
        Self { jobs }
    }
}
