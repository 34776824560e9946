//! Who sells the rooms of the travel server.

use std::{path::PathBuf, time::Duration};

use airside_supply::opera::{Access, AccessError, Facts, Hotel, secret};
use airside_travel::supply::{Currency, HotelId, Place, distance_m};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Who sells the rooms of the travel server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TravelSupply {
    /// Which supplier. Everything else here is for `opera`.
    pub kind: SupplyKind,
    /// Where the gateway of OPERA Cloud Distribution is, without a path. Must use
    /// `https` unless the host is a loopback address.
    #[schemars(with = "Option<String>")]
    pub url: Option<Url>,
    /// The code of the channel that rooms are sold over (`x-channelCode`).
    pub channel: Option<String>,
    /// File with the partner's application key, a UUID (`x-app-key`), which only its
    /// owner may read.
    pub app_key_file: Option<PathBuf>,
    /// User of OPERA's token service.
    pub username: Option<String>,
    /// File with that user's password, which only its owner may read.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password, instead of a file.
    pub password_env: Option<String>,
    /// Longest time that one call to OPERA may take. A call that may have booked and was
    /// not answered in this time is read back, never repeated.
    pub timeout_ms: Option<u64>,
    /// Most calls about one hotel at a time; 8 if left out.
    pub concurrency: Option<usize>,
    /// Most calls about one hotel a second; 50 if left out.
    pub calls_per_second: Option<u32>,
    /// The hotels that are sold, each `[[travel.supply.hotel]]`.
    pub hotel: Vec<OperaHotel>,
}

/// Which supplier sells the rooms of the travel server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SupplyKind {
    /// Our own inventory.
    #[default]
    Own,
    /// Oracle OPERA Cloud Distribution.
    Opera,
}

/// A hotel in OPERA.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OperaHotel {
    /// OPERA's code of the hotel for the channel.
    pub code: String,
    /// The hotel's id in results; the code if left out. It stays the same when OPERA's
    /// code changes.
    #[schemars(with = "Option<String>")]
    pub id: Option<HotelId>,
    /// Name for travellers.
    pub name: String,
    /// One to five.
    pub stars: u8,
    /// What guests think of it, out of 100, if that is known.
    pub rating: Option<u8>,
    /// The city, without doubt: `Boston, US` or `geonames:4930956`. Time zone and
    /// currency follow from it unless they are given.
    pub place: String,
    /// Street and number.
    #[serde(default)]
    pub street: String,
    /// Part of the city.
    pub district: Option<String>,
    /// Where it stands, in 1e-5 degrees: `[4235843, -7105977]`. The middle of the city
    /// if left out.
    pub location_e5: Option<[i32; 2]>,
    /// IANA time zone of the hotel.
    pub time_zone: Option<String>,
    /// ISO 4217 code of what it quotes in.
    pub currency: Option<String>,
    /// From when on guests may arrive, `HH:MM`; `15:00` if left out.
    pub check_in_from: Option<String>,
    /// Until when guests may leave, `HH:MM`; `11:00` if left out.
    pub check_out_until: Option<String>,
    /// Who may push its availability, rates and restrictions to
    /// `POST /v1/supply/opera/…` of the control API: the name of an API key of a group
    /// with the role `supplier`.
    pub sender: Option<String>,
}

impl TravelSupply {
    /// Returns what is missing or too much for its kind.
    pub fn complaint(&self) -> Option<(&'static str, &'static str)> {
        let credentials = [&self.password_env].into_iter().flatten().count()
            + usize::from(self.password_file.is_some());
        match self.kind {
            SupplyKind::Own if *self != Self::default() => {
                Some(("kind", "settings of another supplier are there"))
            }
            SupplyKind::Own => None,
            SupplyKind::Opera if self.url.is_none() => Some(("kind", "`url` is missing")),
            SupplyKind::Opera if self.channel.is_none() => Some(("kind", "`channel` is missing")),
            SupplyKind::Opera if self.username.is_none() => Some(("kind", "`username` is missing")),
            SupplyKind::Opera if credentials != 1 => Some((
                "kind",
                "give `password-file` or `password-env`, and one of them only",
            )),
            SupplyKind::Opera if self.hotel.is_empty() => Some(("kind", "no hotel is there")),
            SupplyKind::Opera => None,
        }
    }

    /// Returns how OPERA is reached, with the secrets.
    pub fn access(&self) -> Result<Option<Access>, AccessError> {
        let (Some(base), Some(channel), Some(username)) =
            (&self.url, &self.channel, &self.username)
        else {
            return Ok(None);
        };
        let password = match (&self.password_file, &self.password_env) {
            (Some(file), _) => secret::from_file(file)?,
            (None, Some(name)) => secret::from_environment(name)?,
            (None, None) => return Ok(None),
        };
        let app_key = self.app_key_file.as_deref().map(secret::from_file);
        Ok(Some(Access {
            base: base.clone(),
            channel: channel.clone(),
            app_key: app_key.transpose()?,
            username: username.clone(),
            password,
            timeout: Duration::from_millis(self.timeout_ms.unwrap_or(10_000)),
            concurrency: self.concurrency.unwrap_or(8),
            per_second: self.calls_per_second.unwrap_or(50),
        }))
    }

    /// Returns its hotels. Those that `OperaHotel::complaint` finds nothing wrong with.
    pub fn hotels(&self) -> Vec<Hotel> {
        self.hotel.iter().filter_map(OperaHotel::mapped).collect()
    }
}

impl OperaHotel {
    /// Returns the id in results.
    pub fn id(&self) -> Option<HotelId> {
        self.id.clone().or_else(|| self.code.parse().ok())
    }

    /// Returns which setting cannot be used, and why.
    pub fn complaint(&self) -> Option<(&'static str, &'static str)> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let wall = |text: &Option<String>| {
            let time = text.as_deref().map(str::parse::<jiff::civil::Time>);
            time.is_none_or(|time| time.is_ok())
        };
        if !(1..=50).contains(&self.code.len()) || !self.code.bytes().all(plain) {
            return Some(("code", "is not 1 to 50 letters, digits, `-` or `_`"));
        }
        if self.id().is_none() {
            return Some(("code", "is no id; give one with `id`"));
        }
        if !(1..=5).contains(&self.stars) {
            return Some(("stars", "is not 1 to 5"));
        }
        if self.rating.is_some_and(|rating| rating > 100) {
            return Some(("rating", "is above 100"));
        }
        if Place::find(&self.place).is_none() {
            return Some(("place", "names no city, or several"));
        }
        let zone = self.time_zone.as_deref();
        if zone.is_some_and(|name| TimeZone::get(name).is_err()) {
            return Some(("time-zone", "is no IANA time zone"));
        }
        let currency = self.currency.as_deref();
        if currency.is_some_and(|code| Currency::find(code).is_none()) {
            return Some(("currency", "is no ISO 4217 code"));
        }
        match (wall(&self.check_in_from), wall(&self.check_out_until)) {
            (false, _) => Some(("check-in-from", "is no time")),
            (_, false) => Some(("check-out-until", "is no time")),
            (true, true) => None,
        }
    }

    fn mapped(&self) -> Option<Hotel> {
        let place = Place::find(&self.place)?;
        let middle = (place.lat_e5, place.lon_e5);
        let here = self.location_e5.map_or(middle, |[lat, lon]| (lat, lon));
        let zone = match &self.time_zone {
            Some(name) => TimeZone::get(name).ok()?,
            None => place.zone,
        };
        let currency = match &self.currency {
            Some(code) => Currency::find(code)?,
            None => place.currency,
        };
        let or = |text: &Option<String>, otherwise: &str| {
            text.clone().unwrap_or_else(|| otherwise.to_owned())
        };
        Some(Hotel {
            code: self.code.clone(),
            sender: self.sender.clone(),
            facts: Facts {
                id: self.id()?,
                name: self.name.clone(),
                stars: self.stars,
                rating: self.rating,
                street: self.street.clone(),
                district: self.district.clone(),
                city: place.id,
                city_name: place.city,
                country: place.country,
                lat_e5: here.0,
                lon_e5: here.1,
                distance_m: distance_m(middle, here),
                zone,
                currency,
                check_in_from: or(&self.check_in_from, "15:00"),
                check_out_until: or(&self.check_out_until, "11:00"),
            },
        })
    }
}
