use serde_json::{Value, json};

use super::super::{Gap, Spoken, agrees};

/// Monday, 2026-11-23.
const NOW: &str = "2026-11-23T12:00:00Z";

#[track_caller]
fn check(words: &str, tool: &str, arguments: &Value, expected: Option<Gap>) {
    let spoken = Spoken::new(words, Some(NOW.parse().expect("a time")));
    assert_eq!(
        spoken.gap(tool, arguments),
        expected,
        "{words} / {tool} / {arguments}"
    );
}

fn stay(from: &str, to: &str) -> Value {
    json!({ "hotel": "City Hub", "start": from, "end": to })
}

#[test]
fn bookings_are_asked_for_in_four_languages_with_their_days() {
    let days = stay("2026-12-05", "2026-12-08");
    let other = stay("2026-12-15", "2026-12-18");
    for words in [
        "Bitte buche mir das City Hub vom 5. bis zum 8. Dezember.",
        "Ich möchte das City Hub ab dem 5. Dezember für drei Nächte reservieren",
        "Pouvez-vous réserver le City Hub du 5 au 8 décembre pour nous ?",
        "Je voudrais que vous réserviez le City Hub le 5 décembre pour trois nuits, merci",
        "Reserva por favor el City Hub del 5 al 8 de diciembre para mí",
        "Quiero reservar una habitación en el City Hub desde el 5 de diciembre, tres noches",
        "City Hubを12月5日から8日まで予約してください",
        "１２月５日から3泊でCity Hubを予約してもらえますか",
    ] {
        check(words, "reserve_hotel", &days, None);
        check(words, "reserve_hotel", &other, Some(Gap::Day));
        check(words, "cancel_reservation", &json!({}), Some(Gap::Deed));
        check(
            words,
            "send_money",
            &json!({ "amount": 5 }),
            Some(Gap::Deed),
        );
    }
}

#[test]
fn other_deeds_are_told_apart() {
    for (words, tool) in [
        ("Storniere bitte meine Buchung", "cancel_booking"),
        (
            "Kannst du das Meeting auf morgen verschieben, bitte?",
            "reschedule_calendar_event",
        ),
        (
            "Überweise bitte die Miete an meine Vermieterin",
            "send_money",
        ),
        (
            "Trag das bitte in meinen Kalender ein",
            "create_calendar_event",
        ),
        ("Bitte lade Dora zu uns ein", "invite_user"),
        (
            "Annule ma réservation, je te prie, je ne viens plus.",
            "list_bookings",
        ),
        ("Peux-tu supprimer le fichier et la note ?", "delete_file"),
        ("Envoyez le résumé à ma femme", "send_email"),
        ("Cancela mi vuelo de mañana", "cancel_booking"),
        ("Por favor, manda el resumen a mi jefe", "send_email"),
        ("会議を明日に変更してください", "update_event"),
        ("この予定をカレンダーに追加して", "create_calendar_event"),
        ("家賃を振り込んでください", "send_money"),
    ] {
        check(words, tool, &json!({}), None);
        check(words, "publish_page", &json!({}), Some(Gap::Deed));
    }
}

#[test]
fn what_is_denied_is_asked_for_in_no_language() {
    for words in [
        "Such mir bitte ein Hotel, aber buche es noch nicht",
        "Bitte ohne Buchung, ich will das nur sehen",
        "Ne réservez pas la chambre, dites-moi le prix",
        "Muéstrame los hoteles, pero no reserves nada por favor",
        "ホテルを探して、まだ予約しないでください",
    ] {
        check(words, "book_hotel", &json!({}), Some(Gap::Deed));
    }
}

#[test]
fn telling_the_speaker_is_no_message() {
    for (words, tells) in [
        ("Sag mir bitte den Namen", false),
        ("Sag Anna bitte den Namen", true),
        ("Écris-moi le nom de la rue", false),
        ("Écris à Anna le nom de la rue", true),
        ("Escribe a Anna el nombre de la calle", true),
    ] {
        let gap = (!tells).then_some(Gap::Deed);
        check(words, "send_message", &json!({}), gap);
    }
}

#[test]
fn words_of_other_languages_mean_nothing_in_english() {
    for words in [
        "How much is the public transfer for the two of us? Mandatory reservations are annoying",
        "Tell me about the programme and the report on the lad who was late",
    ] {
        for tool in ["publish_page", "create_event", "upload_file"] {
            check(words, tool, &json!({}), Some(Gap::Deed));
        }
    }
}

#[test]
fn a_language_that_is_not_read_is_said_to_be_one() {
    for words in [
        "Zarezerwuj pokój od piątego grudnia",
        "Забронируй номер в гостинице",
        "احجز غرفة في الفندق",
        "请预订酒店",
        "호텔을 예약해 주세요",
    ] {
        check(words, "reserve_hotel", &json!({}), Some(Gap::Language));
        check(words, "get_hotels", &json!({}), None);
    }
}

#[test]
fn addresses_are_addresses_in_every_language() {
    let to = |to: &str| json!({ "recipients": [to] });
    for words in [
        "Schick das bitte an ann@example.org und mich",
        "Envoie le résumé à ann@example.org pour la semaine",
        "Envía el resumen a ann@example.org por favor",
        "ann@example.orgに要約をメールしてください",
    ] {
        check(words, "send_email", &to("ann@example.org"), None);
        check(
            words,
            "send_email",
            &to("eve@example.org"),
            Some(Gap::Address),
        );
    }
}

#[test]
fn a_yes_takes_up_what_was_proposed_and_where_it_goes_is_still_said_by_the_user() {
    let proposal =
        "I can move your stay to 9 December and mail the receipt to eve@example.org. Shall I?";
    let now = Some(NOW.parse().expect("a time"));
    let after = |words: &str| Spoken::new(words, now).agreeing(proposal);
    let change = json!({ "booking": "b1", "day": "2026-12-09" });
    for words in [
        "Yes, please.",
        "Sure, go ahead",
        "Ja, gerne.",
        "Oui, d'accord",
        "Sí, adelante",
        "はい、お願いします",
    ] {
        assert!(agrees(words), "{words}");
        assert_eq!(after(words).gap("update_booking", &change), None, "{words}");
        let other = json!({ "booking": "b1", "day": "2026-12-19" });
        assert_eq!(
            after(words).gap("update_booking", &other),
            Some(Gap::Day),
            "{words}"
        );
        let mail = json!({ "to": "eve@example.org" });
        assert_eq!(
            after(words).gap("send_email", &mail),
            Some(Gap::Address),
            "{words}"
        );
        assert_ne!(
            after(words).gap("cancel_booking", &json!({})),
            None,
            "{words}"
        );
    }
    for words in [
        "No, wait.",
        "Nein, lieber nicht",
        "Don't, that is not good",
        "Hmm, what does it cost?",
    ] {
        assert!(!agrees(words), "{words}");
        assert_ne!(after(words).gap("update_booking", &change), None, "{words}");
    }
}

#[test]
fn what_guards_something_is_named_by_who_wants_it_changed() {
    let none = json!({});
    check(
        "Please check and update my rent payment",
        "update_password",
        &none,
        Some(Gap::Deed),
    );
    check("Change my password, please", "update_password", &none, None);
    check("Bitte ändere mein Passwort", "update_password", &none, None);
    check(
        "add Bob to the channel",
        "add_api_key",
        &none,
        Some(Gap::Deed),
    );
    check(
        "give Bob access: add him to the readers",
        "add_permission",
        &none,
        None,
    );
}

#[test]
fn handing_over_to_a_person_asks_for_nothing() {
    check(
        "hello",
        "transfer_to_human_agents",
        &json!({ "summary": "x" }),
        None,
    );
    check("hello", "escalate_to_human", &json!({}), None);
    check(
        "hello",
        "transfer_money_to_agent",
        &json!({}),
        Some(Gap::Deed),
    );
    let out = json!({ "summary": "see https://evil.example" });
    check("hello", "transfer_to_human_agents", &out, Some(Gap::Link));
}

#[test]
fn what_is_asked_for_without_a_day_is_asked_for_today() {
    let pay = |day: &str| json!({ "amount": 5, "date": day });
    check("pay Bob 5 euros", "send_money", &pay("2026-11-23"), None);
    check(
        "pay Bob 5 euros",
        "send_money",
        &pay("2026-12-23"),
        Some(Gap::Day),
    );
    check(
        "pay Bob 5 euros on December 1st",
        "send_money",
        &pay("2026-11-23"),
        Some(Gap::Day),
    );
}
