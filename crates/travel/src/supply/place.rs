//! Cities, for whoever has to say where a hotel stands.

use jiff::tz::TimeZone;

use super::Currency;
use crate::places::{Atlas, Lookup};
pub use crate::property::distance_m;

/// A city.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// GeoNames id, as [`super::Area::City`] has it.
    pub id: u32,
    /// Its name.
    pub city: String,
    /// Name of the country.
    pub country: String,
    /// Latitude of the centre in 1e-5 degrees.
    pub lat_e5: i32,
    /// Longitude of the centre in 1e-5 degrees.
    pub lon_e5: i32,
    /// Its clock.
    pub zone: TimeZone,
    /// What is paid with there.
    pub currency: Currency,
}

impl Place {
    /// Finds the city that a text names without doubt: `Boston, US`, `geonames:4930956`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let atlas = Atlas::shared();
        let Lookup::Found(index, _) = atlas.resolve(text) else {
            return None;
        };
        let city = atlas.city(index);
        let country = city.country();
        Some(Self {
            id: city.id,
            city: atlas.name(index).to_owned(),
            country: country.name.to_owned(),
            lat_e5: city.lat_e5,
            lon_e5: city.lon_e5,
            zone: atlas.time_zone(index),
            currency: country.currency,
        })
    }
}
