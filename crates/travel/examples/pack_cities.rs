//! Packs the GeoNames city table into `assets/cities.bin`.
//!
//! Source: a tab-separated table with a header line and the columns geonameid,
//! name, asciiname, lat, lon, country, admin1, feature code, population and time
//! zone, sorted by population (a cut of GeoNames `cities15000`).
//!
//! ```text
//! zcat cities15000.tsv.gz | cargo run -p airside-travel --example pack_cities -- crates/travel/assets/cities.bin
//! ```

use std::{error::Error, io::Read as _};

use airside_travel::asset::{Record, pack};

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("name the file to write")?;
    let mut table = String::new();
    std::io::stdin().read_to_string(&mut table)?;
    let records = table
        .lines()
        .skip(1)
        .map(|line| record(line).ok_or_else(|| format!("cannot read the line: {line}")))
        .collect::<Result<Vec<_>, _>>()?;
    std::fs::write(target, pack(&records)?)?;
    Ok(())
}

fn record(line: &str) -> Option<Record<'_>> {
    let mut column = line.split('\t');
    let (id, name, ascii) = (column.next()?, column.next()?, column.next()?);
    let (lat, lon) = (column.next()?, column.next()?);
    let (country, admin, feature) = (column.next()?, column.next()?, column.next()?);
    let (population, zone) = (column.next()?, column.next()?);
    Some(Record {
        id: id.parse().ok()?,
        name,
        ascii,
        lat_e5: degrees_e5(lat)?,
        lon_e5: degrees_e5(lon)?,
        population: population.parse().ok()?,
        country,
        admin,
        zone,
        capital: feature == "PPLC",
    })
}

/// Reads `-12.34567` without a detour over floating point.
fn degrees_e5(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: i32 = format!("{fraction:0<5}").get(..5)?.parse().ok()?;
    Some(sign * (whole.parse::<i32>().ok()? * 100_000 + fraction))
}
