//! Hotels of the inventory in the words of the port.

use jiff::tz::TimeZone;

use crate::{
    levy::levies,
    property::{Property, RoomType, address, name},
    quote::Plan,
    shop::Hotels,
    stay::{ADULT_AGE, INFANT_AGE},
    supply::{self, Brief, Charge, Hotel},
};

/// Returns what lists say about a hotel.
pub(super) fn brief(hotels: &Hotels, property: &Property, zone: TimeZone) -> Brief {
    Brief {
        id: (property.id.to_string().parse()).expect("ids of properties are short and plain"),
        name: name(hotels.world(), hotels.atlas(), property),
        stars: property.stars,
        rating: Some(property.rating),
        district: Some(address(property.key).district.to_owned()),
        lat_e5: property.lat_e5,
        lon_e5: property.lon_e5,
        zone,
        currency: property.currency,
    }
}

/// Returns everything about a hotel.
pub(super) fn hotel(hotels: &Hotels, property: &Property, zone: TimeZone) -> Hotel {
    let atlas = hotels.atlas();
    let levies = levies(property, atlas.city(property.city));
    let days = property.cancel_days;
    let plural = if days == 1 { "" } else { "s" };
    let sold_in_time = |plan: &Plan| plan.is_sold(property, i64::MAX);
    Hotel {
        brief: brief(hotels, property, zone),
        street: address(property.key).street,
        city: atlas.name(property.city).to_owned(),
        country: atlas.city(property.city).country().name.to_owned(),
        distance_m: property.distance_m,
        rooms: Some(property.rooms),
        room_types: property.room_types().iter().map(room_type).collect(),
        plans: Plan::ALL
            .into_iter()
            .filter(sold_in_time)
            .map(plan)
            .collect(),
        amenities: property.amenities().map(str::to_owned).collect(),
        check_in_from: "15:00".to_owned(),
        check_out_until: "11:00".to_owned(),
        children: format!(
            "Children below {INFANT_AGE} stay free; from {ADULT_AGE} years on guests count as adults."
        ),
        cancellation: format!(
            "Flexible rates are cancelled free of charge until 18:00 at the hotel, {days} day{plural} before arrival; then the first night is charged."
        ),
        charges: levies
            .iter()
            .map(|levy| Charge {
                label: levy.label.to_owned(),
                nature: levy.nature,
                collected: levy.collected,
                basis: levy.in_words(property.currency),
            })
            .collect(),
    }
}

fn room_type(room: &RoomType) -> supply::RoomType {
    let capacity = room.kind.capacity();
    supply::RoomType {
        code: (room.kind.code().parse()).expect("room codes are short and plain"),
        name: room.kind.name().to_owned(),
        beds: room.kind.beds().to_owned(),
        max_adults: capacity.adults,
        max_children: capacity.children,
        max_guests: capacity.guests,
    }
}

fn plan(plan: Plan) -> supply::Plan {
    supply::Plan {
        code: (plan.code().parse()).expect("plan codes are short and plain"),
        name: plan.name().to_owned(),
        breakfast: plan == Plan::Breakfast,
    }
}
