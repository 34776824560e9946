//! Messages as changes of the inventory. Pure: everything arrives as an argument.

use airside_travel::supply::{
    PlanCode, RoomCode,
    ari::{Band, Change, RateCard, Weekdays, What},
};
use jiff::civil::Date;

use crate::{
    alpinebits::{
        BookingRule, FreeRooms, Inventory, Notify, Period, Price, Problem, RatePlan, RatePlans,
        Scope, Weekdays as Days,
    },
    intake::{Horizon, Hotel},
};

impl Horizon {
    fn period(self) -> Period {
        Period {
            first: self.first,
            last: self.last,
        }
    }
}

fn room_of<'a>(hotel: &'a Hotel, code: &str) -> Result<&'a RoomCode, Problem> {
    hotel.rooms.get(code).ok_or_else(|| {
        // 402: invalid room type (OTA list ERR).
        Problem::new(402, format!("there is no room type `{code}` here"))
    })
}

fn plan_of<'a>(hotel: &'a Hotel, code: &str) -> Result<&'a PlanCode, Problem> {
    let plan = hotel.plans.get(code);
    plan.ok_or_else(|| Problem::unable(format!("there is no rate plan `{code}` here")))
}

/// Checks that every kind of rooms is set up here.
pub(super) fn check_inventory(hotel: &Hotel, inventory: &Inventory) -> Result<(), Problem> {
    let mut codes = inventory.room_types.iter().map(|kind| &kind.code);
    codes.try_for_each(|code| room_of(hotel, code).map(|_| ()))
}

/// Collects changes.
struct Changes {
    list: Vec<Change>,
}

impl Changes {
    /// Says of a rate plan that it is not for sale at all.
    fn close(&mut self, plan: &PlanCode, horizon: Horizon) {
        let closed = What::Closed(true);
        self.add(None, Some(plan), horizon.period(), Days::ALL, closed);
    }

    fn add(
        &mut self,
        room: Option<&RoomCode>,
        plan: Option<&PlanCode>,
        period: Period,
        days: Days,
        what: What,
    ) {
        let Period { first, last } = period;
        // A range of nights without such a day of the week says nothing.
        if days.0 & days_of(first, last) == 0 {
            return;
        }
        self.list.push(Change {
            room: room.cloned(),
            plan: plan.cloned(),
            from: first,
            to: last,
            days: Weekdays(days.0),
            what,
        });
    }
}

/// Days of the week between two dates.
fn days_of(first: Date, last: Date) -> u8 {
    let days = first.series(jiff::Span::new().days(1)).take(7);
    let days = days.take_while(|date| *date <= last);
    days.fold(0, |set, date| {
        set | 1 << date.weekday().to_monday_zero_offset()
    })
}

/// Free rooms by kind.
pub(super) fn of_rooms(
    hotel: &Hotel,
    rooms: &FreeRooms,
    horizon: Horizon,
) -> Result<Vec<Change>, Problem> {
    let mut changes = Changes { list: Vec::new() };
    if rooms.scope == Scope::Complete {
        // What is not in the message is not for sale.
        let mut codes: Vec<_> = hotel.rooms.values().collect();
        codes.sort_unstable();
        codes.dedup();
        for room in codes {
            changes.add(Some(room), None, horizon.period(), Days::ALL, What::Free(0));
        }
        changes.add(None, None, horizon.period(), Days::ALL, What::Closed(false));
    }
    for period in &rooms.closed {
        changes.add(None, None, *period, Days::ALL, What::Closed(true));
    }
    for count in &rooms.counts {
        let room = room_of(hotel, &count.room_type)?;
        let free = What::Free(count.bookable);
        changes.add(Some(room), None, count.period, Days::ALL, free);
    }
    Ok(changes.list)
}

/// Rate plans.
pub(super) fn of_plans(
    hotel: &Hotel,
    plans: &RatePlans,
    horizon: Horizon,
    advice: &mut Vec<String>,
) -> Result<Vec<Change>, Problem> {
    let mut changes = Changes { list: Vec::new() };
    if plans.complete {
        let named = |code: &PlanCode| {
            let mut sent = plans.plans.iter();
            sent.any(|plan| hotel.plans.get(&plan.code) == Some(code))
        };
        for plan in hotel.plans.values().filter(|code| !named(code)) {
            changes.close(plan, horizon);
        }
    }
    for sent in &plans.plans {
        let plan = plan_of(hotel, &sent.code)?;
        if sent.notify == Notify::Remove {
            changes.close(plan, horizon);
            continue;
        }
        if sent.currency != hotel.currency {
            let text = format!("prices of this hotel are in {}", hotel.currency);
            return Err(Problem::invalid(text));
        }
        if sent.notify == Notify::New {
            renew(hotel, plan, horizon, &mut changes);
        }
        // The last word counts: rates open nights, and rules close them again.
        of_rates(hotel, plan, sent, &mut changes)?;
        for rule in &sent.rules {
            of_rule(hotel, plan, sent.notify, rule, &mut changes)?;
        }
        close_supplements(plan, sent, horizon, advice, &mut changes);
    }
    Ok(changes.list)
}

/// Takes back all that was said of a plan. Only what is priced afterwards is sold.
fn renew(hotel: &Hotel, plan: &PlanCode, horizon: Horizon, changes: &mut Changes) {
    changes.add(None, Some(plan), horizon.period(), Days::ALL, What::Reset);
    for room in hotel.rooms.values() {
        changes.add(
            Some(room),
            Some(plan),
            horizon.period(),
            Days::ALL,
            What::Reset,
        );
        changes.add(
            Some(room),
            Some(plan),
            horizon.period(),
            Days::ALL,
            What::Closed(true),
        );
    }
}

fn of_rule(
    hotel: &Hotel,
    plan: &PlanCode,
    notify: Notify,
    rule: &BookingRule,
    changes: &mut Changes,
) -> Result<(), Problem> {
    let code = rule.room_type.as_deref();
    let room = code.map(|code| room_of(hotel, code)).transpose()?;
    let mut set = |days, what| changes.add(room, Some(plan), rule.period, days, what);
    let lengths = rule.lengths;
    for what in [
        lengths.min_from_arrival.map(What::MinimumFromArrival),
        lengths.max_from_arrival.map(What::MaximumFromArrival),
        lengths.min_through.map(What::MinimumThrough),
        lengths.max_through.map(What::MaximumThrough),
    ]
    .into_iter()
    .flatten()
    {
        set(Days::ALL, what);
    }
    if let Some(days) = rule.arrival {
        set(days, What::ClosedToArrival(false));
        set(days.others(), What::ClosedToArrival(true));
    }
    if let Some(days) = rule.departure {
        set(days, What::ClosedToDeparture(false));
        set(days.others(), What::ClosedToDeparture(true));
    }
    if let Some(closed) = rule.closed {
        // A rule does not open the rooms of a new plan: those without a rate stay closed.
        if closed || room.is_none() || notify == Notify::Overlay {
            set(Days::ALL, What::Closed(closed));
        }
    }
    Ok(())
}

fn of_rates(
    hotel: &Hotel,
    plan: &PlanCode,
    sent: &RatePlan,
    changes: &mut Changes,
) -> Result<(), Problem> {
    for rate in &sent.rates {
        let rooms: Vec<_> = match &rate.room_type {
            Some(code) => vec![room_of(hotel, code)?],
            None => hotel.rooms.values().collect(),
        };
        let card = card(&rate.price);
        for room in rooms {
            let rate_card = What::Rate(card.clone());
            changes.add(Some(room), Some(plan), rate.period, rate.days, rate_card);
            let open = What::Closed(false);
            changes.add(Some(room), Some(plan), rate.period, rate.days, open);
        }
    }
    Ok(())
}

/// Closes the nights whose price would not be the whole price.
fn close_supplements(
    plan: &PlanCode,
    sent: &RatePlan,
    horizon: Horizon,
    advice: &mut Vec<String>,
    changes: &mut Changes,
) {
    for supplement in sent.supplements.iter().filter(|one| one.mandatory) {
        let costs = supplement.amount.is_some_and(|amount| amount > 0);
        if !costs {
            continue;
        }
        let period = supplement.period.unwrap_or(horizon.period());
        changes.add(None, Some(plan), period, Days::ALL, What::Closed(true));
        advice.push(format!(
            "`{}` is mandatory and cannot be part of the rate here: the plan is closed then",
            supplement.code
        ));
    }
}

/// Returns a price by number of adults without gaps: so many adults as no price is
/// given for pay like the next larger number.
fn card(price: &Price) -> RateCard {
    let mut adults = Vec::new();
    for (guests, amount) in &price.adults {
        adults.resize(usize::from(*guests), *amount);
    }
    RateCard {
        adults,
        extra_adult: price.extra_adult,
        children: price
            .children
            .iter()
            .map(|band| Band {
                from: band.from,
                below: band.below,
                amount: band.amount,
            })
            .collect(),
    }
}
