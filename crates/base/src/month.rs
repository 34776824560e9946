//! Names of months.

/// Names of months in lower case, in order.
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Returns the number of a month, from 1, by its name in lower case: the whole of it, its
/// first three letters, or `sept`.
#[must_use]
pub fn month(name: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|full| {
        *full == name
            || (name.len() == 3 && full.starts_with(name))
            || (name == "sept" && full.starts_with("sept"))
    })?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_known_by_their_usual_names() {
        let known = [
            ("january", 1),
            ("jun", 6),
            ("may", 5),
            ("sep", 9),
            ("sept", 9),
            ("dec", 12),
        ];
        for (name, number) in known {
            assert_eq!(month(name), Some(number), "{name}");
        }
        for name in ["", "ma", "marc", "mars", "january ", "JAN"] {
            assert_eq!(month(name), None, "{name}");
        }
    }
}
