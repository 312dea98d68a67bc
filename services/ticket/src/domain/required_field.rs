//! What has to be noted on a ticket by when (T-19). Nothing is refused for its lack, for a ticket is registered at once, whoever
//! takes the call (T-01): each field that is missing proposes one violation, once per ticket.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kefu_calendar::{Calendar, Target};

use super::{
    change::{Change, What},
    explain,
    handling::HandlingChange,
    policy::{Policy, ViolationRule},
    policy_check::{Faults, target},
    story::Story,
    ticket::{Complainant, Ticket},
    violation::ProposedViolation,
    word::{Actor, Text, TicketKind, coded},
};

const MAX_RULES: usize = 50;

coded! {
    /// By when something has to be noted.
    RequiredMoment {
        /// So long after the registration as the rule gives.
        Registered = "registered",
        /// An answer to the customer.
        Answered = "answered",
        /// The resolution.
        Resolved = "resolved",
        /// Telling the result.
        ResultFedBack = "result_fed_back",
        /// The end, with a verdict or without.
        Closed = "closed",
    }
}

coded! {
    /// Something that can be noted on a ticket.
    RequiredField {
        /// A customer, or the name of whoever is none.
        Complainant = "complainant",
        /// A registered customer.
        Customer = "customer",
        /// A contact of the customer.
        Contact = "contact",
        /// What whoever complains is to the company.
        ComplainantType = "complainant_type",
        /// A category.
        Category = "category",
        /// A product, order or shop.
        Product = "product",
        /// What happened.
        Description = "description",
        /// When it happened.
        OccurTime = "occur_time",
        /// What it is about in money.
        Amount = "amount",
    }
}

/// A rule, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredFields {
    moment: RequiredMoment,
    fields: BTreeSet<RequiredField>,
    /// Empty means all.
    kinds: BTreeSet<TicketKind>,
    within: Option<Target>,
    /// Code in the table of violations.
    violation: String,
}

/// A rule as it is written down.
#[derive(Clone, Debug)]
pub struct RequiredFieldsDraft {
    /// `moment`; none is unknown.
    pub moment: Option<RequiredMoment>,
    /// `fields`; none is unknown.
    pub fields: Vec<Option<RequiredField>>,
    /// `ticket_kinds`; none is unknown.
    pub kinds: Vec<Option<TicketKind>>,
    /// `within`.
    pub within: Option<Target>,
    /// `violation`.
    pub violation: String,
}

/// Every fault with its path below `learning.required_fields`.
pub(super) fn check(
    drafts: Vec<RequiredFieldsDraft>,
    calendar: Option<&Calendar>,
    violations: &BTreeMap<String, ViolationRule>,
    faults: &mut Faults,
) -> Vec<RequiredFields> {
    faults.at_most(drafts.len(), MAX_RULES, "learning.required_fields");
    let mut rules = Vec::with_capacity(drafts.len().min(MAX_RULES));
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("learning.required_fields[{index}]");
        let moment = faults.required(draft.moment, format_args!("{path}.moment"));
        let unknown = ("must be a field of a ticket", "须为工单的字段");
        if draft.fields.is_empty() {
            faults.add(
                format_args!("{path}.fields"),
                ("must name at least one field", "至少指定一个字段"),
            );
        }
        let fields = faults.set(draft.fields, format_args!("{path}.fields"), unknown);
        let unknown = ("must be a kind of ticket", "须为工单的类型");
        let kinds = faults.set(draft.kinds, format_args!("{path}.ticket_kinds"), unknown);
        if draft.within.is_some() && moment.is_some_and(|m| m != RequiredMoment::Registered) {
            let description =
                ("must be unset with every moment but the registration", "只有登记时可填写此项");
            faults.add(format_args!("{path}.within"), description);
        }
        let within = draft
            .within
            .and_then(|within| target(Some(within), calendar, &format!("{path}.within"), faults));
        if !violations.contains_key(&draft.violation) {
            let description =
                ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码");
            faults.add(format_args!("{path}.violation"), description);
        }
        let violation = draft.violation;
        rules.extend(moment.map(|moment| RequiredFields {
            moment,
            fields,
            kinds,
            within,
            violation,
        }));
    }
    rules
}

impl RequiredMoment {
    /// In words.
    fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Registered => ("the registration", "登记"),
            Self::Answered => ("the answer to the customer", "答复客户"),
            Self::Resolved => ("the resolution", "处理完成"),
            Self::ResultFedBack => ("the feedback of the result", "结果反馈"),
            Self::Closed => ("the end", "关闭"),
        };
        Text::new(en, zh)
    }

    /// The moment that a change is.
    fn of(what: &What) -> Option<Self> {
        Some(match what {
            What::Responded { .. } => Self::Answered,
            What::Resolved(_) => Self::Resolved,
            What::ResultFedBack { .. } => Self::ResultFedBack,
            What::Closed(_) => Self::Closed,
            What::Handling(change) => match &**change {
                HandlingChange::ClosedUnreached { .. } => Self::Closed,
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl RequiredField {
    /// In words.
    fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Complainant => ("who complains", "投诉人"),
            Self::Customer => ("the customer", "客户"),
            Self::Contact => ("the contact", "联系人"),
            Self::ComplainantType => ("the type of complainant", "投诉人类型"),
            Self::Category => ("the category", "类别"),
            Self::Product => ("the product, order or shop", "产品、订单或门店"),
            Self::Description => ("what happened", "事情经过"),
            Self::OccurTime => ("when it happened", "发生时间"),
            Self::Amount => ("the amount", "金额"),
        };
        Text::new(en, zh)
    }

    pub(super) fn is_missing(self, ticket: &Ticket) -> bool {
        let details = &ticket.details;
        match self {
            Self::Complainant => ticket.complainant == Complainant::Anonymous,
            Self::Customer => !matches!(ticket.complainant, Complainant::Customer { .. }),
            Self::Contact => {
                !matches!(ticket.complainant, Complainant::Customer { contact: Some(_), .. })
            }
            Self::ComplainantType => ticket.complainant_type.is_none(),
            Self::Category => details.category.trim().is_empty(),
            Self::Product => [&details.product, &details.order_reference, &details.shop]
                .iter()
                .all(|named| named.trim().is_empty()),
            Self::Description => details.description.trim().is_empty(),
            Self::OccurTime => ticket.occurred_at.is_none(),
            Self::Amount => ticket.amount.is_none(),
        }
    }
}

impl RequiredFields {
    fn covers(&self, ticket: &Ticket) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&ticket.kind)
    }

    /// What is missing and was not put on record.
    fn missing<'a>(&'a self, ticket: &'a Ticket) -> impl Iterator<Item = RequiredField> + 'a {
        let covered = self.covers(ticket);
        let fields = self.fields.iter().copied();
        fields.filter(move |field| {
            covered && !ticket.handling.lacking.contains(field) && field.is_missing(ticket)
        })
    }

    /// By when it has to be noted, of the registration. A calendar that does not reach so far asks for nothing.
    fn due(&self, ticket: &Ticket, policy: &Policy) -> Option<Timestamp> {
        if self.moment != RequiredMoment::Registered {
            return None;
        }
        let created = ticket.created_at;
        self.within.map_or(Some(created), |within| policy.calendar().due_at(created, within).ok())
    }
}

/// When it has to be looked at whether something is missing that the registration has to have: none where nothing is, and
/// once the ticket has ended.
pub(crate) fn next_due(ticket: &Ticket, policy: &Policy) -> Option<Timestamp> {
    if ticket.state.is_final() {
        return None;
    }
    let rules = policy.learning().required_fields.iter();
    let open = rules.filter(|rule| rule.missing(ticket).next().is_some());
    open.filter_map(|rule| rule.due(ticket, policy)).min()
}

/// Proposes what the registration lacks at `due`.
pub(super) fn judge_registration(story: &mut Story<'_>, due: Timestamp) {
    let rules = story.policy.learning().required_fields.iter();
    let policy = story.policy;
    let now_due: Vec<_> =
        rules.filter(|rule| rule.due(&story.ticket, policy).is_some_and(|at| at <= due)).collect();
    for rule in now_due {
        propose(story, rule, due);
    }
    // What was noted since is not looked at again.
    let next = next_due(&story.ticket, policy);
    story.ticket.handling.fields_due = next.filter(|at| *at > due);
}

/// Proposes what is missing at the moments that the changes are, from the one at `first` on.
pub(super) fn judge(story: &mut Story<'_>, first: usize) {
    let moments: Vec<(RequiredMoment, Timestamp)> = story
        .changes
        .iter()
        .skip(first)
        .filter_map(|change: &Change| {
            Some((RequiredMoment::of(&change.what)?, change.effective_at))
        })
        .collect();
    let policy = story.policy;
    for (moment, at) in moments {
        for rule in policy.learning().required_fields.iter().filter(|rule| rule.moment == moment) {
            propose(story, rule, at);
        }
    }
}

/// One change per field: each is a violation of its own.
fn propose(story: &mut Story<'_>, rule: &RequiredFields, at: Timestamp) {
    let missing: Vec<RequiredField> = rule.missing(&story.ticket).collect();
    for field in missing {
        let Some(violation) = violation(story, rule, field, at) else { return };
        let moment = rule.moment;
        let mut later = story.ticket.clone();
        later.handling.lacking.insert(field);
        let next = next_due(&later, story.policy);
        let change = HandlingChange::FieldMissing { field, moment, next, violation };
        story.record_as(Actor::TIMERS, at, What::Handling(Box::new(change)), Vec::new());
    }
}

fn violation(
    story: &Story<'_>,
    required: &RequiredFields,
    field: RequiredField,
    at: Timestamp,
) -> Option<ProposedViolation> {
    let ticket = &story.ticket;
    let rule = story.policy.violation(&required.violation)?;
    // The registration and all it lacks is the first-contact owner's, the rest is of whoever works on it.
    let staff = match required.moment {
        RequiredMoment::Registered => &ticket.first_contact_owner,
        _ => ticket.answerable(),
    };
    let (moment, name) = (required.moment.words(), field.words());
    let (number, then) = (&ticket.number, explain::stamp(story.policy.calendar(), at));
    let evidence = format!(
        "Ticket {number}: {} was missing when it had to be noted: {}, {then}. / 工单 {number}：应在{}时（{then}）填写{}，未填写。",
        name.en, moment.en, moment.zh, name.zh
    );
    Some(rule.broken(staff.clone(), evidence, at, ticket.policy_version))
}
