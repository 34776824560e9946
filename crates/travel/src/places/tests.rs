use super::*;

fn atlas() -> &'static Atlas {
    static ATLAS: LazyLock<Atlas> = LazyLock::new(Atlas::decode);
    &ATLAS
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let labels = |cities: &[CityIndex]| {
        let labels: Vec<_> = cities.iter().map(|city| atlas().label(*city)).collect();
        labels.join(" | ")
    };
    let seen = match atlas().resolve(text) {
        Lookup::Found(city, _) => labels(&[city]),
        Lookup::Ambiguous(cities) => format!("which of {}", labels(&cities[..2])),
        Lookup::Unknown(near) => format!("none, near {}", labels(&near[..near.len().min(1)])),
    };
    assert_eq!(seen, expected, "{text}");
}

#[test]
fn prominent_city_is_taken_without_asking() {
    check("Boston", "Boston, Massachusetts, United States");
    check("boston ", "Boston, Massachusetts, United States");
    check("Paris", "Paris, Île-de-France, France");
    check("London", "London, England, United Kingdom");
    check("Athens", "Athens, Greece");
    check("Zuerich", "Zürich, Zürich, Switzerland");
    check("ZÜRICH", "Zürich, Zürich, Switzerland");
    check("sao paulo", "São Paulo, Brazil");
}

#[test]
fn ambiguous_name_is_asked_back() {
    check(
        "Portland",
        "which of Portland, Oregon, United States | Portland, Maine, United States",
    );
    check(
        "Birmingham",
        "which of Birmingham, England, United Kingdom | Birmingham, Alabama, United States",
    );
    check(
        "Cambridge",
        "which of Cambridge, England, United Kingdom | Cambridge, Ontario, Canada",
    );
}

#[test]
fn region_or_country_decides() {
    for text in [
        "Portland, Maine",
        "Portland, ME",
        "portland me",
        "Portland Maine USA",
        "Portland, ME, US",
    ] {
        check(text, "Portland, Maine, United States");
    }
    check("Boston, UK", "Boston, England, United Kingdom");
    check("Boston, MA USA", "Boston, Massachusetts, United States");
    check("London, Canada", "London, Ontario, Canada");
    check(
        "Washington, D.C.",
        "Washington, District of Columbia, United States",
    );
    check("Paris, Germany", "none, near Paris, Île-de-France, France");
}

#[test]
fn usual_names_and_city_codes_are_known() {
    check("NYC", "New York City, New York, United States");
    check("New York", "New York City, New York, United States");
    check("New York, NY", "New York City, New York, United States");
    check("BOS", "Boston, Massachusetts, United States");
    check("zrh", "Zürich, Zürich, Switzerland");
    check("Cologne", "Köln, North Rhine-Westphalia, Germany");
    check("St. Louis", "St. Louis, Missouri, United States");
    check("geonames:4930956", "Boston, Massachusetts, United States");
}

#[test]
fn unknown_place_has_near_matches_where_there_are_any() {
    check("Bosten", "none, near Boston, Massachusetts, United States");
    check(
        "Boston Logan Airport",
        "none, near Boston, Massachusetts, United States",
    );
    check("Rivendell", "none, near ");
    check("geonames:1", "none, near ");
    check("🏨🏨", "none, near ");
    check(",,,", "none, near ");
    check("", "none, near ");
}

#[test]
fn every_city_has_a_currency_a_zone_and_a_way_back() {
    let atlas = atlas();
    assert!(atlas.cities.len() > 32_000);
    for i in 0..u32::try_from(atlas.cities.len()).unwrap() {
        let city = CityIndex(i);
        assert!(
            jiff::tz::TimeZone::get(atlas.zone(city)).is_ok(),
            "{}",
            atlas.zone(city)
        );
        assert_eq!(atlas.city(city).country().currency.code.len(), 3);
    }
    for i in (0..atlas.cities.len()).step_by(997) {
        let city = CityIndex(u32::try_from(i).unwrap());
        assert_eq!(
            atlas.resolve(&atlas.place_id(city)),
            Lookup::Found(city, Vec::new())
        );
    }
}

#[test]
fn decoded_atlas_is_small() {
    assert!(
        atlas().size_bytes() < 8 * 1024 * 1024,
        "{}",
        atlas().size_bytes()
    );
}

#[test]
fn weight_is_the_exact_power() {
    assert_eq!(
        [weight(0), weight(1), weight(32), weight(243)],
        [0, 32, 512, 2592]
    );
    assert!(weight(24_874_500) > weight(24_874_000));
}
