//! `airside call`.

mod arguments;
mod consent;
mod render;

use airside_base::{Fault, Kind};
use serde_json::Value;

use crate::{
    cli, endpoint,
    failure::{Exit, Failure},
    output::Out,
    target::block_on,
    text::{nearest, printable},
};

/// Calls a tool through the gateway.
pub(crate) fn run(args: &cli::Call, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let client = endpoint::connect(&args.target).await?;
        let tools = endpoint::tools(&client).await?;
        let Some((_, listed)) = tools.iter().find(|(tool, _)| tool.name == args.tool) else {
            let names = tools.iter().map(|(tool, _)| tool.name.as_str());
            return Err(unknown(&args.tool, &names.collect::<Vec<_>>()));
        };
        let schema = consent::schema(listed);
        let arguments = arguments::build(&schema, args.arguments.as_deref(), &args.pairs)
            .map_err(|error| Failure::new(Exit::Usage, error.fault()))?;
        let arguments = match consent::is_wanted(listed, &arguments) {
            false => arguments,
            true => match consent::ask(&client, &arguments, args.yes).await? {
                Ok(arguments) => arguments,
                Err(result) => {
                    client.close().await;
                    let is_error = result.get("isError") == Some(&Value::Bool(true));
                    return show(&result, is_error, out);
                }
            },
        };
        let reply = client.call_tool(&args.tool, &arguments).await;
        let reply = reply.map_err(|error| endpoint::failure(&error))?;
        client.close().await;
        let result: Value = reply.read().map_err(|error| endpoint::failure(&error))?;
        show(&result, reply.is_error(), out)
    })
}

fn show(result: &Value, is_error: bool, out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        out.json_pretty(result)?;
    } else if !is_error {
        return out.raw(&render::result(result));
    }
    if !is_error {
        return Ok(());
    }
    let fault = Fault::new(Kind::Invalid, "CLI-010", "the tool reported an error");
    let failure = Failure::new(
        Exit::Refused,
        fault.with_hint("change the arguments as it says"),
    );
    if out.is_json() {
        return Err(failure);
    }
    Err(failure.with_detail(render::result(result)))
}

fn unknown(name: &str, known: &[&str]) -> Failure {
    let fault = Fault::new(
        Kind::NotFound,
        "CLI-007",
        format!("there is no tool `{name}`"),
    );
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{}`?", printable(near)),
        None if known.is_empty() => "this caller may use no tool here".to_owned(),
        None => format!("there are: {}", printable(&known.join(", "))),
    };
    Failure::new(Exit::Usage, fault.with_hint(hint))
}
