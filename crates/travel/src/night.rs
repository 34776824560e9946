//! What a night costs, what is left of it and which stays it allows.
//!
//! # Invariants
//!
//! * A generated night is a function of the world, the property, the room type and the date.
//! * `left` is never above the rooms that exist.

use jiff::civil::Date;

use crate::{
    draw::{Domain, Key, NORMAL, slice_wide},
    money::scale,
    places::City,
    property::{Character, Property, RoomKind, RoomType, World},
};

/// A date with what prices and restrictions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub date: Date,
    /// Days since 1970-01-01.
    number: i64,
    /// 0 is January.
    month: usize,
    /// 0 is Monday.
    weekday: usize,
}

impl Day {
    pub(crate) fn new(date: Date) -> Self {
        let epoch = jiff::civil::date(1970, 1, 1);
        Self {
            date,
            number: i64::from((date - epoch).get_days()),
            month: (date.month() - 1).unsigned_abs().into(),
            weekday: date.weekday().to_monday_zero_offset().unsigned_abs().into(),
        }
    }

    /// Returns the day with this number, counted from 1970-01-01.
    pub(crate) fn numbered(number: i64) -> Self {
        let epoch = jiff::civil::date(1970, 1, 1);
        Self::new(epoch.saturating_add(jiff::Span::new().days(number)))
    }

    /// Returns the days since 1970-01-01.
    pub(crate) const fn number(self) -> i64 {
        self.number
    }

    /// Returns the day of the week; 0 is Monday.
    pub(crate) const fn weekday(self) -> usize {
        self.weekday
    }

    /// Returns the number of days from `self` to `later`.
    pub(crate) const fn days_until(self, later: Self) -> i64 {
        later.number - self.number
    }
}

/// Limits that a hotel sets on stays (the names of the Open Travel messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restrictions {
    /// No stay may begin on this date (CTA).
    pub closed_to_arrival: bool,
    /// No stay may end on this date (CTD).
    pub closed_to_departure: bool,
    /// Fewest nights of a stay that begins on this date.
    pub min_from_arrival: u8,
    /// Most nights of a stay that begins on this date; 0 is no limit.
    pub max_from_arrival: u8,
    /// Fewest nights of a stay that includes this night.
    pub min_through: u8,
    /// Most nights of a stay that includes this night; 0 is no limit.
    pub max_through: u8,
}

impl Restrictions {
    /// Returns what both ask for.
    pub(crate) fn strictest(self, other: Self) -> Self {
        let most = |a: u8, b: u8| match (a, b) {
            (0, only) | (only, 0) => only,
            both => both.0.min(both.1),
        };
        Self {
            closed_to_arrival: self.closed_to_arrival || other.closed_to_arrival,
            closed_to_departure: self.closed_to_departure || other.closed_to_departure,
            min_from_arrival: self.min_from_arrival.max(other.min_from_arrival),
            max_from_arrival: most(self.max_from_arrival, other.max_from_arrival),
            min_through: self.min_through.max(other.min_through),
            max_through: most(self.max_through, other.max_through),
        }
    }
}

/// What all room types of a hotel share on a date.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HotelNight {
    pub day: Day,
    pub restrictions: Restrictions,
    /// Expected occupancy in thousandths; above 1,000 more is asked for than there is.
    demand_permille: i64,
    season_permille: i64,
}

/// One night of one room type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Night {
    /// Rooms that can still be sold.
    pub left: u16,
    /// The hotel does not sell this room type for this night (master stop sell).
    pub closed: bool,
    pub restrictions: Restrictions,
    /// Best available rate for two adults in minor units.
    pub rate: i64,
    /// Position plus one of the prices by guests that the hotel has set; 0 for none.
    pub card: u16,
}

impl Night {
    /// A night that is not for sale yet, or not any more.
    pub(crate) const CLOSED: Self = Self {
        left: 0,
        closed: true,
        restrictions: Restrictions {
            closed_to_arrival: false,
            closed_to_departure: false,
            min_from_arrival: 0,
            max_from_arrival: 0,
            min_through: 0,
            max_through: 0,
        },
        rate: 0,
        card: 0,
    };
}

/// Mean daily rate by month of arrival over the mean of the year, in thousandths
/// (hotel booking demand data of Antonio, Almeida and Nunes, 2019).
const SEASON: [[i64; 12]; 2] = [
    [
        803, 840, 876, 1080, 1172, 1138, 1122, 1150, 1099, 995, 849, 878,
    ],
    [
        575, 634, 667, 887, 898, 1257, 1747, 2101, 1116, 727, 574, 817,
    ],
];
/// Room nights by month over the best month, same source.
const OCCUPANCY: [[i64; 12]; 2] = [
    [464, 653, 906, 904, 958, 913, 1000, 996, 961, 961, 762, 634],
    [443, 616, 841, 851, 949, 967, 966, 1000, 964, 936, 659, 587],
];
/// Rate by weekday of a single night over the mean of the week, same source.
const WEEKDAY: [[i64; 7]; 2] = [
    [971, 989, 979, 1020, 1009, 1059, 973],
    [931, 899, 884, 961, 1101, 1061, 1163],
];
const WEEKDAY_DEMAND: [i64; 7] = [-20, 10, 20, 10, 40, 70, -60];

impl World {
    /// Derives what the room types of `property` share on `day`.
    pub(crate) fn hotel_night(&self, property: &Property, city: &City, day: Day) -> HotelNight {
        let character = match property.character {
            Character::City => 0,
            Character::Resort => 1,
        };
        // South of the equator the seasons are half a year away.
        let month = if city.lat_e5 < 0 {
            (day.month + 6) % 12
        } else {
            day.month
        };
        let number = day.number.unsigned_abs();
        let city_wide = self
            .key()
            .at(Domain::CityNight, u64::from(city.id))
            .at(Domain::CityNight, number);
        let event = city_wide.below(1_000) < 30;
        let own = property.key.at(Domain::HotelNight, number);
        let busy = OCCUPANCY[character][month];
        let demand_permille = 400
            + busy * 4 / 10
            + WEEKDAY_DEMAND[day.weekday]
            + city_wide.at(Domain::Noise, 0).between(-80, 80)
            + own.at(Domain::Noise, 0).between(-70, 70)
            + if event { 130 } else { 0 };
        let surge = if event { 1_250 } else { 1_000 };
        let season = SEASON[character][month] * WEEKDAY[character][day.weekday] / 1_000;
        HotelNight {
            day,
            restrictions: match property.own {
                Some(_) => Restrictions::default(),
                None => restrictions(own, day, busy),
            },
            demand_permille,
            season_permille: season * surge / 1_000,
        }
    }

    /// Derives one night of one room type.
    pub(crate) fn night(&self, property: &Property, room: &RoomType, hotel: &HotelNight) -> Night {
        if let RoomKind::Own(own) = room.kind {
            let weekend = matches!(hotel.day.weekday, 4 | 5);
            return Night {
                left: room.physical,
                closed: own.closed || property.is_closed(),
                restrictions: hotel.restrictions,
                rate: if weekend { own.weekend } else { room.base },
                card: 0,
            };
        }
        let key = property
            .key
            .at(Domain::RoomNight, room.kind.number())
            .at(Domain::RoomNight, hotel.day.number.unsigned_abs());
        let bits = key.bits();
        let noise = 960 + slice_wide(bits, 0, 81) as i64;
        let rate = scale(scale(room.base, hotel.season_permille, 1_000), noise, 1_000);
        let rate = scale(rate, 1, property.step) * property.step;
        Night {
            left: room.physical - sold(room.physical, hotel.demand_permille, key),
            closed: slice_wide(bits, 1, 1_000) < 30,
            restrictions: hotel.restrictions,
            rate: rate.max(property.step),
            card: 0,
        }
    }
}

fn restrictions(own: Key, day: Day, busy: i64) -> Restrictions {
    let bits = own.at(Domain::HotelNight, 1).bits();
    let more = own.at(Domain::HotelNight, 2).bits();
    let chance = |bits: u64, slot: u32, permille: u64| slice_wide(bits, slot, 1_000) < permille;
    let weekend = matches!(day.weekday, 4 | 5);
    Restrictions {
        closed_to_arrival: chance(bits, 0, 20),
        closed_to_departure: chance(bits, 1, 20),
        min_from_arrival: if weekend && chance(bits, 2, 150) {
            2
        } else {
            1
        },
        max_from_arrival: if chance(bits, 3, 10) { 14 } else { 0 },
        min_through: if busy >= 960 && chance(more, 0, 50) {
            3
        } else {
            1
        },
        max_through: if chance(more, 1, 10) { 14 } else { 0 },
    }
}

/// Draws how many of `rooms` are sold: the binomial distribution in its normal
/// approximation, in integers.
fn sold(rooms: u16, demand_permille: i64, key: Key) -> u16 {
    let p = demand_permille.clamp(0, 1_000);
    let n = i64::from(rooms);
    let z = key.at(Domain::Noise, 1).pick(&NORMAL);
    let deviation_milli = (n * p * (1_000 - p)).unsigned_abs().isqrt();
    let milli = n * p + z * i64::try_from(deviation_milli).unwrap_or(0) / 1_000;
    let drawn = ((milli + 500) / 1_000).clamp(0, n);
    u16::try_from(drawn).unwrap_or(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sold_rooms_follow_the_demand() {
        let mean = |rooms: u16, demand: i64| -> i64 {
            let draw = |i: u64| i64::from(sold(rooms, demand, Key::of_seed(i)));
            (0..4_000).map(draw).sum::<i64>() * 10 / 4_000
        };
        assert!((690..=710).contains(&mean(100, 700)), "{}", mean(100, 700));
        assert!((65..=75).contains(&mean(10, 700)), "{}", mean(10, 700));
        assert_eq!((mean(50, 1_200), mean(50, 0)), (500, 0));
    }

    #[test]
    fn weekdays_and_months_are_those_of_the_calendar() {
        let day = Day::new(jiff::civil::date(2026, 11, 23));
        assert_eq!((day.month, day.weekday, day.number), (10, 0, 20_780));
    }
}
