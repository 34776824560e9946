//! `airside review lessons …`.

use airside_api::{Part, Reach};
use airside_base::{Fault, Kind};
use airside_codereview::{
    change, house,
    lesson::{learned, reverted},
    source,
};
use airside_governance::lesson::{self, Cause, Debt, Paid, Request, Shown, Standing};

use super::office;
use crate::{
    cli::review::{Collect, Lessons, LessonsCommand, LotPlace},
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::{cut, printable},
};

fn ask(place: &LotPlace, request: &Request) -> Result<Vec<Shown>, Failure> {
    let reach = match request.only_reads() {
        true => Reach::Read,
        false => Reach::Change,
    };
    office::ask(place, (Part::Lessons, reach), request)
}

/// Runs `airside review lessons …`.
pub(super) fn run(args: &Lessons, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        None => list(args, out),
        Some(LessonsCommand::Collect(args)) => collect(args, out),
        Some(LessonsCommand::Owe(args)) => {
            let debt = Debt {
                repository: args.repository.clone(),
                change: args.change.clone(),
                cause: args.after,
                reference: args.reference.clone(),
                days: args.days,
            };
            show(&ask(&args.place, &Request::Owe { debts: vec![debt] })?, out)
        }
        Some(LessonsCommand::Waive(args)) => {
            let (lesson, reason) = (args.lesson.clone(), args.reason.clone());
            show(&ask(&args.place, &Request::Waive { lesson, reason })?, out)
        }
    }
}

fn list(args: &Lessons, out: &mut Out) -> Result<(), Failure> {
    let (repository, paid) = (args.repository.clone(), args.all);
    let all = ask(&args.place, &Request::List { repository, paid })?;
    show(&all, out)?;
    let overdue = all.iter().filter(|one| one.standing == Standing::Overdue);
    match overdue.count() {
        0 => Ok(()),
        _ if !args.fail_overdue => Ok(()),
        count => {
            let text = format!("{count} lessons are overdue");
            let fault = Fault::new(Kind::Forbidden, "REV-058", text);
            let hint = "write them down and collect them, or say why there is nothing to learn";
            Err(Failure::new(Exit::Refused, fault.with_hint(hint)))
        }
    }
}

fn collect(args: &Collect, out: &mut Out) -> Result<(), Failure> {
    if !args.path.is_dir() {
        let text = format!("there is no folder {}", args.path.display());
        let fault = Fault::new(Kind::NotFound, "REV-013", text);
        return Err(Failure::new(Exit::Usage, fault));
    }
    let house = super::house_of(&args.path)?;
    let mut told = Vec::new();
    if let Some(base) = &args.base {
        let debts = reverts(args, base, &house)?;
        for part in debts.chunks(100) {
            let debts = part.to_vec();
            told.extend(ask(&args.place, &Request::Owe { debts })?);
        }
    }
    let repository = Some(args.repository.clone());
    let paid = false;
    let owed = ask(&args.place, &Request::List { repository, paid })?;
    let files = source::read(&args.path.join(&house.lessons), source::Limits::default());
    for one in owed {
        told.retain(|told| told.id != one.id);
        let paying = files.papers.iter().find_map(|paper| {
            let text = String::from_utf8_lossy(&paper.text);
            let fits = text.len() <= lesson::MAX_FILE;
            let pays = fits && learned(&text, &one.lesson.debt.change).is_ok();
            pays.then(|| {
                (
                    format!("{}/{}", house.lessons, paper.path),
                    text.into_owned(),
                )
            })
        });
        match paying {
            Some((file, text)) => {
                let lesson = one.id.clone();
                told.extend(ask(&args.place, &Request::Learn { lesson, file, text })?);
            }
            None => told.push(one),
        }
    }
    told.sort_by(|one, other| (one.standing, &one.id).cmp(&(other.standing, &other.id)));
    show(&told, out)
}

/// Returns what reverts since `base` owe.
fn reverts(args: &Collect, base: &str, house: &house::House) -> Result<Vec<Debt>, Failure> {
    let commits = change::commits(&args.path, base);
    let commits = commits.map_err(|error| Failure::new(Exit::Failed, error.fault()))?;
    let mut debts = Vec::new();
    for commit in &commits {
        let by = commit.id.get(..12).unwrap_or(&commit.id);
        debts.extend(reverted(&commit.message).into_iter().map(|change| Debt {
            repository: args.repository.clone(),
            change,
            cause: Cause::Revert,
            reference: format!("commit {by}"),
            days: house.lesson_days.clamp(1, 366),
        }));
    }
    Ok(debts)
}

fn show(all: &[Shown], out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        return out.json_pretty(&all);
    }
    if all.is_empty() {
        return out.line("no lesson is owed");
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let debt = &one.lesson.debt;
            let said = match &one.lesson.paid {
                Some(Paid::Learned { file, named, .. }) => format!("{file}: {}", named.join(", ")),
                Some(Paid::Waived { reason, .. }) => reason.clone(),
                None => debt.reference.clone(),
            };
            vec![
                one.id.clone(),
                one.standing.as_str().to_owned(),
                one.lesson.due.to_string(),
                debt.cause.to_string(),
                printable(&debt.repository),
                printable(&cut(&debt.change, 40)),
                printable(&cut(&said, 100)),
            ]
        })
        .collect();
    let headings = [
        "LESSON",
        "STANDING",
        "DUE",
        "AFTER",
        "REPOSITORY",
        "CHANGE",
        "SAID",
    ];
    out.line(&table(&headings.map(|name| (name, Align::Left)), &rows))
}
