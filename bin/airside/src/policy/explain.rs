//! How one call would be decided.

use airside_base::{Clock as _, Fault, Kind, SystemClock};
use airside_gateway::Rules;
use airside_policy::{
    Action, Argument, Asked, Circumstances, Contract, Explanation, Facts, Intent, Principal,
    Reason, Risk, Stance, Standing, Target, ToolTraits, Value,
};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::printable,
};

/// Runs `airside policy explain`.
pub(super) fn run(args: &cli::PolicyExplain, out: &mut Out) -> Result<(), Failure> {
    let chosen = super::load(&args.files, args.config.as_ref())?;
    let (kind, id) = args.caller.split_once('/').ok_or_else(no_caller)?;
    let rules = Rules::new(&chosen.tools, None);
    let (known, sensitivity) = rules.labels_of(&args.server, args.tool.as_deref());
    let mut labels: Vec<String> = known.iter().chain(&args.labels).cloned().collect();
    if args.closed_world {
        labels.retain(|label| label != "reads-untrusted" || args.labels.contains(label));
    }
    labels.sort_unstable();
    labels.dedup();
    let arguments: Vec<_> = args.arguments.iter().map(argument).collect();
    let is_seen = |what: &str| args.seen.iter().any(|seen| seen == what);
    let standing = Standing {
        contract: Contract::find(&args.contract),
        labels: &labels,
        sensitivity,
    };
    let (action, target) = target(args, standing);
    let facts = Facts {
        principal: Principal {
            kind,
            id,
            tenant: &args.tenant,
            attestation: args.attestation,
            groups: &args.groups,
            scopes: &args.scopes,
            client: args.client.as_deref(),
            issuer: args.issuer.as_deref(),
        },
        action,
        target,
        context: Circumstances {
            at: args.at.unwrap_or_else(|| SystemClock::new().now()),
            region: &args.region,
            arguments: &arguments,
            risk: Risk {
                untrusted: is_seen("untrusted"),
                private: is_seen("private"),
                flagged: is_seen("flagged"),
            },
            intent: Intent::find(&args.intent),
            consent: args.agreed.as_deref().and_then(Asked::find),
        },
    };
    let engine = chosen.policies.engine(&args.server);
    show(&facts, &engine.explain(&facts), engine.version(), out)
}

fn target<'a>(args: &'a cli::PolicyExplain, standing: Standing<'a>) -> (Action, Target<'a>) {
    if let Some(uri) = &args.resource {
        return (Action::ReadResource, Target::Resource { uri, standing });
    }
    if let Some(name) = &args.prompt {
        return (Action::GetPrompt, Target::Prompt { name, standing });
    }
    let Some(name) = &args.tool else {
        let method = args.method.as_deref().unwrap_or("tools/list");
        return (Action::of_method(method), Target::Server);
    };
    let careful = ToolTraits::default();
    let traits = match args.unlisted {
        true => careful,
        false => ToolTraits {
            known: true,
            read_only: args.read_only,
            destructive: !args.read_only && careful.destructive,
            idempotent: args.read_only,
            open_world: !args.closed_world,
        },
    };
    let target = Target::Tool {
        name,
        traits,
        standing,
    };
    (Action::CallTool, target)
}

fn argument((name, text): &(String, String)) -> Argument {
    let value = match (text.parse(), text.as_str()) {
        (Ok(number), _) => Value::Integer(number),
        (_, "true") => Value::Flag(true),
        (_, "false") => Value::Flag(false),
        (_, text) => Value::Text(text.to_owned()),
    };
    Argument {
        name: name.clone(),
        value,
    }
}

fn no_caller() -> Failure {
    let fault = Fault::new(Kind::Invalid, "CLI-041", "a caller is written as kind/id");
    Failure::new(
        Exit::Usage,
        fault.with_hint("such as api_key/ci or anonymous/loopback"),
    )
}

/// Returns what the answer would be, in one word, and its code.
fn outcome(told: &Explanation) -> (&'static str, Option<&'static str>) {
    match &told.refusal {
        None => ("permitted", None),
        Some(refusal) => {
            let word = match refusal.reason() {
                Reason::NeedsApproval(Asked::Client) => "a person has to agree",
                Reason::NeedsApproval(Asked::Operator) => "an operator has to agree",
                Reason::NothingPermits | Reason::Forbidden | Reason::Undecidable => "refused",
            };
            (word, Some(refusal.fault().code()))
        }
    }
}

fn show(
    facts: &Facts<'_>,
    told: &Explanation,
    version: &str,
    out: &mut Out,
) -> Result<(), Failure> {
    let (word, code) = outcome(told);
    let stance = |stance: &Stance| match stance {
        Stance::Applies => "applies".to_owned(),
        Stance::DoesNotApply => "-".to_owned(),
        Stance::Fails(error) => format!("fails: {error}"),
    };
    if out.is_json() {
        let rules: Vec<_> = told
            .rules
            .iter()
            .map(|rule| {
                json!({
                    "id": rule.id,
                    "effect": if rule.permits { "permit" } else { "forbid" },
                    "stance": stance(&rule.stance),
                    "approval": rule.asked.map(Asked::as_str),
                    "hidden": rule.hidden,
                    "place": rule.place.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        return out.json_pretty(&json!({
            "decision": word, "code": code, "listed": told.shown, "version": version,
            "hint": told.refusal.as_ref().and_then(|refusal| refusal.fault().hint().map(str::to_owned)),
            "rules": rules,
        }));
    }
    let code = code.map(|code| format!(" [{code}]")).unwrap_or_default();
    out.line(&format!("{word}{code}"))?;
    if let Some(hint) = told
        .refusal
        .as_ref()
        .and_then(airside_policy::Refusal::hint)
    {
        out.line(&format!("told: {}", printable(hint)))?;
    }
    let shown = if told.shown {
        "shows it"
    } else {
        "does not show it"
    };
    out.line(&format!("a list {shown} to this caller"))?;
    out.line(&format!("facts: {}", printable(&described(facts))))?;
    let rows: Vec<Vec<String>> = told
        .rules
        .iter()
        .map(|rule| {
            let asked = rule.asked.map(Asked::as_str).unwrap_or_default();
            let place = rule
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let effect = if rule.permits { "permit" } else { "forbid" };
            [
                rule.id.as_str(),
                effect,
                &stance(&rule.stance),
                asked,
                &place,
            ]
            .map(printable)
            .to_vec()
        })
        .collect();
    let headings = [
        ("RULE", Align::Left),
        ("EFFECT", Align::Left),
        ("HERE", Align::Left),
        ("APPROVAL", Align::Left),
        ("PLACE", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

/// The facts that differ from nothing, on one line.
fn described(facts: &Facts<'_>) -> String {
    let Facts {
        principal,
        action,
        target,
        context,
    } = facts;
    let mut parts = vec![
        format!("action={}", action.as_str()),
        format!("caller={}/{}", principal.kind, principal.id),
        format!("tenant={}", principal.tenant),
        format!("attestation={}", principal.attestation),
    ];
    let lists = [("groups", principal.groups), ("scopes", principal.scopes)];
    for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        parts.push(format!("{name}={}", list.join(",")));
    }
    match target {
        Target::Tool {
            traits, standing, ..
        } => {
            parts.push(format!(
                "known={} read_only={} open_world={} contract={} labels={} sensitivity={}",
                traits.known,
                traits.read_only,
                traits.open_world,
                standing.contract.as_str(),
                standing.labels.join(","),
                standing.sensitivity
            ));
        }
        Target::Resource { standing, .. } | Target::Prompt { standing, .. } => {
            parts.push(format!("labels={}", standing.labels.join(",")));
        }
        Target::Server => {}
    }
    parts.push(format!("at={:.0}", context.at));
    parts.push(format!("intent={}", context.intent.as_str()));
    parts.join(" ")
}
