use std::{borrow::Cow, fmt::Write as _};

use airside_base::{BoxFuture, VirtualClock};
use airside_travel::supply::{
    self, About, Arrival, Ask, Calendar, Found, Guest, Offers, Quoted, Reference, Reservation,
    Search, Selection,
    ari::{Applied, Updates, What},
};

use super::*;

/// An inventory that writes down what is applied.
#[derive(Debug, Default)]
struct Recorder {
    applied: Mutex<Vec<Updates>>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

fn nothing<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(Error::NotFound) })
}

impl HotelSupply for Recorder {
    fn about(&self) -> &About {
        const {
            &About {
                fingerprint: 0,
                notice: Cow::Borrowed(""),
            }
        }
    }
    fn describe<'a>(&'a self, _: &'a HotelId) -> Answer<'a, Arc<supply::Hotel>> {
        nothing()
    }
    fn search<'a>(&'a self, _: &'a Search) -> Answer<'a, Found> {
        nothing()
    }
    fn offers<'a>(&'a self, _: &'a HotelId, _: &'a Ask) -> Answer<'a, Offers> {
        nothing()
    }
    fn calendar<'a>(&'a self, _: &'a HotelId, _: &'a Calendar) -> Answer<'a, Vec<Arrival>> {
        nothing()
    }
    fn quote<'a>(&'a self, _: &'a Selection, _: Option<&'a Reference>) -> Answer<'a, Quoted> {
        nothing()
    }
    fn hold<'a>(
        &'a self,
        _: &'a Reference,
        _: &'a Selection,
        _: Duration,
    ) -> Answer<'a, Reservation> {
        nothing()
    }
    fn commit<'a>(&'a self, _: &'a Reference, _: &'a Guest) -> Answer<'a, Reservation> {
        nothing()
    }
    fn release<'a>(&'a self, _: &'a Reference) -> Answer<'a, Reservation> {
        nothing()
    }
    fn modify<'a>(
        &'a self,
        _: &'a Reference,
        _: &'a Reference,
        _: &'a Selection,
    ) -> Answer<'a, Reservation> {
        nothing()
    }
    fn cancel<'a>(&'a self, _: &'a Reference, _: i64) -> Answer<'a, Reservation> {
        nothing()
    }
    fn find<'a>(&'a self, _: &'a Reference) -> Answer<'a, Option<Reservation>> {
        nothing()
    }
    fn apply<'a>(&'a self, updates: &'a Updates) -> Answer<'a, Applied> {
        self.applied.lock().unwrap().push(updates.clone());
        Box::pin(async { Ok(Applied::default()) })
    }
}

struct Desk {
    intake: Intake,
    recorder: Arc<Recorder>,
}

fn desk() -> Desk {
    let recorder = Arc::new(Recorder::default());
    let code = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        pairs.collect()
    };
    let rooms = code(&[("double", "DBL"), ("EZ", "SGL")]);
    let plans = code(&[("HB", "FLEX"), ("BB", "BB")]);
    let hotel = Hotel {
        code: "123".into(),
        sender: "frangart".into(),
        property: "htl_1".parse().unwrap(),
        currency: "EUR".into(),
        rooms: rooms
            .into_iter()
            .map(|(a, b)| (a, b.parse().unwrap()))
            .collect(),
        plans: plans
            .into_iter()
            .map(|(a, b)| (a, b.parse().unwrap()))
            .collect(),
    };
    let now = "2026-08-01T12:00:00Z".parse().unwrap();
    let clock = Arc::new(VirtualClock::new(now));
    Desk {
        intake: Intake::new(vec![hotel], recorder.clone(), clock),
        recorder,
    }
}

impl Desk {
    async fn send(&self, sender: &str, action: &str, document: &str) -> Reply {
        let request = Request {
            sender: Some(sender),
            version: Some("2024-10"),
            action: Some(action),
            document: document.as_bytes(),
        };
        self.intake.receive(request).await
    }

    /// Sends free rooms of the hotel; returns what was answered.
    async fn rooms(&self, attributes: &str, id: &str, lines: &str) -> String {
        let text = format!(
            "<OTA_HotelInvCountNotifRQ xmlns='http://www.opentravel.org/OTA/2003/05' \
             Version='4' {attributes}>{id}<Inventories HotelCode='123'>{lines}</Inventories>\
             </OTA_HotelInvCountNotifRQ>"
        );
        let reply = self.send("frangart", "OTA_HotelInvCountNotif:FreeRooms", &text);
        shown(reply.await)
    }

    async fn plans(&self, plans: &str) -> String {
        let text = format!(
            "<OTA_HotelRatePlanNotifRQ xmlns='http://www.opentravel.org/OTA/2003/05' \
             Version='1'><RatePlans HotelCode='123'>{plans}</RatePlans></OTA_HotelRatePlanNotifRQ>"
        );
        let reply = self.send("frangart", "OTA_HotelRatePlanNotif:RatePlans", &text);
        shown(reply.await)
    }

    /// What was applied, one line per change.
    fn applied(&self) -> String {
        let mut text = String::new();
        for updates in self.recorder.applied.lock().unwrap().drain(..) {
            for change in updates.changes {
                let code = |code: Option<String>| code.unwrap_or_else(|| "*".into());
                let room = code(change.room.map(String::from));
                let plan = code(change.plan.map(String::from));
                write!(text, "{room}/{plan} {}..{}", change.from, change.to).unwrap();
                if !change.days.is_all() {
                    write!(text, " days {:07b}", change.days.0).unwrap();
                }
                writeln!(text, " {:?}", change.what).unwrap();
            }
        }
        text
    }
}

fn shown(reply: Reply) -> String {
    match reply {
        Reply::Document(xml) => {
            let inner = xml
                .split_once("000\">")
                .map_or(xml.as_str(), |(_, inner)| inner);
            inner
                .rsplit_once("</OTA")
                .map_or(inner, |(inner, _)| inner)
                .to_owned()
        }
        other => format!("{other:?}"),
    }
}

const COMPLETE: &str = "<UniqueID Type='16' ID='1' Instance='CompleteSet'/>";

fn line(first: &str, last: &str, code: &str, count: u16) -> String {
    format!(
        "<Inventory><StatusApplicationControl Start='{first}' End='{last}' {code}/>\
         <InvCounts><InvCount CountType='2' Count='{count}'/></InvCounts></Inventory>"
    )
}

#[tokio::test]
async fn delta_changes_what_it_names_and_a_complete_set_closes_the_rest() {
    let desk = desk();
    let lines = line("2026-08-10", "2026-08-12", "InvTypeCode='double'", 3);
    assert_eq!(desk.rooms("", "", &lines).await, "<Success/>");
    assert_eq!(desk.applied(), "DBL/* 2026-08-10..2026-08-12 Free(3)\n");
    let season = "<Inventory><StatusApplicationControl Start='2026-11-01' End='2026-11-30' \
                  AllInvCode='true'/></Inventory>";
    desk.rooms("", COMPLETE, &format!("{season}{lines}")).await;
    assert_eq!(
        desk.applied(),
        "DBL/* 2026-07-31..2028-01-13 Free(0)\n\
         SGL/* 2026-07-31..2028-01-13 Free(0)\n\
         */* 2026-07-31..2028-01-13 Closed(false)\n\
         */* 2026-11-01..2026-11-30 Closed(true)\n\
         DBL/* 2026-08-10..2026-08-12 Free(3)\n"
    );
}

#[tokio::test]
async fn message_is_applied_under_the_time_at_which_it_was_written() {
    let desk = desk();
    let lines = line("2026-08-10", "2026-08-12", "InvTypeCode='double'", 3);
    for (stamp, sent) in [
        (
            "TimeStamp='2026-07-31T10:00:00+02:00'",
            Some("2026-07-31T08:00:00Z"),
        ),
        (
            "TimeStamp='2026-07-31T10:00:00'",
            Some("2026-07-31T10:00:00Z"),
        ),
        ("", Some("2026-08-01T12:00:00Z")),
        (
            "TimeStamp='2026-08-01T12:04:00Z'",
            Some("2026-08-01T12:04:00Z"),
        ),
        ("TimeStamp='2026-08-01T12:06:00Z'", None),
        ("TimeStamp='soon'", None),
    ] {
        desk.rooms(stamp, "", &lines).await;
        let applied = desk.recorder.applied.lock().unwrap().pop();
        let applied = applied.map(|updates| updates.sent.to_string());
        assert_eq!(applied.as_deref(), sent, "{stamp}");
    }
}

#[tokio::test]
async fn single_rooms_are_counted_over_messages() {
    let desk = desk();
    let room = |id: &str, count| {
        let code = format!("InvTypeCode='double' InvCode='{id}'");
        line("2026-08-10", "2026-08-11", &code, count)
    };
    let first = desk.rooms("", "", &room("101", 1)).await;
    assert!(
        first.contains("Status=\"ALPINEBITS_SEND_FREEROOMS\""),
        "{first}"
    );
    desk.rooms("", COMPLETE, &[room("101", 1), room("102", 1)].concat())
        .await;
    assert!(
        desk.applied()
            .ends_with("DBL/* 2026-08-10..2026-08-11 Free(2)\n")
    );
    desk.rooms("", "", &room("102", 0)).await;
    assert_eq!(desk.applied(), "DBL/* 2026-08-10..2026-08-11 Free(1)\n");
    // One that was written before the last change arrives after it.
    let late = "TimeStamp='2026-08-01T11:59:00Z'";
    desk.rooms(late, "", &room("102", 1)).await;
    assert_eq!(desk.applied(), "DBL/* 2026-08-10..2026-08-11 Free(1)\n");
    // Older than everything that was sent, it is not counted.
    desk.rooms(late, "", &room("103", 1)).await;
    assert_eq!(desk.applied(), "DBL/* 2026-08-10..2026-08-11 Free(1)\n");
    desk.rooms("", "", &room("103", 1)).await;
    assert_eq!(desk.applied(), "DBL/* 2026-08-10..2026-08-11 Free(2)\n");
    desk.rooms("", COMPLETE, "<Inventory/>").await;
    desk.rooms("", "", &room("103", 1)).await;
    assert!(
        desk.applied()
            .ends_with("DBL/* 2026-08-10..2026-08-11 Free(1)\n")
    );
}

#[tokio::test]
async fn plan_is_sold_where_it_is_priced_and_as_its_rules_say() {
    let desk = desk();
    let plan = "<RatePlan RatePlanNotifType='New' CurrencyCode='EUR' RatePlanCode='HB'>\
        <BookingRules><BookingRule Start='2026-08-03' End='2026-08-30'>\
        <LengthsOfStay><LengthOfStay Time='2' TimeUnit='Day' MinMaxMessageType='SetMinLOS'/>\
        <LengthOfStay Time='7' TimeUnit='Day' MinMaxMessageType='SetForwardMaxStay'/></LengthsOfStay>\
        <DOW_Restrictions><ArrivalDaysOfWeek Sun='0'/></DOW_Restrictions>\
        </BookingRule></BookingRules><Rates>\
        <Rate RateTimeUnit='Day' UnitMultiplier='1'><BaseByGuestAmts><BaseByGuestAmt Type='7'/></BaseByGuestAmts></Rate>\
        <Rate InvTypeCode='double' Start='2026-08-03' End='2026-08-30'><BaseByGuestAmts>\
        <BaseByGuestAmt NumberOfGuests='2' AgeQualifyingCode='10' AmountAfterTax='96'/></BaseByGuestAmts>\
        <AdditionalGuestAmounts><AdditionalGuestAmount AgeQualifyingCode='10' Amount='76.8'/>\
        <AdditionalGuestAmount AgeQualifyingCode='8' MaxAge='3' Amount='0'/></AdditionalGuestAmounts></Rate>\
        </Rates><Supplements><Supplement InvType='EXTRA' InvCode='clean' MandatoryIndicator='true'/>\
        <Supplement InvType='EXTRA' InvCode='clean' Amount='20' Start='2026-08-20' End='2026-08-30'/></Supplements>\
        </RatePlan>";
    let answer = desk.plans(plan).await;
    assert!(
        answer.starts_with("<Success/><Warnings><Warning Type=\"11\">`clean` is mandatory"),
        "{answer}"
    );
    assert_eq!(
        desk.applied(),
        "*/FLEX 2026-07-31..2028-01-13 Reset\n\
         SGL/FLEX 2026-07-31..2028-01-13 Reset\n\
         SGL/FLEX 2026-07-31..2028-01-13 Closed(true)\n\
         DBL/FLEX 2026-07-31..2028-01-13 Reset\n\
         DBL/FLEX 2026-07-31..2028-01-13 Closed(true)\n\
         DBL/FLEX 2026-08-03..2026-08-30 Rate(RateCard { adults: [19200, 19200], \
         extra_adult: Some(7680), children: [Band { from: 0, below: 3, amount: 0 }] })\n\
         DBL/FLEX 2026-08-03..2026-08-30 Closed(false)\n\
         */FLEX 2026-08-03..2026-08-30 MinimumFromArrival(2)\n\
         */FLEX 2026-08-03..2026-08-30 MaximumThrough(7)\n\
         */FLEX 2026-08-03..2026-08-30 days 0111111 ClosedToArrival(false)\n\
         */FLEX 2026-08-03..2026-08-30 days 1000000 ClosedToArrival(true)\n\
         */FLEX 2026-08-20..2026-08-30 Closed(true)\n"
    );
    desk.plans("<RatePlan RatePlanNotifType='Remove' RatePlanCode='BB'/>")
        .await;
    assert_eq!(desk.applied(), "*/BB 2026-07-31..2028-01-13 Closed(true)\n");
}

#[tokio::test]
async fn overlay_changes_only_its_periods() {
    let desk = desk();
    let rule = "<RatePlan RatePlanNotifType='Overlay' CurrencyCode='EUR' RatePlanCode='HB'>\
        <BookingRules><BookingRule CodeContext='ROOMTYPE' Code='EZ' Start='2026-08-03' End='2026-08-04'>\
        <RestrictionStatus Restriction='Master' Status='Close'/></BookingRule></BookingRules></RatePlan>";
    assert_eq!(desk.plans(rule).await, "<Success/>");
    assert_eq!(
        desk.applied(),
        "SGL/FLEX 2026-08-03..2026-08-04 Closed(true)\n"
    );
}

#[tokio::test]
async fn what_is_not_set_up_or_not_the_senders_is_refused() {
    let desk = desk();
    let lines = line("2026-08-10", "2026-08-12", "InvTypeCode='suite'", 3);
    let unknown = desk.rooms("", "", &lines).await;
    assert!(
        unknown.contains("Code=\"402\">there is no room type `suite`"),
        "{unknown}"
    );
    let currency = desk
        .plans("<RatePlan RatePlanNotifType='New' CurrencyCode='CHF' RatePlanCode='HB'/>")
        .await;
    assert!(
        currency.contains("prices of this hotel are in EUR"),
        "{currency}"
    );
    let text = "<OTA_HotelInvCountNotifRQ xmlns='http://www.opentravel.org/OTA/2003/05' Version='4'>\
        <UniqueID Type='16' ID='1' Instance='CompleteSet'/><Inventories HotelCode='123'><Inventory/>\
        </Inventories></OTA_HotelInvCountNotifRQ>";
    let stranger = desk
        .send("other", "OTA_HotelInvCountNotif:FreeRooms", text)
        .await;
    let stranger = shown(stranger);
    assert!(
        stranger.contains("Code=\"392\">there is no hotel `123` here"),
        "{stranger}"
    );
    assert_eq!(desk.applied(), "");
    let action = desk.send("frangart", "OTA_Read:GuestRequests", text).await;
    assert_eq!(
        action,
        Reply::Wrong("ERROR:unknown or missing action".into())
    );
}

#[tokio::test]
async fn handshake_answers_with_what_both_can_do() {
    let text = "<OTA_PingRQ xmlns='http://www.opentravel.org/OTA/2003/05' Version='8'>\
        <EchoData>{\"versions\":[{\"version\":\"2024-10\",\"actions\":[{\"action\":\"action_OTA_Ping\"}]}]}</EchoData></OTA_PingRQ>";
    let reply = shown(desk().send("anybody", "OTA_Ping:Handshaking", text).await);
    assert!(
        reply.contains("Status=\"ALPINEBITS_HANDSHAKE\">{&quot;versions&quot;:[{&quot;version&quot;:&quot;2024-10&quot;"),
        "{reply}"
    );
}

/// Numbers that look random and are always the same (SplitMix64).
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed >> 33).unwrap() % below
    }
}

#[tokio::test]
async fn damaged_messages_are_answered_and_change_nothing_out_of_range() {
    let desk = desk();
    let mut number = numbers(7);
    let parts = [
        "9999-12-31",
        "0001-01-01",
        "-1",
        "65536",
        "1e9",
        "\u{0}",
        "&lt;",
        "\"",
        "<",
        ">",
        "é",
        "0",
        "CompleteSet",
        "Overlay",
        "99999999999999999999",
        "2026-08-32",
        "P1N",
        "Mon",
        "",
    ];
    let rooms = format!(
        "<OTA_HotelInvCountNotifRQ xmlns='http://www.opentravel.org/OTA/2003/05' Version='4'>\
         {COMPLETE}<Inventories HotelCode='123'>{}</Inventories></OTA_HotelInvCountNotifRQ>",
        line(
            "2026-08-10",
            "2026-08-12",
            "InvTypeCode='double' InvCode='101'",
            1
        )
    );
    let plans = "<OTA_HotelRatePlanNotifRQ xmlns='http://www.opentravel.org/OTA/2003/05' Version='1'>\
        <RatePlans HotelCode='123'><RatePlan RatePlanNotifType='New' CurrencyCode='EUR' RatePlanCode='HB'>\
        <BookingRules><BookingRule Start='2026-08-03' End='2026-08-30'><LengthsOfStay>\
        <LengthOfStay Time='2' TimeUnit='Day' MinMaxMessageType='SetMinLOS'/></LengthsOfStay></BookingRule></BookingRules>\
        <Rates><Rate RateTimeUnit='Day' UnitMultiplier='1'><BaseByGuestAmts><BaseByGuestAmt Type='7'/></BaseByGuestAmts></Rate>\
        <Rate InvTypeCode='double' Start='2026-08-03' End='2026-08-30'><BaseByGuestAmts>\
        <BaseByGuestAmt NumberOfGuests='2' AmountAfterTax='96.5'/></BaseByGuestAmts></Rate></Rates>\
        </RatePlan></RatePlans></OTA_HotelRatePlanNotifRQ>";
    let mut taken = 0;
    for _ in 0..1_500 {
        let (action, whole) = match number(2) {
            0 => ("OTA_HotelInvCountNotif:FreeRooms", rooms.as_str()),
            _ => ("OTA_HotelRatePlanNotif:RatePlans", plans),
        };
        let text = if number(4) == 0 {
            let mut text: Vec<char> = whole.chars().collect();
            let from = number(text.len());
            let to = (from + number(12)).min(text.len());
            text.splice(from..to, parts[number(parts.len())].chars());
            text.into_iter().collect()
        } else {
            // Every second part between quotes is a value.
            let mut values: Vec<&str> = whole.split('\'').collect();
            let value = number(values.len() / 2) * 2 + 1;
            values[value] = parts[number(parts.len())];
            values.join("'")
        };
        let reply = desk.send("frangart", action, &text).await;
        let Reply::Document(xml) = reply else {
            panic!("{reply:?}: {text}");
        };
        taken += usize::from(xml.contains("<Success/>"));
    }
    assert!(
        taken > 50,
        "{taken} of the damaged messages were still valid"
    );
    let applied = desk.recorder.applied.lock().unwrap();
    for change in applied.iter().flat_map(|updates| &updates.changes) {
        assert!(change.from <= change.to, "{change:?}");
        if let What::Rate(card) = &change.what {
            assert!(card.adults.iter().all(|amount| *amount > 0), "{card:?}");
        }
    }
}
