//! Names that come from outside, checked once.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The text is empty, too long or holds something else than letters, digits and `-_.:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to {max} letters, digits or characters of `-_.:`")]
pub struct CodeError {
    /// Most characters.
    pub max: usize,
}

fn check(text: &str, max: usize) -> Result<(), CodeError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if (1..=max).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(CodeError { max })
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns it as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = CodeError;

            fn from_str(text: &str) -> Result<Self, CodeError> {
                check(text, $max)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = CodeError;

            fn try_from(text: String) -> Result<Self, CodeError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(code: $name) -> Self {
                code.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

code! {
    /// A hotel, as its supplier names it.
    HotelId, 64
}
code! {
    /// A room type of a hotel. OPERA Cloud's have 50 characters at most.
    RoomCode, 50
}
code! {
    /// A rate plan of a hotel. OPERA Cloud's have 50 characters at most.
    PlanCode, 50
}
code! {
    /// The caller's own name of a reservation or change. It never names anything else
    /// again. Suppliers take 50 characters at most (OPERA Cloud, `reservationIdList`).
    Reference, 50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_text_is_a_code() {
        for good in ["a", "htl_4930956_7", "bs-1.2:3"] {
            assert_eq!(good.parse::<Reference>().unwrap().as_str(), good);
        }
        let long = "x".repeat(51);
        for bad in ["", "a b", "é", "a/b", "a\n", &long] {
            assert_eq!(
                bad.parse::<Reference>(),
                Err(CodeError { max: 50 }),
                "{bad}"
            );
        }
    }
}
