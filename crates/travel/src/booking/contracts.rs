//! The contracts of the booking tools, in the order in which they are listed.
//!
//! A model picks tools by what these texts say. None of them but those that search may
//! sound like the answer to somebody who looks for a hotel.

use airside_builtin::{
    model::{Tool, ToolAnnotations},
    schema,
};

use super::{arguments as a, output as o};
use crate::{app, ucp::tool};

pub(crate) const CALENDAR: &str = "get_price_calendar";
pub(crate) const BOOKING: &str = "get_booking";
pub(crate) const BOOKINGS: &str = "list_my_bookings";
pub(crate) const QUOTE_CHANGE: &str = "quote_booking_change";
pub(crate) const CONFIRM_CHANGE: &str = "confirm_booking_change";
pub(crate) const QUOTE_CANCELLATION: &str = "quote_cancellation";
pub(crate) const CONFIRM_CANCELLATION: &str = "confirm_cancellation";
pub(crate) const PREFERENCES: &str = "get_preferences";
pub(crate) const SAVE_PREFERENCES: &str = "save_preferences";
pub(crate) const FORGET: &str = "forget_me";
pub(crate) const FEEDBACK: &str = "send_feedback";

/// What a tool does to the world.
#[derive(Clone, Copy)]
struct Effect {
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
}

const READS: Effect = Effect {
    read_only: true,
    destructive: false,
    idempotent: true,
    open_world: false,
};
const READS_ELSEWHERE: Effect = Effect {
    open_world: true,
    ..READS
};
/// Writes what can be written again.
const WRITES: Effect = Effect {
    read_only: false,
    destructive: false,
    idempotent: true,
    open_world: false,
};
/// Writes something new each time.
const ADDS: Effect = Effect {
    idempotent: false,
    ..WRITES
};
const ADDS_ELSEWHERE: Effect = Effect {
    open_world: true,
    ..ADDS
};
/// Commits the traveller, or ends what they had.
const COMMITS: Effect = Effect {
    read_only: false,
    destructive: true,
    idempotent: true,
    open_world: true,
};
const ENDS: Effect = Effect {
    open_world: false,
    ..COMMITS
};

fn contract<A: schemars::JsonSchema, R: schemars::JsonSchema>(
    name: &'static str,
    title: &'static str,
    effect: Effect,
    description: &'static str,
) -> Tool {
    let hints = ToolAnnotations::with_title(title)
        .read_only(effect.read_only)
        .destructive(effect.destructive)
        .idempotent(effect.idempotent)
        .open_world(effect.open_world);
    Tool::new(name, description, schema::of::<A>())
        .with_title(title)
        .with_raw_output_schema(schema::of_result::<R>())
        .with_annotations(hints)
}

/// Returns the contracts.
pub(crate) fn tools() -> Vec<Tool> {
    let mut tools = vec![calendar()];
    tools.extend(sessions());
    tools.extend(bookings());
    tools.extend(traveller());
    tools
}

fn calendar() -> Tool {
    contract::<a::Calendar, o::CalendarResult>(
        CALENDAR,
        "Compare prices of arrival days",
        READS_ELSEWHERE,
        "Show what the cheapest stay at one known hotel costs for each arrival day, up to 62 days. \
         Use it when the dates are flexible and the hotel is chosen. To look for hotels use \
         search_hotels.",
    )
}

fn sessions() -> Vec<Tool> {
    vec![
        app::linked(contract::<a::Create, o::SessionResult>(
            tool::CREATE,
            "Hold rooms for review",
            ADDS_ELSEWHERE,
            "Hold the rooms of one offer at its price until expires_at, so that the traveller can \
             review the terms. Only after the traveller has chosen an offer of search_hotels or \
             check_availability. It books nothing: the traveller reviews and books in the booking \
             view. Never ask for card numbers.",
        )),
        app::linked(contract::<a::OfSession, o::SessionResult>(
            tool::GET,
            "Read a booking session",
            READS,
            "Read a booking session: its terms, what is missing, and how it ended. Use it to find \
             out whether a booking went through.",
        )),
        app::linked(contract::<a::Update, o::SessionResult>(
            tool::UPDATE,
            "Change a booking session",
            WRITES,
            "Set the lead guest of a booking session, or put another offer in it. What is left out \
             stays. The terms may have another digest afterwards and have to be reviewed again.",
        )),
        app::app_only(contract::<a::Complete, o::SessionResult>(
            tool::COMPLETE,
            "Book what was reviewed",
            COMMITS,
            "Book a session whose terms the traveller has reviewed. For the booking view: it needs a \
             consent token that only the view can make.",
        )),
        contract::<a::OfSession, o::SessionResult>(
            tool::CANCEL,
            "Give up a booking session",
            ENDS,
            "End a booking session that was not booked and release its rooms. A booking that exists \
             is cancelled with quote_cancellation instead.",
        ),
    ]
}

fn bookings() -> Vec<Tool> {
    vec![
        app::linked(contract::<a::OfBooking, o::BookingResult>(
            BOOKING,
            "Show a booking",
            READS,
            "Show one booking that this traveller has made here: hotel, dates, price, cancellation \
             terms and what happened to it.",
        )),
        app::linked(contract::<a::List, o::BookingsResult>(
            BOOKINGS,
            "List my bookings",
            READS,
            "List the bookings that this traveller has made here. It finds no hotels.",
        )),
        app::linked(contract::<a::QuoteChange, o::QuoteResult>(
            QUOTE_CHANGE,
            "Price a change of a booking",
            ADDS_ELSEWHERE,
            "Say what other dates or another room would cost for an existing booking. Nothing \
             changes: the traveller reviews and confirms in the booking view.",
        )),
        app::app_only(contract::<a::Confirm, o::BookingResult>(
            CONFIRM_CHANGE,
            "Confirm a reviewed change",
            COMMITS,
            "Change a booking as quoted and reviewed by the traveller. For the booking view: it \
             needs a consent token that only the view can make.",
        )),
        app::linked(contract::<a::OfBooking, o::QuoteResult>(
            QUOTE_CANCELLATION,
            "Price a cancellation",
            ADDS,
            "Say what cancelling an existing booking costs at this moment. Nothing is cancelled: \
             the traveller reviews and confirms in the booking view.",
        )),
        app::app_only(contract::<a::Confirm, o::BookingResult>(
            CONFIRM_CANCELLATION,
            "Confirm a reviewed cancellation",
            COMMITS,
            "Cancel a booking as quoted and reviewed by the traveller. For the booking view: it \
             needs a consent token that only the view can make.",
        )),
    ]
}

fn traveller() -> Vec<Tool> {
    vec![
        contract::<a::Nothing, o::PreferencesResult>(
            PREFERENCES,
            "Read preferences",
            READS,
            "Read what this traveller has asked to remember, such as least stars or breakfast.",
        ),
        contract::<a::Preferences, o::PreferencesResult>(
            SAVE_PREFERENCES,
            "Remember preferences",
            WRITES,
            "Remember what this traveller likes, when they ask for it. Replaces what was \
             remembered before. No health data, no card numbers.",
        ),
        contract::<a::Forget, o::ForgottenResult>(
            FORGET,
            "Forget this traveller",
            ENDS,
            "Erase what is kept about this traveller, when they ask for it: preferences, feedback, \
             conversations. Bookings stay as long as the law asks for it. It cannot be undone.",
        ),
        contract::<a::Feedback, o::FeedbackResult>(
            FEEDBACK,
            "Send feedback",
            ADDS,
            "Pass on what the traveller thinks of results, prices or the service, in their words.",
        ),
    ]
}
