//! Facts in Cedar's terms.
//!
//! One decision needs at most three entities: who asks, what is done, what it is done
//! to. Groups, tenants and servers have no attributes, so it is enough that they
//! appear as parents.

use std::collections::{HashMap, HashSet};

use airside_base::ServerId;
use cedar_policy::{
    ActionConstraint, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    Request, ResourceConstraint, RestrictedExpression, Schema,
};

use crate::{Action, Facts, Principal, Target, ToolTraits};

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
    pub(crate) fn new(schema: &Schema) -> Self {
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
        }
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

    /// Returns the server an entity belongs to: the text before the first `/`, for
    /// a server name has none.
    fn server_of<'a>(&self, entity: &'a EntityUid) -> &'a str {
        let id = entity.id().unescaped();
        if *entity.type_name() == self.server {
            return id;
        }
        id.split_once('/').map_or(id, |(server, _)| server)
    }

    /// Returns the question in Cedar's terms. With a schema it is checked, which
    /// tests do; the types here already guarantee it.
    pub(crate) fn question(
        &self,
        server: &ServerId,
        facts: &Facts<'_>,
        schema: Option<&Schema>,
    ) -> (Request, Entities) {
        let principal = self.principal(&facts.principal);
        let action = &self.actions[facts.action as usize];
        let target = self.target(server, &facts.target);
        let request = Request::new(
            principal.uid(),
            action.uid.clone(),
            target.uid(),
            Context::empty(),
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

    fn principal(&self, principal: &Principal<'_>) -> Entity {
        let Principal {
            kind,
            id,
            tenant,
            attestation,
            groups,
        } = principal;
        let mut parents: HashSet<_> = groups.iter().map(|group| uid(&self.group, group)).collect();
        parents.insert(uid(&self.tenant, tenant.as_str()));
        let attributes = HashMap::from([
            (
                "kind".to_owned(),
                RestrictedExpression::new_string((*kind).to_owned()),
            ),
            (
                "attestation".to_owned(),
                RestrictedExpression::new_long(i64::from(*attestation)),
            ),
        ]);
        Entity::new(
            uid(&self.caller, &format!("{kind}/{id}")),
            attributes,
            parents,
        )
        .expect("literals need no evaluation")
    }

    fn target(&self, server: &ServerId, target: &Target<'_>) -> Entity {
        let parent = HashSet::from([self.server(server)]);
        let inside = |kind, name: &str| uid(kind, &format!("{server}/{name}"));
        match target {
            Target::Server => Entity::with_uid(self.server(server)),
            Target::Tool { name, traits } => {
                Entity::new(inside(&self.tool, name), attributes(*traits), parent)
                    .expect("literals need no evaluation")
            }
            Target::Resource { uri } => Entity::new_no_attrs(inside(&self.resource, uri), parent),
            Target::Prompt { name } => Entity::new_no_attrs(inside(&self.prompt, name), parent),
        }
    }
}

fn attributes(traits: ToolTraits) -> HashMap<String, RestrictedExpression> {
    let ToolTraits {
        known,
        read_only,
        destructive,
        idempotent,
        open_world,
    } = traits;
    let bool = |name: &str, value| (name.to_owned(), RestrictedExpression::new_bool(value));
    HashMap::from([
        bool("known", known),
        bool("read_only", read_only),
        bool("destructive", destructive),
        bool("idempotent", idempotent),
        bool("open_world", open_world),
    ])
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
