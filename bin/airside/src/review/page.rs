//! `airside review page`.

use airside_api::{Part, Reach};
use airside_base::{Clock as _, SystemClock};
use airside_governance::page::page;
use airside_governance::{
    lesson::{self, Shown as Lesson},
    lot::{self, Shown},
    register::{self, Answer},
};

use super::office;
use crate::{cli::review::PageArgs, failure::Failure, output::Out};

/// Lots whose changes are listed.
const LISTED: usize = 20;

/// Runs `airside review page`.
pub(super) fn run(args: &PageArgs, out: &mut Out) -> Result<(), Failure> {
    let place = &args.place;
    let wanted = |name: &str| args.repository.as_ref().is_none_or(|one| one == name);
    let of_lots = (Part::Lots, Reach::Read);
    let mut lots: Vec<Shown> = office::ask(place, of_lots, &lot::Request::List)?;
    lots.retain(|lot| wanted(&lot.plan.repository));
    lots.sort_by_key(|lot| std::cmp::Reverse(lot.opened));
    for lot in lots.iter_mut().take(LISTED) {
        let show = lot::Request::Show {
            lot: lot.lot.clone(),
        };
        let shown: Vec<Shown> = office::ask(place, of_lots, &show)?;
        if let Some(shown) = shown.into_iter().next() {
            *lot = shown;
        }
    }
    let repository = args.repository.clone();
    let list = register::Request::List {
        repository: repository.clone(),
        ended: args.all,
    };
    let findings: Answer = office::ask(place, (Part::Findings, Reach::Read), &list)?;
    let list = lesson::Request::List {
        repository,
        paid: args.all,
    };
    let lessons: Vec<Lesson> = office::ask(place, (Part::Lessons, Reach::Read), &list)?;
    out.raw(&page(&lots, &findings, &lessons, SystemClock::new().now()))
}
