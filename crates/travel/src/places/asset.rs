//! The city table that is part of the binary: its packed form and how it is read.
//!
//! Layout after inflating, all integers little-endian: the magic, the number of
//! cities, four text blocks (each with its length in bytes; lines end with
//! `\n`), then one column per field, every column split into byte planes (all
//! lowest bytes first), which compresses a third better than rows.
//!
//! # Invariants
//!
//! * [`unpack`] inflates at most [`MAX_INFLATED`] bytes.
//! * The same cities give the same bytes, so the asset can be compared.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

const MAGIC: &[u8; 8] = b"AIRCITY1";
/// Upper bound of the inflated table. The present one has 1.4 MB.
const MAX_INFLATED: u64 = 4 * 1024 * 1024;

/// One city as read from the source table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// GeoNames id.
    pub id: u32,
    /// Name in the local script of the source, UTF-8.
    pub name: &'a str,
    /// The source's ASCII form of the name.
    pub ascii: &'a str,
    /// Latitude in units of 10⁻⁵ degrees.
    pub lat_e5: i32,
    /// Longitude in units of 10⁻⁵ degrees.
    pub lon_e5: i32,
    /// Inhabitants.
    pub population: u32,
    /// ISO 3166-1 code of the country.
    pub country: &'a str,
    /// GeoNames code of the first-level division; may be empty.
    pub admin: &'a str,
    /// IANA time zone.
    pub zone: &'a str,
    /// Whether the city is the capital of its country.
    pub capital: bool,
}

/// Why a packed table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// The compressed stream is damaged or too long.
    #[error("cannot inflate the city table")]
    Inflate(#[from] std::io::Error),
    /// The inflated bytes do not have the layout of this module.
    #[error("the city table is cut short or has another layout")]
    Layout,
}

/// Packs `records`, which keep their order.
///
/// # Errors
///
/// When compression fails, which writing to memory does not.
pub fn pack(records: &[Record<'_>]) -> std::io::Result<Vec<u8>> {
    let region = |r: &Record<'_>| format!("{}.{}", r.country, r.admin);
    let mut regions: Vec<String> = records.iter().map(region).collect();
    regions.sort_unstable();
    regions.dedup();
    let mut zones: Vec<&str> = records.iter().map(|r| r.zone).collect();
    zones.sort_unstable();
    zones.dedup();

    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(u32::try_from(records.len()).unwrap_or(u32::MAX)).to_le_bytes());
    let ascii = records
        .iter()
        .map(|r| if r.ascii == r.name { "" } else { r.ascii });
    put_lines(&mut out, regions.iter().map(String::as_str));
    put_lines(&mut out, zones.iter().copied());
    put_lines(&mut out, records.iter().map(|r| r.name));
    put_lines(&mut out, ascii);
    put_planes(&mut out, records, |r| r.id.to_le_bytes());
    put_planes(&mut out, records, |r| r.lat_e5.to_le_bytes());
    put_planes(&mut out, records, |r| r.lon_e5.to_le_bytes());
    put_planes(&mut out, records, |r| r.population.to_le_bytes());
    put_planes(&mut out, records, |r| {
        let index = regions.partition_point(|entry| *entry < region(r));
        (index as u16).to_le_bytes()
    });
    put_planes(&mut out, records, |r| {
        let index = zones.partition_point(|entry| *entry < r.zone);
        (index as u16).to_le_bytes()
    });
    put_planes(&mut out, records, |r| [u8::from(r.capital)]);

    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&out)?;
    encoder.finish()
}

/// Reads what [`pack`] wrote and gives every city to `visit`, in order.
///
/// The cities borrow from the inflated table, so that reading it needs little
/// more memory than the table itself.
///
/// # Errors
///
/// When the bytes are not such a table.
pub fn unpack(packed: &[u8], visit: &mut dyn FnMut(Record<'_>)) -> Result<(), AssetError> {
    let mut bytes = Vec::with_capacity(2 * packed.len());
    ZlibDecoder::new(packed)
        .take(MAX_INFLATED)
        .read_to_end(&mut bytes)?;
    let mut reader = Reader { rest: &bytes };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(AssetError::Layout);
    }
    let count = reader.count()?;
    let regions: Vec<(&str, &str)> = reader
        .lines()?
        .map(|line| line.split_once('.').ok_or(AssetError::Layout))
        .collect::<Result<_, _>>()?;
    let zones: Vec<&str> = reader.lines()?.collect();
    let mut names = reader.lines()?;
    let mut ascii = reader.lines()?;
    let ids = reader.planes::<4>(count)?;
    let lats = reader.planes::<4>(count)?;
    let lons = reader.planes::<4>(count)?;
    let populations = reader.planes::<4>(count)?;
    let region_of = reader.planes::<2>(count)?;
    let zone_of = reader.planes::<2>(count)?;
    let capitals = reader.planes::<1>(count)?;
    for i in 0..count {
        let name = names.next().ok_or(AssetError::Layout)?;
        let ascii = ascii.next().ok_or(AssetError::Layout)?;
        let region = usize::from(u16::from_le_bytes(region_of.at(i)));
        let zone = usize::from(u16::from_le_bytes(zone_of.at(i)));
        let (country, admin) = *regions.get(region).ok_or(AssetError::Layout)?;
        visit(Record {
            id: u32::from_le_bytes(ids.at(i)),
            name,
            ascii: if ascii.is_empty() { name } else { ascii },
            lat_e5: i32::from_le_bytes(lats.at(i)),
            lon_e5: i32::from_le_bytes(lons.at(i)),
            population: u32::from_le_bytes(populations.at(i)),
            country,
            admin,
            zone: zones.get(zone).ok_or(AssetError::Layout)?,
            capital: capitals.at(i) == [1],
        });
    }
    Ok(())
}

fn put_lines<'a>(out: &mut Vec<u8>, lines: impl Iterator<Item = &'a str>) {
    let mut block = String::new();
    for line in lines {
        block.push_str(line);
        block.push('\n');
    }
    out.extend_from_slice(&(u32::try_from(block.len()).unwrap_or(u32::MAX)).to_le_bytes());
    out.extend_from_slice(block.as_bytes());
}

fn put_planes<const N: usize>(
    out: &mut Vec<u8>,
    records: &[Record<'_>],
    field: impl Fn(&Record<'_>) -> [u8; N],
) {
    for plane in 0..N {
        out.extend(records.iter().map(|record| field(record)[plane]));
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], AssetError> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(AssetError::Layout)?;
        self.rest = rest;
        Ok(head)
    }

    fn count(&mut self) -> Result<usize, AssetError> {
        let bytes = self.take(4)?.try_into().map_err(|_| AssetError::Layout)?;
        Ok(u32::from_le_bytes(bytes) as usize)
    }

    fn lines(&mut self) -> Result<std::str::Lines<'a>, AssetError> {
        let length = self.count()?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| AssetError::Layout)?;
        Ok(text.lines())
    }

    fn planes<const N: usize>(&mut self, count: usize) -> Result<Planes<'a, N>, AssetError> {
        let length = count.checked_mul(N).ok_or(AssetError::Layout)?;
        let bytes = self.take(length)?;
        Ok(Planes { bytes, count })
    }
}

struct Planes<'a, const N: usize> {
    bytes: &'a [u8],
    count: usize,
}

impl<const N: usize> Planes<'_, N> {
    fn at(&self, index: usize) -> [u8; N] {
        std::array::from_fn(|plane| self.bytes[plane * self.count + index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> [Record<'static>; 2] {
        let zurich = Record {
            id: 2_657_896,
            name: "Zürich",
            ascii: "Zurich",
            lat_e5: -4_736_667,
            lon_e5: 855_000,
            population: 415_367,
            country: "CH",
            admin: "ZH",
            zone: "Europe/Zurich",
            capital: false,
        };
        let bern = Record {
            id: 2_661_552,
            name: "Bern",
            ascii: "Bern",
            admin: "",
            capital: true,
            ..zurich
        };
        [zurich, bern]
    }

    #[test]
    fn unpacking_gives_back_what_was_packed() {
        let packed = pack(&sample()).unwrap();
        let mut seen = 0;
        unpack(&packed, &mut |record| {
            assert_eq!(record, sample()[seen]);
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 2);
    }

    #[test]
    fn damaged_table_is_refused() {
        let packed = pack(&sample()).unwrap();
        assert!(unpack(&packed[..packed.len() / 2], &mut |_| {}).is_err());
        assert!(unpack(b"not a table", &mut |_| {}).is_err());
    }
}
