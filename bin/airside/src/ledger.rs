//! `airside ledger …`.

mod prove;
mod rows;
pub(crate) mod source;

use airside_api::wire;
use airside_base::{Fault, Kind};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    ledger::source::Source,
    output::Out,
    target::block_on,
    text::printable,
};

/// Most entries that `-n` may ask for.
const MAX_LINES: u64 = 1_000_000;

/// Runs `airside ledger …`.
pub(crate) fn run(args: &cli::Ledger, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        match args {
            cli::Ledger::Tail(args) => tail(args, out).await,
            cli::Ledger::Verify(node) => verify(node, out).await,
            cli::Ledger::Head(args) => head(args, out).await,
            cli::Ledger::Prove(args) => prove::prove(args, out).await,
            cli::Ledger::Check(args) => prove::check(args, out),
            cli::Ledger::Key(node) => prove::key(node, out).await,
            cli::Ledger::Init(args) => init(args, out).await,
        }
    })
}

async fn init(args: &cli::Init, out: &mut Out) -> Result<(), Failure> {
    source::initialize(args).await?;
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "role": &args.role }));
    }
    let what = match args.only_keys {
        true => "place for the keys",
        false => "ledger",
    };
    out.line(&format!(
        "the {what} is ready; run Airside as {}",
        printable(&args.role)
    ))
}

async fn head(args: &cli::Head, out: &mut Out) -> Result<(), Failure> {
    let source = Source::open(&args.node).await?;
    let head = source.head(&args.chain.tenant).await?;
    source.close().await;
    if out.is_json() {
        return out.json_pretty(&head);
    }
    out.line(&format!("{} {}", head.seq, head.hash))
}

async fn tail(args: &cli::Tail, out: &mut Out) -> Result<(), Failure> {
    let source = Source::open(&args.node).await?;
    if args.follow {
        let Source::Node(client) = &source else {
            return Err(nothing_to_follow());
        };
        return follow(args, client, out).await;
    }
    let tenant = &args.chain.tenant;
    let head = source.head(tenant).await?;
    let mut after = head.seq.saturating_sub(args.lines.min(MAX_LINES));
    // At least one page, so that an empty ledger shows its headings.
    loop {
        let entries = source.entries(tenant, after).await?;
        show(&entries, out)?;
        match entries.last() {
            Some(last) if last.seq < head.seq => after = last.seq,
            _ => break,
        }
    }
    source.close().await;
    Ok(())
}

fn show(entries: &[wire::Entry], out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        return entries.iter().try_for_each(|entry| out.json_line(entry));
    }
    out.line(&rows::rows(entries))
}

async fn follow(
    args: &cli::Tail,
    client: &airside_api::Client,
    out: &mut Out,
) -> Result<(), Failure> {
    let tenant = &args.chain.tenant;
    let head = client.head(tenant).await?;
    let after = head.seq.saturating_sub(args.lines.min(MAX_LINES));
    let mut lines = client.follow(tenant, after).await?;
    while let Some(entry) = lines.next::<wire::Entry>().await? {
        if out.is_json() {
            out.json_line(&entry)?;
        } else {
            out.line(&rows::line(&entry))?;
        }
        out.flush()?;
    }
    Ok(())
}

fn nothing_to_follow() -> Failure {
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-015",
        "nothing can be added to follow: no node runs on the data folder",
    );
    Failure::new(
        Exit::NoNode,
        fault.with_hint("leave --follow out, or start the node"),
    )
}

async fn verify(args: &cli::NodeArgs, out: &mut Out) -> Result<(), Failure> {
    let source = Source::open(args).await?;
    // Drawn on standard error, and only if that is a terminal.
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("verifying {bar:40} {pos}/{len} entries, {eta} left")
            .expect("the template is well-formed"),
    );
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let verified = source.verify(&progress).await;
    bar.finish_and_clear();
    source.close().await;
    let (entries, heads) = match verified? {
        wire::Verify::Verified { entries, heads } => (entries, heads),
        wire::Verify::Failed(problem) => return Err(broken(&problem)),
        wire::Verify::Progress { .. } => return Err(cut_short()),
    };
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "entries": entries, "heads": heads }));
    }
    out.line(&format!("verified: {entries} entries, all in place"))?;
    for head in heads {
        let wire::Head { tenant, seq, hash } = head;
        out.line(&format!("{tenant}  {seq}  {hash}"))?;
    }
    Ok(())
}

fn broken(problem: &wire::Problem) -> Failure {
    let fault = Fault::new(
        Kind::Internal,
        "CLI-012",
        format!(
            "the ledger does not hold together: {} [{}]",
            problem.message, problem.code
        ),
    );
    let hint = problem.hint.clone().unwrap_or_else(|| {
        format!(
            "keep the files as they are and see `airside explain {}`",
            printable(&problem.code)
        )
    });
    Failure::new(Exit::Broken, fault.with_hint(hint))
}

fn cut_short() -> Failure {
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-003",
        "the node ended the verification before it was done",
    );
    Failure::new(
        Exit::Failed,
        fault.with_hint("the node may have stopped; run it again"),
    )
}
