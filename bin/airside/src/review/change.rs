//! `airside review change`: what a change does and what a person should look at.

use airside_base::{Clock as _, Fault, Kind, SystemClock};
use airside_codereview::{finding::Report, render};
use airside_governance::lot::{Change, Identity, Risk};

use crate::{
    cli::review::{ChangeFormat, ReviewChange},
    failure::{Exit, Failure},
    output::Out,
};

/// Runs `airside review change`.
pub(super) fn run(args: &ReviewChange, out: &mut Out) -> Result<(), Failure> {
    let mut report = super::read(&args.what, Some(&args.base))?;
    super::ratchet(&args.what, &args.fail_on, &mut report)?;
    match args.format {
        ChangeFormat::Markdown if !out.is_json() => out.raw(&render::change(&report))?,
        ChangeFormat::Lot => out.json_line(&line(args, &report)?)?,
        ChangeFormat::Markdown | ChangeFormat::Json => out.json_pretty(&report)?,
    }
    super::judge(&args.fail_on, &report)
}

/// Returns the change as it is offered to a lot.
fn line(args: &ReviewChange, report: &Report) -> Result<Change, Failure> {
    let commits = report.brief.as_ref().map(|brief| brief.commits.as_slice());
    let (Some(brief), Some([commit, ..])) = (&report.brief, commits) else {
        let text = format!("there is no commit since {}", args.base);
        return Err(Failure::new(
            Exit::Failed,
            Fault::new(Kind::NotFound, "REV-019", text),
        ));
    };
    Ok(Change {
        identity: Identity {
            repository: args.repository.clone().unwrap_or_default(),
            commit: commit.clone(),
            patch: brief.patch.clone(),
            sources: brief.commits.clone(),
        },
        merged: args.merged.unwrap_or_else(|| SystemClock::new().now()),
        attribution: brief.share.declared,
        areas: brief.areas.clone(),
        risk: Some(Risk {
            score: brief.score(),
            triggers: brief.triggers.clone(),
        }),
        exclusion: None,
    })
}
