//! What patterns say of the texts that they fit.

/// Returns whether the pattern `text`, with or without slashes around, bounds a whole text.
pub(super) fn is_anchored(text: &str) -> bool {
    let inner = inner(text);
    begins(inner) && ends(inner)
}

/// Returns whether what fits `text` as a whole is bounded: not if anything fits.
pub(super) fn bounds(text: &str) -> bool {
    is_anchored(text) && !fits_anything(inner(text))
}

/// Returns whether the pattern `text`, which has to fit from the beginning, bounds a text.
pub(super) fn bounds_from_start(text: &str) -> bool {
    ends(inner(text)) && !fits_anything(inner(text))
}

/// Returns whether the pattern finds whatever is not of a few characters: `[^a-z0-9]`.
pub(super) fn finds_others(text: &str) -> bool {
    let text = inner(text).trim_end_matches(['+', '*']);
    let class = text
        .strip_prefix("[^")
        .and_then(|rest| rest.strip_suffix(']'));
    class.is_some_and(|class| !class.contains(['/', '[']) && !class.contains("\\S"))
}

/// Returns whether the pattern finds an address whose host may go on as it likes:
/// `^https?://(www\.)?example\.com`.
pub(super) fn is_open(text: &str) -> bool {
    let text = inner(text).replace('\\', "");
    let Some((_, host)) = text.split_once("://") else {
        return false;
    };
    !host.contains('/') && (!ends(&text) || fits_anything(host))
}

fn inner(text: &str) -> &str {
    match text
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'))
    {
        Some((inner, flags)) if !flags.contains('m') => inner,
        _ => text,
    }
}

fn begins(text: &str) -> bool {
    text.starts_with('^') || text.starts_with("\\A")
}

fn ends(text: &str) -> bool {
    text.ends_with('$') || text.ends_with("\\Z") || text.ends_with("\\z")
}

/// Returns whether any text fits a part of the pattern.
fn fits_anything(text: &str) -> bool {
    [".*", ".+", "[\\s\\S]"].iter().any(|any| {
        text.match_indices(any)
            .any(|(at, _)| !text[..at].ends_with('\\'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_bound_what_they_fit_as_a_whole() {
        let of = |text| (bounds(text), bounds_from_start(text), finds_others(text));
        assert_eq!(of("^[a-z]+$"), (true, true, false));
        assert_eq!(of("/^[a-z]+$/i"), (true, true, false));
        assert_eq!(of("[a-z]+\\Z"), (false, true, false));
        assert_eq!(of("^https?://.*$"), (false, false, false));
        assert_eq!(of("^v1\\.[0-9]+$"), (true, true, false));
        assert_eq!(of("[^A-Za-z0-9_-]+"), (false, false, true));
        assert_eq!(of("[^A-Za-z0-9/]"), (false, false, false));
    }

    #[test]
    fn patterns_that_leave_the_host_open_are_known() {
        assert!(is_open("/^https?:\\/\\/(www\\.)?example\\.com/i"));
        assert!(is_open("^https?://"));
        assert!(is_open("^https?://.*$"));
        assert!(!is_open("^https://example\\.com/"));
        assert!(!is_open("^https?://(www\\.)?example\\.com$"));
        assert!(!is_open("^[a-z]+$"));
    }
}
