//! Facts in Cedar's terms.
//!
//! One decision needs three entities: who asks, what is done, what it is done to.
//! Groups, tenants and servers have no attributes, so it is enough that they
//! appear as parents.

use std::collections::{HashMap, HashSet};

use airside_base::ServerId;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
    Schema,
};

use crate::{Action, Facts, Principal, Target, ToolTraits};

/// Names and actions of the schema, parsed once.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    caller: EntityTypeName,
    group: EntityTypeName,
    tenant: EntityTypeName,
    pub(crate) server: EntityTypeName,
    pub(crate) tool: EntityTypeName,
    pub(crate) resource: EntityTypeName,
    pub(crate) prompt: EntityTypeName,
    /// In the order of [`Action::ALL`], with the groups each belongs to.
    actions: Vec<Entity>,
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
            let id = EntityUid::from_type_name_and_id(
                action_type.clone(),
                EntityId::new(action.as_str()),
            );
            known.get(&id).expect("the schema has every action").clone()
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

    /// Returns the entity of a server.
    pub(crate) fn server(&self, server: &ServerId) -> EntityUid {
        uid(&self.server, server.as_str())
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
        let action = self.actions[facts.action as usize].clone();
        let target = self.target(server, &facts.target);
        let request = Request::new(
            principal.uid(),
            action.uid(),
            target.uid(),
            Context::empty(),
            schema,
        )
        .expect("facts fit the schema");
        let entities = Entities::from_entities([principal, action, target], schema)
            .expect("the three entities differ in type and fit the schema");
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
