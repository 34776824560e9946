//! Facts in Cedar's terms.
//!
//! One decision needs at most three entities: who asks, what is done, what it is done
//! to. Groups, tenants and servers have no attributes, so it is enough that they
//! appear as parents.

use std::collections::{HashMap, HashSet};

use airside_base::ServerId;
use cedar_policy::{
    ActionConstraint, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    Request, ResourceConstraint, RestrictedExpression as Value, Schema,
};
use jiff::tz::TimeZone;

use crate::{
    Action, Circumstances, Facts, Principal, Standing, Target, ToolTraits, argument, reads::Reads,
};

/// Names and actions of the schema, parsed once.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    caller: EntityTypeName,
    group: EntityTypeName,
    tenant: EntityTypeName,
    server: EntityTypeName,
    tool: EntityTypeName,
    resource: EntityTypeName,
    prompt: EntityTypeName,
    /// In the order of [`Action::ALL`].
    actions: Vec<Known>,
    /// Where the calendar of policies is read.
    zone: TimeZone,
}

/// An action of the schema.
#[derive(Debug)]
struct Known {
    uid: EntityUid,
    /// It and the groups it belongs to.
    within: HashSet<EntityUid>,
    /// What Cedar has to be told of it; nothing if it is in no group.
    entity: Option<Entity>,
}

impl Vocabulary {
    /// Returns the vocabulary of the shipped schema.
    pub(crate) fn new(schema: &Schema, zone: TimeZone) -> Self {
        let name =
            |name: &str| -> EntityTypeName { name.parse().expect("a literal type name parses") };
        let action_type = name("Action");
        let known = schema
            .action_entities()
            .expect("the schema's actions form a hierarchy");
        let action = |action: &Action| {
            let uid = uid(&action_type, action.as_str());
            let entity = known.get(&uid).expect("the schema has every action");
            let groups = known.ancestors(&uid).into_iter().flatten().cloned();
            let within: HashSet<_> = groups.chain([uid.clone()]).collect();
            Known {
                entity: (within.len() > 1).then(|| entity.clone()),
                within,
                uid,
            }
        };
        Self {
            caller: name("Caller"),
            group: name("Group"),
            tenant: name("Tenant"),
            server: name("Server"),
            tool: name("Tool"),
            resource: name("Resource"),
            prompt: name("Prompt"),
            actions: Action::ALL.iter().map(action).collect(),
            zone,
        }
    }

    /// Returns date, weekday, hour and minute of a moment, as policies read them.
    pub(crate) fn calendar(&self, context: &Circumstances<'_>) -> [i64; 4] {
        let local = context.at.to_zoned(self.zone.clone());
        let (year, month, day) = (local.year(), local.month(), local.day());
        [
            i64::from(year) * 10_000 + i64::from(month) * 100 + i64::from(day),
            i64::from(local.weekday().to_monday_one_offset()),
            i64::from(local.hour()),
            i64::from(local.minute()),
        ]
    }

    fn server(&self, server: &ServerId) -> EntityUid {
        uid(&self.server, server.as_str())
    }

    /// Returns whether a policy with this scope can match `action`.
    pub(crate) fn is_about(&self, scope: &ActionConstraint, action: Action) -> bool {
        let action = &self.actions[action as usize];
        match scope {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => *named == action.uid,
            ActionConstraint::In(named) => named.iter().any(|named| action.within.contains(named)),
        }
    }

    /// Returns whether a policy with this scope can match `server` or something in
    /// it.
    pub(crate) fn is_of(&self, scope: &ResourceConstraint, server: &ServerId) -> bool {
        match scope {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            // Only what is inside a server has a parent, and only a server is one;
            // everything is also in itself.
            ResourceConstraint::Eq(named)
            | ResourceConstraint::In(named)
            | ResourceConstraint::IsIn(_, named) => self.server_of(named) == server.as_str(),
        }
    }

    /// Returns whether `policy` names a tool, resource or prompt.
    pub(crate) fn names_a_target(&self, policy: &Policy) -> bool {
        let kinds = [&self.tool, &self.resource, &self.prompt];
        let literals = policy.entity_literals();
        literals
            .iter()
            .any(|named| kinds.contains(&named.type_name()))
    }

    /// Returns the server that a scope names, if it names one.
    pub(crate) fn server_in_scope(&self, scope: &ResourceConstraint) -> Option<String> {
        match scope {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
            ResourceConstraint::Eq(named)
            | ResourceConstraint::In(named)
            | ResourceConstraint::IsIn(_, named) => Some(self.server_of(named).to_owned()),
        }
    }

    /// Returns the server an entity belongs to: the text before the first `/`, for
    /// a server name has none.
    fn server_of<'a>(&self, entity: &'a EntityUid) -> &'a str {
        let id = entity.id().unescaped();
        if *entity.type_name() == self.server {
            return id;
        }
        id.split_once('/').map_or(id, |(server, _)| server)
    }

    /// Returns the question in Cedar's terms, without circumstances if the policies
    /// read none. With a schema it is checked, which tests do; the types here already
    /// guarantee it.
    pub(crate) fn question(
        &self,
        server: &ServerId,
        facts: &Facts<'_>,
        reads: &Reads,
        schema: Option<&Schema>,
    ) -> (Request, Entities) {
        let principal = self.principal(&facts.principal);
        let action = &self.actions[facts.action as usize];
        let target = self.target(server, &facts.target);
        let context = match reads.anything() {
            true => self.context(&facts.context),
            false => Context::empty(),
        };
        let request = Request::new(
            principal.uid(),
            action.uid.clone(),
            target.uid(),
            context,
            schema,
        )
        .expect("facts fit the schema");
        let entities = Entities::from_entities(
            [principal, target].into_iter().chain(action.entity.clone()),
            schema,
        )
        .expect("the entities differ in type and fit the schema");
        (request, entities)
    }

    fn context(&self, context: &Circumstances<'_>) -> Context {
        let [date, weekday, hour, minute] = self.calendar(context);
        let time = record([
            ("epoch_s", Value::new_long(context.at.as_second())),
            ("date", Value::new_long(date)),
            ("weekday", Value::new_long(weekday)),
            ("hour", Value::new_long(hour)),
            ("minute", Value::new_long(minute)),
        ]);
        let risk = record([
            ("untrusted", Value::new_bool(context.risk.untrusted)),
            ("private", Value::new_bool(context.risk.private)),
            ("flagged", Value::new_bool(context.risk.flagged)),
        ]);
        let arguments = context.arguments.iter();
        let arguments = arguments.map(|argument| (argument.name.as_str(), value(&argument.value)));
        let members = [
            ("time", time),
            ("region", Value::new_string(context.region.to_owned())),
            ("risk", risk),
            (
                "intent",
                Value::new_string(context.intent.as_str().to_owned()),
            ),
            ("arguments", record(arguments)),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value));
        Context::from_pairs(members).expect("the names differ and literals need no evaluation")
    }

    fn principal(&self, principal: &Principal<'_>) -> Entity {
        let Principal {
            kind,
            id,
            tenant,
            attestation,
            groups,
            scopes,
            client,
            issuer,
        } = principal;
        let mut parents: HashSet<_> = groups.iter().map(|group| uid(&self.group, group)).collect();
        parents.insert(uid(&self.tenant, tenant.as_str()));
        let mut attributes = HashMap::from([
            ("kind".to_owned(), Value::new_string((*kind).to_owned())),
            (
                "attestation".to_owned(),
                Value::new_long(i64::from(*attestation)),
            ),
            ("scopes".to_owned(), texts(scopes)),
        ]);
        for (name, text) in [("client", client), ("issuer", issuer)] {
            if let Some(text) = text {
                attributes.insert(name.to_owned(), Value::new_string((*text).to_owned()));
            }
        }
        Entity::new(
            uid(&self.caller, &format!("{kind}/{id}")),
            attributes,
            parents,
        )
        .expect("literals need no evaluation")
    }

    fn target(&self, server: &ServerId, target: &Target<'_>) -> Entity {
        let inside = |kind, name: &str, standing: &Standing<'_>, traits| {
            let parent = HashSet::from([self.server(server)]);
            let mut attributes = of_standing(standing);
            if let Some(traits) = traits {
                attributes.extend(of_traits(traits));
                let contract = Value::new_string(standing.contract.as_str().to_owned());
                attributes.insert("contract".to_owned(), contract);
            }
            Entity::new(uid(kind, &format!("{server}/{name}")), attributes, parent)
                .expect("literals need no evaluation")
        };
        match target {
            Target::Server => Entity::with_uid(self.server(server)),
            Target::Tool {
                name,
                traits,
                standing,
            } => inside(&self.tool, name, standing, Some(*traits)),
            Target::Resource { uri, standing } => inside(&self.resource, uri, standing, None),
            Target::Prompt { name, standing } => inside(&self.prompt, name, standing, None),
        }
    }
}

fn of_standing(standing: &Standing<'_>) -> HashMap<String, Value> {
    HashMap::from([
        ("labels".to_owned(), texts(standing.labels)),
        (
            "sensitivity".to_owned(),
            Value::new_long(i64::from(standing.sensitivity)),
        ),
    ])
}

fn of_traits(traits: ToolTraits) -> HashMap<String, Value> {
    let ToolTraits {
        known,
        read_only,
        destructive,
        idempotent,
        open_world,
    } = traits;
    let bool = |name: &str, value| (name.to_owned(), Value::new_bool(value));
    HashMap::from([
        bool("known", known),
        bool("read_only", read_only),
        bool("destructive", destructive),
        bool("idempotent", idempotent),
        bool("open_world", open_world),
    ])
}

fn record<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members = members.into_iter();
    Value::new_record(members.map(|(name, value)| (name.to_owned(), value)))
        .expect("the names differ")
}

fn texts(texts: &[String]) -> Value {
    Value::new_set(texts.iter().map(|text| Value::new_string(text.clone())))
}

fn value(value: &argument::Value) -> Value {
    match value {
        argument::Value::Integer(number) => Value::new_long(*number),
        argument::Value::Text(text) => Value::new_string(text.clone()),
        argument::Value::Flag(flag) => Value::new_bool(*flag),
        argument::Value::Texts(items) => texts(items),
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
