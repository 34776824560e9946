//! Free rooms: `OTA_HotelAvailNotifRQ` of 2018-10 and `OTA_HotelInvCountNotifRQ`
//! since 2020-10.

use std::collections::HashMap;

use crate::alpinebits::{
    value::{Period, Reader, Version},
    xml::Element,
};

/// What a hotel says about its free rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeRooms {
    /// What it says it about.
    pub scope: Scope,
    /// When the house is closed.
    pub closed: Vec<Period>,
    /// Rooms to sell.
    pub counts: Vec<Count>,
}

/// What a message speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything: what is not in the message is not for sale.
    Complete,
    /// What is in the message.
    Delta,
}

/// Rooms to sell of one kind in each night of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The nights.
    pub period: Period,
    /// The kind of rooms.
    pub room_type: String,
    /// One room of it, where single rooms are counted.
    pub room: Option<String>,
    /// How many can be booked.
    pub bookable: u16,
}

pub(crate) fn read(
    version: Version,
    root: &Element,
    reader: &mut Reader,
) -> (Option<String>, FreeRooms) {
    let complete = reader.complete_set(root, &["16", "35"]);
    let (list, line) = if version.counts_inventory() {
        ("Inventories", "Inventory")
    } else {
        ("AvailStatusMessages", "AvailStatusMessage")
    };
    reader.only_children(root, &["UniqueID", list]);
    let mut rooms = FreeRooms {
        scope: if complete {
            Scope::Complete
        } else {
            Scope::Delta
        },
        closed: Vec::new(),
        counts: Vec::new(),
    };
    let Some(all) = root.child(list) else {
        reader.missing(root, list);
        return (None, rooms);
    };
    if root.all(list).count() > 1 {
        reader.invalid(format!("one message is about one hotel: one `{list}`"));
    }
    let hotel = reader.hotel(all);
    reader.only_children(all, &[line]);
    match all.children() {
        [] => reader.missing(all, line),
        // One empty line is how everything is taken back.
        [only] if only.is_empty() => {
            if !complete {
                reader.missing(root, "UniqueID");
            }
        }
        lines => {
            for line in lines {
                if version.counts_inventory() {
                    read_inventory(line, &mut rooms, reader);
                } else {
                    read_status(line, &mut rooms, reader);
                }
            }
        }
    }
    check(&rooms, reader);
    (hotel, rooms)
}

/// Reads a line of 2018-10.
fn read_status(line: &Element, rooms: &mut FreeRooms, reader: &mut Reader) {
    reader.only_children(line, &["StatusApplicationControl"]);
    let limit = reader.needed_number(line, "BookingLimit");
    reader.required(line, "BookingLimitMessageType");
    reader.choice(line, "BookingLimitMessageType", &["SetLimit"]);
    let threshold = reader.number(line, "BookingThreshold").unwrap_or(0);
    let Some(limit) = limit else { return };
    if threshold > limit {
        reader.invalid("`BookingThreshold` must not be above `BookingLimit`");
        return;
    }
    // Rooms above the threshold are bookable, those below it on request only.
    let bookable = limit - threshold;
    if let Some((period, room_type, room)) = control(line, reader) {
        if room.is_some() && limit > 1 {
            reader.invalid("a single room has a `BookingLimit` of 0 or 1");
        }
        rooms.counts.push(Count {
            period,
            room_type,
            room,
            bookable,
        });
    }
}

/// Reads a line since 2020-10.
fn read_inventory(line: &Element, rooms: &mut FreeRooms, reader: &mut Reader) {
    reader.only_children(line, &["StatusApplicationControl", "InvCounts"]);
    let closes = line.child("StatusApplicationControl").and_then(|control| {
        let all = reader.flag(control, "AllInvCode").unwrap_or(false);
        all.then_some(control)
    });
    if let Some(control) = closes {
        read_season(line, control, rooms, reader);
        return;
    }
    let bookable = bookable(line, reader);
    if let Some((period, room_type, room)) = control(line, reader) {
        rooms.counts.push(Count {
            period,
            room_type,
            room,
            bookable,
        });
    }
}

/// Reads when the whole house is closed.
fn read_season(line: &Element, control: &Element, rooms: &mut FreeRooms, reader: &mut Reader) {
    let named = |name| control.attribute(name).is_some();
    if named("InvTypeCode") || named("InvCode") {
        reader.invalid("a closing season is about all rooms: no `InvTypeCode`, no `InvCode`");
    }
    if line.child("InvCounts").is_some() {
        reader.invalid("a closing season has no `InvCounts`");
    }
    if !rooms.counts.is_empty() {
        reader.invalid("closing seasons come before all other `Inventory` elements");
    }
    if let Some(period) = reader.needed_period(control) {
        if rooms.closed.iter().any(|known| known.meets(period)) {
            reader.invalid("closing seasons must not overlap");
        }
        rooms.closed.push(period);
    }
}

/// Returns how many rooms of a line can be booked: without counts, none.
fn bookable(line: &Element, reader: &mut Reader) -> u16 {
    let Some(counts) = line.child("InvCounts") else {
        return 0;
    };
    reader.only_children(counts, &["InvCount"]);
    let mut seen = Vec::new();
    let (mut bookable, mut all) = (0, 0_u32);
    for count in counts.children() {
        reader.required(count, "CountType");
        let kind = reader.choice(count, "CountType", &["2", "6", "9"]);
        let number = reader.needed_number(count, "Count");
        let (Some(kind), Some(number)) = (kind, number) else {
            continue;
        };
        if seen.contains(&kind) {
            reader.invalid(format!("`CountType` {kind} is there twice"));
        }
        seen.push(kind);
        all += u32::from(number);
        // 6 is out of order, 9 is free and not to be sold: neither is bookable.
        if kind == "2" {
            bookable = number;
        }
    }
    if seen.is_empty() {
        reader.missing(counts, "InvCount");
    }
    let single = line
        .child("StatusApplicationControl")
        .is_some_and(|control| control.attribute("InvCode").is_some());
    if single && all > 1 {
        // The sum of a single room is at most 1 (2020-10, section 4.1.1).
        reader.advise("a single room counts once; more is read as once");
        return bookable.min(1);
    }
    bookable
}

fn control(line: &Element, reader: &mut Reader) -> Option<(Period, String, Option<String>)> {
    let Some(control) = line.child("StatusApplicationControl") else {
        reader.missing(line, "StatusApplicationControl");
        return None;
    };
    let period = reader.needed_period(control);
    reader.required(control, "InvTypeCode");
    let room_type = reader.text(control, "InvTypeCode", 8);
    let room = reader.text(control, "InvCode", 16);
    Some((period?, room_type?, room))
}

fn check(rooms: &FreeRooms, reader: &mut Reader) {
    let single = rooms.counts.iter().filter(|count| count.room.is_some());
    let single = single.count();
    if single > 0 && single < rooms.counts.len() {
        reader.invalid("kinds of rooms and single rooms must not be mixed in one message");
    }
    let mut periods: HashMap<(&str, Option<&str>), Vec<Period>> = HashMap::new();
    for count in &rooms.counts {
        let key = (count.room_type.as_str(), count.room.as_deref());
        periods.entry(key).or_default().push(count.period);
    }
    for ((room_type, _), mut periods) in periods {
        periods.sort_unstable();
        if periods.is_sorted_by(|a, b| !a.meets(*b)) {
            continue;
        }
        reader.invalid(format!("periods of `{room_type}` overlap"));
    }
}
