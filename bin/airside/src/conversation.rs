//! `airside conversation …`.
//!
//! # Invariants
//!
//! * A handle that is given is turned into the id of its conversation here, and sent
//!   nowhere.

use airside_api::{client, wire};
use airside_archive::restore::{Request, Source, Until};
use airside_base::{Clock as _, SystemClock, TenantId};
use airside_ledger::conversation::{Error, Handle, Id, Moment, Past};
use serde_json::json;
use url::Url;

use crate::{
    archive, cli,
    failure::Failure,
    output::{Align, Out, table},
    person::{Desk, Files, Wish, told},
    restore,
    target::block_on,
    text::printable,
};

/// Runs `airside conversation …`.
pub(crate) fn run(args: &cli::Conversation, out: &mut Out) -> Result<(), Failure> {
    let (place, wish) = match args {
        cli::Conversation::Show(place) | cli::Conversation::History(place) => (place, Wish::Read),
        cli::Conversation::Restore(restore) if restore.preview => (&restore.which, Wish::Read),
        cli::Conversation::Restore(restore) => (&restore.which, Wish::Write),
    };
    block_on(async {
        let desk = Desk::open(&place.desk, wish).await?;
        let done = match args {
            cli::Conversation::Show(place) => show(place, &desk, out).await,
            cli::Conversation::History(place) => history(place, &desk, out).await,
            cli::Conversation::Restore(restore) => bring_back(restore, &desk, out).await,
        };
        desk.close().await;
        done
    })
}

/// Returns the conversation that `which` names by its id or, failing that, by its
/// handle.
async fn find(
    which: &cli::Which,
    desk: &Desk,
) -> Result<(Id, Result<wire::Conversation, Failure>), Failure> {
    let tenant = &which.chain.tenant;
    let by_handle = which.conversation.parse::<Handle>().map(|h| h.id(tenant));
    let by_id: Id = which.conversation.parse().map_err(|_| {
        let missing = Error::Missing;
        told(&missing.fault())
    })?;
    match ask(which, desk, &by_id).await? {
        Found::There(found) => Ok((by_id, Ok(*found))),
        Found::Refused(refused) => Ok((by_id, Err(refused))),
        Found::Absent(absent) => {
            let Ok(id) = by_handle else {
                return Ok((by_id, Err(absent)));
            };
            Ok(match ask(which, desk, &id).await? {
                Found::There(found) => (id, Ok(*found)),
                Found::Refused(refused) => (id, Err(refused)),
                // What has ended has a history all the same.
                Found::Absent(absent) => (
                    match has_history(tenant, desk, which, &by_id).await {
                        true => by_id,
                        false => id,
                    },
                    Err(absent),
                ),
            })
        }
    }
}

enum Found {
    There(Box<wire::Conversation>),
    Absent(Failure),
    Refused(Failure),
}

async fn ask(which: &cli::Which, desk: &Desk, id: &Id) -> Result<Found, Failure> {
    let tenant = &which.chain.tenant;
    Ok(match desk {
        Desk::Node(client) => match client.conversation(tenant, id).await {
            Ok(found) => Found::There(Box::new(found)),
            Err(client::Error::Refused(problem))
                if problem.code == Error::Missing.fault().code() =>
            {
                Found::Absent(client::Error::Refused(problem).into())
            }
            Err(client::Error::Refused(problem)) => {
                Found::Refused(client::Error::Refused(problem).into())
            }
            Err(error) => return Err(error.into()),
        },
        Desk::Files(files) => match files.conversations(&which.desk).show(tenant, id).await {
            Ok(found) => Found::There(Box::new(found.into())),
            Err(error @ Error::Missing) => Found::Absent(told(&error.fault())),
            Err(error) => Found::Refused(told(&error.fault())),
        },
    })
}

async fn has_history(tenant: &TenantId, desk: &Desk, which: &cli::Which, id: &Id) -> bool {
    steps(desk, (tenant, which), id, 0)
        .await
        .is_ok_and(|steps| !steps.is_empty())
}

async fn steps(
    desk: &Desk,
    (tenant, which): (&TenantId, &cli::Which),
    id: &Id,
    after: u64,
) -> Result<Vec<wire::Step>, Failure> {
    match desk {
        Desk::Node(client) => Ok(client.history(tenant, id, after).await?),
        Desk::Files(files) => {
            let all = files.conversations(&which.desk);
            let steps = all.history(tenant, id, after).await;
            let steps = steps.map_err(|error| told(&error.fault()))?;
            Ok(steps.into_iter().map(wire::Step::from).collect())
        }
    }
}

async fn show(which: &cli::Which, desk: &Desk, out: &mut Out) -> Result<(), Failure> {
    let (id, found) = find(which, desk).await?;
    let found = found?;
    if out.is_json() {
        return out.json_pretty(&json!({ "id": id, "conversation": found }));
    }
    let state = match &found.state {
        Some(state) => serde_json::to_string(state).expect("JSON can be written"),
        None => "erased".to_owned(),
    };
    let mut facts = vec![
        ("id", id.to_string()),
        ("version", found.version.to_string()),
        ("created", found.created.to_string()),
        ("expires", found.expires.to_string()),
        ("person", found.subject.to_string()),
    ];
    facts.extend(found.region.map(|region| ("region", region.to_string())));
    facts.extend(found.owner.map(|owner| ("server", owner)));
    facts.push(("state", state));
    for (name, value) in facts {
        out.line(&format!("{name:<9}{}", printable(&value)))?;
    }
    Ok(())
}

async fn history(which: &cli::Which, desk: &Desk, out: &mut Out) -> Result<(), Failure> {
    let (id, _) = find(which, desk).await?;
    let place = (&which.chain.tenant, which);
    let mut after = 0;
    let mut rows = Vec::new();
    loop {
        let page = steps(desk, place, &id, after).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for step in page {
            if out.is_json() {
                out.json_line(&step)?;
                continue;
            }
            let why = step.restored.map_or_else(String::new, |restored| {
                format!("from entry {}: {}", restored.seq, restored.reason)
            });
            let (seq, time) = (step.seq.to_string(), step.time.to_string());
            rows.push(vec![seq, time, step.what, printable(&why)]);
        }
    }
    if out.is_json() {
        return Ok(());
    }
    let headings = [
        ("ENTRY", Align::Right),
        ("TIME", Align::Left),
        ("WHAT", Align::Left),
        ("WHY", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

async fn bring_back(
    args: &cli::ConversationRestore,
    desk: &Desk,
    out: &mut Out,
) -> Result<(), Failure> {
    let (id, found) = find(&args.which, desk).await?;
    let version = args.version.unwrap_or(found?.version);
    let change = args.reason.as_ref().map(|reason| wire::Reason {
        version,
        reason: reason.clone(),
    });
    let elsewhere = match &args.archive {
        Some(url) => Some(from_archive(url, args, &id).await?),
        None => None,
    };
    let change = change.filter(|_| !args.preview);
    let brought = match desk {
        Desk::Node(client) => {
            let asked = asked(args, &id, elsewhere.as_ref(), change);
            client.restore(&asked).await?
        }
        Desk::Files(files) => here(files, args, &id, elsewhere, change.as_ref()).await?,
    };
    if out.is_json() {
        return out.json_pretty(&json!({ "preview": args.preview, "restored": brought }));
    }
    let patch = serde_json::to_string(&brought.patch).expect("JSON can be written");
    let (from, time) = (brought.from, brought.time);
    out.line(&match args.preview {
        true => format!("entry {from} of {time} would come back over version {version}"),
        false => format!(
            "brought back: entry {from} of {time}, as version {}",
            brought.version
        ),
    })?;
    out.line(&match brought.patch.is_empty() {
        true => "the state is the same".to_owned(),
        false => format!("change of the state: {}", printable(&patch)),
    })
}

/// Returns what the node is asked for.
fn asked(
    args: &cli::ConversationRestore,
    id: &Id,
    elsewhere: Option<&Past>,
    change: Option<wire::Reason>,
) -> wire::Restore {
    let (time, seq) = match args.to {
        _ if elsewhere.is_some() => (None, None),
        cli::Moment::Time(time) => (Some(time), None),
        cli::Moment::Seq(seq) => (None, Some(seq)),
    };
    let entry = elsewhere.map(|past| {
        let mut bytes = Vec::new();
        past.entry().encode(&mut bytes);
        wire::entry_text(&bytes)
    });
    wire::Restore {
        tenant: args.which.chain.tenant.clone(),
        id: id.to_string(),
        time,
        seq,
        entry,
        change,
    }
}

/// Brings the chain back as it was, into a scratch store, and looks there.
async fn from_archive(
    url: &Url,
    args: &cli::ConversationRestore,
    id: &Id,
) -> Result<Past, Failure> {
    let folder = &args.which.desk.ledger.data_dir;
    let archive = archive::open(url, &args.at, folder).await?;
    let request = Request {
        until: match args.to {
            cli::Moment::Time(time) => Until::Time(time),
            cli::Moment::Seq(seq) => Until::Seq(seq),
        },
        tenant: Some(args.which.chain.tenant.clone()),
        now: SystemClock::new().now(),
    };
    let scratch = restore::Scratch::beside(&std::env::temp_dir().join("airside-conversation"))?;
    let rehearsal = restore::rehearsal(&scratch)?;
    let (source, folds) = (Source::Archive(&archive), archive::folds());
    let run = rehearsal.run(source, &request, &folds, &|_| {});
    let found = match run.await {
        Ok(_) => {
            let (tenant, moment) = (&args.which.chain.tenant, moment(args.to));
            let found = Past::find(rehearsal.store(), tenant, id, moment).await;
            found.map_err(|error| told(&error.fault()))
        }
        Err(error) => Err(restore::failed(&error)),
    };
    restore::end(rehearsal).await?;
    found
}

fn moment(to: cli::Moment) -> Moment {
    match to {
        cli::Moment::Time(time) => Moment::Time(time),
        cli::Moment::Seq(seq) => Moment::Seq(seq),
    }
}

async fn here(
    files: &Files,
    args: &cli::ConversationRestore,
    id: &Id,
    elsewhere: Option<Past>,
    change: Option<&wire::Reason>,
) -> Result<wire::Brought, Failure> {
    let conversations = files.conversations(&args.which.desk);
    let tenant = &args.which.chain.tenant;
    let work = async {
        let past = match elsewhere {
            Some(past) => past,
            None => conversations.past(tenant, id, moment(args.to)).await?,
        };
        let preview = conversations.preview(tenant, id, &past).await?;
        let version = match change {
            None => preview.version,
            Some(wire::Reason { version, reason }) => {
                let restored = conversations.restore(tenant, id, &past, *version, reason);
                restored.await?.version
            }
        };
        Ok(wire::Brought {
            from: past.seq(),
            time: past.time(),
            version,
            patch: preview.patch,
        })
    };
    work.await.map_err(|error: Error| told(&error.fault()))
}
