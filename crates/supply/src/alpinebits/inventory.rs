//! Kinds of rooms and the rooms there are: `OTA_HotelDescriptiveContentNotifRQ`.
//!
//! A `GuestRoom` element with a code that was not there before describes a kind of
//! rooms (*heading*); every further one with the same code names one room of it
//! (*following*) and says nothing else.

use crate::alpinebits::{
    value::{Reader, is_language},
    xml::Element,
};

/// Upper ends of the lists of OTA 2015A that messages refer to: room amenities (RMA),
/// kinds of guest rooms (GRI) and categories of pictures (PIC). The lists have few
/// gaps, and a code in a gap says nothing that would be used here.
const MAX_AMENITY: u16 = 299;
const MAX_CLASSIFICATION: u16 = 99;
const MAX_PICTURE: u16 = 29;

/// The kinds of rooms of a hotel. A message always names all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Every kind of rooms.
    pub room_types: Vec<RoomType>,
}

/// One kind of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomType {
    /// The hotel's code of it.
    pub code: String,
    /// Names by language (ISO 639-1), as plain text.
    pub names: Vec<(String, String)>,
    /// Fewest guests.
    pub min_guests: u16,
    /// Guests that rates are made for.
    pub standard_guests: u16,
    /// Most guests.
    pub max_guests: u16,
    /// Most children among them.
    pub max_children: Option<u16>,
    /// The rooms, where single rooms are named.
    pub rooms: Vec<String>,
}

pub(crate) fn read(root: &Element, reader: &mut Reader) -> (Option<String>, Inventory) {
    let mut inventory = Inventory {
        room_types: Vec::new(),
    };
    let Some(content) = content(root, reader) else {
        return (None, inventory);
    };
    let hotel = reader.hotel(content);
    reader.only_children(content, &["FacilityInfo"]);
    let Some(rooms) = guest_rooms(content, reader) else {
        return (hotel, inventory);
    };
    for room in rooms.children() {
        let code = reader.required(room, "Code");
        reader.text(room, "Code", 8);
        let known = inventory
            .room_types
            .iter_mut()
            .find(|kind| kind.code == code);
        match known {
            Some(kind) => kind.rooms.extend(following(room, reader)),
            None => inventory.room_types.push(heading(code, room, reader)),
        }
    }
    (hotel, inventory)
}

/// Checks a message of descriptions. Its rooms have a code and nothing else.
pub(crate) fn check_info(root: &Element, reader: &mut Reader) -> Option<String> {
    let content = content(root, reader)?;
    let hotel = reader.hotel(content);
    let facility = content.child("FacilityInfo");
    let rooms = facility.and_then(|facility| facility.child("GuestRooms"));
    for room in rooms.into_iter().flat_map(Element::children) {
        reader.required(room, "Code");
        reader.only_attributes(room, &["Code"]);
        reader.only_children(room, &[]);
    }
    hotel
}

fn content<'a>(root: &'a Element, reader: &mut Reader) -> Option<&'a Element> {
    reader.only_children(root, &["HotelDescriptiveContents"]);
    let Some(contents) = root.child("HotelDescriptiveContents") else {
        reader.missing(root, "HotelDescriptiveContents");
        return None;
    };
    match contents.children() {
        [content] if content.name() == "HotelDescriptiveContent" => Some(content),
        _ => {
            reader.invalid("one message is about one hotel: one `HotelDescriptiveContent`");
            None
        }
    }
}

fn guest_rooms<'a>(content: &'a Element, reader: &mut Reader) -> Option<&'a Element> {
    let facility = content.child("FacilityInfo");
    let rooms = facility.and_then(|facility| facility.child("GuestRooms"));
    match rooms {
        Some(rooms) => {
            reader.only_children(rooms, &["GuestRoom"]);
            Some(rooms)
        }
        None => {
            reader.missing(content, "FacilityInfo/GuestRooms");
            None
        }
    }
}

/// Reads the description of a kind of rooms.
fn heading(code: &str, room: &Element, reader: &mut Reader) -> RoomType {
    reader.only_children(room, &["TypeRoom", "Amenities", "MultimediaDescriptions"]);
    let min_guests = reader.needed_number(room, "MinOccupancy").unwrap_or(0);
    let max_guests = reader.needed_number(room, "MaxOccupancy").unwrap_or(0);
    let max_children = reader.number(room, "MaxChildOccupancy");
    let mut standard_guests = 0;
    match room.child("TypeRoom") {
        Some(kind) => {
            standard_guests = reader.needed_number(kind, "StandardOccupancy").unwrap_or(0);
            classification(kind, reader);
        }
        None => reader.missing(room, "TypeRoom"),
    }
    if max_children > Some(max_guests) {
        reader.invalid("`MaxChildOccupancy` must not be above `MaxOccupancy`");
    }
    if min_guests > max_guests || standard_guests > max_guests {
        reader.invalid("`MinOccupancy` and `StandardOccupancy` must not be above `MaxOccupancy`");
    }
    amenities(room, reader);
    RoomType {
        code: code.to_owned(),
        names: multimedia(room, reader),
        min_guests,
        standard_guests,
        max_guests,
        max_children,
        rooms: Vec::new(),
    }
}

fn classification(kind: &Element, reader: &mut Reader) {
    if let Some(code) = reader.needed_number(kind, "RoomClassificationCode")
        && !(1..=MAX_CLASSIFICATION).contains(&code)
    {
        reader.invalid(format!(
            "`RoomClassificationCode` {code} is not in the OTA list GRI"
        ));
    }
    const TYPES: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    reader.choice(kind, "RoomType", &TYPES);
}

/// Reads which room of a kind this is.
fn following(room: &Element, reader: &mut Reader) -> Option<String> {
    reader.only_attributes(room, &["Code"]);
    reader.only_children(room, &["TypeRoom"]);
    let Some(kind) = room.child("TypeRoom") else {
        reader.missing(room, "TypeRoom");
        return None;
    };
    reader.only_attributes(kind, &["RoomID"]);
    reader.required(kind, "RoomID");
    reader.text(kind, "RoomID", 16)
}

fn amenities(room: &Element, reader: &mut Reader) {
    let list = room.child("Amenities");
    for amenity in list.into_iter().flat_map(Element::children) {
        if let Some(code) = reader.needed_number(amenity, "RoomAmenityCode")
            && !(1..=MAX_AMENITY).contains(&code)
        {
            reader.invalid(format!(
                "`RoomAmenityCode` {code} is not in the OTA list RMA"
            ));
        }
    }
}

/// Returns the names, which have to be there; checks texts and pictures.
fn multimedia(room: &Element, reader: &mut Reader) -> Vec<(String, String)> {
    let list = room.child("MultimediaDescriptions");
    let mut names = None;
    let mut seen = Vec::new();
    for media in list.into_iter().flat_map(Element::children) {
        reader.required(media, "InfoCode");
        let Some(code) = reader.choice(media, "InfoCode", &["1", "23", "25"]) else {
            continue;
        };
        if seen.contains(&code) {
            reader.invalid(format!("`InfoCode` {code} is there twice"));
        }
        seen.push(code);
        match code {
            "23" => pictures(media, reader),
            "25" => names = Some(texts(media, reader)),
            _ => {
                texts(media, reader);
            }
        }
    }
    names.unwrap_or_else(|| {
        reader.missing(room, "MultimediaDescription with InfoCode 25");
        Vec::new()
    })
}

fn texts(media: &Element, reader: &mut Reader) -> Vec<(String, String)> {
    let items = media.child("TextItems");
    let item = items.and_then(|items| items.child("TextItem"));
    let Some(item) = item else {
        reader.missing(media, "TextItems/TextItem");
        return Vec::new();
    };
    if item.child("Description").is_none() {
        reader.missing(item, "Description");
    }
    descriptions(item, reader)
}

fn pictures(media: &Element, reader: &mut Reader) {
    let items = media.child("ImageItems");
    let mut count = 0;
    for item in items.into_iter().flat_map(Element::children) {
        count += 1;
        if let Some(category) = reader.needed_number(item, "Category")
            && !(1..=MAX_PICTURE).contains(&category)
        {
            reader.invalid(format!("`Category` {category} is not in the OTA list PIC"));
        }
        let format = item.child("ImageFormat");
        if format.and_then(|format| format.child("URL")).is_none() {
            reader.missing(item, "ImageFormat/URL");
        }
        descriptions(item, reader);
    }
    if count == 0 {
        reader.missing(media, "ImageItems");
    }
}

/// Returns the plain texts by language.
fn descriptions(item: &Element, reader: &mut Reader) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut texts = Vec::new();
    for description in item.all("Description") {
        reader.required(description, "TextFormat");
        let format = reader.choice(description, "TextFormat", &["PlainText", "HTML"]);
        let language = reader.required(description, "Language");
        if !language.is_empty() && !is_language(language) {
            reader.not_a(description, "Language", language, "a language of ISO 639-1");
        }
        let key = (language, format);
        if seen.contains(&key) {
            reader.invalid(format!("a description in `{language}` is there twice"));
        }
        seen.push(key);
        if format == Some("PlainText") {
            texts.push((language.to_owned(), description.text().to_owned()));
        }
    }
    texts
}
