//! What a caller wants to do, and the groups by which permissions speak of it.

/// A kind of action. Permissions name groups, so that a new method has its permission from its name (AIP verbs)
/// without a change of code or policy.
///
/// A method whose verb is in no group has none: it is denied until the permissions file names it. That is the safe
/// way round for verbs like `Erase` or `Export`, which nobody should be allowed by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Changes nothing.
    Read,
    /// Puts something new on record.
    Register,
    /// Works on what is on record.
    Handle,
    /// Settles what not everybody may settle: standings, cancellations, approvals.
    Decide,
    /// Changes the rules: policies, calendars, org units, questionnaires.
    Administer,
}

impl Group {
    /// Every group.
    pub const ALL: [Group; 5] =
        [Group::Read, Group::Register, Group::Handle, Group::Decide, Group::Administer];

    /// The group's name in permissions, e.g. `read`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Group::Read => "read",
            Group::Register => "register",
            Group::Handle => "handle",
            Group::Decide => "decide",
            Group::Administer => "administer",
        }
    }

    /// The group of a method by its verb and its noun.
    fn of(method: &str) -> Option<Group> {
        let split = method.find(|c: char| c.is_ascii_uppercase());
        debug_assert_eq!(split, Some(0), "checked by Action::parse");
        let rest = &method[1..];
        let end = rest.find(|c: char| c.is_ascii_uppercase()).map_or(method.len(), |at| at + 1);
        let (verb, noun) = method.split_at(end);
        let by_verb = match verb {
            // What an agent does in one step, however the verb sounds (T-26).
            "Apply" if noun == "Macro" => Group::Handle,
            "Get" | "List" | "Search" | "Count" | "Explain" | "Watch" | "Diff" | "Simulate"
            | "Validate" | "Render" => Group::Read,
            "Create" | "Record" | "Register" | "Add" => Group::Register,
            "Update" | "Respond" | "Pause" | "Resume" | "Resolve" | "Feed" | "Escalate"
            | "Assign" | "Accept" | "Reopen" | "Issue" | "Complete" | "Plan" | "Assess"
            | "Announce" | "Retry" | "Tag" => Group::Handle,
            "Set" | "Cancel" | "Close" | "Revoke" | "Approve" | "Reject" | "Waive" | "Archive" => {
                Group::Decide
            }
            "Apply" | "Rollback" => Group::Administer,
            _ => return None,
        };
        let rules = [
            "OrgUnit",
            "OrgUnits",
            "Policy",
            "Calendar",
            "Questionnaire",
            "Campaign",
            "Team",
            "Roster",
        ];
        if by_verb != Group::Read && rules.iter().any(|rule| noun.ends_with(rule)) {
            return Some(Group::Administer);
        }
        Some(by_verb)
    }
}

/// What permissions speak of beside methods: something that a field of a request asks for and that not everybody may
/// have who may call the method.
pub const BESIDE_METHODS: [&str; 8] = [
    // Saying to a customer what the policy forbids (T-14).
    "ticket.OverrideForbiddenPhrases",
    // Raising a ticket as a manager's decision, and not as what its handler asks for (T-12).
    "ticket.DecideEscalation",
    // Seeing the violations of others (T-19).
    "ticket.ReviewViolations",
    // Deciding on a suggestion in the place of its decision maker (T-21).
    "ticket.OverruleSuggestion",
    // Deciding for the people of a team: whose turn it is, who is absent, who stands in (T-03, T-25).
    "ticket.SuperviseTeam",
    // Opening what was withdrawn (T-01).
    "ticket.InspectWithdrawnAttachment",
    // Reading what one took oneself, wherever it has gone (T-02).
    "ticket.ReadAsFirstContact",
    // Urging whoever has it to get on with it (T-02).
    "ticket.UrgeAsFirstContact",
];

/// A method as permissions name it: `ticket.CreateTicket`, the context and the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action<'a> {
    text: &'a str,
    context: &'a str,
    group: Option<Group>,
}

impl<'a> Action<'a> {
    /// Reads `<context>.<Method>`; `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Action<'a>> {
        let (context, method) = text.split_once('.')?;
        let right = !context.is_empty()
            && context.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && method.starts_with(|c: char| c.is_ascii_uppercase())
            && method.bytes().all(|b| b.is_ascii_alphanumeric());
        right.then(|| Action { text, context, group: Group::of(method) })
    }

    /// The whole name, e.g. `ticket.CreateTicket`.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The context, e.g. `ticket`; `feed` and `clock` for the contracts that every service hosts.
    pub fn context(&self) -> &'a str {
        self.context
    }

    /// What kind of action it is, `None` where the verb does not say.
    pub fn group(&self) -> Option<Group> {
        self.group
    }

    /// The names of the groups that it belongs to: its context, its kind, and its kind in its context.
    pub(super) fn parents(&self) -> Vec<String> {
        let mut parents = vec![self.context.to_owned()];
        if let Some(group) = self.group {
            parents.push(group.as_str().to_owned());
            parents.push(format!("{}.{}", self.context, group.as_str()));
        }
        parents
    }

    /// The action's name for a gRPC path: `/kefu.ticket.v1.TicketService/CreateTicket` is `ticket.CreateTicket`.
    /// `None` for a path that is none of ours.
    pub fn name_of_path(path: &str) -> Option<String> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let context = service.strip_prefix("kefu.")?.split('.').next()?;
        let name = format!("{context}.{method}");
        Action::parse(&name).is_some().then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x07_a_method_has_its_group_from_its_name() {
        for (name, group) in [
            ("ticket.GetTicket", Some(Group::Read)),
            ("ticket.ListTicketHistory", Some(Group::Read)),
            ("ticket.GetEffectiveTicketPolicy", Some(Group::Read)),
            ("ticket.CreateTicket", Some(Group::Register)),
            ("ticket.RecordVerdict", Some(Group::Register)),
            ("ticket.AddTicketNote", Some(Group::Register)),
            ("ticket.RenderMessageTemplate", Some(Group::Read)),
            ("ticket.OverrideForbiddenPhrases", None),
            ("ticket.DecideEscalation", None),
            ("ticket.SuperviseTeam", None),
            ("ticket.CreateTeam", Some(Group::Administer)),
            ("ticket.GetTeam", Some(Group::Read)),
            ("ticket.UpdateRoster", Some(Group::Administer)),
            ("ticket.AssignTicket", Some(Group::Handle)),
            ("ticket.FeedBackTicket", Some(Group::Handle)),
            ("ticket.AssessTicket", Some(Group::Handle)),
            ("ticket.TagTicket", Some(Group::Handle)),
            ("ticket.UploadAttachment", None),
            ("ticket.AnnounceDelay", Some(Group::Handle)),
            ("ticket.RetryDelivery", Some(Group::Handle)),
            ("ticket.CancelDelivery", Some(Group::Decide)),
            ("ticket.ApplyMacro", Some(Group::Handle)),
            ("customer.SetStanding", Some(Group::Decide)),
            ("customer.CreateOrgUnit", Some(Group::Administer)),
            ("ticket.ApplyTicketPolicy", Some(Group::Administer)),
            ("customer.EraseCustomer", None),
            ("customer.Getaway", None),
            ("feed.Subscribe", None),
        ] {
            assert_eq!(Action::parse(name).unwrap().group(), group, "{name}");
        }
    }

    #[test]
    fn x06_what_is_no_action_is_none() {
        for text in [
            "",
            "ticket",
            "ticket.",
            ".Get",
            "ticket.get",
            "Ticket.Get",
            "a.B.C",
            "a.B\"",
            "工.Get",
        ] {
            assert_eq!(Action::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_grpc_path_names_its_action() {
        let name = Action::name_of_path;
        assert_eq!(name("/kefu.ticket.v1.TicketService/GetTicket").unwrap(), "ticket.GetTicket");
        assert_eq!(name("/kefu.feed.v1.FeedService/GetHead").unwrap(), "feed.GetHead");
        assert_eq!(name("/grpc.health.v1.Health/Check"), None);
        assert_eq!(name("kefu.ticket.v1.TicketService/GetTicket"), None);
    }
}
