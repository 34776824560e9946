//! Erasing, exporting and restoring over the socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use airside_ledger::{
    conversation::{Opening, State as Said},
    personal::{Personal, Purpose, SubjectId},
};
use serde_json::{Value, json};

use super::*;

struct Rig {
    _folder: tempfile::TempDir,
    client: Client,
    ledger: Ledger,
    persons: Persons,
    supervisor: Supervisor,
}

impl Rig {
    async fn start() -> Self {
        let (folder, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
        let ledger = memory(&supervisor).await;
        let persons = persons(&ledger, None);
        let node = Arc::new(Broken);
        let state = State::new(node, ledger.clone(), persons.clone(), supervisor.clone());
        serve_socket(socket::bind(folder.path()).unwrap(), state, &supervisor);
        let client = Client::local(folder.path(), &supervisor);
        Self {
            _folder: folder,
            client,
            ledger,
            persons,
            supervisor,
        }
    }

    async fn book(&self, subject: &SubjectId, name: &str) {
        let guest = Personal::new(subject.clone(), Purpose::Service, name.to_owned());
        let body = std::collections::BTreeMap::from([("guest", guest)]);
        let kind = EntryKind::new("stay.booked");
        let tenant = TenantId::default();
        let draft = self
            .persons
            .keys
            .draft(&tenant, kind, 1, "b-1", &body)
            .await;
        self.ledger.append(vec![draft.unwrap()]).await.unwrap();
    }

    async fn export(&self, subject: &SubjectId) -> Result<Value, client::Error> {
        let mut parts = self.client.export(&TenantId::default(), subject).await?;
        let mut text = Vec::new();
        while let Some(part) = parts.next().await? {
            text.extend_from_slice(&part);
        }
        Ok(serde_json::from_slice(&text).unwrap())
    }
}

#[tokio::test]
async fn person_is_exported_erased_and_gone() {
    let rig = Rig::start().await;
    let subject: SubjectId = "subject-1".parse().unwrap();
    // Several parts, so that they have to fit together.
    let name = "x".repeat(40_000);
    for _ in 0..5 {
        rig.book(&subject, &name).await;
    }
    let export = rig.export(&subject).await.unwrap();
    assert_eq!(export["totals"], json!({ "entries": 5, "documents": 0 }));
    assert_eq!(export["entries"][4]["body"]["guest"], json!(name));
    let tenant = TenantId::default();
    let erase = async |purposes: &[Purpose]| rig.client.erase(&tenant, &subject, purposes).await;
    let done = erase(&[Purpose::Service, Purpose::Law]).await.unwrap();
    assert_eq!((done.keys, done.repeated), (1, false));
    assert!(erase(&[Purpose::Service]).await.unwrap().repeated);
    let export = rig.export(&subject).await.unwrap();
    let gone = json!({ "erased": true, "purpose": "service" });
    assert_eq!(export["entries"][4]["body"]["guest"], gone);
    let none = erase(&[]).await.unwrap_err();
    assert!(none.to_string().contains("API-003"), "{none}");
}

/// A node that stops in the middle of an export breaks it off.
#[tokio::test]
async fn part_of_an_export_does_not_look_like_all() {
    let rig = Rig::start().await;
    let subject: SubjectId = "subject-1".parse().unwrap();
    for _ in 0..40 {
        rig.book(&subject, &"x".repeat(60_000)).await;
    }
    let mut parts = rig
        .client
        .export(&TenantId::default(), &subject)
        .await
        .unwrap();
    parts.next().await.unwrap().unwrap();
    rig.supervisor.request_stop();
    let broken = loop {
        match parts.next().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(
        matches!(broken, Some(client::Error::Unreadable(_))),
        "{broken:?}"
    );
}

#[tokio::test]
async fn earlier_state_of_a_conversation_comes_back_as_a_change() {
    let rig = Rig::start().await;
    let tenant = TenantId::default();
    let state = |value: Value| -> Said { value.as_object().unwrap().clone() };
    let subject: SubjectId = "subject-1".parse().unwrap();
    let opening = Opening {
        subject: Some(subject.clone()),
        ..Opening::default()
    };
    let talks = &rig.persons.conversations;
    let first = state(json!({ "cart": ["a"], "step": 1 }));
    let (handle, begun) = talks.create(&tenant, opening, first.clone()).await.unwrap();
    let damage = state(json!({ "cart": null, "step": 2 }));
    let damaged = talks
        .patch(&tenant, &handle, begun.version, damage)
        .await
        .unwrap();
    let id = handle.id(&tenant);
    let asked = |seq: Option<u64>, change: Option<(u64, &str)>| wire::Restore {
        tenant: tenant.clone(),
        id: id.to_string(),
        time: None,
        seq,
        entry: None,
        change: change.map(|(version, reason)| wire::Reason {
            version,
            reason: reason.to_owned(),
        }),
    };
    let preview = rig
        .client
        .restore(&asked(Some(begun.version), None))
        .await
        .unwrap();
    assert_eq!(preview.patch, state(json!({ "cart": ["a"], "step": 1 })));
    assert_eq!(
        (preview.from, preview.version),
        (begun.version, damaged.version)
    );
    let (seq, now) = (Some(begun.version), damaged.version);
    for (asked, code) in [
        (asked(None, None), "API-006"),
        (asked(Some(0), None), "LED-123"),
        (asked(seq, Some((begun.version, "damaged"))), "LED-008"),
        (asked(seq, Some((now, ""))), "LED-124"),
        (asked(seq, Some((now, "two\nlines"))), "LED-124"),
    ] {
        let refused = rig.client.restore(&asked).await.unwrap_err().to_string();
        assert!(refused.contains(code), "{code}: {refused}");
    }
    let change = asked(seq, Some((now, "damaged")));
    let brought = rig.client.restore(&change).await.unwrap();
    let shown = rig.client.conversation(&tenant, &id).await.unwrap();
    assert_eq!((shown.version, shown.state), (brought.version, Some(first)));
    let steps = rig.client.history(&tenant, &id, 0).await.unwrap();
    let what: Vec<&str> = steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(what, ["created", "patched", "restored"]);
    let restored = steps[2].restored.clone().unwrap();
    assert_eq!(
        (restored.seq, restored.reason.as_str()),
        (begun.version, "damaged")
    );

    rig.client
        .erase(&tenant, &subject, &[Purpose::Service])
        .await
        .unwrap();
    let change = asked(seq, Some((brought.version, "damaged")));
    let refused = rig.client.restore(&change).await.unwrap_err().to_string();
    assert!(refused.contains("LED-093"), "{refused}");
    rig.ledger.verify(&|_| {}).await.unwrap();
}
