//! What both sides can do (AlpineBits, section 3).

use serde_json::{Value, json};

use crate::alpinebits::value::Version;

/// What this server does in `version`, by the names of AlpineBits.
fn actions(version: Version) -> Vec<(&'static str, Vec<&'static str>)> {
    let rooms = if version.counts_inventory() {
        (
            "action_OTA_HotelInvCountNotif",
            vec![
                "OTA_HotelInvCountNotif_accept_rooms",
                "OTA_HotelInvCountNotif_accept_categories",
                "OTA_HotelInvCountNotif_accept_deltas",
                "OTA_HotelInvCountNotif_accept_complete_set",
                "OTA_HotelInvCountNotif_accept_out_of_order",
                "OTA_HotelInvCountNotif_accept_out_of_market",
                "OTA_HotelInvCountNotif_accept_closing_seasons",
            ],
        )
    } else {
        (
            "action_OTA_HotelAvailNotif",
            vec![
                "OTA_HotelAvailNotif_accept_rooms",
                "OTA_HotelAvailNotif_accept_categories",
                "OTA_HotelAvailNotif_accept_deltas",
                "OTA_HotelAvailNotif_accept_BookingThreshold",
            ],
        )
    };
    vec![
        ("action_OTA_Ping", vec![]),
        rooms,
        (
            "action_OTA_HotelDescriptiveContentNotif_Inventory",
            vec!["OTA_HotelDescriptiveContentNotif_Inventory_use_rooms"],
        ),
        ("action_OTA_HotelDescriptiveContentNotif_Info", vec![]),
        (
            "action_OTA_HotelRatePlanNotif_RatePlans",
            vec![
                "OTA_HotelRatePlanNotif_accept_ArrivalDOW",
                "OTA_HotelRatePlanNotif_accept_DepartureDOW",
                "OTA_HotelRatePlanNotif_accept_RatePlan_BookingRule",
                "OTA_HotelRatePlanNotif_accept_RatePlan_RoomType_BookingRule",
                "OTA_HotelRatePlanNotif_accept_Supplements",
                "OTA_HotelRatePlanNotif_accept_overlay",
            ],
        ),
    ]
}

/// Returns what both sides can do, as the JSON text of an answer: `asked` is what the
/// other side can do. What is unreadable is answered with everything.
#[must_use]
pub fn negotiate(asked: &str) -> String {
    let asked: Option<Value> = serde_json::from_str(asked).ok();
    let versions: Vec<Value> = Version::ALL
        .into_iter()
        .filter_map(|version| {
            let theirs = match &asked {
                Some(asked) => Some(named(asked.get("versions")?, "version", version.as_str())?),
                None => None,
            };
            let actions = common(version, theirs);
            Some(json!({ "version": version.as_str(), "actions": actions }))
        })
        .collect();
    json!({ "versions": versions }).to_string()
}

fn common(version: Version, theirs: Option<&Value>) -> Vec<Value> {
    let both = actions(version).into_iter().filter_map(|(name, supports)| {
        let Some(theirs) = theirs else {
            return Some(entry(name, &supports));
        };
        let asked = named(theirs.get("actions")?, "action", name)?;
        let wanted = asked.get("supports").and_then(Value::as_array);
        let wanted = |name: &&str| wanted.is_some_and(|all| all.iter().any(|one| one == *name));
        let both: Vec<_> = supports.into_iter().filter(wanted).collect();
        Some(entry(name, &both))
    });
    both.collect()
}

fn entry(name: &str, supports: &[&str]) -> Value {
    if supports.is_empty() {
        json!({ "action": name })
    } else {
        json!({ "action": name, "supports": supports })
    }
}

/// Returns the member of a list that is called `name`.
fn named<'a>(list: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    list.as_array()?
        .iter()
        .find(|one| one.get(key).is_some_and(|value| value == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_what_both_can_do() {
        let asked = r#"{"versions":[{"version":"2020-10","actions":[
            {"action":"action_OTA_Ping"},
            {"action":"action_OTA_Read"},
            {"action":"action_OTA_HotelInvCountNotif",
             "supports":["OTA_HotelInvCountNotif_accept_rooms","another"]}]},
            {"version":"2017-10"}]}"#;
        assert_eq!(
            negotiate(asked),
            r#"{"versions":[{"version":"2020-10","actions":[{"action":"action_OTA_Ping"},{"action":"action_OTA_HotelInvCountNotif","supports":["OTA_HotelInvCountNotif_accept_rooms"]}]}]}"#
        );
    }

    #[test]
    fn client_that_says_nothing_learns_everything() {
        let all = negotiate("");
        assert!(
            Version::ALL
                .iter()
                .all(|version| all.contains(version.as_str())),
            "{all}"
        );
        assert_eq!(negotiate(r#"{"versions":[]}"#), r#"{"versions":[]}"#);
    }
}
