//! `airside eval status`: what the ledger holds of evaluations.

use airside_base::{Fault, Kind, Supervisor, TenantId};
use airside_evals::{
    grade::Verdict,
    history::{Desk, Evaluation, Results},
};
use serde_json::{Value, json};

use crate::{
    cli::{NodeArgs, Target, eval::Status},
    failure::Failure,
    output::{Align, Out, table},
    target,
    text::printable,
};

/// Stale cases that a row names.
const MAX_NAMED: usize = 4;

/// Shows what is recorded.
pub(super) fn run(args: &Status, out: &mut Out) -> Result<(), Failure> {
    let tenant = TenantId::default();
    let all = target::with_control(&args.node, async |client| Ok(client.evals(&tenant).await?))?;
    if out.is_json() {
        return out.json_pretty(&all);
    }
    let all: Vec<Evaluation> = serde_json::from_value(all["evaluations"].clone())
        .map_err(|error| airside_api::client::Error::Unreadable(error.to_string()))?;
    if all.is_empty() {
        return out.line("no suite has been run: airside eval run SUITE");
    }
    let headings = [
        ("SUITE", Align::Left),
        ("MODEL", Align::Left),
        ("LAST RUN", Align::Left),
        ("BY", Align::Left),
        ("PASS", Align::Right),
        ("FAIL", Align::Right),
        ("OTHER", Align::Right),
        ("STALE", Align::Left),
    ];
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    out.line(&table(&headings, &rows))
}

fn row(evaluation: &Evaluation) -> Vec<String> {
    let results = &evaluation.results;
    let count = |wanted: &dyn Fn(Verdict) -> bool| {
        let cases = results.cases.values();
        cases
            .filter(|case| wanted(case.verdict))
            .count()
            .to_string()
    };
    let named: Vec<String> = evaluation
        .stale
        .iter()
        .take(MAX_NAMED)
        .map(|(case, changes)| format!("{case} ({})", changes.join(", ")))
        .collect();
    let more = evaluation.stale.len().saturating_sub(named.len());
    let mut stale = named.join("; ");
    if more > 0 {
        stale.push_str(&format!("; and {more} more"));
    }
    vec![
        printable(&results.suite),
        printable(&results.model),
        evaluation.at.to_string(),
        printable(&evaluation.by),
        count(&|verdict| verdict == Verdict::Pass),
        count(&|verdict| verdict == Verdict::Fail),
        count(&|verdict| !matches!(verdict, Verdict::Pass | Verdict::Fail)),
        printable(&stale),
    ]
}

/// Records results with the node whose tools were used.
pub(super) async fn tell(place: &Target, results: &Results) -> Result<(), Failure> {
    let node = NodeArgs {
        data_dir: place.data_dir.clone(),
        control: None,
        key_file: None,
    };
    let client = target::control(&node, None, &Supervisor::new());
    client.record_eval(&TenantId::default(), results).await?;
    Ok(())
}

/// Does what a request over the control API says.
///
/// # Errors
///
/// The fault that refuses it.
pub(crate) async fn answer(desk: &Desk, tenant: &TenantId) -> Result<Value, Fault> {
    let all = desk.all(tenant).await.map_err(|error| error.fault())?;
    Ok(json!({ "evaluations": all }))
}

/// Records what a request over the control API says.
///
/// # Errors
///
/// The fault that refuses it.
pub(crate) async fn record(
    desk: &Desk,
    tenant: &TenantId,
    by: String,
    results: &[u8],
) -> Result<Value, Fault> {
    let malformed = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let text = format!("the results are malformed at line {line}, column {column}");
        Fault::new(Kind::Invalid, "EVL-037", text)
    };
    let results: Results = serde_json::from_slice(results).map_err(malformed)?;
    let known = desk.complete(tenant, results, by).await;
    let known = known.map_err(|error| error.fault())?;
    Ok(serde_json::to_value(known).expect("an evaluation is JSON"))
}
