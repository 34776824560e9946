//! The rooms of a hotel: kinds, who fits in, how many of each.

use crate::{
    draw::{Domain, Key},
    house::OwnRoom,
    money::scale,
};

/// Kinds of room: those that are generated, cheapest first, and a hotel group's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoomKind {
    Single,
    Double,
    Twin,
    Superior,
    Family,
    Suite,
    Own(&'static OwnRoom),
}

/// Who fits into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub adults: u8,
    pub children: u8,
    pub guests: u8,
}

impl RoomKind {
    /// Returns its place among the generated kinds, which decides their values.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Single => 0,
            Self::Double => 1,
            Self::Twin => 2,
            Self::Superior => 3,
            Self::Family => 4,
            Self::Suite => 5,
            Self::Own(room) => room.index as u64,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Own(room) => &room.code,
            Self::Single => "SGL",
            Self::Double => "DBL",
            Self::Twin => "TWN",
            Self::Superior => "SUP",
            Self::Family => "FAM",
            Self::Suite => "STE",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own(room) => &room.name,
            Self::Single => "Single Room",
            Self::Double => "Double Room",
            Self::Twin => "Twin Room",
            Self::Superior => "Superior Double Room",
            Self::Family => "Family Room",
            Self::Suite => "Suite",
        }
    }

    pub(crate) fn beds(self) -> &'static str {
        match self {
            Self::Own(room) => &room.beds,
            Self::Single => "1 single bed",
            Self::Double => "1 double bed",
            Self::Twin => "2 single beds",
            Self::Superior => "1 king-size bed",
            Self::Family => "1 double bed and 2 single beds",
            Self::Suite => "1 king-size bed and 1 sofa bed",
        }
    }

    pub(crate) const fn capacity(self) -> Capacity {
        let (adults, children, guests) = match self {
            Self::Single => (1, 0, 1),
            Self::Double | Self::Twin => (2, 1, 3),
            Self::Superior => (2, 1, 3),
            Self::Family => (4, 3, 5),
            Self::Suite => (3, 2, 4),
            Self::Own(room) => return room.capacity,
        };
        Capacity {
            adults,
            children,
            guests,
        }
    }

    /// Price relative to a double room, in thousandths.
    const fn price_permille(self) -> i64 {
        match self {
            Self::Single => 820,
            Self::Double => 1_000,
            Self::Twin => 1_020,
            Self::Superior => 1_240,
            Self::Family => 1_480,
            Self::Suite => 2_050,
            // Its price is its own.
            Self::Own(_) => 1_000,
        }
    }
}

/// One type of room of a property.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoomType {
    pub kind: RoomKind,
    /// Rooms that exist.
    pub physical: u16,
    /// Rooms that may be sold beyond those, unless its system says otherwise.
    pub allowance: u16,
    /// Price of an average night in minor units, before season and demand.
    pub base: i64,
}

/// Most room types of a property.
pub(crate) const MAX_ROOM_TYPES: usize = 6;

/// Draws the room types of a hotel with so many `rooms`. Returns how many there are, too.
pub(super) fn draw_room_types(
    key: Key,
    rooms: u16,
    base: i64,
    step: i64,
) -> ([RoomType; MAX_ROOM_TYPES], u8) {
    const ORDER: [RoomKind; MAX_ROOM_TYPES] = [
        RoomKind::Double,
        RoomKind::Family,
        RoomKind::Twin,
        RoomKind::Superior,
        RoomKind::Suite,
        RoomKind::Single,
    ];
    let count = key.at(Domain::Rooms, 0).between(2, 6) as usize;
    // Zipf: the i-th type has a share of 1/i; 60 is divisible by every i.
    let shares: u32 = (1..=count as u32).map(|i| 60 / i).sum();
    let mut rest = rooms;
    let room_types = std::array::from_fn(|i| {
        let share = u32::from(rooms) * (60 / (i as u32 + 1)) / shares;
        let later = count.saturating_sub(i + 1) as u16;
        let physical = match i {
            _ if i >= count => 0,
            _ if i + 1 == count => rest,
            _ => (share as u16).clamp(1, rest - later),
        };
        rest -= physical;
        let exact = scale(base, ORDER[i].price_permille(), 1_000);
        RoomType {
            kind: ORDER[i],
            physical,
            allowance: 0,
            base: exact.max(step),
        }
    });
    (room_types, count as u8)
}
