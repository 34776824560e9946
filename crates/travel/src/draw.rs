//! Values that look random and are functions of their coordinates.
//!
//! Every generated value is `mix(seed, domain, place…)`: nothing is stored, any
//! value can be derived again alone, and the same seed gives the same world on
//! every machine. Distributions are integer tables, because the `exp` and `ln`
//! of platforms differ in the last bit.

/// What a value is drawn for: the same coordinates give independent values in
/// different domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Domain {
    Apportion = 1,
    Property,
    Distance,
    Bearing,
    Size,
    Stars,
    Rating,
    Base,
    Rooms,
    Plans,
    Policy,
    Amenities,
    Name,
    Address,
    CityNight,
    HotelNight,
    RoomNight,
    Noise,
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) const fn mix64(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A place in the value space from which values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self(mix64(seed))
    }

    /// Returns the key of `domain` at `coordinate` below this key.
    pub(crate) const fn at(self, domain: Domain, coordinate: u64) -> Self {
        Self(mix64(mix64(self.0 ^ domain as u64) ^ coordinate))
    }

    /// Returns the 64 bits at this key.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns a value below `bound`, without the bias of a remainder.
    pub(crate) const fn below(self, bound: u64) -> u64 {
        ((self.0 as u128 * bound as u128) >> 64) as u64
    }

    /// Returns a value of `low..=high`.
    pub(crate) const fn between(self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// Returns an entry of `table`, each with the same chance.
    pub(crate) const fn pick<T: Copy>(self, table: &[T]) -> T {
        table[self.below(table.len() as u64) as usize]
    }
}

/// Splits 64 random bits into several small draws: the `slot`-th 8 bits as a
/// value below `bound` (at most 256).
pub(crate) const fn slice(bits: u64, slot: u32, bound: u64) -> u64 {
    (((bits >> (slot * 8)) & 0xff) * bound) >> 8
}

/// The same with 16 bits, for chances in thousandths.
pub(crate) const fn slice_wide(bits: u64, slot: u32, bound: u64) -> u64 {
    (((bits >> (slot * 16)) & 0xffff) * bound) >> 16
}

/// Quantiles (i + ½)/64 of the standard normal distribution, in thousandths.
pub(crate) const NORMAL: [i64; 64] = [
    -2418, -1987, -1762, -1601, -1473, -1366, -1273, -1189, -1113, -1043, -978, -917, -858, -803,
    -750, -699, -650, -602, -556, -511, -467, -424, -381, -339, -298, -257, -217, -177, -138, -98,
    -59, -20, 20, 59, 98, 138, 177, 217, 257, 298, 339, 381, 424, 467, 511, 556, 602, 650, 699,
    750, 803, 858, 917, 978, 1043, 1113, 1189, 1273, 1366, 1473, 1601, 1762, 1987, 2418,
];

/// Quantiles of −ln(u), in thousandths: distances from a city's centre.
pub(crate) const EXPONENTIAL: [i64; 64] = [
    4852, 3753, 3243, 2906, 2655, 2454, 2287, 2144, 2019, 1908, 1808, 1717, 1633, 1556, 1485, 1418,
    1356, 1297, 1241, 1188, 1138, 1091, 1045, 1002, 960, 920, 882, 845, 809, 774, 741, 709, 678,
    647, 618, 589, 562, 535, 508, 483, 458, 433, 409, 386, 363, 341, 319, 298, 277, 257, 237, 217,
    198, 179, 161, 143, 125, 107, 90, 73, 56, 40, 24, 8,
];

/// Rooms of a large hotel: log-normal with the quartiles 58, 149 and 259 and the
/// maximum 1,300 of the hotels of Washington, D.C. (DC Open Data).
pub(crate) const LARGE_HOTEL_ROOMS: [u16; 64] = [
    10, 16, 21, 25, 29, 33, 36, 40, 43, 47, 50, 54, 58, 61, 65, 69, 72, 76, 80, 85, 89, 93, 98,
    102, 107, 112, 117, 122, 128, 134, 140, 146, 152, 159, 166, 174, 181, 190, 198, 207, 217, 227,
    238, 250, 263, 276, 291, 306, 324, 342, 363, 386, 412, 441, 474, 512, 557, 611, 678, 764, 880,
    1051, 1300, 1300,
];

/// Rooms of an independent hotel: log-normal with the median 25.
pub(crate) const SMALL_HOTEL_ROOMS: [u16; 64] = [
    6, 6, 6, 7, 8, 8, 9, 10, 10, 11, 11, 12, 13, 13, 14, 14, 15, 15, 16, 17, 17, 18, 18, 19, 20,
    20, 21, 22, 22, 23, 24, 25, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 38, 39, 40, 42, 44,
    46, 48, 50, 52, 55, 58, 61, 65, 69, 75, 81, 90, 102, 123, 173,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix64_is_split_mix_64() {
        // The first outputs of the reference generator for seed 0.
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let outputs = [mix64(0), mix64(golden), mix64(golden.wrapping_mul(2))];
        assert_eq!(
            outputs,
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f
            ]
        );
    }

    #[test]
    fn draws_are_spread_over_their_range() {
        let mut seen = [0_u32; 7];
        for i in 0..70_000 {
            seen[Key::of_seed(1).at(Domain::Noise, i).below(7) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (9_500..10_500).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn domains_are_independent() {
        let key = Key::of_seed(7);
        assert_ne!(key.at(Domain::Stars, 3), key.at(Domain::Size, 3));
        assert_ne!(key.at(Domain::Stars, 3), key.at(Domain::Stars, 4));
        assert_ne!(
            key.at(Domain::Stars, 3),
            Key::of_seed(8).at(Domain::Stars, 3)
        );
    }
}
