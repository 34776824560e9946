//! The four operations, exactly.

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 32;
/// Longest expression in bytes.
const MAX_LENGTH: usize = 500;

/// A fraction in lowest terms with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fraction {
    top: i128,
    bottom: i128,
}

impl Fraction {
    fn new(top: i128, bottom: i128) -> Option<Self> {
        let mut gcd = (top.checked_abs()?, bottom.checked_abs()?);
        while gcd.1 != 0 {
            gcd = (gcd.1, gcd.0 % gcd.1);
        }
        let sign = bottom.signum();
        if sign == 0 {
            return None;
        }
        Some(Self {
            top: top / gcd.0 * sign,
            bottom: bottom / gcd.0 * sign,
        })
    }

    fn apply(self, operator: u8, other: Self) -> Option<Self> {
        let cross = |a: i128, b: i128| a.checked_mul(b);
        match operator {
            b'+' | b'-' => {
                let second = cross(other.top, self.bottom)?;
                let first = cross(self.top, other.bottom)?;
                let top = if operator == b'+' {
                    first.checked_add(second)?
                } else {
                    first.checked_sub(second)?
                };
                Self::new(top, cross(self.bottom, other.bottom)?)
            }
            b'*' => Self::new(
                cross(self.top, other.top)?,
                cross(self.bottom, other.bottom)?,
            ),
            _ => Self::new(
                cross(self.top, other.bottom)?,
                cross(self.bottom, other.top)?,
            ),
        }
    }
}

/// Returns the value of `expression`, rounded half up to two places, or `None` where
/// it is none.
pub(crate) fn calculate(expression: &str) -> Option<String> {
    if expression.len() > MAX_LENGTH {
        return None;
    }
    let text: Vec<u8> = expression.bytes().filter(|b| *b != b' ').collect();
    let mut rest = text.as_slice();
    let value = sum(&mut rest, 0)?;
    if !rest.is_empty() {
        return None;
    }
    let hundredths = value.top.checked_mul(100)?;
    let rounded = (hundredths.checked_mul(2)? + value.bottom).div_euclid(value.bottom * 2);
    let (sign, size) = (if rounded < 0 { "-" } else { "" }, rounded.unsigned_abs());
    let (whole, part) = (size / 100, size % 100);
    // As a float is printed: 1.0, 1.5, 1.25.
    let part = format!("{part:02}");
    let part = part.strip_suffix('0').unwrap_or(&part);
    Some(format!("{sign}{whole}.{part}"))
}

fn sum(rest: &mut &[u8], depth: usize) -> Option<Fraction> {
    let mut value = product(rest, depth)?;
    while let [operator @ (b'+' | b'-'), tail @ ..] = *rest {
        *rest = tail;
        value = value.apply(*operator, product(rest, depth)?)?;
    }
    Some(value)
}

fn product(rest: &mut &[u8], depth: usize) -> Option<Fraction> {
    let mut value = factor(rest, depth)?;
    while let [operator @ (b'*' | b'/'), tail @ ..] = *rest {
        *rest = tail;
        value = value.apply(*operator, factor(rest, depth)?)?;
    }
    Some(value)
}

fn factor(rest: &mut &[u8], depth: usize) -> Option<Fraction> {
    if depth > MAX_DEPTH {
        return None;
    }
    match *rest {
        [b'-', tail @ ..] => {
            *rest = tail;
            let value = factor(rest, depth + 1)?;
            Fraction::new(value.top.checked_neg()?, value.bottom)
        }
        [b'+', tail @ ..] => {
            *rest = tail;
            factor(rest, depth + 1)
        }
        [b'(', tail @ ..] => {
            *rest = tail;
            let value = sum(rest, depth + 1)?;
            let [b')', tail @ ..] = *rest else {
                return None;
            };
            *rest = tail;
            Some(value)
        }
        _ => number(rest),
    }
}

fn number(rest: &mut &[u8]) -> Option<Fraction> {
    let (mut top, mut bottom, mut digits, mut point) = (0_i128, 1_i128, 0, false);
    while let [byte, tail @ ..] = *rest {
        match byte {
            b'0'..=b'9' => {
                top = top.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                digits += 1;
                if point {
                    bottom = bottom.checked_mul(10)?;
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        *rest = tail;
    }
    (digits > 0).then(|| Fraction::new(top, bottom))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_nonsense_has_no_value() {
        for (text, expected) in [
            ("2 * ((350 - 122) + (499 - 127))", Some("1200.0")),
            ("0.1 + 0.2", Some("0.3")),
            ("-7 / 2", Some("-3.5")),
            ("1 / 3", Some("0.33")),
            ("2 / 3", Some("0.67")),
            ("-(2 + .5) * +4", Some("-10.0")),
            ("1 / 0", None),
            ("2 **", None),
            ("(1", None),
            ("1)", None),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("import os", None),
        ] {
            assert_eq!(calculate(text).as_deref(), expected, "{text}");
        }
        assert_eq!(calculate(&"(".repeat(400)), None);
        assert_eq!(calculate(&"9".repeat(80)), None);
        assert_eq!(calculate(&"1+".repeat(400)), None);
    }
}
