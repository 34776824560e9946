//! Positions around a city, in integers.

/// Metres of one degree of latitude.
const METRES_PER_DEGREE: i64 = 111_195;

/// Returns the point `distance_m` metres from (`lat_e5`, `lon_e5`) in the direction
/// `bearing` (degrees clockwise from north).
///
/// Good to a few metres at the distances of a city. Longitudes wrap at the
/// antimeridian; near the poles the offset in longitude is capped.
pub(super) fn offset(lat_e5: i32, lon_e5: i32, bearing: i64, distance_m: i64) -> (i32, i32) {
    let north_m = distance_m * cosine(bearing) / 1_000_000;
    let east_m = distance_m * cosine(bearing - 90) / 1_000_000;
    let lat = i64::from(lat_e5) + north_m * 100_000 / METRES_PER_DEGREE;
    let shrink = cosine(lat / 100_000).max(20_000);
    let lon = i64::from(lon_e5) + east_m * 100_000 * 1_000_000 / (METRES_PER_DEGREE * shrink);
    let lon = (lon + 18_000_000).rem_euclid(36_000_000) - 18_000_000;
    let lat = lat.clamp(-9_000_000, 9_000_000);
    (lat as i32, lon as i32)
}

/// Returns the metres between two points (latitude and longitude in 1e-5 degrees) on
/// the shortest way over the globe, whatever meridian or pole lies between them.
#[must_use]
pub fn distance_m(from: (i32, i32), to: (i32, i32)) -> u32 {
    let radians = |e5: i32| (f64::from(e5) / 1e5).to_radians();
    let (lat_a, lat_b) = (radians(from.0), radians(to.0));
    let (d_lat, d_lon) = (lat_b - lat_a, radians(to.1) - radians(from.1));
    // The haversine formula; the mean radius of the earth is that of METRES_PER_DEGREE.
    let half =
        (d_lat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (d_lon / 2.0).sin().powi(2);
    (2.0 * 6_371_000.0 * half.sqrt().min(1.0).asin()).round() as u32
}

/// Cosine of whole degrees in millionths, by Bhaskara's formula (error < 0.0017).
fn cosine(degrees: i64) -> i64 {
    let d = degrees.rem_euclid(360);
    let (d, sign) = match d {
        0..=90 => (d, 1),
        91..=270 => (180 - d, -1),
        _ => (360 - d, 1),
    };
    sign * 1_000_000 * (32_400 - 4 * d * d) / (32_400 + d * d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_is_close_on_the_whole_circle() {
        for degrees in -720..720 {
            let exact = f64::from(degrees).to_radians().cos() * 1e6;
            let error = (cosine(i64::from(degrees)) as f64 - exact).abs();
            assert!(error < 1_700.0, "{degrees}: {error}");
        }
    }

    #[test]
    fn antimeridian_is_crossed() {
        let (_, lon) = offset(-1_800_000, 17_999_900, 90, 5_000);
        assert!((-18_000_000..-17_900_000).contains(&lon), "{lon}");
    }

    #[test]
    fn distance_is_the_shortest_way_over_meridian_and_pole() {
        for (from, to, metres) in [
            // Boston to Zürich, by the great circle.
            ((4_235_843, -7_105_977), (4_737_689, 854_169), 6_007_000),
            ((0, 17_999_000), (0, -17_999_000), 2_224),
            ((8_999_000, 0), (8_999_000, 18_000_000), 2_224),
            ((-9_000_000, 0), (-9_000_000, 12_300_000), 0),
        ] {
            let measured = distance_m(from, to);
            assert!(measured.abs_diff(metres) <= metres / 500 + 1, "{measured}");
            assert_eq!(measured, distance_m(to, from));
        }
    }

    #[test]
    fn a_kilometre_north_is_nine_thousandths_of_a_degree() {
        assert_eq!(
            offset(4_235_843, -7_105_977, 0, 1_000),
            (4_236_742, -7_105_977)
        );
    }
}
