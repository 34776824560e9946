//! Contracts of tools, as the control API shows them.

use airside_api::wire;
use airside_base::Fault;
use airside_contracts::{
    Definition, Digest, diff,
    event::{Contract, Key, State, Version},
};
use airside_gateway::contracts::{Contracts, Decision, Error, Verdict};

/// Returns how all tools stand.
pub(crate) fn all(contracts: &Contracts) -> Vec<wire::ContractRow> {
    contracts.all().iter().filter_map(row).collect()
}

/// Returns one contract in full.
pub(crate) fn one(contracts: &Contracts, of: &wire::ContractOf) -> Result<wire::Contract, Fault> {
    let contract = contracts.one(&key(of)?);
    let contract = contract.ok_or_else(|| Error::Unknown.fault())?;
    let row = row(&contract).ok_or_else(|| Error::Unknown.fault())?;
    let (before, after) = match (&contract.offered, &contract.accepted) {
        (Some(offered), accepted) => (accepted.as_ref(), Some(offered)),
        (None, accepted) => (contract.previous.as_ref(), accepted.as_ref()),
    };
    let read = |version: Option<&Version>| Definition::read(&version?.definition).ok();
    let (before, after) = (read(before), read(after));
    let differences = match (&before, &after) {
        (Some(before), Some(after)) => diff::between(Some(before.json()), Some(after.json())),
        _ => Vec::new(),
    };
    let differences = differences
        .into_iter()
        .map(|found| wire::ContractDifference {
            path: found.path,
            before: found.before,
            after: found.after,
        });
    Ok(wire::Contract {
        row,
        accepted: contract.accepted.map(version),
        previous: contract.previous.map(version),
        offered: contract.offered.map(version),
        differences: differences.collect(),
    })
}

/// Does what `by` decides.
pub(crate) async fn decide(
    contracts: &Contracts,
    decision: wire::ContractDecision,
    by: String,
) -> Result<wire::ContractRow, Fault> {
    let unknown = || Error::Unknown.fault();
    // Its form was checked by the route.
    let digest = decision
        .digest
        .and_then(|digest| digest.parse::<Digest>().ok());
    let verdict = match (decision.verdict, digest) {
        (wire::ContractVerdict::Accept, Some(digest)) => Verdict::Accept(digest),
        (wire::ContractVerdict::Hold, Some(digest)) => Verdict::Hold(digest),
        (wire::ContractVerdict::Quarantine, _) => Verdict::Quarantine,
        (_, None) => return Err(unknown()),
    };
    let decided = contracts.decide(Decision {
        key: key(&decision.of)?,
        verdict,
        by,
        reason: decision.reason,
    });
    let contract = decided.await.map_err(|error| error.fault())?;
    row(&contract).ok_or_else(|| Error::Unknown.fault())
}

fn key(of: &wire::ContractOf) -> Result<Key, Fault> {
    let server = of.server.parse().map_err(|_| Error::Unknown.fault())?;
    Ok(Key {
        server,
        class: of.class.clone(),
        tool: of.tool.clone(),
    })
}

fn row(contract: &Contract) -> Option<wire::ContractRow> {
    let newest = contract.newest()?;
    let accepted = contract.accepted.as_ref();
    let served = contract.state != State::Quarantined
        && accepted.is_some_and(|accepted| accepted.digest == newest.digest);
    Some(wire::ContractRow {
        of: wire::ContractOf {
            server: contract.key.server.to_string(),
            tool: contract.key.tool.clone(),
            class: contract.key.class.clone(),
        },
        state: contract.state.as_str().to_owned(),
        digest: newest.digest.to_string(),
        served,
        removed: contract.removed,
        classes: contract.classes.iter().map(ToString::to_string).collect(),
        by: contract.by.clone(),
        reason: contract.reason.clone(),
        at: contract.at,
    })
}

fn version(version: Version) -> wire::Definition {
    let hits = version.hits.into_iter();
    let hits = hits.map(|hit| wire::ContractHit {
        rule: hit.rule,
        place: hit.place,
    });
    wire::Definition {
        digest: version.digest.to_string(),
        definition: version.definition,
        hits: hits.collect(),
    }
}
