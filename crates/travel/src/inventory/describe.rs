//! Hotels of the inventory in the words of the port.

use jiff::tz::TimeZone;

use crate::{
    house::House,
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
        id: (property.code().parse()).expect("ids of properties are short and plain"),
        name: property.own.map_or_else(
            || name(hotels.world(), hotels.atlas(), property),
            |house| house.name.clone(),
        ),
        stars: property.stars,
        rating: property
            .own
            .map_or(Some(property.rating), |house| house.rating),
        district: match property.own {
            Some(house) => Some(house.district.clone()).filter(|it| !it.is_empty()),
            None => Some(address(property.key).district.to_owned()),
        },
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
        street: property.own.map_or_else(|| address(property.key).street, |house| house.street.clone()),
        city: atlas.name(property.city).to_owned(),
        country: atlas.city(property.city).country().name.to_owned(),
        distance_m: property.distance_m,
        rooms: Some(property.rooms),
        room_types: property.room_types().iter().map(room_type).collect(),
        plans: property
            .plans()
            .filter(sold_in_time)
            .map(plan)
            .collect(),
        amenities: property.amenities().map(str::to_owned).collect(),
        check_in_from: property.own.map_or("15:00", |house| &house.check_in_from).to_owned(),
        check_out_until: property.own.map_or("11:00", |house| &house.check_out_until).to_owned(),
        children: property.own.map_or_else(
            || {
                format!("Children below {INFANT_AGE} stay free; from {ADULT_AGE} years on guests count as adults.")
            },
            children,
        ),
        cancellation: property.own.map_or_else(
            || {
                format!("Flexible rates are cancelled free of charge until 18:00 at the hotel, {days} day{plural} before arrival; then the first night is charged.")
            },
            |_| "Each rate says until when it is cancelled free of charge.".to_owned(),
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

/// Returns what children pay at a group's own hotel, in a sentence.
fn children(house: &House) -> String {
    let band = |(below, price): &(u8, i64)| match price {
        0 => format!("below {below} years free"),
        price => format!(
            "below {below} years {} a night",
            house.currency.money(*price)
        ),
    };
    let bands: Vec<_> = house.children.iter().map(band).collect();
    match bands.is_empty() {
        true => "Children pay as adults.".to_owned(),
        false => format!("Children: {}; older ones pay as adults.", bands.join(", ")),
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
        breakfast: plan.breakfast(),
    }
}
