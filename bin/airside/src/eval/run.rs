//! Runs suites.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, Redacted, SystemClock};
use airside_evals::{
    agent::Limits,
    cassette::{About, CassetteError, Played, Player, RecordedStage, Recorder},
    grade::Verdict,
    history::{self, Results},
    model::{Api, Endpoint, HttpModel, Model, SetupError},
    redteam::Security,
    report::{self, CaseSummary, HtmlError, Summary},
    rubric::{Judge, Standing},
    runner::{self, Caps, Job, KeptError, Progress},
    stats::{Decision, Plan, Sprt},
    suite::Suite,
    toolbox::{Eyes, Server, Stage},
    view::Browser,
};
use airside_mcp::client::Choice;
use url::Url;

use crate::{
    cli::eval::{Era, Files, Report, Run, RunLimits, Wire},
    endpoint,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    target::{self, block_on},
    text::printable,
};

/// Runs a suite and reports.
pub(super) fn run(args: &Run, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let baseline = args
        .baseline
        .as_deref()
        .map(runner::load)
        .transpose()
        .map_err(kept)?;
    let scratch = format!("airside-eval-{}", airside_base::secret_token());
    let scratch = std::env::temp_dir().join(scratch);
    let folder = args.out.as_deref().unwrap_or(&scratch);
    let only = match args.only_stale {
        true => baseline.as_ref(),
        false => None,
    };
    let from = Where::Protected;
    let done = block_on(have(
        args,
        &suite,
        (folder, from),
        (baseline.as_ref(), only),
    ));
    let told = done.and_then(|run| match run {
        None => out.line("nothing is stale"),
        Some(run) => finish(args, &suite, (&run, folder), baseline.as_ref(), out),
    });
    if args.out.is_none() {
        // What was kept for a crash is of no use any more.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    told
}

/// Runs what differs from the last result that `folder` keeps, and reports.
pub(super) fn round(args: &Run, folder: &Path, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let before = match folder.join(runner::TRIALS).is_file() {
        true => runner::load(folder).map_err(kept)?,
        false => runner::Run::default(),
    };
    let only = (Some(&before), Some(&before));
    match block_on(have(args, &suite, (folder, Where::Protected), only))? {
        None => Ok(()),
        Some(run) => {
            let before = Some(&before).filter(|before| !before.is_empty());
            finish(args, &suite, (&run, folder), before, out)
        }
    }
}

/// Has the conversations of a run: of all cases, or only of those whose result in `only`
/// is stale; none if there are no such.
async fn have(
    args: &Run,
    suite: &Suite,
    (folder, place): (&Path, Where<'_>),
    (baseline, only): (Option<&runner::Run>, Option<&runner::Run>),
) -> Result<Option<runner::Run>, Failure> {
    let who = who(args)?;
    let models = models(args, &who, suite)?;
    let server = connect(args, place).await?;
    let mut job = job(args, suite, &who, &*server);
    let judge = models.judge.as_ref().zip(suite.judge.as_ref());
    job.judge = judge.map(|((model, standing), settings)| Judge {
        model: &**model,
        settings,
        standing,
    });
    if job.cases.is_empty() {
        return Err(no_case());
    }
    // Told before anything is spent.
    if is_recorded(args) && !Results::can_hold(suite, &job.cases) {
        return Err(too_many(job.cases.len()));
    }
    if let Some(baseline) = baseline {
        job.history = baseline.tallies();
    }
    if let Some(only) = only {
        let stale = runner::stale(&job, only);
        let is_stale = |place: &usize| {
            let case = suite.cases.get(*place);
            case.is_some_and(|case| stale.contains_key(&case.id))
        };
        job.cases.retain(is_stale);
        if job.cases.is_empty() {
            server.close().await;
            return Ok(None);
        }
    }
    let keeper = runner::keep(folder, &job).map_err(kept)?;
    runner::keep_tools(folder, server.tools()).map_err(kept)?;
    let watch = |progress: Progress<'_>| {
        let record = progress.record;
        tracing::info!(case = %record.case, trial = record.trial, verdict = record.verdict.name(), "a trial has ended");
    };
    let run = tokio::select! {
        run = job.run(&*models.tested, keeper, &watch) => run.map_err(kept),
        told = told_to_stop() => Err(match told {
            Ok(()) => interrupted(args),
            Err(error) => target::no_runtime(&error),
        }),
    };
    drop(job);
    server.close().await;
    run.map(Some)
}

/// Waits until the user or the system wants the command to end.
pub(super) async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed,
    }
}

/// Code of a run that was told to stop.
pub(super) const INTERRUPTED: &str = "EVL-067";

fn interrupted(args: &Run) -> Failure {
    let fault = Fault::new(Kind::Unavailable, INTERRUPTED, "the run was interrupted");
    let hint = match &args.out {
        Some(folder) => format!(
            "the same command goes on with what is kept in {}",
            folder.display()
        ),
        None => "nothing is kept of a run without --out DIR".to_owned(),
    };
    Failure::new(Exit::Inconclusive, fault.with_hint(hint))
}

/// Whether results are recorded with the node on this machine. A run against an endpoint
/// elsewhere belongs to another node, and one out of a recording to none.
fn is_recorded(args: &Run) -> bool {
    args.target.url.is_none() && args.replay.is_none()
}

fn too_many(cases: usize) -> Failure {
    let text = format!("the results of {cases} cases cannot be recorded as one evaluation");
    let fault = Fault::new(Kind::Invalid, "EVL-064", text);
    let hint = format!(
        "split the suite, choose with --case (at most {} cases with short ids), or name the \
         endpoint with --url, where nothing is recorded",
        history::MAX_CASES
    );
    Failure::new(Exit::Usage, fault.with_hint(hint))
}

fn no_case() -> Failure {
    let fault = Fault::new(Kind::NotFound, "EVL-034", "no case has this id or tag");
    let hint = "airside eval check SUITE --json lists the ids";
    Failure::new(Exit::Usage, fault.with_hint(hint))
}

/// Records what a run gave, writes its reports and shows it.
fn finish(
    args: &Run,
    suite: &Suite,
    (run, folder): (&runner::Run, &Path),
    baseline: Option<&runner::Run>,
    out: &mut Out,
) -> Result<(), Failure> {
    let records = runner::Records::open(folder).map_err(kept)?;
    let summary = report::summarize(suite, run, records, baseline).map_err(kept)?;
    write(&args.files, &summary, folder)?;
    let told = match is_recorded(args) {
        true => block_on(super::status::tell(
            &args.target,
            &Results::of(run, &summary),
        )),
        false => Ok(()),
    };
    let security = super::redteam::of(suite, folder)?;
    let security = security.filter(|_| args.without.is_some() || !out.is_json());
    let shown = match (&args.without, security) {
        (None, None) => show(&summary, out),
        (None, Some(security)) => {
            let shown = show(&summary, out);
            super::redteam::show(&security, None, out)?;
            shown
        }
        (Some(url), security) => {
            let other = folder.join("without");
            let place = (other.as_path(), Where::Without(url));
            block_on(have(args, suite, place, (None, None)))?;
            let without = super::redteam::of(suite, &other)?.unwrap_or_default();
            beside(&summary, &security.unwrap_or_default(), &without, out)
        }
    };
    told.and(shown)
}

/// Shows a run, and what came of attacks with protection beside what came of them without.
fn beside(
    summary: &Summary,
    with: &Security,
    without: &Security,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.is_json() {
        let both = serde_json::json!({ "summary": summary, "with": with, "without": without });
        out.json_pretty(&both)?;
        return verdict(summary);
    }
    let shown = show(summary, out);
    super::redteam::show(with, Some(without), out)?;
    shown
}

/// Lists what a change has made stale.
pub(super) fn stale(args: &Run, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let Some(folder) = &args.baseline else {
        let fault = Fault::new(
            Kind::Invalid,
            "EVL-010",
            "no run is named that could be stale",
        );
        return Err(Failure::new(
            Exit::Usage,
            fault.with_hint("name it with --baseline"),
        ));
    };
    let baseline = runner::load(folder).map_err(kept)?;
    let stale: BTreeMap<String, Vec<String>> = block_on(async {
        let who = who(args)?;
        let server = connect(args, Where::Protected).await?;
        let stale = runner::stale(&job(args, &suite, &who, &*server), &baseline);
        server.close().await;
        Ok(stale)
    })?;
    if out.is_json() {
        return out.json_pretty(&stale);
    }
    if stale.is_empty() {
        return out.line("nothing is stale");
    }
    let headings = [("CASE", Align::Left), ("WHAT CHANGED", Align::Left)];
    let rows: Vec<Vec<String>> = stale
        .iter()
        .map(|(case, changes)| vec![printable(case), printable(&changes.join(", "))])
        .collect();
    out.line(&table(&headings, &rows))
}

/// Writes the report of a run again.
pub(super) fn report(args: &Report, out: &mut Out) -> Result<(), Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let run = runner::load(&args.out).map_err(kept)?;
    let baseline = args
        .baseline
        .as_deref()
        .map(runner::load)
        .transpose()
        .map_err(kept)?;
    let records = runner::Records::open(&args.out).map_err(kept)?;
    let summary = report::summarize(&suite, &run, records, baseline.as_ref()).map_err(kept)?;
    write(&args.files, &summary, &args.out)?;
    show(&summary, out)
}

fn plan(limits: &RunLimits) -> Plan {
    Plan {
        screen: limits.trials,
        confirm: (!limits.no_confirm).then(Sprt::default),
    }
}

/// Which endpoint a suite is run at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Where<'a> {
    /// The one that is meant.
    Protected,
    /// One without protection, to compare with.
    Without(&'a Url),
}

async fn connect(args: &Run, place: Where<'_>) -> Result<Box<dyn Stage>, Failure> {
    if let Some(folder) = &args.replay {
        return Ok(Box::new(Played::open(folder).map_err(cassette)?));
    }
    let (mut url, mut headers) = endpoint::address(&args.target).await?;
    if let Where::Without(other) = place {
        // A key goes to the node that it is for, and nowhere else.
        if url.origin() != other.origin() {
            headers.clear();
        }
        url = other.clone();
    }
    let era = match args.era {
        Era::Auto => Choice::Auto,
        Era::Modern => Choice::Modern,
        Era::Legacy => Choice::Legacy,
    };
    let timeout = Duration::from_secs(args.target.timeout);
    let server = Server::connect(&url, era, headers, timeout).await;
    let server = server.map_err(|error| endpoint::failure(&error))?;
    let server = match place {
        Where::Protected => server,
        Where::Without(_) => server.without_words(),
    };
    let is_root = rustix::process::geteuid().is_root();
    let server = match Browser::find(args.browser.as_deref(), is_root) {
        None => server,
        Some(browser) => server.with_eyes(Eyes {
            browser,
            pictures: args.out.clone(),
            clock: Arc::new(SystemClock::new()),
        }),
    };
    match (&args.record, place) {
        (Some(folder), Where::Protected) => {
            let recorded = RecordedStage::new(Box::new(server), folder);
            Ok(Box::new(recorded.map_err(cassette)?))
        }
        _ => Ok(Box::new(server)),
    }
}

/// Which model is meant: what is named, or else who was recorded.
fn who(args: &Run) -> Result<About, Failure> {
    let folder = args.replay.as_ref().or(args.replay_model.as_ref());
    let recorded = folder.map(|folder| About::read(folder).map_err(cassette));
    let recorded = recorded.transpose()?.flatten();
    let params = args.params.as_ref().map(|text| {
        serde_json::from_str(text).map_err(|error| {
            let text = format!("--params is not a JSON object: {error}");
            let fault = Fault::new(Kind::Invalid, "EVL-012", text);
            let hint = "for example --params '{\"temperature\": 0}'";
            Failure::new(Exit::Usage, fault.with_hint(hint))
        })
    });
    let (params, api) = (params.transpose()?, args.api.map(Wire::api));
    Ok(match (args.model.clone(), recorded) {
        (Some(model), None) => About {
            model,
            api: api.unwrap_or(Api::OpenaiChat),
            params: params.unwrap_or_default(),
        },
        (model, Some(recorded)) => About {
            model: model.unwrap_or(recorded.model),
            api: api.unwrap_or(recorded.api),
            params: params.unwrap_or(recorded.params),
        },
        (None, None) => {
            let hint = match folder {
                None => "name it with --model",
                Some(_) => "name it with --model: the recording does not",
            };
            return Err(no_model(hint));
        }
    })
}

pub(super) fn no_model(hint: &str) -> Failure {
    let fault = Fault::new(Kind::Invalid, "EVL-011", "no model is named");
    Failure::new(Exit::Usage, fault.with_hint(hint.to_owned()))
}

/// The model that is tested, and the one that judges.
struct Models {
    tested: Box<dyn Model>,
    judge: Option<(Box<dyn Model>, Standing)>,
}

fn models(args: &Run, who: &About, suite: &Suite) -> Result<Models, Failure> {
    let settings = suite.judge.as_ref();
    let standing = settings.map(|settings| {
        let path = args.calibration.as_deref();
        let kept = path.map(super::calibrate::load).transpose()?;
        Ok::<_, Failure>(Standing::of(settings, kept.as_ref()))
    });
    let standing = standing.transpose()?;
    if let Some(folder) = args.replay.as_ref().or(args.replay_model.as_ref()) {
        let player = || -> Result<Box<dyn Model>, Failure> {
            Ok(Box::new(Player::open(folder).map_err(cassette)?))
        };
        return Ok(Models {
            tested: player()?,
            judge: standing
                .map(|of| Ok::<_, Failure>((player()?, of)))
                .transpose()?,
        });
    }
    let Some(base) = args.base_url.clone() else {
        let hint = "say where it is with --base-url, or play a recording with --replay";
        return Err(no_model(hint));
    };
    let recorder = args.record.as_ref().map(|folder| {
        who.keep(folder).map_err(cassette)?;
        Recorder::new(folder).map_err(cassette)
    });
    let recorder = recorder.transpose()?;
    let key = target::read_key(args.model_key_file.as_deref())?;
    let judge = settings.zip(standing).map(|(settings, standing)| {
        let (base, key) = match args.judge_base_url.clone() {
            None => (base.clone(), key.clone()),
            // A key goes to the provider that it is for.
            Some(base) => (base, target::read_key(args.judge_key_file.as_deref())?),
        };
        let model = asked(
            endpoint_of(args, settings.api, base, key),
            recorder.as_ref(),
        )?;
        Ok::<_, Failure>((model, standing))
    });
    Ok(Models {
        judge: judge.transpose()?,
        tested: asked(endpoint_of(args, who.api, base, key), recorder.as_ref())?,
    })
}

fn endpoint_of(args: &Run, api: Api, base: Url, key: Option<Redacted<String>>) -> Endpoint {
    Endpoint {
        api,
        base,
        key,
        stream: !args.no_stream,
        idle: Duration::from_secs(args.limits.idle),
    }
}

/// A model that is asked over HTTP, and recorded if that is wanted.
pub(super) fn asked(
    endpoint: Endpoint,
    recorder: Option<&Recorder>,
) -> Result<Box<dyn Model>, Failure> {
    let model = Box::new(HttpModel::new(endpoint).map_err(setup)?);
    Ok(match recorder {
        Some(recorder) => recorder.of(model),
        None => model,
    })
}

fn job<'a>(args: &'a Run, suite: &'a Suite, who: &'a About, server: &'a dyn Stage) -> Job<'a> {
    let wanted = |(place, case): (usize, airside_evals::suite::Case)| {
        let named = |name: &String| case.id == *name || case.tags.contains(name);
        (args.case.is_empty() || args.case.iter().any(named)).then_some(place)
    };
    let limits = &args.limits;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Job {
        suite,
        cases: suite.cases.iter().enumerate().filter_map(wanted).collect(),
        name: &who.model,
        api: who.api,
        params: who.params.clone(),
        server,
        plan: plan(limits),
        limits: Limits {
            steps: limits.steps,
            price_in: limits.price_in,
            price_out: limits.price_out,
            ..Limits::default()
        },
        caps: Caps {
            usd: limits.max_usd,
            tokens: limits.max_tokens,
            wall: limits.max_seconds.map(Duration::from_secs),
        },
        judge: None,
        jobs: limits.jobs,
        history: BTreeMap::new(),
        sandbox: airside_base::secret_token().chars().take(8).collect(),
        clock,
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "passed to `map_err` as it is"
)]
pub(super) fn kept(error: KeptError) -> Failure {
    let text = match &error {
        KeptError::File { source, .. } => format!("{error}: {source}"),
        KeptError::Other { .. } => error.to_string(),
    };
    let fault = Fault::new(Kind::Conflict, "EVL-013", text);
    Failure::new(
        Exit::Usage,
        fault.with_hint("name a folder of a run of this suite and model, or a new one"),
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "passed to `map_err` as it is"
)]
pub(super) fn cassette(error: CassetteError) -> Failure {
    let fault = Fault::new(
        Kind::NotFound,
        "EVL-014",
        format!("{error}: {}", error.source),
    );
    Failure::new(Exit::Usage, fault.with_hint("record one with --record DIR"))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "passed to `map_err` as it is"
)]
fn setup(error: SetupError) -> Failure {
    let fault = Fault::new(Kind::Invalid, "EVL-015", error.to_string());
    Failure::new(
        Exit::Usage,
        fault.with_hint("check --base-url and --model-key-file"),
    )
}

/// Writes the reports that are asked for, of the run in `folder`.
fn write(files: &Files, summary: &Summary, folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let text = format!("cannot write {}: {error}", path.display());
        let fault = Fault::new(Kind::Unavailable, "EVL-016", text);
        Failure::new(
            Exit::Failed,
            fault.with_hint("check the folder and its permissions"),
        )
    };
    if let Some(path) = &files.junit {
        std::fs::write(path, report::junit(summary)).map_err(|error| failed(path, &error))?;
    }
    if let Some(path) = &files.html {
        let records = || runner::Records::open(folder);
        let file = std::fs::File::create(path).map_err(|error| failed(path, &error))?;
        let mut file = std::io::BufWriter::new(file);
        let written = report::html(summary, records, &mut file);
        written.map_err(|error| match error {
            HtmlError::Write(error) => failed(path, &error),
            HtmlError::Read(error) => kept(error),
        })?;
    }
    Ok(())
}

fn show(summary: &Summary, out: &mut Out) -> Result<(), Failure> {
    match out.is_json() {
        true => out.json_pretty(summary)?,
        false => rows(summary, out)?,
    }
    verdict(summary)
}

/// What the verdict of a run means for who started it.
fn verdict(summary: &Summary) -> Result<(), Failure> {
    let (exit, code, what) = match summary.verdict {
        Verdict::Pass => return Ok(()),
        Verdict::Fail => (Exit::Failed, "EVL-017", "the suite has failed"),
        Verdict::Inconclusive => (
            Exit::Inconclusive,
            "EVL-018",
            "it is not known whether the suite passes",
        ),
        Verdict::Invalid => (
            Exit::Invalid,
            "EVL-019",
            "nothing was shown about the model",
        ),
    };
    let fault = Fault::new(Kind::Conflict, code, what);
    Err(Failure::new(
        exit,
        fault.with_hint("the reasons stand in the last column; --html writes the conversations"),
    ))
}

/// Most cases that a table lists.
const MAX_ROWS: usize = 500;

fn rows(summary: &Summary, out: &mut Out) -> Result<(), Failure> {
    let headings = [
        ("CASE", Align::Left),
        ("VERDICT", Align::Left),
        ("PASSED", Align::Right),
        ("95 %", Align::Left),
        ("BEFORE", Align::Right),
        ("WHY", Align::Left),
    ];
    let is_short = summary.cases.len() <= MAX_ROWS;
    let listed = summary.cases.iter();
    let listed = listed.filter(|case| is_short || case.verdict != Verdict::Pass);
    let rows: Vec<Vec<String>> = listed.take(MAX_ROWS).map(row).collect();
    out.line(&table(&headings, &rows))?;
    let unlisted = summary.cases.len() - rows.len();
    if unlisted > 0 {
        let all = summary.cases.len();
        out.line(&format!(
            "\n{unlisted} of {all} cases are not listed here, those that pass first of all: \
             --json, --junit and --html list all"
        ))?;
    }
    if let Some(passing) = summary.passing {
        out.line(&format!(
            "\npassing over {} cases: {:.0} % ({:.0} to {:.0}), {} requests, {} tokens, {:.4} USD",
            summary.cases.len(),
            passing.at * 100.0,
            passing.low * 100.0,
            passing.high * 100.0,
            summary.usage.requests,
            summary.usage.tokens_in + summary.usage.tokens_out,
            summary.usage.usd,
        ))?;
    }
    for (expected, row) in &summary.matrix.0 {
        for (called, times) in row.iter().filter(|(called, _)| *called != expected) {
            out.line(&format!(
                "expected {} first, called {}: {times} times",
                printable(expected),
                printable(called)
            ))?;
        }
    }
    for case in &summary.cases {
        if case.decision == Decision::Damaged {
            out.line(&format!(
                "{} is damaged: at most {} in 1000 cases as good as before are called so",
                printable(&case.id),
                Sprt::default().alpha * 1000.0,
            ))?;
        }
    }
    if let Some(judge) = &summary.judge {
        super::calibrate::told(judge, summary, out)?;
    }
    if let Some(comparison) = &summary.comparison {
        let word = match comparison.regressed {
            true => "worse than",
            false => "not shown to be worse than",
        };
        out.line(&format!(
            "{word} the baseline: {:+.1} points over {} cases, p = {:.4}",
            comparison.change * 100.0,
            comparison.cases,
            comparison.p
        ))?;
    }
    Ok(())
}

fn row(case: &CaseSummary) -> Vec<String> {
    let interval = case.interval.map_or(String::new(), |interval| {
        format!(
            "{:.0} to {:.0} %",
            interval.low * 100.0,
            interval.high * 100.0
        )
    });
    let before = case.before.map_or(String::new(), |tally| {
        format!("{}/{}", tally.passed, tally.trials)
    });
    let why: Vec<String> = case
        .reasons
        .iter()
        .take(3)
        .map(ToString::to_string)
        .collect();
    vec![
        printable(&case.id),
        case.verdict.name().to_owned(),
        format!("{}/{}", case.tally.passed, case.tally.trials),
        interval,
        before,
        printable(&why.join("; ")),
    ]
}
