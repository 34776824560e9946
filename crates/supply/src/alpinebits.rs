//! AlpineBits HotelData: what a hotel's own system sends about rooms and rates
//! (docs.alpinebits.org; XML of OTA 2015A, made stricter).
//!
//! # Invariants
//!
//! * A message is taken whole or refused whole: [`read`] returns a value that obeys
//!   the rules of its version, or every reason why there is none.
//! * Nothing of a message is executed or fetched: document types and entities are
//!   refused, images and links are not followed.
//! * Amounts become integers of minor units here; more digits than the currency has
//!   are an error, not a rounding.

mod answer;
mod free_rooms;
mod handshake;
mod inventory;
mod problem;
mod rate_plans;
mod value;
mod xml;

pub use answer::{Answer, answer};
pub use free_rooms::{Count, FreeRooms, Scope};
pub use handshake::negotiate;
pub use inventory::{Inventory, RoomType};
pub use problem::{Outcome, Problem};
pub use rate_plans::{
    AgeBand, BookingRule, Lengths, Notify, Price, Rate, RatePlan, RatePlans, Supplement, Weekdays,
};
pub use value::{Period, Version};

use jiff::Timestamp;

use crate::alpinebits::{value::Reader, xml::Element};

/// What a client asks for: the `action` of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// What both sides can do.
    Handshake,
    /// Rooms that are free.
    FreeRooms,
    /// Kinds of rooms and the rooms there are.
    Inventory,
    /// Descriptions of the house.
    HotelInfo,
    /// Rates and the rules of their sale.
    RatePlans,
}

impl Action {
    /// Returns the action that `text` names in `version`.
    #[must_use]
    pub fn parse(text: &str, version: Version) -> Option<Self> {
        Some(match text {
            "OTA_Ping:Handshaking" => Self::Handshake,
            "OTA_HotelAvailNotif:FreeRooms" if !version.counts_inventory() => Self::FreeRooms,
            "OTA_HotelInvCountNotif:FreeRooms" if version.counts_inventory() => Self::FreeRooms,
            "OTA_HotelDescriptiveContentNotif:Inventory" => Self::Inventory,
            "OTA_HotelDescriptiveContentNotif:Info" => Self::HotelInfo,
            "OTA_HotelRatePlanNotif:RatePlans" => Self::RatePlans,
            _ => return None,
        })
    }

    /// Returns the stem of the element that carries it: `OTA_PingRQ` without `RQ`.
    pub(crate) fn stem(self, version: Version) -> &'static str {
        match self {
            Self::Handshake => "OTA_Ping",
            Self::FreeRooms if version.counts_inventory() => "OTA_HotelInvCountNotif",
            Self::FreeRooms => "OTA_HotelAvailNotif",
            Self::Inventory | Self::HotelInfo => "OTA_HotelDescriptiveContentNotif",
            Self::RatePlans => "OTA_HotelRatePlanNotif",
        }
    }
}

/// A message that obeys the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The hotel's code at its sender; without one it is named only.
    pub hotel_code: Option<String>,
    /// When it was written, where it says so.
    pub sent_at: Option<Timestamp>,
    /// What the sender calls the message, to recognise it when it comes twice.
    pub echo_token: Option<String>,
    /// What it says.
    pub body: Body,
    /// What was accepted and not used, for the sender.
    pub advice: Vec<String>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// What the sender can do, as JSON text.
    Handshake(String),
    /// Rooms that are free.
    FreeRooms(FreeRooms),
    /// Kinds of rooms.
    Inventory(Inventory),
    /// Descriptions of the house, which are checked and not kept.
    HotelInfo,
    /// Rates and rules.
    RatePlans(RatePlans),
}

/// Reads the message of `action` out of `bytes`.
pub fn read(action: Action, version: Version, bytes: &[u8]) -> Result<Message, Vec<Problem>> {
    let root = xml::parse(bytes).map_err(|error| vec![Problem::unreadable(&error)])?;
    let expected = format!("{}RQ", action.stem(version));
    if root.name() != expected {
        return Err(vec![Problem::invalid(format!(
            "the message is `{}` and has to be `{expected}`",
            root.shown()
        ))]);
    }
    let mut reader = Reader::default();
    reader.required(&root, "Version");
    let sent_at = reader.moment(&root, "TimeStamp");
    let echo_token = reader.text(&root, "EchoToken", 128);
    let (hotel_code, body) = body(action, version, &root, &mut reader);
    let advice = reader.finish()?;
    Ok(Message {
        hotel_code,
        sent_at,
        echo_token,
        body,
        advice,
    })
}

fn body(
    action: Action,
    version: Version,
    root: &Element,
    reader: &mut Reader,
) -> (Option<String>, Body) {
    match action {
        Action::Handshake => {
            let text = root.child("EchoData").map(|echo| echo.text().to_owned());
            if text.is_none() {
                reader.missing(root, "EchoData");
            }
            (None, Body::Handshake(text.unwrap_or_default()))
        }
        Action::FreeRooms => {
            let (code, rooms) = free_rooms::read(version, root, reader);
            (code, Body::FreeRooms(rooms))
        }
        Action::Inventory => {
            let (code, inventory) = inventory::read(root, reader);
            (code, Body::Inventory(inventory))
        }
        Action::HotelInfo => {
            let code = inventory::check_info(root, reader);
            reader.advise("descriptions of the house are checked and not kept");
            (code, Body::HotelInfo)
        }
        Action::RatePlans => {
            let (code, plans) = rate_plans::read(version, root, reader);
            (code, Body::RatePlans(plans))
        }
    }
}
