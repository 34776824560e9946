use serde_json::json;

use super::*;

/// Saturday, 2026-11-21.
const NOW: &str = "2026-11-21T12:00:00Z";

#[track_caller]
fn check(words: &str, tool: &str, arguments: &Value, expected: Option<Gap>) {
    let spoken = Spoken::new(words, Some(NOW.parse().expect("a time")));
    let found = spoken.gap(tool, arguments);
    assert_eq!(found, expected, "{words} / {tool} / {arguments}");
}

/// The deed alone.
#[track_caller]
fn asks(words: &str, tool: &str, expected: bool) {
    check(words, tool, &json!({}), (!expected).then_some(Gap::Deed));
}

/// A day of a booking that is asked for.
#[track_caller]
fn day(words: &str, day: &str, expected: bool) {
    let words = format!("book {words}");
    check(
        &words,
        "book",
        &json!({ "day": day }),
        (!expected).then_some(Gap::Day),
    );
}

#[test]
fn what_the_user_asked_for_is_anchored() {
    let stay = json!({"hotel": "City Hub", "start": "2026-12-01", "end": "2026-12-05"});
    check(
        "Please book me the City Hub from December 1st to 5",
        "reserve_hotel",
        &stay,
        None,
    );
    check("cancel it", "cancelBooking", &json!({"id": "b-1"}), None);
    let mail = json!({"recipients": ["Ann@Example.org"], "body": "see you"});
    check(
        "email ann@example.org that I come",
        "send_email",
        &mail,
        None,
    );
    let nothing = Spoken::new("", None);
    assert_eq!(
        Intent::of(&nothing, "send_email", &mail),
        Intent::Unanchored
    );
}

#[test]
fn what_only_a_document_says_is_not() {
    let hotel = json!({"hotel": "Riverside"});
    check(
        "Which hotel in Paris has the best reviews?",
        "reserve_hotel",
        &hotel,
        Some(Gap::Deed),
    );
    let mail = json!({"to": "mark.black-2134@gmail.example", "body": "hi"});
    check(
        "send my wife a summary",
        "send_email",
        &mail,
        Some(Gap::Address),
    );
    let link = json!({"body": "see https://evil.example/a?d=1"});
    check("send a summary", "send_email", &link, Some(Gap::Link));
    let other = json!({"start": "2026-12-09T10:00:00Z"});
    check("book it for the 11th", "book", &other, Some(Gap::Day));
}

#[test]
fn more_than_is_looked_at_is_not() {
    let long = "book ".repeat(MAX_WORDS_BYTES);
    check(&long, "book", &json!({}), Some(Gap::TooMuch));
    check(
        "book",
        "book",
        &json!(vec![1; MAX_VALUES]),
        Some(Gap::TooMuch),
    );
    let mut deep = json!("x");
    for _ in 0..MAX_VALUES {
        deep = json!([deep]);
    }
    check("book", "book", &deep, Some(Gap::TooMuch));
}

#[test]
fn verbs_have_their_forms_and_no_others() {
    for word in ["book", "books", "booked", "booking"] {
        assert!(is_form(word, "book"), "{word}");
    }
    for word in ["bookshop", "boo", "ebook", ""] {
        assert!(!is_form(word, "book"), "{word}");
    }
    assert!(is_form("cancelled", "cancel") && is_form("reserving", "reserve"));
    assert!(is_form("cancellation", "cancel"));
}

#[test]
fn deeds_are_asked_for_by_their_own_verbs() {
    asks("Cancelling my trip, sorry", "cancel_booking", true);
    asks("I'd like a refund", "process_refund", true);
    asks("yes, change it to Friday", "confirm_booking_change", true);
    asks(
        "Find available hotels in Boston",
        "confirm_booking_change",
        false,
    );
    asks("hotel for two nights", "create_hotel", false);
    asks("book a table", "cancel_reservation", false);
    asks("book the first one", "create_booking_session", true);
    asks(
        "book the first one, I am Ada",
        "update_booking_session",
        true,
    );
    asks(
        "one night longer on my booking",
        "quote_booking_change",
        true,
    );
    asks("which hotels are free?", "create_booking_session", false);
    asks(
        "add a reminder to my calendar",
        "create_calendar_event",
        true,
    );
    asks("set an alarm for six", "set_alarm", true);
    asks("play something", "play_song", true);
}

#[test]
fn verbs_of_many_meanings_need_what_it_is_done_to() {
    asks(
        "make a reservation at City Hub",
        "create_calendar_event",
        false,
    );
    asks("make an event of it", "create_calendar_event", true);
    asks("I am planning a trip", "create_calendar_event", false);
    asks("Tell me the name of the hotel", "send_message", false);
    asks("Tell Ann the name of the hotel", "send_message", true);
    asks(
        "Let me know what it costs. Let's see",
        "send_message",
        false,
    );
    asks("Let Ann know what it costs", "send_message", true);
    asks("mark it in my calendar", "create_calendar_event", true);
    asks("share the names with me", "send_email", false);
}

#[test]
fn what_is_denied_is_not_asked_for() {
    asks("Find a hotel, but don't book it", "book_hotel", false);
    asks("Do not book anything", "book_hotel", false);
    asks("compare them without booking", "book_hotel", false);
    asks(
        "The first does not suit me. Book the second",
        "book_hotel",
        true,
    );
    asks("Not that one, book the other", "book_hotel", true);
}

#[test]
fn tools_that_only_look_change_nothing_that_could_be_asked_for() {
    asks("hello", "get_order", true);
    asks("hello", "searchReservations", true);
    asks("hello", "get_or_create_order", false);
    let out = json!({"url": "https://evil.example"});
    check("hello", "fetch", &out, Some(Gap::Link));
    check("hello", "search", &json!({"day": "2026-12-01"}), None);
}

#[test]
fn address_in_the_prose_of_a_message_is_no_destination() {
    let said = "send all my data to jay@example.com";
    let mail = |to: &str, body: &str| json!({"recipients": [to], "body": body});
    let data = "Name: Ann Example\nEmail: ann@example.org\nPassport: HGK137803";
    check(said, "send_email", &mail("jay@example.com", data), None);
    check(
        said,
        "send_email",
        &mail("eve@example.com", data),
        Some(Gap::Address),
    );
    // Nothing says where it goes but the prose.
    let only = json!({ "body": data });
    check(said, "send_email", &only, Some(Gap::Address));
    // The member is none for what a message says.
    let copied = json!({"recipients": ["jay@example.com"], "cc": "Ann\nann@example.org"});
    check(said, "send_email", &copied, Some(Gap::Address));
    // No prose: a second recipient by another name.
    let short = mail("jay@example.com", "eve@example.com");
    check(said, "send_email", &short, Some(Gap::Address));
    let link = mail(
        "jay@example.com",
        "Look at this page here: https://evil.example",
    );
    check(said, "send_email", &link, Some(Gap::Link));
}

#[test]
fn address_is_said_as_a_whole() {
    let to = |to: &str| json!({ "to": to });
    check(
        "send it to ann@example.org.",
        "send",
        &to("Ann <ann@example.org>"),
        None,
    );
    check(
        "send it to joann@example.org",
        "send",
        &to("ann@example.org"),
        Some(Gap::Address),
    );
    check(
        "send it to ann@example.org.evil.example",
        "send",
        &to("ann@example.org"),
        Some(Gap::Address),
    );
    check(
        "send it to ann@example.org",
        "send",
        &to("mailto:ann@example.org"),
        None,
    );
}

#[test]
fn accounts_and_telephones_are_where_something_goes() {
    let to = |account: &str| json!({"recipient": account, "amount": 10});
    check(
        "pay 10 to GB29 NWBK 6016 1331 9268 19",
        "send_money",
        &to("GB29NWBK60161331926819"),
        None,
    );
    check(
        "pay 10 to Bob",
        "send_money",
        &to("GB29NWBK60161331926819"),
        Some(Gap::Address),
    );
    check("pay 10 to Bob", "send_money", &to("Bob"), None);
    check(
        "text +1 (555) 010-9999 hi",
        "send_sms",
        &json!({"phone": "+15550109999"}),
        None,
    );
}

#[test]
fn days_count_with_their_months_and_years() {
    let winter = "from the 1st of January to the 5th of January";
    day(winter, "2027-01-01", true);
    day(winter, "2027-01-05", true);
    day(winter, "2027-05-01", false);
    day(winter, "2027-01-20", false);
    day("from January 11th to January 15th 2025", "2025-01-15", true);
    day("on January 15th 2025", "2024-01-15", false);
    day("from the 13th to the 17th of May", "2027-05-13", true);
    day("from the 13th to the 17th of May", "2027-06-13", false);
    day("the 13th", "2027-06-13", true);
    day("from 3 to 7 Dec", "2026-12-03", true);
    day("2026-12-01, please", "2026-12-01T18:00", true);
    day("2026-12-01, please", "2026-11-01", false);
    day("1.12.2026", "2026-12-01", true);
    day("12/1", "2026-12-01", true);
    day("12/1", "2026-11-02", false);
    day("sometime in December", "2026-12-24", true);
    day("sometime in December", "2026-10-24", false);
    day("a table, if I may", "2026-12-24", false);
    day("from 3 to 5", "2026-12-05", true);
    day(
        "it for 2 adults and 3 children under 160 euros",
        "2026-12-02",
        false,
    );
    day("it", "2026-02-31", false);
    day("on 3 December", "December 4", false);
    day("on 3 December", "3 Dec", true);
}

#[test]
fn days_follow_from_a_stay() {
    let stay = "a room from 5 December for three nights";
    day(stay, "2026-12-08", true);
    day(stay, "2026-12-07", true);
    day(stay, "2026-12-12", false);
    day("a room on 5 December", "2026-12-06", true);
    day("a room on 5 December", "2026-12-07", false);
    day("5 days in Rome", "2026-12-05", false);
    day(
        "a table on 5 December and remind me 2 days before",
        "2026-12-03",
        true,
    );
    day("a room tomorrow for two weeks", "2026-12-06", true);
}

#[test]
fn days_are_counted_from_today() {
    day("it for tomorrow", "2026-11-22", true);
    day("it for tomorrow", "2026-12-22", false);
    day("it for next Friday", "2026-11-27", true);
    day("it for Friday", "2026-11-26", false);
    day("it for Friday", "2027-05-14", false);
    day("it for next week", "2026-11-26", true);
    day("it for next week", "2027-05-13", false);
    day("it in three weeks", "2026-12-12", true);
    // The day of a zone that is not the node's.
    day("it for the 5th", "2026-12-06T01:00:00Z", true);
    day("it for the 5th", "2026-12-04T23:00:00+02:00", true);
}

#[test]
fn recordings_without_a_day_name_days_otherwise() {
    let any = Spoken::new("book it for tomorrow", None);
    assert_eq!(any.gap("book", &json!({"day": "2024-05-13"})), None);
    let named = Spoken::new("I come next week, book it for January 2nd", None);
    assert_eq!(
        named.gap("book", &json!({"day": "2024-05-13"})),
        Some(Gap::Day)
    );
    assert_eq!(named.gap("book", &json!({"day": "2025-01-02"})), None);
}

#[test]
fn facts_about_somebody_are_no_days_of_a_deed() {
    let born = json!({"passengers": [{"name": "Ann", "dob": "1990-04-05"}]});
    check("book it", "book_flight", &born, None);
}
