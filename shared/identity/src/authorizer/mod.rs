//! What a caller may do.

mod action;
mod schema;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Policy, PolicySet, Request, Response, RestrictedExpression, Schema, ValidationMode,
    Validator,
};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

pub use action::{Action, BESIDE_METHODS, Group};

use crate::caller::Roles;
use crate::{Caller, OrgUnit, Staff};

/// The permissions that hold where no other file is given.
pub const DEFAULT_PERMISSIONS: &str = include_str!("../../permissions.cedar");

/// How many decisions are remembered.
const CACHE_CAPACITY: usize = 20_000;

/// Permissions that cannot be used, with everything that is wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("the permissions have {} fault(s): {}", faults.len(), faults.join("; "))]
pub struct PermissionsError {
    /// The faults in the order in which they were found.
    pub faults: Vec<String>,
}

/// A call that is not permitted. The caller learns just that; the rest is for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("permission denied")]
pub struct Denied {
    /// What was to be done, e.g. `ticket.CreateTicket`.
    pub action: Box<str>,
    /// The org unit it was about.
    pub org_unit: OrgUnit,
    /// Which policies were considered and why none permitted it. Never shown to the caller.
    pub explanation: Arc<str>,
}

/// Decides by Cedar policy text what a caller may do in an org unit. Denies by default.
///
/// Decisions are remembered (bounded) by what they depend on: roles, the caller's org unit, action and resource.
pub struct Authorizer {
    policies: PolicySet,
    types: Types,
    /// Whether a policy names one person, so that decisions depend on who it is beyond roles and place.
    personal: bool,
    decisions: Cache<Key, Outcome>,
}

/// `None`: permitted. Otherwise why not.
type Outcome = Option<Arc<str>>;

struct Types {
    action: EntityTypeName,
    anonymous: EntityTypeName,
    org_unit: EntityTypeName,
    role: EntityTypeName,
    staff: EntityTypeName,
}

impl Types {
    fn new() -> Result<Types, PermissionsError> {
        let name = |name: &str| format!("Kefu::{name}").parse().map_err(fault);
        Ok(Types {
            action: name("Action")?,
            anonymous: name("Anonymous")?,
            org_unit: name("OrgUnit")?,
            role: name("Role")?,
            staff: name("Staff")?,
        })
    }
}

fn fault(error: impl fmt::Display) -> PermissionsError {
    PermissionsError { faults: vec![error.to_string()] }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

impl Authorizer {
    /// An authorizer with the permissions that are compiled in.
    ///
    /// # Errors
    /// Never, as a test shows; the text is read like any other.
    pub fn with_defaults() -> Result<Authorizer, PermissionsError> {
        Authorizer::from_policy_text(DEFAULT_PERMISSIONS)
    }

    /// An authorizer with the permissions in a file.
    ///
    /// # Errors
    /// When the file cannot be read or the permissions have faults: all are named.
    pub fn from_file(path: &Path) -> Result<Authorizer, PermissionsError> {
        Authorizer::from_policy_text(&Authorizer::read(path)?)
    }

    /// Reads a permissions file, with an error that names it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<String, PermissionsError> {
        std::fs::read_to_string(path)
            .map_err(|error| fault(format_args!("{}: {error}", path.display())))
    }

    /// An authorizer with the permissions of a text, where the methods that exist are not known: any method may be
    /// named, and the groups of the known contexts.
    ///
    /// # Errors
    /// When the permissions have faults: all are named.
    pub fn from_policy_text(text: &str) -> Result<Authorizer, PermissionsError> {
        let policies = parse(text)?;
        let types = Types::new()?;
        let literals: Vec<EntityUid> =
            policies.policies().flat_map(Policy::entity_literals).collect();
        let named = literals
            .iter()
            .filter(|literal| *literal.type_name() == types.action)
            .map(|literal| literal.id().unescaped());
        let actions = schema::presumed_actions(named);
        Authorizer::validated(policies, types, &actions)
    }

    /// An authorizer with the permissions of a text, which may name only methods that exist
    /// (`ticket.CreateTicket` …) and groups of their contexts: a misspelt method is a fault.
    ///
    /// # Errors
    /// When the permissions have faults: all are named.
    pub fn from_policy_text_for<'a>(
        text: &str,
        actions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Authorizer, PermissionsError> {
        let actions = actions.into_iter().map(str::to_owned).collect();
        Authorizer::validated(parse(text)?, Types::new()?, &actions)
    }

    fn validated(
        policies: PolicySet,
        types: Types,
        actions: &BTreeSet<String>,
    ) -> Result<Authorizer, PermissionsError> {
        let schema = Schema::from_json_value(schema::schema(actions)).map_err(fault)?;
        let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        let faults: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
        if !faults.is_empty() {
            return Err(PermissionsError { faults });
        }
        for warning in result.validation_warnings() {
            tracing::warn!(%warning, "the permissions are valid but odd");
        }
        let personal = policies
            .policies()
            .flat_map(Policy::entity_literals)
            .any(|literal| *literal.type_name() == types.staff);
        Ok(Authorizer { policies, types, personal, decisions: Cache::new(CACHE_CAPACITY) })
    }

    /// Whether `caller` may do `action` (`ticket.CreateTicket`) in `org_unit`. A denial is logged here, so that no
    /// caller of this function can forget to.
    ///
    /// # Errors
    /// [`Denied`] when no policy permits it or one forbids it.
    pub fn authorize(
        &self,
        caller: &Caller,
        action: &str,
        org_unit: &OrgUnit,
    ) -> Result<(), Denied> {
        let Some(explanation) = self.outcome(caller, action, org_unit) else { return Ok(()) };
        tracing::warn!(
            caller = caller.subject(), action, %org_unit, %explanation, "a call was denied"
        );
        Err(Denied { action: action.into(), org_unit: org_unit.clone(), explanation })
    }

    /// The same where a no is nobody's wrongdoing, such as a list that shows what its caller may see: nothing is logged.
    pub fn permits(&self, caller: &Caller, action: &str, org_unit: &OrgUnit) -> bool {
        self.outcome(caller, action, org_unit).is_none()
    }

    fn outcome(&self, caller: &Caller, action: &str, org_unit: &OrgUnit) -> Outcome {
        let staff = caller.as_staff();
        let key = KeyRef {
            roles: staff.map(|staff| &staff.roles),
            home: staff.map(|staff| &staff.org_unit),
            subject: staff.filter(|_| self.personal).map(|staff| &*staff.subject),
            action,
            resource: org_unit,
        };
        if let Some(outcome) = self.decisions.get(&key) {
            return outcome;
        }
        let outcome = self.decide(staff, action, org_unit);
        self.decisions.insert(key.to_owned(), outcome.clone());
        outcome
    }

    fn decide(&self, staff: Option<&Staff>, action: &str, resource: &OrgUnit) -> Outcome {
        let Some(action) = Action::parse(action) else {
            return Some(format!("`{action}` is not the name of a method").into());
        };
        match self.evaluate(staff, action, resource) {
            Ok(response) if response.decision() == Decision::Allow => None,
            Ok(response) => Some(self.explain(&response, staff, action, resource).into()),
            // Cannot happen with the entities that we build; if it does, the answer is no.
            Err(error) => Some(format!("the permissions cannot be evaluated: {error}").into()),
        }
    }

    fn evaluate(
        &self,
        staff: Option<&Staff>,
        action: Action<'_>,
        resource: &OrgUnit,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let types = &self.types;
        let mut entities = HashMap::new();
        let mut add_units = |unit: &OrgUnit| {
            for unit in std::iter::once(unit.clone()).chain(unit.ancestors()) {
                let id = uid(&types.org_unit, unit.as_str());
                let above = unit.parent().map(|above| uid(&types.org_unit, above.as_str()));
                entities.insert(id.clone(), Entity::new_no_attrs(id, above.into_iter().collect()));
            }
        };
        add_units(resource);
        let principal = if let Some(staff) = staff {
            add_units(&staff.org_unit);
            let home = uid(&types.org_unit, staff.org_unit.as_str());
            let attributes = HashMap::from([(
                "org_unit".to_owned(),
                RestrictedExpression::new_entity_uid(home),
            )]);
            let roles: HashSet<EntityUid> =
                staff.roles.iter().map(|role| uid(&types.role, role)).collect();
            Entity::new(uid(&types.staff, &staff.subject), attributes, roles)?
        } else {
            Entity::new_no_attrs(uid(&types.anonymous, "anonymous"), HashSet::new())
        };
        let groups = action.parents().iter().map(|group| uid(&types.action, group)).collect();
        let action = Entity::new_no_attrs(uid(&types.action, action.as_str()), groups);
        let request = Request::new(
            principal.uid(),
            action.uid(),
            uid(&types.org_unit, resource.as_str()),
            Context::empty(),
            None,
        )?;
        let all = entities.into_values().chain([principal, action]);
        let entities = Entities::from_entities(all, None)?;
        Ok(cedar_policy::Authorizer::new().is_authorized(&request, &self.policies, &entities))
    }

    /// Tells the operator which policies decided, or which would have permitted the action to somebody else.
    fn explain(
        &self,
        response: &Response,
        staff: Option<&Staff>,
        action: Action<'_>,
        resource: &OrgUnit,
    ) -> String {
        let who = match staff {
            Some(staff) => {
                let roles: Vec<&str> = staff.roles.iter().collect();
                format!("roles [{}] of {}", roles.join(", "), staff.org_unit)
            }
            None => "a caller without a token".to_owned(),
        };
        let forbidding: Vec<&str> = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.policies.policy(id))
            .map(label)
            .collect();
        let why = if forbidding.is_empty() {
            let covering: Vec<&str> = self
                .policies
                .policies()
                .filter(|policy| policy.effect() == Effect::Permit && self.covers(policy, action))
                .map(label)
                .collect();
            match covering.as_slice() {
                [] => "no policy permits this action to anybody".to_owned(),
                some => {
                    format!("none of the policies for this action applies: {}", some.join(", "))
                }
            }
        } else {
            format!("forbidden by {}", forbidding.join(", "))
        };
        let mut explanation = format!("{who}, {} in {resource}: {why}", action.as_str());
        for error in response.diagnostics().errors() {
            explanation.push_str(&format!("; {error}"));
        }
        explanation
    }

    fn covers(&self, policy: &Policy, action: Action<'_>) -> bool {
        let is_it = |id: &EntityUid| id.id().unescaped() == action.as_str();
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(id) => is_it(&id),
            ActionConstraint::In(ids) => {
                let parents = action.parents();
                ids.iter().any(|id| {
                    is_it(id) || parents.iter().any(|parent| parent == id.id().unescaped())
                })
            }
        }
    }
}

fn parse(text: &str) -> Result<PolicySet, PermissionsError> {
    let policies: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        PermissionsError { faults: errors.iter().map(ToString::to_string).collect() }
    })?;
    if policies.templates().next().is_some() {
        return Err(fault(
            "templates (`?principal`, `?resource`) are never linked, so they are refused",
        ));
    }
    Ok(policies)
}

/// The policy's `@id`, or the number that Cedar gave it.
fn label(policy: &Policy) -> &str {
    policy.annotation("id").unwrap_or_else(|| policy.id().as_ref())
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("policies", &self.policies.num_of_policies())
            .finish_non_exhaustive()
    }
}

/// What a decision depends on.
#[derive(PartialEq, Eq)]
struct Key {
    roles: Option<Roles>,
    home: Option<OrgUnit>,
    subject: Option<Box<str>>,
    action: Box<str>,
    resource: OrgUnit,
}

/// The same, borrowed, so that a remembered decision costs no allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyRef<'a> {
    roles: Option<&'a Roles>,
    home: Option<&'a OrgUnit>,
    subject: Option<&'a str>,
    action: &'a str,
    resource: &'a OrgUnit,
}

impl Key {
    fn as_ref(&self) -> KeyRef<'_> {
        KeyRef {
            roles: self.roles.as_ref(),
            home: self.home.as_ref(),
            subject: self.subject.as_deref(),
            action: &self.action,
            resource: &self.resource,
        }
    }
}

impl KeyRef<'_> {
    fn to_owned(self) -> Key {
        Key {
            roles: self.roles.cloned(),
            home: self.home.cloned(),
            subject: self.subject.map(Into::into),
            action: self.action.into(),
            resource: self.resource.clone(),
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_ref()
    }
}
