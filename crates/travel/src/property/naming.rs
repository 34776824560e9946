//! Names and addresses of generated hotels.
//!
//! The words are chosen so that no name is that of a real brand.

use super::{Property, World};
use crate::{
    draw::{Domain, Key, slice},
    places::Atlas,
};

const FIRST: [&str; 64] = [
    "Lantern",
    "Harbour Light",
    "Northgate",
    "Copper Kettle",
    "Willow",
    "Old Foundry",
    "Meridian Court",
    "Blue Heron",
    "Cloister",
    "Tall Ship",
    "Orchard",
    "Weaver's",
    "Clocktower",
    "Juniper",
    "Saltmarsh",
    "Ferryman's",
    "Larkspur",
    "Stonebridge",
    "Cartographer",
    "Amber Room",
    "Quayside",
    "Hawthorn",
    "Minstrel",
    "Observatory",
    "Paper Mill",
    "Riverbend",
    "Silver Birch",
    "Tramway",
    "Upper Terrace",
    "Vine Street",
    "White Gable",
    "Almanac",
    "Botanist",
    "Chandlery",
    "Driftwood",
    "Elderflower",
    "Fountain Court",
    "Glasshouse",
    "Hillcrest Yard",
    "Inkwell",
    "Jubilee Yard",
    "Kingfisher",
    "Linden",
    "Mulberry",
    "Nightingale",
    "Oakmoss",
    "Packhorse",
    "Quince",
    "Rosewood Yard",
    "Sundial",
    "Thistledown",
    "Umber",
    "Velvet Curtain",
    "Watchmaker",
    "Yellow Door",
    "Apothecary",
    "Bellfounder",
    "Cedar Walk",
    "Dovecote",
    "East Cloister",
    "Fern & Fig",
    "Granary",
    "Half Moon Yard",
    "Ivy Court",
];
const DISTRICTS: [&str; 16] = [
    "Central",
    "Station",
    "Riverside",
    "Old Town",
    "Park",
    "Market",
    "University",
    "Garden",
    "Theatre",
    "Hill",
    "West",
    "East",
    "North",
    "South",
    "Museum",
    "Castle",
];
const STREETS: [&str; 24] = [
    "Station Road",
    "Market Street",
    "Harper Street",
    "Mill Lane",
    "Park Avenue",
    "Church Street",
    "Bridge Street",
    "Garden Road",
    "Museum Square",
    "River Walk",
    "College Street",
    "Hill Road",
    "Castle Street",
    "Theatre Lane",
    "Orchard Road",
    "King Street",
    "Queen Street",
    "Canal Street",
    "Square of the Republic",
    "Lake Road",
    "Old Post Road",
    "Linden Avenue",
    "Tower Street",
    "Quay Street",
];

/// Where a generated hotel says it stands.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub street: String,
    pub district: &'static str,
}

/// Returns the name, which no other property of the city has.
pub(crate) fn name(world: &World, atlas: &Atlas, property: &Property) -> String {
    let index = u64::from(property.id.index);
    // An odd stride visits all 64 words before one repeats; then the district
    // makes the difference.
    let start = world
        .key()
        .at(Domain::Name, u64::from(property.id.city))
        .bits();
    let first = FIRST[((start + index * (2 * slice(start, 1, 32) + 1)) % 64) as usize];
    let kind = kind(property);
    let city = atlas.name(property.city);
    match index / 64 {
        0 => format!("{first} {kind} {city}"),
        round => {
            let round = round - 1;
            let district = DISTRICTS[(round % 16) as usize];
            match round / 16 {
                0 => format!("{first} {kind} {city} {district}"),
                more => format!("{first} {kind} {city} {district} {}", more + 1),
            }
        }
    }
}

fn kind(property: &Property) -> &'static str {
    let table: &[&str] = match (property.stars, property.rooms) {
        (1, _) => &["Hostel & Rooms", "Guesthouse", "Inn"],
        (2, _) => &["Inn", "Guesthouse", "Lodge"],
        (_, 0..30) => &["House", "Hotel", "Townhouse"],
        (5, _) => &["Grand Hotel", "Palace Hotel", "Hotel & Spa"],
        _ => &["Hotel", "Hotel & Suites", "Residence"],
    };
    property.key.at(Domain::Name, 1).pick(table)
}

/// Returns the address.
pub(crate) fn address(key: Key) -> Address {
    let number = key.at(Domain::Address, 0).between(1, 240);
    let street = key.at(Domain::Address, 1).pick(&STREETS);
    Address {
        street: format!("{number} {street}"),
        district: key.at(Domain::Address, 2).pick(&DISTRICTS),
    }
}
