//! Places, countries and currencies under their different names.

use serde_json::Value;

use super::equal;

/// A thing with several names; all are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    names: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    City,
    Exact,
}

/// Cities that travellers call by several names or codes. The first name is the usual one.
const CITIES: &[&[&str]] = &[
    &[
        "new york",
        "new york city",
        "nyc",
        "manhattan",
        "jfk",
        "lga",
        "ewr",
    ],
    &["los angeles", "la", "l.a.", "lax"],
    &["san francisco", "sf", "sfo", "san fran"],
    &["boston", "bos"],
    &["chicago", "ord", "chi", "mdw"],
    &[
        "washington",
        "washington dc",
        "washington d.c.",
        "dc",
        "iad",
        "dca",
        "was",
    ],
    &["las vegas", "vegas", "las"],
    &["philadelphia", "philly", "phl"],
    &["seattle", "sea"],
    &["miami", "mia"],
    &["houston", "iah", "hou"],
    &["dallas", "dfw"],
    &["denver", "den"],
    &["phoenix", "phx"],
    &["atlanta", "atl"],
    &["orlando", "mco"],
    &["charlotte", "clt"],
    &["detroit", "dtw"],
    &["minneapolis", "msp"],
    &["london", "lon", "lhr", "lgw"],
    &["paris", "par", "cdg", "ory"],
    &["tokyo", "tyo", "hnd", "nrt"],
    &["berlin", "ber"],
    &["munich", "münchen", "muc"],
    &["cologne", "köln", "cgn"],
    &["vienna", "wien", "vie"],
    &["rome", "roma", "rom", "fco"],
    &["milan", "milano", "mil", "mxp"],
    &["florence", "firenze", "flr"],
    &["venice", "venezia", "vce"],
    &["lisbon", "lisboa", "lis"],
    &["brussels", "bruxelles", "brussel", "bru"],
    &["copenhagen", "københavn", "cph"],
    &["prague", "praha", "prg"],
    &["geneva", "genève", "gva"],
    &["zurich", "zürich", "zrh"],
    &["amsterdam", "ams"],
    &["madrid", "mad"],
    &["barcelona", "bcn"],
    &["dubai", "dxb"],
    &["singapore", "sin"],
    &["hong kong", "hkg"],
    &["sydney", "syd"],
    &["toronto", "yyz"],
    &["montreal", "montréal", "yul"],
    &["mexico city", "ciudad de méxico", "cdmx", "mex"],
];

const COUNTRIES: &[&[&str]] = &[
    &[
        "us",
        "usa",
        "united states",
        "united states of america",
        "u.s.",
        "america",
    ],
    &["gb", "gbr", "uk", "united kingdom", "great britain"],
    &["de", "deu", "germany", "deutschland"],
    &["fr", "fra", "france"],
    &["it", "ita", "italy", "italia"],
    &["es", "esp", "spain", "españa"],
    &["at", "aut", "austria", "österreich"],
    &["ch", "che", "switzerland", "schweiz", "suisse"],
    &["nl", "nld", "netherlands", "holland"],
    &["be", "bel", "belgium"],
    &["pt", "prt", "portugal"],
    &["jp", "jpn", "japan"],
    &["ca", "can", "canada"],
    &["mx", "mex", "mexico", "méxico"],
    &["au", "aus", "australia"],
    &["ae", "are", "uae", "united arab emirates"],
    &["in", "ind", "india"],
    &["cn", "chn", "china"],
    &["br", "bra", "brazil", "brasil"],
];

const CURRENCIES: &[&[&str]] = &[
    &[
        "usd",
        "$",
        "us$",
        "dollar",
        "dollars",
        "us dollar",
        "us dollars",
    ],
    &["eur", "€", "euro", "euros"],
    &["gbp", "£", "pound", "pounds", "pound sterling"],
    &["jpy", "¥", "yen"],
    &["chf", "franc", "francs", "swiss franc"],
    &["cad", "c$", "canadian dollar", "canadian dollars"],
    &["aud", "a$", "australian dollar", "australian dollars"],
    &["mxn", "mexican peso", "mexican pesos"],
];

fn group(table: &[&[&str]], name: &str) -> Vec<String> {
    let name = name.trim().to_lowercase();
    let group = table.iter().find(|group| group.contains(&name.as_str()));
    match group {
        Some(group) => group.iter().map(|name| (*name).to_owned()).collect(),
        None => vec![name],
    }
}

impl Place {
    pub(super) fn city(name: &str) -> Self {
        Self {
            names: group(CITIES, name),
            kind: Kind::City,
        }
    }

    pub(super) fn country(name: &str) -> Self {
        Self {
            names: group(COUNTRIES, name),
            kind: Kind::Exact,
        }
    }

    pub(super) fn currency(name: &str) -> Self {
        Self {
            names: group(CURRENCIES, name),
            kind: Kind::Exact,
        }
    }

    pub(super) fn holds(&self, value: &Value) -> bool {
        let text = equal::text(value).trim().to_lowercase();
        let known = |text: &str| self.names.iter().any(|name| name == text.trim());
        // A city is often followed by its state or country.
        let before_comma = text.split(',').next().unwrap_or_default();
        known(&text) || self.kind == Kind::City && known(before_comma)
    }
}

/// The ISO 4217 code of a currency in upper case, or what was written.
pub(super) fn currency(name: &str) -> String {
    let names = group(CURRENCIES, name);
    names
        .first()
        .map(|code| code.to_uppercase())
        .unwrap_or_default()
}

/// How many of the smallest unit make one of a currency (ISO 4217).
pub(super) fn minor_units(currency: &str) -> f64 {
    match currency.to_uppercase().as_str() {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" => 1.0,
        "BHD" | "KWD" | "JOD" | "OMR" | "TND" => 1000.0,
        _ => 100.0,
    }
}
