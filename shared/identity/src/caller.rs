//! Who is calling.

use std::fmt;
use std::sync::Arc;

use crate::OrgUnit;

/// Names of the roles that the default permissions know. A token may carry others; they permit nothing until a
/// permissions file mentions them.
pub mod role {
    /// Registers what customers say (前台受理).
    pub const CLERK: &str = "clerk";
    /// Works on tickets (处理人).
    pub const HANDLER: &str = "handler";
    /// Receiver level 2, department manager (部门经理).
    pub const MANAGER: &str = "manager";
    /// Receiver level 3, director (总监).
    pub const DIRECTOR: &str = "director";
    /// Customer-care quality staff (品质).
    pub const QUALITY: &str = "quality";
    /// Headquarters' customer care (集团客服).
    pub const HEADQUARTERS: &str = "headquarters";
    /// Sets policies, calendars and org units (管理员).
    pub const ADMIN: &str = "admin";
    /// Runs the machinery: feeds, clocks (运维).
    pub const OPERATOR: &str = "operator";
    /// Another context of the mesh.
    pub const SERVICE: &str = "service";
    /// Reads everything, changes nothing (审计).
    pub const AUDITOR: &str = "auditor";

    /// Every role above.
    pub const ALL: [&str; 10] = [
        CLERK,
        HANDLER,
        MANAGER,
        DIRECTOR,
        QUALITY,
        HEADQUARTERS,
        ADMIN,
        OPERATOR,
        SERVICE,
        AUDITOR,
    ];
}

/// The roles of a caller: sorted, without doubles. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(Arc<[Box<str>]>);

impl Roles {
    /// Whether the caller has this role.
    pub fn contains(&self, role: &str) -> bool {
        self.0.binary_search_by(|r| (**r).cmp(role)).is_ok()
    }

    /// The roles in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|role| &**role)
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for Roles {
    fn from_iter<I: IntoIterator<Item = S>>(roles: I) -> Self {
        let mut roles: Vec<Box<str>> = roles.into_iter().map(Into::into).collect();
        roles.sort_unstable();
        roles.dedup();
        Roles(roles.into())
    }
}

/// The most characters of a subject.
const MAX_SUBJECT: usize = 256;

/// Beginnings of subjects that nobody may have: by these the audit trail names our own workers and callers without a
/// token.
const RESERVED: [&str; 2] = ["system/", "anonymous"];

/// Whether a token may carry this subject: 1 to 256 characters, all of them visible but for spaces inside, and no name
/// that the audit trail uses for somebody else, in whatever case.
pub(crate) fn is_subject(text: &str) -> bool {
    let reserved = |reserved: &&str| {
        text.get(..reserved.len()).is_some_and(|start| start.eq_ignore_ascii_case(reserved))
    };
    !text.is_empty()
        && text.chars().count() <= MAX_SUBJECT
        && text.trim() == text
        && !text.chars().any(is_invisible)
        && !RESERVED.iter().any(reserved)
}

/// What makes two different subjects look the same: control characters, and characters without a width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

/// A member of the staff (员工) or another service, as its verified token describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Staff {
    /// The token's subject: who it is, stable over time. At most 256 characters, none of them invisible; never
    /// `system/…` or `anonymous…`, which the audit trail keeps for itself.
    pub subject: Arc<str>,
    /// Where the caller belongs; its roles count here and below.
    pub org_unit: OrgUnit,
    /// What it may do there.
    pub roles: Roles,
}

/// Who makes a call (G-10): a member of the staff with a verified token, or nobody in particular.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    staff: Option<Staff>,
    // Kept so that a context can ask another one on the caller's behalf. Never printed.
    token: Option<Arc<str>>,
}

impl Caller {
    /// A caller without a token, who may do only what the permissions allow everybody.
    pub const ANONYMOUS: Caller = Caller { staff: None, token: None };

    /// A member of the staff without a token of its own: what [`crate::Minter::mint`] makes a token for.
    pub fn staff<S: Into<Box<str>>>(
        subject: impl Into<Arc<str>>,
        org_unit: OrgUnit,
        roles: impl IntoIterator<Item = S>,
    ) -> Caller {
        let staff = Staff { subject: subject.into(), org_unit, roles: roles.into_iter().collect() };
        Caller { staff: Some(staff), token: None }
    }

    /// The same caller with the token that proves it.
    pub fn with_token(self, token: impl Into<Arc<str>>) -> Caller {
        Caller { token: Some(token.into()), ..self }
    }

    /// The member of the staff, `None` for an anonymous caller.
    pub fn as_staff(&self) -> Option<&Staff> {
        self.staff.as_ref()
    }

    /// Whether the call came without a token.
    pub fn is_anonymous(&self) -> bool {
        self.staff.is_none()
    }

    /// The token's subject, for the journal; `anonymous` without a token.
    pub fn subject(&self) -> &str {
        self.staff.as_ref().map_or("anonymous", |staff| &staff.subject)
    }

    /// Where the caller belongs, `None` for an anonymous caller.
    pub fn org_unit(&self) -> Option<&OrgUnit> {
        self.staff.as_ref().map(|staff| &staff.org_unit)
    }

    /// The caller's roles in alphabetical order; none for an anonymous caller.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.staff.iter().flat_map(|staff| staff.roles.iter())
    }

    /// Whether the caller has this role. For permissions ask [`crate::Authorizer`] instead.
    pub fn has_role(&self, role: &str) -> bool {
        self.staff.as_ref().is_some_and(|staff| staff.roles.contains(role))
    }

    /// The bare token, for calls onward in the caller's name.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.staff {
            None => f.write_str("Anonymous"),
            Some(staff) => fmt::Debug::fmt(staff, f),
        }
    }
}

impl fmt::Debug for Staff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} as {:?}", self.subject, self.org_unit, self.roles.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_set_whatever_the_order_in_the_token() {
        let roles: Roles = ["handler", "clerk", "handler"].into_iter().collect();
        assert_eq!(roles, ["clerk", "handler"].into_iter().collect());
        assert!(roles.contains("clerk"));
        assert!(!roles.contains("cler"));
    }

    #[test]
    fn x04_a_subject_is_visible_bounded_and_none_of_our_own_names() {
        let longest = "长".repeat(256);
        for good in ["li", "service/ticket", "Li Wei", "李伟@集团", "systems/li", "an", &longest]
        {
            assert!(is_subject(good), "{good}");
        }
        let too_long = "x".repeat(257);
        for bad in [
            "",
            " ",
            " li",
            "li\n",
            "l\u{0}i",
            "\u{200B}system/timers",
            "li\u{202E}",
            &too_long,
            "system/timers",
            "System/Timers",
            "system/",
            "anonymous",
            "Anonymous",
            "anonymous-7",
        ] {
            assert!(!is_subject(bad), "{bad:?}");
        }
    }

    #[test]
    fn x04_debugging_a_caller_never_prints_its_token() {
        let caller = Caller::staff("li", "group".parse().unwrap(), ["clerk"]).with_token("s3cret");
        assert!(!format!("{caller:?}").contains("s3cret"));
        assert_eq!(caller.token(), Some("s3cret"));
    }
}
