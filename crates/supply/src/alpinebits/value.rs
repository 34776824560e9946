//! Versions and values of messages.

use jiff::{Timestamp, civil::Date};

use crate::alpinebits::{
    problem::Problem,
    xml::{self, Element},
};

/// Reasons that one answer names. A message of nonsense has very many.
const MAX_PROBLEMS: usize = 20;

/// A version of AlpineBits HotelData.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 2018-10: the first with this handshake.
    V2018,
    /// 2020-10: free rooms became counts of inventory.
    V2020,
    /// 2022-10.
    V2022,
    /// 2024-10: `Full` is another word for `New`.
    V2024,
}

impl Version {
    /// Every version, newest first.
    pub const ALL: [Self; 4] = [Self::V2024, Self::V2022, Self::V2020, Self::V2018];

    /// Returns the name, `2024-10`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2018 => "2018-10",
            Self::V2020 => "2020-10",
            Self::V2022 => "2022-10",
            Self::V2024 => "2024-10",
        }
    }

    /// Returns the version that is called `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Whether free rooms come as `OTA_HotelInvCountNotifRQ`.
    pub(crate) fn counts_inventory(self) -> bool {
        self >= Self::V2020
    }
}

/// Nights from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// First night.
    pub first: Date,
    /// Last night.
    pub last: Date,
}

impl Period {
    /// Whether there is a night in both.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Number of nights.
    #[must_use]
    pub fn nights(self) -> u32 {
        let days = (self.last - self.first).get_days() + 1;
        u32::try_from(days).unwrap_or(0)
    }
}

/// Collects what is wrong while a message is read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    problems: Vec<Problem>,
    advice: Vec<String>,
}

impl Reader {
    /// Returns the advice, or everything that is wrong.
    pub(crate) fn finish(self) -> Result<Vec<String>, Vec<Problem>> {
        if self.problems.is_empty() {
            Ok(self.advice)
        } else {
            Err(self.problems)
        }
    }

    pub(crate) fn refuse(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    pub(crate) fn invalid(&mut self, text: impl Into<String>) {
        self.refuse(Problem::invalid(text));
    }

    pub(crate) fn missing(&mut self, element: &Element, what: &str) {
        let text = format!("`{}` needs `{what}`", element.shown());
        self.refuse(Problem::missing(text));
    }

    /// Adds a sentence for the sender, once.
    pub(crate) fn advise(&mut self, text: &str) {
        if !self.advice.iter().any(|known| known == text) {
            self.advice.push(text.to_owned());
        }
    }

    /// Returns an attribute that has to be there, or an empty text.
    pub(crate) fn required<'a>(&mut self, element: &'a Element, name: &str) -> &'a str {
        match element.attribute(name) {
            Some(value) if !value.is_empty() => value,
            Some(_) | None => {
                self.missing(element, name);
                ""
            }
        }
    }

    /// Returns an attribute of up to `max` characters, if it is there.
    pub(crate) fn text(&mut self, element: &Element, name: &str, max: usize) -> Option<String> {
        let value = element.attribute(name)?;
        let length = value.chars().count();
        if length == 0 || length > max || value.chars().any(char::is_control) {
            self.invalid(format!(
                "`{name}` of `{}` has to have 1 to {max} characters",
                element.shown()
            ));
            return None;
        }
        Some(value.to_owned())
    }

    /// Returns a whole number that is not negative, if it is there.
    pub(crate) fn number(&mut self, element: &Element, name: &str) -> Option<u16> {
        let value = element.attribute(name)?;
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Some(number),
            _ => {
                self.not_a(element, name, value, "a whole number up to 65535");
                None
            }
        }
    }

    pub(crate) fn needed_number(&mut self, element: &Element, name: &str) -> Option<u16> {
        if element.attribute(name).is_none() {
            self.missing(element, name);
        }
        self.number(element, name)
    }

    /// Returns a flag, if it is there.
    pub(crate) fn flag(&mut self, element: &Element, name: &str) -> Option<bool> {
        match element.attribute(name)? {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            other => {
                self.not_a(element, name, other, "0, 1, false or true");
                None
            }
        }
    }

    /// Returns one of `allowed`, if it is there.
    pub(crate) fn choice<'a>(
        &mut self,
        element: &'a Element,
        name: &str,
        allowed: &[&str],
    ) -> Option<&'a str> {
        let value = element.attribute(name)?;
        if allowed.contains(&value) {
            return Some(value);
        }
        self.not_a(element, name, value, &allowed.join(" or "));
        None
    }

    /// Returns the nights from `Start` to `End`, if they are there.
    pub(crate) fn period(&mut self, element: &Element) -> Option<Period> {
        let first = self.date(element, "Start");
        let last = self.date(element, "End");
        let period = Period {
            first: first?,
            last: last?,
        };
        if period.first > period.last {
            let text = format!("{} is after {}", period.first, period.last);
            self.refuse(Problem::new(404, text));
            return None;
        }
        Some(period)
    }

    pub(crate) fn needed_period(&mut self, element: &Element) -> Option<Period> {
        for name in ["Start", "End"] {
            if element.attribute(name).is_none() {
                self.missing(element, name);
            }
        }
        self.period(element)
    }

    fn date(&mut self, element: &Element, name: &str) -> Option<Date> {
        let value = element.attribute(name)?;
        match value.parse::<Date>() {
            Ok(date) if value.len() == 10 => Some(date),
            _ => {
                self.not_a(element, name, value, "a date such as 2026-08-01");
                None
            }
        }
    }

    /// Returns a moment, if it is there. Without an offset it is one of UTC.
    pub(crate) fn moment(&mut self, element: &Element, name: &str) -> Option<Timestamp> {
        let value = element.attribute(name)?;
        let with_offset = value.parse::<Timestamp>();
        match with_offset.or_else(|_| format!("{value}Z").parse()) {
            Ok(moment) => Some(moment),
            Err(_) => {
                self.not_a(element, name, value, "a time such as 2026-08-01T12:00:00Z");
                None
            }
        }
    }

    pub(crate) fn not_a(&mut self, element: &Element, name: &str, value: &str, expected: &str) {
        self.invalid(format!(
            "`{name}` of `{}` is `{}` and has to be {expected}",
            element.shown(),
            xml::shown(value)
        ));
    }

    /// Refuses children of `element` that are not in `allowed`.
    pub(crate) fn only_children(&mut self, element: &Element, allowed: &[&str]) {
        for child in element.children() {
            if !allowed.contains(&child.name()) {
                self.invalid(format!(
                    "`{}` must not have `{}`",
                    element.shown(),
                    child.shown()
                ));
            }
        }
    }

    /// Refuses attributes of `element` that are not in `allowed`.
    pub(crate) fn only_attributes(&mut self, element: &Element, allowed: &[&str]) {
        for name in element.attributes() {
            if !allowed.contains(&name) {
                self.invalid(format!(
                    "`{}` must not have `{}`",
                    element.shown(),
                    xml::shown(name)
                ));
            }
        }
    }

    /// Returns the code of the hotel that `element` names. One of code and name has
    /// to be there.
    pub(crate) fn hotel(&mut self, element: &Element) -> Option<String> {
        let named =
            element.attribute("HotelCode").is_some() || element.attribute("HotelName").is_some();
        if !named {
            self.missing(element, "HotelCode");
        }
        self.text(element, "HotelName", 128);
        self.text(element, "HotelCode", 16)
    }

    /// Whether the message replaces everything that was sent before.
    pub(crate) fn complete_set(&mut self, root: &Element, types: &[&str]) -> bool {
        let Some(id) = root.child("UniqueID") else {
            return false;
        };
        self.required(id, "ID");
        self.required(id, "Type");
        self.choice(id, "Type", types);
        self.required(id, "Instance");
        self.choice(id, "Instance", &["CompleteSet"]).is_some()
    }
}

/// Whether `text` is a language of ISO 639-1.
pub(crate) fn is_language(text: &str) -> bool {
    const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co \
         cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi \
         ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw \
         ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc \
         oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv \
         sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";
    text.len() == 2
        && LANGUAGES
            .split_ascii_whitespace()
            .any(|known| known == text)
}
