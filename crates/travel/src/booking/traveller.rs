//! Who the traveller is, what they like, and how they are forgotten.
//!
//! # Invariants
//!
//! * A traveller is a caller that has proved who it is. It gets a made-up pseudonym once,
//!   under which personal data is sealed; erasing the pseudonym's keys erases the data.
//! * Reading writes nothing: who was never here has no preferences and no bookings.

use airside_base::secret_token;
use airside_builtin::{
    arguments::read,
    model::{CallToolResult, JsonObject},
    reply,
};
use airside_ledger::{
    Cell, Column, Fact, Kind, Schema, Versioned,
    erasure::Eraser,
    personal::{Opened, Personal, Purpose, SubjectId},
};
use airside_mcp::Principal;
use serde::{Deserialize, Serialize};

use super::{
    Desk, Refusal, Traveller,
    arguments::{self, Feedback, Forget, Nothing, Preferences, Topic},
    output,
};

/// A caller got its pseudonym.
const KNOWN: Kind = Kind::new("traveller.known");
/// A traveller said what they like.
const SAVED: Kind = Kind::new("preferences.saved");
/// What they like was forgotten.
const FORGOTTEN: Kind = Kind::new("preferences.forgotten");
/// A traveller said what they think.
const FEEDBACK: Kind = Kind::new("feedback.received");
/// Attempts to change what others change meanwhile.
const RACES: u32 = 4;

/// The body of [`KNOWN`], version 1, and the document.
#[derive(Debug, Serialize, Deserialize)]
pub struct Person {
    pub(crate) subject: SubjectId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preferences: Option<Personal<Preferences>>,
}

/// The body of [`SAVED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    preferences: Personal<Preferences>,
}

/// The body of [`FORGOTTEN`], version 1.
#[derive(Debug, Serialize, Deserialize)]
struct Forgotten {}

/// The body of [`FEEDBACK`], version 1.
#[derive(Debug, Serialize, Deserialize)]
struct Received {
    about: Topic,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<i64>,
    text: Personal<String>,
}

/// The table of travellers, by the kind and id of their caller.
#[derive(Debug)]
pub struct Travellers;

impl Schema for Travellers {
    const NAME: &'static str = "travel_travellers";
    type Document = Person;
    const COLUMNS: &'static [Column<Person>] = &[Column {
        name: "subject",
        cell: |person| Some(Cell::Text(person.subject.as_str().to_owned())),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&KNOWN, &SAVED, &FORGOTTEN].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Person>, fact: Fact<'_>) -> Option<Person> {
        if *fact.kind == KNOWN {
            return prior.or_else(|| fact.decode().ok());
        }
        let mut person = prior?;
        if *fact.kind == FORGOTTEN {
            person.preferences = None;
        } else if let Ok(saved) = fact.decode::<Saved>() {
            person.preferences = Some(saved.preferences);
        }
        Some(person)
    }
}

impl Desk {
    /// Returns who asks, if they were here before.
    pub(super) async fn known(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<Traveller>, Refusal> {
        let principal = proven(principal)?;
        let key = key(principal);
        let person = self.travellers.find(&principal.tenant, &key).await?;
        Ok(person.map(|person| Traveller {
            tenant: principal.tenant.clone(),
            key,
            subject: person.document.subject,
        }))
    }

    /// Returns who asks, with a pseudonym made now if need be.
    pub(super) async fn traveller(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Traveller, Refusal> {
        if let Some(known) = self.known(principal).await? {
            return Ok(known);
        }
        let principal = proven(principal)?;
        let person = Person {
            subject: SubjectId::generate(),
            preferences: None,
        };
        let draft = self
            .keys
            .draft(&principal.tenant, KNOWN, 1, &key(principal), &person)
            .await?;
        match self
            .travellers
            .append(None, vec![draft])
            .await
            .map_err(Refusal::from)
        {
            // Another call was the first.
            Ok(_) | Err(Refusal::Race) => {}
            Err(refusal) => return Err(refusal),
        }
        self.known(Some(principal)).await?.ok_or(Refusal::Race)
    }

    pub(super) async fn preferences(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let Nothing {} = read(arguments)?;
        let preferences = match self.known(principal).await? {
            Some(traveller) => self.liked(&traveller).await?.unwrap_or_default(),
            None => Preferences::default(),
        };
        Ok(liked(preferences, "Kept preferences"))
    }

    /// Returns the pseudonym of the caller and what they like, if they were here before.
    pub(crate) async fn recognised(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Option<(SubjectId, Preferences)>, Refusal> {
        if proven(principal).is_err() {
            return Ok(None);
        }
        let Some(traveller) = self.known(principal).await? else {
            return Ok(None);
        };
        let liked = self.liked(&traveller).await?.unwrap_or_default();
        Ok(Some((traveller.subject, liked)))
    }

    /// Returns what a traveller likes, unless nothing is kept or it was erased.
    async fn liked(&self, traveller: &Traveller) -> Result<Option<Preferences>, Refusal> {
        let person = self.travellers.find(&traveller.tenant, &traveller.key);
        let kept = person.await?.and_then(|person| person.document.preferences);
        let Some(kept) = kept else {
            return Ok(None);
        };
        let opened = self
            .keys
            .open(&traveller.tenant, &SAVED, "/preferences", &kept)
            .await?;
        Ok(opened.clear())
    }

    pub(super) async fn save_preferences(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let wanted: Preferences = read(arguments)?;
        wanted.check()?;
        let traveller = self.traveller(principal).await?;
        for _ in 0..RACES {
            let person = self.person(&traveller).await?;
            let saved = Saved {
                preferences: Personal::new(
                    traveller.subject.clone(),
                    Purpose::Service,
                    wanted.clone(),
                ),
            };
            let draft = self
                .keys
                .draft(&traveller.tenant, SAVED, 1, &traveller.key, &saved);
            let draft = draft.await?;
            match self
                .travellers
                .append(Some(person), vec![draft])
                .await
                .map_err(Refusal::from)
            {
                Ok(_) => return Ok(liked(wanted, "Saved preferences")),
                Err(Refusal::Race) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::Race)
    }

    async fn person(&self, traveller: &Traveller) -> Result<Versioned<Person>, Refusal> {
        let person = self.travellers.find(&traveller.tenant, &traveller.key);
        person.await?.ok_or(Refusal::Race)
    }

    pub(super) async fn forget(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let Forget { confirm } = read(arguments)?;
        if !confirm {
            return Err(Refusal::NotConfirmed);
        }
        let mut entry = None;
        if let Some(traveller) = self.known(principal).await? {
            // First what would be asked for again, then the keys of everything.
            let person = self.person(&traveller).await?;
            if person.document.preferences.is_some() {
                let draft = self.keys.draft(
                    &traveller.tenant,
                    FORGOTTEN,
                    1,
                    &traveller.key,
                    &Forgotten {},
                );
                self.travellers
                    .append(Some(person), vec![draft.await?])
                    .await?;
            }
            let purposes = [Purpose::Service].into();
            let erased = Eraser::new(&self.ledger, &self.keys)
                .erase(&traveller.tenant, &traveller.subject, &purposes)
                .await?;
            entry = Some(erased.entry);
        }
        let result = output::ForgottenResult {
            forgotten: Some(vec![
                "preferences",
                "feedback",
                "guests of booking sessions",
                "conversations of this traveller",
            ]),
            kept: Some(vec![
                "guest names of bookings, as long as the law asks for it",
            ]),
            entry,
            ..output::ForgottenResult::default()
        };
        let text = "Forgotten: preferences, feedback, guests of sessions and conversations can no \
                    longer be read by anybody. Bookings stay, with their guest names, as long as \
                    the law asks for it.";
        Ok(reply(&result, text.to_owned()))
    }

    pub(super) async fn feedback(
        &self,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Result<CallToolResult, Refusal> {
        let said: Feedback = read(arguments)?;
        arguments::text(&said.text, "text")?;
        if let Some(rating) = said.rating
            && !(1..=5).contains(&rating)
        {
            let range = "use a rating of 1 to 5";
            let field = "rating";
            return Err(airside_builtin::arguments::Error::Range { field, range }.into());
        }
        let traveller = self.traveller(principal).await?;
        let id = format!("fbk_{}", &secret_token()[..16]);
        let received = Received {
            about: said.about,
            rating: said.rating,
            text: Personal::new(traveller.subject, Purpose::Service, said.text),
        };
        let draft = self
            .keys
            .draft(&traveller.tenant, FEEDBACK, 1, &id, &received);
        self.ledger.append(vec![draft.await?]).await?;
        let text = format!("Thank you. The feedback was received as {id}.");
        let result = output::FeedbackResult {
            feedback_id: Some(id),
            ..output::FeedbackResult::default()
        };
        Ok(reply(&result, text))
    }

    /// Opens the lead guest of a session or booking that `kind` sealed.
    pub(super) async fn guest(
        &self,
        traveller: &Traveller,
        kind: &Kind,
        guest: &Personal<crate::supply::Guest>,
    ) -> Result<Option<crate::supply::Guest>, Refusal> {
        let opened = self
            .keys
            .open(&traveller.tenant, kind, "/guest", guest)
            .await?;
        Ok(match opened {
            Opened::Clear(guest) => Some(guest),
            Opened::Erased => None,
        })
    }
}

fn proven(principal: Option<&Principal>) -> Result<&Principal, Refusal> {
    principal
        .filter(|principal| principal.is_proven())
        .ok_or(Refusal::Unidentified)
}

fn key(principal: &Principal) -> String {
    format!("{}:{}", principal.kind, principal.id)
}

fn liked(preferences: Preferences, what: &str) -> CallToolResult {
    let shown = serde_json::to_string(&preferences).expect("preferences are JSON");
    let result = output::PreferencesResult {
        preferences: Some(preferences),
        ..output::PreferencesResult::default()
    };
    reply(&result, format!("{what}: {shown}"))
}
