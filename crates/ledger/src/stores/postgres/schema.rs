//! Tables, their version, and who may do what with them.
//!
//! # Invariants
//!
//! * The role that runs Airside owns nothing. It may insert and read entries; it
//!   moves heads, changes documents and takes leases.
//! * Text is compared by its bytes (`COLLATE "C"`), as in the other stores.

use deadpool_postgres::Object;
use tokio_postgres::Transaction;

use super::OpenError;
use crate::store::Cause;

/// Taken by whoever makes or upgrades the tables ("AIRS").
const LOCK: i64 = 0x4149_5253;

/// Each is applied once, in order, together with its number.
const MIGRATIONS: &[&str] = &[
    r#"
CREATE TABLE airside.chain (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL UNIQUE,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    time   bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE airside.entry (
    chain   bigint NOT NULL,
    seq     bigint NOT NULL,
    time    bigint NOT NULL,
    kind    text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    subject text COLLATE "C" NOT NULL,
    body    bytea NOT NULL,
    prev    bytea NOT NULL,
    hash    bytea NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX entry_by_subject ON airside.entry (chain, subject, seq) WHERE subject <> '';
CREATE TABLE airside.document (
    tbl     text COLLATE "C" NOT NULL,
    tenant  text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body    bytea NOT NULL,
    n0 bigint, n1 bigint, n2 bigint, n3 bigint,
    t0 text COLLATE "C", t1 text COLLATE "C", t2 text COLLATE "C", t3 text COLLATE "C",
    PRIMARY KEY (tbl, tenant, key)
);
CREATE INDEX document_by_n0 ON airside.document (tbl, tenant, n0, key) WHERE n0 IS NOT NULL;
CREATE INDEX document_by_n1 ON airside.document (tbl, tenant, n1, key) WHERE n1 IS NOT NULL;
CREATE INDEX document_by_n2 ON airside.document (tbl, tenant, n2, key) WHERE n2 IS NOT NULL;
CREATE INDEX document_by_n3 ON airside.document (tbl, tenant, n3, key) WHERE n3 IS NOT NULL;
CREATE INDEX document_by_t0 ON airside.document (tbl, tenant, t0, key) WHERE t0 IS NOT NULL;
CREATE INDEX document_by_t1 ON airside.document (tbl, tenant, t1, key) WHERE t1 IS NOT NULL;
CREATE INDEX document_by_t2 ON airside.document (tbl, tenant, t2, key) WHERE t2 IS NOT NULL;
CREATE INDEX document_by_t3 ON airside.document (tbl, tenant, t3, key) WHERE t3 IS NOT NULL;
CREATE TABLE airside.lease (
    name   text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C",
    token  bigint NOT NULL,
    until  bigint NOT NULL
);
"#,
    r#"
CREATE TABLE airside.tile (
    chain  bigint NOT NULL,
    level  smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (chain, level, number)
);
"#,
    // From here on `entry.prev` is empty: it is the hash of the row in front, which is not
    // stored twice. Rows that have one keep it.
    "",
];

/// What the role may do, given anew with every initialisation.
const GRANTS: &str = r"
REVOKE ALL ON ALL TABLES IN SCHEMA airside FROM PUBLIC, {role};
GRANT USAGE ON SCHEMA airside TO {role};
GRANT SELECT ON airside.version TO {role};
GRANT SELECT, INSERT ON airside.entry TO {role};
GRANT SELECT, INSERT, UPDATE ON airside.chain, airside.lease, airside.tile TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON airside.document TO {role};
";

fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("migrations are few")
}

/// Makes or upgrades the tables and gives `role` what it needs.
pub(super) async fn initialize(client: &mut Object, role: &str) -> Result<(), OpenError> {
    let transaction = client
        .transaction()
        .await
        .map_err(|error| failed("start to make the tables", error))?;
    migrate(&transaction).await?;
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    transaction
        .batch_execute(&GRANTS.replace("{role}", &role))
        .await
        .map_err(|error| failed("let the role use the tables", error))?;
    transaction
        .commit()
        .await
        .map_err(|error| failed("make the tables", error))
}

async fn migrate(transaction: &Transaction<'_>) -> Result<(), OpenError> {
    let at = |error| failed("make the tables", error);
    transaction
        .batch_execute(&format!(
            "SELECT pg_advisory_xact_lock({LOCK});
             CREATE SCHEMA IF NOT EXISTS airside;
             CREATE TABLE IF NOT EXISTS airside.version (number integer PRIMARY KEY)"
        ))
        .await
        .map_err(at)?;
    let found = transaction
        .query_one("SELECT coalesce(max(number), 0) FROM airside.version", &[])
        .await
        .map_err(at)?
        .get::<_, i32>(0);
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(OpenError::Version {
            found,
            known: known(),
        });
    }
    for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(done) {
        transaction.batch_execute(migration).await.map_err(at)?;
        transaction
            .execute("INSERT INTO airside.version VALUES ($1)", &[&number])
            .await
            .map_err(at)?;
    }
    Ok(())
}

/// Checks that the tables are the ones known here and that entries are safe from
/// the present role.
pub(super) async fn check(client: &Object) -> Result<(), OpenError> {
    let usable: bool = client
        .query_one(
            "SELECT coalesce(has_table_privilege(to_regclass('airside.version'), 'SELECT'), false)
                AND has_schema_privilege(current_user, to_regnamespace('airside'), 'USAGE')",
            &[],
        )
        .await
        .map(|row| row.get::<_, Option<bool>>(0) == Some(true))
        .map_err(|error| failed("look for the ledger", error))?;
    if !usable {
        return Err(OpenError::Absent);
    }
    let row = client
        .query_one(
            "SELECT coalesce(max(number), 0),
                    current_user::text,
                    has_table_privilege('airside.entry', 'UPDATE, DELETE, TRUNCATE')
                        OR pg_has_role((SELECT relowner FROM pg_class
                                        WHERE oid = 'airside.entry'::regclass), 'MEMBER')
             FROM airside.version",
            &[],
        )
        .await
        .map_err(|error| failed("read the version of the ledger", error))?;
    let (found, role, powerful): (i32, String, bool) = (row.get(0), row.get(1), row.get(2));
    if found != known() {
        return Err(OpenError::Version {
            found,
            known: known(),
        });
    }
    if powerful {
        return Err(OpenError::Privileged { role });
    }
    Ok(())
}

fn failed(doing: &'static str, error: tokio_postgres::Error) -> OpenError {
    let source: Cause = std::sync::Arc::new(error);
    OpenError::Failed { doing, source }
}
