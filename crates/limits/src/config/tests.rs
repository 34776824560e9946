use airside_policy::limit::Kind;

use super::*;

fn limit(json: &str) -> LimitConfig {
    serde_json::from_str(json).unwrap()
}

fn check_one(json: &str, expected: &str) {
    let found = check(&LimitsConfig::default(), &[limit(json)]);
    let text = found.first().map_or_else(
        || "good".to_owned(),
        |(_, error)| match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    );
    assert_eq!(text, expected, "{json}");
}

#[test]
fn limit_that_makes_no_sense_is_refused() {
    check_one(r#"{"name":"a","rate":"10/s"}"#, "good");
    check_one(
        r#"{"name":"A b","rate":"10/s"}"#,
        "the name of a limit is 1 to 40 of a-z, 0-9 and -, not `A b`",
    );
    let kind = "`a` needs exactly one of `rate`, `concurrent`, `quota` and `look-to-book`";
    check_one(r#"{"name":"a"}"#, kind);
    check_one(r#"{"name":"a","rate":"10/s","concurrent":3}"#, kind);
    check_one(
        r#"{"name":"a","rate":"0/s"}"#,
        "the rate of `a` cannot be kept: a rate needs at least 1 unit and at most 1,000,000,000 in a second",
    );
    check_one(
        r#"{"name":"a","rate":"1/d","burst":20}"#,
        "the rate of `a` cannot be kept: the burst takes longer than 13 days to come back: use a quota",
    );
    check_one(
        r#"{"name":"a","rate":"10/s","burst":5,"costs":{"search":6}}"#,
        "`cost` of `a` is more than the burst, so no call would pass",
    );
    check_one(
        r#"{"name":"a","quota":{}}"#,
        "`quota` of `a` needs `daily` or `monthly`",
    );
    check_one(
        r#"{"name":"a","rate":"1/s","per":["market"]}"#,
        "`market-argument` of `a` belongs to `per = [\"market\"]`, and that needs it",
    );
    check_one(
        r#"{"name":"a","rate":"1/s","attestation-at-most":"key"}"#,
        "`attestation-at-most` of `a` is none of none, ip_range, api_key, oauth, http_signature and mtls",
    );
}

#[test]
fn names_and_zones_are_checked_together() {
    let twice = [
        limit(r#"{"name":"a","rate":"10/s"}"#),
        limit(r#"{"name":"a","concurrent":1}"#),
    ];
    let found = check(&LimitsConfig::default(), &twice);
    let same = Error::SameName { name: "a".into() };
    assert_eq!(found, [(Some(1), same)]);
    let nowhere = LimitsConfig {
        zone: "Europe/Atlantis".into(),
        ..LimitsConfig::default()
    };
    assert!(matches!(
        &check(&nowhere, &[])[..],
        [(None, Error::Zone { .. })]
    ));
}

#[test]
fn keys_of_persons_are_within_those_of_clients_and_tenants() {
    let rules = compile(
        &LimitsConfig::default(),
        &[
            limit(r#"{"name":"u","rate":"1/s","per":["user","tool"]}"#),
            limit(r#"{"name":"q","quota":{"daily":5,"monthly":50},"per":["tenant"]}"#),
        ],
    )
    .unwrap();
    let names: Vec<_> = rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["u", "q-daily", "q-monthly"]);
    assert_eq!(
        rules[0].per,
        [Class::Tenant, Class::Client, Class::User, Class::Tool]
    );
    assert!(!rules[0].is_early() && rules[1].is_early());
    assert!(matches!(rules[2].kind, Kind::Quota { limit: 50, .. }));
}
