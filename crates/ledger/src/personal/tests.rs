use serde_json::json;

use super::*;
use crate::entry::Draft;

#[derive(Serialize)]
struct Guest {
    name: Personal<String>,
    room: u32,
}

fn guest(name: &str) -> Guest {
    let subject = "subject-1".parse().unwrap();
    Guest {
        name: Personal::new(subject, Purpose::Service, name.to_owned()),
        room: 7,
    }
}

const KIND: Kind = Kind::new("stay.booked");

#[test]
fn value_in_clear_does_not_become_a_draft() {
    let draft = Draft::new(TenantId::default(), KIND, 1, "", &guest("Ada"));
    let error = draft.expect_err("it is not sealed");
    assert!(!format!("{error:?}").contains("Ada"));
    serde_json::to_string(&guest("Ada")).expect_err("it is not sealed");
}

#[test]
fn values_are_taken_out_with_their_places() {
    let body = json!({ "a/b": 1 });
    let whole = (guest("Ada"), vec![guest("Bob")], body);
    let body = Body::take_apart(&json_object("x/~", whole)).unwrap();
    let mut places = Vec::new();
    let value = body.put_together(&KIND, |taken, at| {
        let text = String::from_utf8(taken.text.clone()).unwrap();
        places.push((text, at.clone()));
        Sealed::new(&taken.owner, at, KeyId::new("k"), Vec::new())
    });
    let expected = [
        ("\"Ada\"", "stay.booked/x~1~0/0/name"),
        ("\"Bob\"", "stay.booked/x~1~0/1/0/name"),
    ];
    assert_eq!(places, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let value = value.unwrap();
    assert_eq!(value["x/~"][0]["name"]["personal"], 1);
    assert_eq!(value["x/~"][1][0]["room"], 7);
}

fn json_object<T: Serialize>(name: &'static str, value: T) -> impl Serialize {
    std::collections::BTreeMap::from([(name, value)])
}

#[test]
fn value_within_a_value_or_a_text_is_refused() {
    let subject: SubjectId = "subject-1".parse().unwrap();
    let nested = Personal::new(subject, Purpose::Law, guest("Ada"));
    let error = Body::take_apart(&json_object("a", nested)).err().unwrap();
    assert!(!error.to_string().contains("Ada"));
    assert!(SEALING.take().is_none(), "nothing is left behind");

    struct AsText(Guest);
    impl Serialize for AsText {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let text = serde_json::to_string(&self.0).map_err(S::Error::custom)?;
            serializer.serialize_str(&text)
        }
    }
    let body = Body::take_apart(&json_object("a", AsText(guest("Ada")))).unwrap();
    let placed = body.put_together(&KIND, |taken, at| {
        Sealed::new(&taken.owner, at, KeyId::new("k"), Vec::new())
    });
    assert!(placed.is_none());
}

#[test]
fn subject_ids_cannot_be_addresses() {
    for good in ["subject-1", &"a".repeat(64), SubjectId::generate().as_str()] {
        assert_eq!(good.parse::<SubjectId>().unwrap().as_str(), good);
    }
    for bad in [
        "",
        "short",
        "ada@example.com",
        "Ada Lovelace",
        "+49 30 1234567",
        &"a".repeat(65),
    ] {
        assert!(bad.parse::<SubjectId>().is_err(), "{bad:?}");
    }
}

#[test]
fn nothing_prints_the_value() {
    let subject: SubjectId = "subject-1".parse().unwrap();
    let value = Personal::new(subject, Purpose::Service, "Ada");
    assert_eq!(
        format!("{value:?}"),
        "Personal(in clear, subject-1, service)"
    );
    assert_eq!(format!("{:?}", Opened::Clear("Ada")), "Clear([redacted])");
}
