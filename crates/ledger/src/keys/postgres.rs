//! A key store in a PostgreSQL database, for several nodes.
//!
//! # Invariants
//!
//! * The keys are in a schema of their own, `airside_keys`, which is no part of the
//!   ledger: dump, restore and replicate the two apart. The database may be another.
//! * The role that Airside runs as reads keys, adds them, and takes the wrapped bytes
//!   out of them. It cannot rename or remove one.
//! * One vault wraps all keys. Its name is in the database, so that a node with
//!   another vault key is refused before it seals anything.
//! * A destroyed key is out of reach when the call returns. Its bytes, wrapped by the
//!   vault, stay in an old row version until autovacuum has been there, which is told
//!   not to wait, and in the write-ahead log and its archive for as long as those are
//!   kept: keep backups of this schema for a few days at most.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use airside_base::{BoxFuture, Fault, Kind as FaultKind, Redacted, TenantId};
use deadpool_postgres::{Object, Pool};
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{FromSql, ToSql},
};

use super::{Grave, Kept, KeyStore, KeyStoreError, Record};
use crate::{
    personal::{KeyId, Purpose, Slot, SubjectId},
    store::Cause,
    stores::postgres::{self, connection, pool},
    vault::Wrapped,
};

/// The schema of the keys.
pub const SCHEMA: &str = "airside_keys";
/// Connections of one node.
const CONNECTIONS: usize = 4;
/// How often a statement is tried that the server gives up in favour of another.
const ATTEMPTS: usize = 5;
/// Taken by whoever makes or upgrades the tables ("AIRK").
const LOCK: i64 = 0x4149_524b;

/// Each is applied once, in order, together with its number.
const MIGRATIONS: &[&str] = &[r#"
CREATE TABLE airside_keys.subject_key (
    tenant  text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    scope   text COLLATE "C" NOT NULL,
    vault   text COLLATE "C",
    wrapped bytea,
    PRIMARY KEY (tenant, id),
    CHECK ((vault IS NULL) = (wrapped IS NULL))
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
CREATE UNIQUE INDEX subject_key_live ON airside_keys.subject_key
    (tenant, subject, purpose, scope) WHERE wrapped IS NOT NULL;
CREATE INDEX subject_key_by_subject ON airside_keys.subject_key (tenant, subject, purpose);
CREATE TABLE airside_keys.vault (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id   text COLLATE "C" NOT NULL
);
"#];

/// What the role may do, given anew with every initialisation.
const GRANTS: &str = r"
REVOKE ALL ON ALL TABLES IN SCHEMA airside_keys FROM PUBLIC, {role};
REVOKE ALL ON SCHEMA airside_keys FROM PUBLIC;
GRANT USAGE ON SCHEMA airside_keys TO {role};
GRANT SELECT ON airside_keys.version TO {role};
GRANT SELECT, INSERT ON airside_keys.subject_key, airside_keys.vault TO {role};
GRANT UPDATE (vault, wrapped) ON airside_keys.subject_key TO {role};
";

/// Why the keys of a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be reached or changed.
    #[error("cannot use the database of the keys")]
    Database(#[source] postgres::OpenError),
    /// The database holds no keys for this role.
    #[error("the database holds no keys of persons, or the role may not use them")]
    Absent,
    /// The tables were made by another version.
    #[error("the keys in the database have version {found}, this Airside knows {known}")]
    Version {
        /// Their version.
        found: i32,
        /// The one known here.
        known: i32,
    },
    /// The keys are wrapped by another vault.
    #[error("the keys are wrapped by vault key `{wrapped_by}`, this node has `{present}`")]
    OtherVault {
        /// The key that is needed.
        wrapped_by: String,
        /// The key that is here.
        present: String,
    },
    /// The store does not work.
    #[error("cannot look at the keys")]
    Store(#[source] KeyStoreError),
}

impl OpenError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Database(error) => return error.fault(),
            Self::Store(error) => return error.fault(),
            Self::Absent => Fault::new(
                FaultKind::NotFound,
                "LED-121",
                "the database holds no keys of persons for this role",
            )
            .with_hint("run `airside ledger init` as the owner of the database"),
            Self::Version { .. } => Fault::new(
                FaultKind::Unsupported,
                "LED-122",
                "the keys of persons are not ones that this version can read",
            ),
            Self::OtherVault { .. } => Fault::new(
                FaultKind::Conflict,
                "LED-120",
                "this node has another vault key than the one that wraps the keys of persons",
            )
            .with_hint("give all nodes the same file and name it with `vault-file` in [keys]"),
        }
        .with_private(self)
    }
}

/// A [`KeyStore`] in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresKeys {
    pool: Pool,
}

impl PostgresKeys {
    /// Makes or upgrades the tables and lets `role` use them.
    ///
    /// `url` is that of the owner of the database.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or changed.
    pub async fn initialize(url: &Redacted<String>, role: &str) -> Result<(), OpenError> {
        let pool = pool(url, 1).map_err(OpenError::Database)?;
        let mut client = connection(&pool).await.map_err(unreachable)?;
        let doing = |doing: &'static str| {
            move |error: tokio_postgres::Error| {
                let source: Cause = Arc::new(error);
                OpenError::Database(postgres::OpenError::Failed { doing, source })
            }
        };
        let at = doing("make the tables of the keys");
        let transaction = client.transaction().await.map_err(&at)?;
        let begin = format!(
            "SELECT pg_advisory_xact_lock({LOCK});
             CREATE SCHEMA IF NOT EXISTS {SCHEMA};
             CREATE TABLE IF NOT EXISTS {SCHEMA}.version (number integer PRIMARY KEY)"
        );
        transaction.batch_execute(&begin).await.map_err(&at)?;
        let found = format!("SELECT coalesce(max(number), 0) FROM {SCHEMA}.version");
        let found: i32 = transaction
            .query_one(&found, &[])
            .await
            .map_err(&at)?
            .get(0);
        if found > known() {
            let known = known();
            return Err(OpenError::Version { found, known });
        }
        let done = usize::try_from(found).unwrap_or_default();
        for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(done) {
            transaction.batch_execute(migration).await.map_err(&at)?;
            let note = format!("INSERT INTO {SCHEMA}.version VALUES ($1)");
            transaction.execute(&note, &[&number]).await.map_err(&at)?;
        }
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        transaction
            .batch_execute(&GRANTS.replace("{role}", &role))
            .await
            .map_err(doing("let the role use the keys"))?;
        transaction.commit().await.map_err(at)
    }

    /// Opens the keys of the database at `url`.
    ///
    /// # Errors
    ///
    /// When there are none for its role, or they cannot be reached.
    pub async fn open(url: &Redacted<String>) -> Result<Self, OpenError> {
        let pool = pool(url, CONNECTIONS).map_err(OpenError::Database)?;
        let client = connection(&pool).await.map_err(unreachable)?;
        let failed = |error| OpenError::Store(failed("look for the keys", error));
        let usable = "SELECT coalesce(
                has_table_privilege(to_regclass('airside_keys.version'), 'SELECT')
                AND has_schema_privilege(to_regnamespace('airside_keys'), 'USAGE'), false)";
        let usable = client.query_one(usable, &[]).await.map_err(failed)?;
        if !usable.get::<_, bool>(0) {
            return Err(OpenError::Absent);
        }
        let version = format!("SELECT coalesce(max(number), 0) FROM {SCHEMA}.version");
        let found: i32 = client
            .query_one(&version, &[])
            .await
            .map_err(failed)?
            .get(0);
        let known = known();
        if found != known {
            return Err(OpenError::Version { found, known });
        }
        drop(client);
        Ok(Self { pool })
    }

    /// Returns the name of the vault that wraps the keys, if one does already.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn vault(&self) -> Result<Option<String>, KeyStoreError> {
        let sql = "SELECT id FROM airside_keys.vault";
        let rows = self.query("find the vault of the keys", sql, &[]).await?;
        rows.first().map(|row| column(row, 0)).transpose()
    }

    /// Makes `present` the vault that wraps the keys, unless there is one already.
    ///
    /// # Errors
    ///
    /// When there is another, or the database does not answer.
    pub async fn bind(&self, present: &str) -> Result<(), OpenError> {
        let sql = "INSERT INTO airside_keys.vault (id) VALUES ($1) ON CONFLICT DO NOTHING";
        let doing = "bind the vault of the keys";
        let bound = self.query(doing, sql, &[&present]).await;
        bound.map_err(OpenError::Store)?;
        match self.vault().await.map_err(OpenError::Store)? {
            Some(wrapped_by) if wrapped_by != present => Err(OpenError::OtherVault {
                wrapped_by,
                present: present.to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Runs one statement, which is one transaction.
    async fn query(
        &self,
        doing: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, KeyStoreError> {
        let connected = connection(&self.pool).await;
        let client: Object = connected.map_err(|source| KeyStoreError::Failed { doing, source })?;
        let failed = |error| failed(doing, error);
        let statement = client.prepare_cached(sql).await.map_err(failed)?;
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match client.query(&statement, values).await {
                // Nothing of it was written.
                Err(error)
                    if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) && left > 0 => {}
                done => return done.map_err(failed),
            }
        }
    }

    async fn live_key(&self, slot: &Slot) -> Result<Option<Kept>, KeyStoreError> {
        let sql = "SELECT id, vault, wrapped FROM airside_keys.subject_key
             WHERE tenant = $1 AND subject = $2 AND purpose = $3 AND scope = $4
                AND wrapped IS NOT NULL";
        let (subject, purpose) = (slot.subject.as_str(), slot.purpose.as_str());
        let place: [&(dyn ToSql + Sync); 4] =
            [&slot.tenant.as_str(), &subject, &purpose, &&*slot.scope];
        let rows = self.query("find a data key", sql, &place).await?;
        let kept = |row: &Row| {
            Ok(Kept {
                id: KeyId::new(column(row, 0)?),
                wrapped: Wrapped {
                    vault: column(row, 1)?,
                    key: column(row, 2)?,
                },
            })
        };
        rows.first().map(kept).transpose()
    }

    async fn keep_key(&self, slot: &Slot, fresh: &Kept) -> Result<Kept, KeyStoreError> {
        let sql = "INSERT INTO airside_keys.subject_key
                (tenant, id, subject, purpose, scope, vault, wrapped)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id";
        let doing = "keep a data key";
        for _ in 0..ATTEMPTS {
            let values: [&(dyn ToSql + Sync); 7] = [
                &slot.tenant.as_str(),
                &fresh.id.as_str(),
                &slot.subject.as_str(),
                &slot.purpose.as_str(),
                &&*slot.scope,
                &fresh.wrapped.vault,
                &fresh.wrapped.key,
            ];
            if !self.query(doing, sql, &values).await?.is_empty() {
                return Ok(fresh.clone());
            }
            // Another node was faster; its key may be destroyed again by now.
            if let Some(kept) = self.live_key(slot).await? {
                return Ok(kept);
            }
        }
        let source: Cause = Arc::new(Busy);
        Err(KeyStoreError::Failed { doing, source })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the keys of the subject are made and destroyed at the same time")]
struct Busy;

#[derive(Debug, thiserror::Error)]
#[error("a row of the key store is damaged")]
struct Damaged;

fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("migrations are few")
}

fn unreachable(source: Cause) -> OpenError {
    OpenError::Database(postgres::OpenError::Connect(source))
}

fn failed(doing: &'static str, error: tokio_postgres::Error) -> KeyStoreError {
    let source: Cause = Arc::new(error);
    KeyStoreError::Failed { doing, source }
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, KeyStoreError> {
    let read = row.try_get(index);
    read.map_err(|error| failed("read a row of the key store", error))
}

fn parsed<T: std::str::FromStr>(row: &Row, index: usize) -> Result<T, KeyStoreError> {
    let text: &str = column(row, index)?;
    text.parse().map_err(|_| KeyStoreError::Failed {
        doing: "read a row of the key store",
        source: Arc::new(Damaged),
    })
}

impl KeyStore for PostgresKeys {
    fn find(&self, slot: Slot) -> BoxFuture<'_, Result<Option<Kept>, KeyStoreError>> {
        Box::pin(async move { self.live_key(&slot).await })
    }

    fn keep(&self, slot: Slot, fresh: Kept) -> BoxFuture<'_, Result<Kept, KeyStoreError>> {
        Box::pin(async move { self.keep_key(&slot, &fresh).await })
    }

    fn look_up(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> BoxFuture<'_, Result<Option<Record>, KeyStoreError>> {
        Box::pin(async move {
            let sql = "SELECT subject, purpose, scope, vault, wrapped
                 FROM airside_keys.subject_key WHERE tenant = $1 AND id = $2";
            let place: [&(dyn ToSql + Sync); 2] = [&tenant.as_str(), &id.as_str()];
            let rows = self.query("look up a data key", sql, &place).await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            let (vault, key): (Option<String>, Option<Vec<u8>>) =
                (column(row, 3)?, column(row, 4)?);
            Ok(Some(Record {
                subject: parsed(row, 0)?,
                purpose: parsed(row, 1)?,
                scope: column::<&str>(row, 2)?.into(),
                wrapped: vault.zip(key).map(|(vault, key)| Wrapped { vault, key }),
            }))
        })
    }

    fn live(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> BoxFuture<'_, Result<BTreeSet<Purpose>, KeyStoreError>> {
        Box::pin(async move {
            let sql = "SELECT DISTINCT purpose FROM airside_keys.subject_key
                 WHERE tenant = $1 AND subject = $2 AND wrapped IS NOT NULL";
            let place: [&(dyn ToSql + Sync); 2] = [&tenant.as_str(), &subject.as_str()];
            let doing = "list the data keys of a subject";
            let rows = self.query(doing, sql, &place).await?;
            rows.iter().map(|row| parsed(row, 0)).collect()
        })
    }

    fn destroy(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        purposes: BTreeSet<Purpose>,
    ) -> BoxFuture<'_, Result<Vec<Grave>, KeyStoreError>> {
        Box::pin(async move {
            let doing = "destroy the data keys of a subject";
            let purposes: Vec<&str> = purposes.iter().map(|p| p.as_str()).collect();
            let place: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &subject.as_str(), &purposes];
            let update = "UPDATE airside_keys.subject_key SET vault = NULL, wrapped = NULL
                 WHERE tenant = $1 AND subject = $2 AND purpose = ANY($3)
                    AND wrapped IS NOT NULL";
            self.query(doing, update, &place).await?;
            let graves = "SELECT purpose, id FROM airside_keys.subject_key
                 WHERE tenant = $1 AND subject = $2 AND purpose = ANY($3)
                    AND wrapped IS NULL";
            let rows = self.query(doing, graves, &place).await?;
            let grave = |row: &Row| {
                Ok(Grave {
                    purpose: parsed(row, 0)?,
                    key: KeyId::new(column(row, 1)?),
                })
            };
            rows.iter().map(grave).collect()
        })
    }

    fn bury(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        graves: Vec<Grave>,
    ) -> BoxFuture<'_, Result<(), KeyStoreError>> {
        Box::pin(async move {
            // One statement may not meet a row twice; the order keeps nodes from
            // waiting for each other.
            let graves: BTreeMap<&str, Purpose> = graves
                .iter()
                .map(|grave| (grave.key.as_str(), grave.purpose))
                .collect();
            let ids: Vec<&str> = graves.keys().copied().collect();
            let purposes: Vec<&str> = graves.values().map(|p| p.as_str()).collect();
            let sql = "INSERT INTO airside_keys.subject_key (tenant, id, subject, purpose, scope)
                 SELECT $1, grave.id, $2, grave.purpose, ''
                 FROM unnest($3::text[], $4::text[]) AS grave (id, purpose)
                 ON CONFLICT (tenant, id) DO UPDATE SET vault = NULL, wrapped = NULL
                    WHERE subject_key.wrapped IS NOT NULL";
            let values: [&(dyn ToSql + Sync); 4] =
                [&tenant.as_str(), &subject.as_str(), &ids, &purposes];
            let buried = self.query("destroy single data keys", sql, &values);
            buried.await.map(drop)
        })
    }
}
