//! Where requests about reviews are answered: by the node that runs, or here.
//!
//! # Invariants
//!
//! * A running node does the work itself. The ledger is opened directly when none runs.

use std::{path::Path, sync::Arc, time::Duration};

use airside_api::{Part, Reach, Review, client};
use airside_base::{Clock, Fault, Kind, Supervisor, SystemClock};
use airside_governance::{
    lesson,
    lot::{self, Desk},
    register::{self, Register},
};
use airside_ledger::Ledger;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    cli::review::LotPlace,
    failure::{Exit, Failure},
    ledger::source,
    node::folder,
    target::{self, block_on},
};

/// Longest wait for the tasks of a ledger to end.
const CLOSE: Duration = Duration::from_secs(10);
/// Who works on the files of a data folder: whoever can open them.
const OWNER: &str = "owner";

/// Asks for something about a part of reviews and reads the answer.
pub(super) fn ask<T: DeserializeOwned>(
    place: &LotPlace,
    (part, reach): (Part, Reach),
    request: &impl Serialize,
) -> Result<T, Failure> {
    let request = serde_json::to_value(request).expect("a request is JSON");
    let answer = block_on(async {
        let (node, tenant) = (&place.node, &place.chain.tenant);
        let secret = target::read_key(node.key_file.as_deref())?;
        let client = target::control(node, secret, &Supervisor::new());
        match client.status().await {
            Ok(_) => Ok(client.review(tenant, (part, reach), &request).await?),
            Err(client::Error::NotRunning { .. }) if node.control.is_none() => {
                let asked = Review {
                    tenant: tenant.clone(),
                    part,
                    reach,
                    by: OWNER.to_owned(),
                };
                here(&node.data_dir, &asked, &request).await
            }
            Err(error) => Err(error.into()),
        }
    })?;
    serde_json::from_value(answer)
        .map_err(|error| client::Error::Unreadable(error.to_string()).into())
}

async fn here(folder: &Path, asked: &Review, request: &Value) -> Result<Value, Failure> {
    let supervisor = Supervisor::new();
    let ledger = match asked.reach {
        Reach::Read => {
            let store = source::inspect(folder, None, &supervisor).await?;
            source::open(store, &supervisor).await?
        }
        Reach::Change => {
            folder::prepare(folder)?;
            source::own(folder, None, &supervisor).await?
        }
    };
    let bytes = serde_json::to_vec(request).expect("a request is JSON");
    let clock = Arc::new(SystemClock::new());
    let answer = answer(ledger, clock, asked, &bytes).await;
    supervisor.stop(CLOSE).await;
    answer.map_err(|fault| source::unreadable(Exit::Refused, &fault))
}

/// Does what a request says.
///
/// # Errors
///
/// The fault that refuses it.
pub(crate) async fn answer(
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    asked: &Review,
    request: &[u8],
) -> Result<Value, Fault> {
    let (tenant, by) = (&asked.tenant, asked.by.as_str());
    match asked.part {
        Part::Lots => {
            let request: lot::Request = read(request)?;
            permit(asked.reach, request.only_reads())?;
            let desk = Desk::new(ledger, clock);
            let told = desk.ask(tenant, request).await;
            told.map_err(|error| error.fault()).map(|told| json(&told))
        }
        Part::Findings => {
            let request: register::Request = read(request)?;
            permit(asked.reach, request.only_reads())?;
            let register = Register::new(ledger, clock);
            let told = register.ask(tenant, by, request).await;
            told.map_err(|error| error.fault()).map(|told| json(&told))
        }
        Part::Lessons => {
            let request: lesson::Request = read(request)?;
            permit(asked.reach, request.only_reads())?;
            let desk = lesson::Desk::new(ledger, clock);
            let told = desk.ask(tenant, by, request).await;
            told.map_err(|error| error.fault()).map(|told| json(&told))
        }
    }
}

fn read<T: DeserializeOwned>(request: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(request).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let text = format!("the request is malformed at line {line}, column {column}");
        Fault::new(Kind::Invalid, "REV-009", text)
    })
}

fn permit(reach: Reach, only_reads: bool) -> Result<(), Fault> {
    match reach == Reach::Read && !only_reads {
        true => {
            let text = "this route only reads";
            Err(Fault::new(Kind::Forbidden, "REV-010", text))
        }
        false => Ok(()),
    }
}

fn json(told: &impl Serialize) -> Value {
    serde_json::to_value(told).expect("what is told is JSON")
}
