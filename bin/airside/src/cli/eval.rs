//! The command line of `airside eval`.

use std::path::PathBuf;

use airside_evals::model::Api;
use clap::{Args, Subcommand, ValueEnum};
use url::Url;

use super::Target;

const EVAL_HELP: &str = "\
Exit codes besides the usual ones: 1 a case failed, 9 not known (a limit was reached),
10 nothing was shown about the model (its provider failed, a request was not recorded).

Examples:
  airside eval check suites/concierge.yaml
  airside eval run travel --base-url http://127.0.0.1:11434/v1 --model qwen3 --out runs/today
  airside eval run travel --base-url URL --model qwen3 --record tape     and, without either:
  airside eval run travel --replay tape --baseline runs/main
  airside eval stale travel --baseline runs/main --model qwen3     what a change has made stale
  airside eval watch travel --base-url URL --model qwen3 --out runs/main      and runs it
  airside eval status
  airside eval run redteam --base-url URL --model qwen3 --without http://127.0.0.1:8080/open
  airside eval plant redteam                     attacks in the results of the tools behind
  airside eval serve script.yaml                 a model that answers from a script
  airside eval record suite.yaml --case book --tool search_hotels --ask 'Find hotels in Boston' \\
      --args '{\"place\":\"Boston\"}'              what you click in its view becomes a case
  airside eval import promptfooconfig.yaml > suite.json   tests of others as a suite
  airside eval calibrate suite.yaml labels.yaml --base-url URL --out judge.json
  airside eval grade recordings/                 does the grader agree with what was recorded?";

/// Test what a model does with the tools.
#[derive(Debug, Subcommand)]
#[command(after_help = EVAL_HELP)]
pub(crate) enum Eval {
    /// Check a suite without running anything
    Check(SuiteArg),
    /// Print the JSON Schema of suites
    Schema,
    /// Run a suite against a model and the tools of an endpoint
    Run(Box<Run>),
    /// List the cases whose last result a change has made stale
    Stale(Box<Run>),
    /// Write the report of a run again
    Report(Report),
    /// Show the last results that are recorded, and which are stale
    Status(Status),
    /// Run what a change has made stale, whenever something changes
    Watch(Box<Watch>),
    /// Damage conversations that passed, and name the damage that a suite does not notice
    Mutate(Mutate),
    /// Look for what is wrong with what tools say of themselves
    Lint(Lint),
    /// Serve a model, and tools, that answer from a script
    Serve(Serve),
    /// Serve the tools of an endpoint with the attacks of a suite in their results
    Plant(Plant),
    /// Compare a suite's judge with labels of people
    Calibrate(Calibrate),
    /// Grade recorded conversations and compare with the verdicts recorded for them
    Grade(Grade),
    /// Turn recordings, data sets and test files of others into a suite
    Import(Import),
    /// Replay recorded attacks against the rules about what a user asked for
    Guard(Guard),
    /// Write down what a person does in the view of a tool, as a case of a suite
    Record(RecordView),
}

/// Show the last results that are recorded.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) node: super::NodeArgs,
}

/// Run what a change has made stale, whenever something changes.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) run: Run,
    /// Longest wait before suite, prompt and tools are compared with the last run again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) every: u64,
    /// Compare and run once.
    #[arg(long)]
    pub(crate) once: bool,
}

/// Name the damage that a suite does not notice.
#[derive(Debug, Args)]
pub(crate) struct Mutate {
    /// A suite as for `run`, or, without --out, a folder of recordings of others with
    /// their published checks.
    #[command(flatten)]
    pub(crate) suite: SuiteArg,
    /// Folder of a run of it, made by `airside eval run --out`.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Fail if less of the damage is noticed.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) min: u8,
}

/// Look for what is wrong with what tools say of themselves.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// MCP endpoint to look at, as with --url.
    #[arg(value_name = "URL", conflicts_with = "url")]
    pub(crate) endpoint: Option<Url>,
    /// A suite whose requests have to lead to their tools.
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<PathBuf>,
    /// Folder of a run whose tools are those of before.
    #[arg(long, value_name = "DIR")]
    pub(crate) before: Option<PathBuf>,
    /// Fewest requests of a tool that say something about it.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) min_requests: usize,
    /// Most tokens of all definitions.
    #[arg(long, value_name = "N", default_value_t = 16_000)]
    pub(crate) max_tokens: usize,
    /// Print the findings as SARIF 2.1.0.
    #[arg(long, conflicts_with = "json")]
    pub(crate) sarif: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Replay recorded attacks.
#[derive(Debug, Args)]
pub(crate) struct Guard {
    /// Folder with AgentDojo's recordings of a suite.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// Compare a suite's judge with labels of people.
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    pub(crate) suite: SuiteArg,
    /// What people think of conversations, in YAML: `labels`, each with `rubric`, `label`
    /// (met, not-met or unclear), and `asked` and `answer`, or the `trace` of a run.
    #[arg(value_name = "LABELS")]
    pub(crate) labels: PathBuf,
    /// What the judge said of them, for `eval run --calibration`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What stands before `/chat/completions`, `/responses` or `/messages` of the judge.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<Url>,
    /// File with the key of the judge's provider, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) model_key_file: Option<PathBuf>,
    /// Record what the judge answers into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Play recorded answers back.
    #[arg(long, value_name = "DIR", conflicts_with = "base_url")]
    pub(crate) replay: Option<PathBuf>,
    /// Longest silence of the judge.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) idle: u64,
    /// Most US dollars.
    #[arg(long, value_name = "USD")]
    pub(crate) max_usd: Option<f64>,
    /// Most tokens.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u64>,
}

/// Which suite.
#[derive(Debug, Clone, Args)]
pub(crate) struct SuiteArg {
    /// A YAML file, or the name of a suite that ships inside.
    #[arg(value_name = "SUITE")]
    pub(crate) suite: PathBuf,
}

/// Grade recorded conversations and compare with the verdicts recorded for them.
#[derive(Debug, Args)]
pub(crate) struct Grade {
    /// Folder of recordings: AgentDojo's travel suite, tau and tau2 airline, or the
    /// function-calling leaderboard, told by its files.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// Turn what others have into a suite: recordings, data sets, test files.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A folder of AgentDojo's travel suite, of tau and tau2 airline, of the Berkeley
    /// function-calling leaderboard or of schema-guided dialogues, or a file of promptfoo
    /// or MCPJam; told by what is in it.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Name of the suite.
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub(crate) name: String,
    /// Tool that shows the state behind the others: called with a `part` of it.
    #[arg(long, value_name = "TOOL", default_value = "state")]
    pub(crate) state_tool: String,
    /// Only cases with this tag. Repeatable.
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Only so many cases, spread over all.
    #[arg(long, value_name = "N")]
    pub(crate) take: Option<usize>,
    /// Write the tools that the files define into a script for `airside eval serve`.
    #[arg(long, value_name = "FILE")]
    pub(crate) tools: Option<PathBuf>,
    /// Write everything that is not as it was as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) notes: Option<PathBuf>,
    /// Fail if a check or a case is left out.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Write down what a person does in the view of a tool, as a case of a suite.
///
/// Calls the tool, says where its view can be opened in any browser of this machine, and
/// writes each click and each field into the case until `Done` is clicked. What the view
/// calls is carried out.
#[derive(Debug, Args)]
pub(crate) struct RecordView {
    /// File of the suite. A case is added at its end; without the file, it is made.
    #[arg(value_name = "SUITE")]
    pub(crate) suite: PathBuf,
    /// Name of the case.
    #[arg(long, value_name = "ID")]
    pub(crate) case: String,
    /// What the user says, for the model to call the tool.
    #[arg(long, value_name = "TEXT")]
    pub(crate) ask: String,
    /// The tool that has the view.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: String,
    /// Arguments of the tool as a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) args: String,
    /// Port on 127.0.0.1; 0 takes any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Serve a model that answers from a script.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Rules in YAML; the first that fits a request answers it.
    #[arg(value_name = "SCRIPT")]
    pub(crate) script: PathBuf,
    /// Port on 127.0.0.1; 0 takes any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
}

/// Serve the tools of an endpoint with the attacks of a suite in their results.
#[derive(Debug, Args)]
pub(crate) struct Plant {
    #[command(flatten)]
    pub(crate) suite: SuiteArg,
    /// Port on 127.0.0.1; 0 takes any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Write the report of a run again.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) suite: SuiteArg,
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder of an earlier run to compare with.
    #[arg(long, value_name = "DIR")]
    pub(crate) baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Reports to write besides the table.
#[derive(Debug, Clone, Args)]
pub(crate) struct Files {
    /// JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// One HTML page with the conversations.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Run a suite against a model and the tools of an endpoint.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) suite: SuiteArg,
    /// Name of the model; that of the recording with --replay and --replay-model.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Wire format of the model: `openai-chat` unless a recording says otherwise.
    #[arg(long, value_enum)]
    pub(crate) api: Option<Wire>,
    /// What stands before `/chat/completions`, `/responses` or `/messages`.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<Url>,
    /// File with the key of the model's provider, or `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) model_key_file: Option<PathBuf>,
    /// Sampling parameters as a JSON object, as the wire format names them.
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// Ask for answers in one piece.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Record what the model and the tools answer into this folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["replay", "replay_model"])]
    pub(crate) record: Option<PathBuf>,
    /// Play a recording back: neither a model nor a tool is asked, and nothing is
    /// connected to.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base_url", "without", "url"])]
    pub(crate) replay: Option<PathBuf>,
    /// Play the answers of the model back; tools run for real.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base_url", "replay"])]
    pub(crate) replay_model: Option<PathBuf>,
    /// What stands before the paths of the suite's judge; where the model is, unless named.
    #[arg(long, value_name = "URL", conflicts_with_all = ["replay", "replay_model"])]
    pub(crate) judge_base_url: Option<Url>,
    /// File with the key of the judge's provider.
    #[arg(long, value_name = "FILE", requires = "judge_base_url")]
    pub(crate) judge_key_file: Option<PathBuf>,
    /// What `eval calibrate` wrote: without it the judge advises.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Folder of the run: a run there is gone on with.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Folder of an earlier run to compare with.
    #[arg(long, value_name = "DIR")]
    pub(crate) baseline: Option<PathBuf>,
    /// An endpoint without protection: the suite is run there, too, without what the user
    /// has said, and both are shown beside each other.
    #[arg(long, value_name = "URL")]
    pub(crate) without: Option<Url>,
    /// Only cases that the baseline's results are stale for.
    #[arg(long, requires = "baseline")]
    pub(crate) only_stale: bool,
    /// Only cases with this id or tag. Repeatable.
    #[arg(long, value_name = "ID|TAG")]
    pub(crate) case: Vec<String>,
    /// Browser that views of tools are used in; a Chromium of this machine unless named.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) browser: Option<PathBuf>,
    /// Which era of the protocol to speak.
    #[arg(long, value_enum, default_value_t = Era::Auto)]
    pub(crate) era: Era,
    #[command(flatten)]
    pub(crate) limits: RunLimits,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// How often and within what a suite is run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunLimits {
    /// Trials of every case.
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) trials: u64,
    /// Do not confirm failures by further trials.
    #[arg(long)]
    pub(crate) no_confirm: bool,
    /// Conversations at once.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) jobs: usize,
    /// Most requests to the model in one turn.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) steps: u64,
    /// Longest silence of a model.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) idle: u64,
    /// Most US dollars of the run.
    #[arg(long, value_name = "USD")]
    pub(crate) max_usd: Option<f64>,
    /// Most tokens of the run.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u64>,
    /// Longest time of the run.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_seconds: Option<u64>,
    /// US dollars for a million tokens in.
    #[arg(long, value_name = "USD", default_value_t = 0.0)]
    pub(crate) price_in: f64,
    /// US dollars for a million tokens out.
    #[arg(long, value_name = "USD", default_value_t = 0.0)]
    pub(crate) price_out: f64,
}

/// Wire format of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wire {
    /// OpenAI chat completions, which most servers of models speak.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// Anthropic messages.
    Anthropic,
}

impl Wire {
    pub(crate) fn api(self) -> Api {
        match self {
            Self::OpenaiChat => Api::OpenaiChat,
            Self::OpenaiResponses => Api::OpenaiResponses,
            Self::Anthropic => Api::Anthropic,
        }
    }
}

/// Which era of the protocol to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Era {
    /// The stateless one if the server does.
    Auto,
    /// The stateless one.
    Modern,
    /// The one with a handshake.
    Legacy,
}
