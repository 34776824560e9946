use super::*;

fn names(drift: &Drift) -> String {
    let names: Vec<_> = drift.iter().map(|class| class.as_str()).collect();
    names.join(" ")
}

fn check(before: &str, after: &str, expected: &str) {
    let read = |members: &str| Definition::read(&format!(r#"{{"name":"t",{members}}}"#)).unwrap();
    let drift = of_tool(&read(before), &read(after));
    assert_eq!(names(&drift), expected, "{before} → {after}");
}

const PLAIN: &str = r#""description":"Finds hotels.","inputSchema":{"type":"object","properties":{"place":{"type":"string","description":"Where"}}}"#;

#[test]
fn nothing_changed_has_no_class_and_everything_else_has_one() {
    check(PLAIN, PLAIN, "");
    check(r#""title":"a""#, r#""title":"b""#, "annotations");
    check(r#""x":1"#, r#""x":1.0"#, "annotations");
    check(
        r#""annotations":{"readOnlyHint":false}"#,
        r#""annotations":{"idempotentHint":true}"#,
        "annotations",
    );
}

#[test]
fn words_are_told_from_arguments() {
    check(
        PLAIN,
        &PLAIN.replace("Finds hotels.", "Finds rooms."),
        "description",
    );
    check(PLAIN, &PLAIN.replace("Where", "The city"), "description");
    check(
        PLAIN,
        r#""description":"Finds hotels.","inputSchema":{"type":"object","properties":{"place":{"type":"string","description":"Where"},"page":{"type":"integer","description":"Which page"}}}"#,
        "schema-widened",
    );
    check(
        PLAIN,
        r#""description":"Finds hotels.","inputSchema":{"type":"object","properties":{}}"#,
        "schema-narrowed",
    );
}

#[test]
fn effects_count_by_what_they_mean() {
    let hints = |text: &str| format!(r#""annotations":{{{text}}}"#);
    check(
        &hints(r#""readOnlyHint":true"#),
        &hints(""),
        "hints-weakened",
    );
    check(
        &hints(""),
        &hints(r#""readOnlyHint":true"#),
        "hints-relaxed",
    );
    check(
        &hints(r#""destructiveHint":false"#),
        &hints(r#""destructiveHint":true"#),
        "hints-weakened",
    );
    check(
        &hints(r#""openWorldHint":false"#),
        &hints(""),
        "hints-weakened",
    );
    check(
        &hints(r#""readOnlyHint":true"#),
        &hints(r#""readOnlyHint":true,"destructiveHint":true"#),
        "annotations",
    );
}

#[test]
fn sinks_views_and_security_have_classes_of_their_own() {
    let with = |name: &str| {
        format!(r#""inputSchema":{{"properties":{{"a":{{}},"{name}":{{"type":"string"}}}}}}"#)
    };
    check(&with("b"), &with("b"), "");
    for name in ["callbackUrl", "webhook_url", "to", "notify-host", "CC"] {
        check(
            r#""inputSchema":{"properties":{"a":{}}}"#,
            &with(name),
            "schema-widened sink",
        );
    }
    check(
        r#""inputSchema":{"properties":{"a":{}}}"#,
        &with("curl"),
        "schema-widened",
    );
    check(
        r#""inputSchema":{}"#,
        r#""inputSchema":{"if":{"properties":{"webhook":{}}}}"#,
        "schema-incompatible sink",
    );
    check(
        r#""_meta":{"ui":{"resourceUri":"ui://a"}}"#,
        r#""_meta":{"ui":{"resourceUri":"ui://b"}}"#,
        "view",
    );
    check(
        r#""securitySchemes":[{"type":"oauth2"}]"#,
        r#""securitySchemes":[{"type":"noauth"}]"#,
        "security",
    );
    check(
        r#""execution":{"taskSupport":"forbidden"}"#,
        r#""execution":{"taskSupport":"optional"}"#,
        "execution",
    );
    check(
        r#""outputSchema":{"type":"object"}"#,
        r#""outputSchema":{"type":"object","properties":{"a":{}}}"#,
        "output",
    );
}

#[test]
fn server_is_told_by_its_name() {
    let server = |text: &str| Definition::of_server(text).unwrap();
    let check = |before, after, expected: &str| {
        assert_eq!(names(&of_server(&server(before), &server(after))), expected);
    };
    let one = r#"{"serverInfo":{"name":"a","version":"1"},"instructions":"i"}"#;
    check(
        one,
        r#"{"serverInfo":{"name":"a","version":"2"},"instructions":"i"}"#,
        "release",
    );
    check(
        one,
        r#"{"serverInfo":{"name":"b","version":"1"},"instructions":"j"}"#,
        "description identity",
    );
    check(
        one,
        r#"{"serverInfo":{"name":"a","version":"1","title":"A"},"instructions":"i"}"#,
        "annotations",
    );
}

#[test]
fn sinks_are_sorted_so_that_they_are_found() {
    assert!(SINKS.is_sorted());
}

#[test]
fn classes_are_written_as_they_are_called() {
    for class in Class::ALL {
        let written = serde_json::to_string(&class).unwrap();
        assert_eq!(written, format!("\"{class}\""));
    }
}
