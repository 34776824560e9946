//! From the traveller's words to a city.

use std::sync::LazyLock;

use super::{Atlas, City, CityIndex, fold};

/// What a place text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// One city, and the less prominent ones of the same name.
    Found(CityIndex, Vec<CityIndex>),
    /// Several, none of which stands out: the traveller has to choose.
    Ambiguous(Vec<CityIndex>),
    /// None; these have similar names.
    Unknown(Vec<CityIndex>),
}

/// How many times more prominent a city has to be than the next one of its name
/// to be taken without asking. Boston (US) is 16 times as large as Boston (GB)
/// and is taken; Portland (Oregon) has 10 times the people of Portland (Maine)
/// and is asked for.
const DOMINANCE: u64 = 12;
/// Most cities that are offered for choice.
const MAX_CANDIDATES: usize = 8;
/// Most cities of a similar name that are offered.
const MAX_NEAR: usize = 5;
/// Longest text for which similar names are looked for, in bytes: the comparison
/// is quadratic.
const MAX_NEAR_KEY: usize = 40;
/// How a candidate is named so that it needs no interpretation.
const ID_PREFIX: &str = "geonames:";

/// What people call a country, besides its name and code.
const COUNTRY_NAMES: [(&str, &str); 14] = [
    ("america", "US"),
    ("czech republic", "CZ"),
    ("eire", "IE"),
    ("great britain", "GB"),
    ("holland", "NL"),
    ("korea", "KR"),
    ("republic of ireland", "IE"),
    ("schweiz", "CH"),
    ("turkey", "TR"),
    ("uae", "AE"),
    ("uk", "GB"),
    ("united states of america", "US"),
    ("usa", "US"),
    ("viet nam", "VN"),
];

/// Names that travellers use and the city table has not, and city codes of IATA.
struct Shortcut {
    key: &'static str,
    country: &'static str,
    city: String,
}

fn shortcuts(table: &'static str) -> Vec<Shortcut> {
    table
        .lines()
        .map(|line| {
            let mut column = line.split('\t');
            let mut next = || column.next().expect("the table has three columns");
            let (key, country, city) = (next(), next(), fold(next()));
            Shortcut { key, country, city }
        })
        .collect()
}

static ALIASES: LazyLock<Vec<Shortcut>> =
    LazyLock::new(|| shortcuts(include_str!("../../assets/aliases.tsv")));
static IATA: LazyLock<Vec<Shortcut>> =
    LazyLock::new(|| shortcuts(include_str!("../../assets/iata.tsv")));

impl Atlas {
    /// Finds the city that `text` means: a name, optionally followed by region and
    /// country (`Portland, Maine`; `Portland ME`; `Paris, FR`), an IATA city code
    /// (`BOS`) or the id of a candidate (`geonames:4930956`).
    pub(crate) fn resolve(&self, text: &str) -> Lookup {
        let text = text.trim();
        if let Some(id) = text.strip_prefix(ID_PREFIX) {
            let city = id.parse().ok().and_then(|id| self.find(id));
            return city.map_or_else(
                || Lookup::Unknown(Vec::new()),
                |c| Lookup::Found(c, Vec::new()),
            );
        }
        if text.len() == 3
            && text.bytes().all(|b| b.is_ascii_uppercase())
            && let Some(city) = self.shortcut(&IATA, text)
        {
            return Lookup::Found(city, Vec::new());
        }
        let mut parts = text.split(',').map(fold).filter(|part| !part.is_empty());
        let Some(head) = parts.next() else {
            return Lookup::Unknown(Vec::new());
        };
        let qualifiers: Vec<String> = parts.collect();
        let found = if qualifiers.is_empty() {
            self.unqualified(&head)
        } else {
            self.qualified(&head, &qualifiers)
        };
        if !found.is_empty() {
            return self.choose(found);
        }
        match self.shortcut(&IATA, &text.to_ascii_uppercase()) {
            Some(city) => Lookup::Found(city, Vec::new()),
            None => Lookup::Unknown(self.near(&head)),
        }
    }

    /// Returns the words that name a city for [`Atlas::resolve`] without any doubt.
    pub(crate) fn place_id(&self, city: CityIndex) -> String {
        format!("{ID_PREFIX}{}", self.city(city).id)
    }

    fn unqualified(&self, key: &str) -> Vec<CityIndex> {
        if let Some(city) = self.shortcut(&ALIASES, key) {
            return vec![city];
        }
        let named = self.candidates(key);
        if !named.is_empty() {
            return named;
        }
        // "Portland Oregon": the longest head that is a city of the rest.
        let blanks = key.char_indices().rev().filter(|(_, c)| *c == ' ');
        for (blank, _) in blanks {
            let (head, rest) = (&key[..blank], key[blank + 1..].to_owned());
            let found = self.qualified(head, &[rest]);
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    fn qualified(&self, head: &str, qualifiers: &[String]) -> Vec<CityIndex> {
        let mut found = self.candidates(head);
        found.extend(self.shortcut(&ALIASES, head));
        found.retain(|city| {
            let city = self.city(*city);
            qualifiers.iter().all(|qualifier| lies_in(city, qualifier))
        });
        found
    }

    fn candidates(&self, key: &str) -> Vec<CityIndex> {
        let mut found: Vec<_> = self.named(key).collect();
        if found.is_empty() {
            found.extend(self.named(&format!("{key} city")));
        }
        found
    }

    fn choose(&self, mut cities: Vec<CityIndex>) -> Lookup {
        self.by_prominence(&mut cities);
        let rank = |i: usize| {
            cities
                .get(i)
                .map_or(0, |city| self.city(*city).prominence())
        };
        if cities.len() == 1 || rank(0) >= DOMINANCE * rank(1) {
            let also = cities.iter().skip(1).take(MAX_NEAR).copied().collect();
            return Lookup::Found(cities[0], also);
        }
        cities.truncate(MAX_CANDIDATES);
        Lookup::Ambiguous(cities)
    }

    fn shortcut(&self, table: &[Shortcut], key: &str) -> Option<CityIndex> {
        let found = table.binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        let Shortcut { country, city, .. } = &table[found];
        self.named(city)
            .filter(|index| self.city(*index).country().code == *country)
            .max_by_key(|index| self.city(*index).population)
    }

    /// Returns the most prominent cities whose name begins like `key` or differs
    /// by one or two letters.
    fn near(&self, key: &str) -> Vec<CityIndex> {
        let Some(first) = key.get(..key.chars().next().map_or(0, char::len_utf8)) else {
            return Vec::new();
        };
        if key.len() > MAX_NEAR_KEY {
            return Vec::new();
        }
        let slack = if key.len() > 5 { 2 } else { 1 };
        let same_start = self
            .from(first)
            .take_while(|(name, _)| name.starts_with(first));
        let mut near: Vec<(usize, CityIndex)> = same_start
            .filter_map(|(name, city)| {
                let whole_word = key
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(' '));
                if whole_word || (key.len() >= 3 && name.starts_with(key)) {
                    return Some((0, city));
                }
                if name.len().abs_diff(key.len()) > slack {
                    return None;
                }
                let distance = strsim::osa_distance(name, key);
                (distance <= slack).then_some((distance, city))
            })
            .collect();
        near.sort_by_key(|(distance, city)| {
            (*distance, std::cmp::Reverse(self.city(*city).prominence()))
        });
        let mut cities: Vec<_> = near.into_iter().map(|(_, city)| city).collect();
        cities.dedup();
        cities.truncate(MAX_NEAR);
        cities
    }
}

/// Returns whether `qualifier` names the region or country of `city`, or both
/// one after the other (`ma usa`).
fn lies_in(city: &City, qualifier: &str) -> bool {
    let blanks = qualifier.char_indices().filter(|(_, c)| *c == ' ');
    names_area(city, qualifier)
        || blanks.into_iter().any(|(blank, _)| {
            names_area(city, &qualifier[..blank]) && names_area(city, &qualifier[blank + 1..])
        })
}

fn names_area(city: &City, text: &str) -> bool {
    let country = city.country();
    let known_as = |(name, code): &(&str, &str)| *name == text && *code == country.code;
    let region = city.region().is_some_and(|region| {
        region.folded == text || region.abbreviation.eq_ignore_ascii_case(text)
    });
    region
        || country.code.eq_ignore_ascii_case(text)
        || country.folded == text
        || COUNTRY_NAMES.iter().any(known_as)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_every_entry_leads_to_a_city() {
        let atlas = Atlas::decode();
        for table in [&*ALIASES, &*IATA] {
            assert!(table.is_sorted_by(|a, b| a.key < b.key));
            for entry in table {
                assert!(atlas.shortcut(table, entry.key).is_some(), "{}", entry.key);
            }
        }
        assert!(ALIASES.iter().all(|alias| fold(alias.key) == alias.key));
    }
}
