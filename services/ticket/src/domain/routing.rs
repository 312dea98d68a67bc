//! Who handles what, by the policy's rules (T-03). The rules are looked at in their order, the first whose conditions are
//! all met decides, and what was looked at stays on record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    category::{CategoryTree, is_within},
    keyword::{Keywords, folded},
    register::Intake,
    word::{Channel, Priority, ReceiverLevel, Severity, Subject, Text, TicketKind, coded},
};

coded! {
    /// How an owner is found among those of a team who are on duty and present.
    Distribution {
        /// Whoever has the fewest open tickets of the team; of several the one who has waited longest.
        LeastLoad = "least_load",
        /// Whoever has waited longest.
        RoundRobin = "round_robin",
    }
}

coded! {
    /// Why it was decided who handles a ticket.
    AssignCause {
        /// The policy's rules at registration.
        Intake = "intake",
        /// It waited, and somebody was on duty.
        Duty = "duty",
        /// Its owner is absent: somebody stands in, or it is back in the team's queue where whoever does may not see it.
        Absence = "absence",
        /// Its owner is no longer in the team.
        Left = "left",
        /// Somebody decided it.
        Manual = "manual",
        /// A trigger of the policy.
        Trigger = "trigger",
        /// A macro of the policy.
        Macro = "macro",
        /// What the rules look at was changed while nobody owned it, or its receiver level rose to that of a rule.
        Rerouted = "rerouted",
        /// It was sent to this team, and accepted.
        Transfer = "transfer",
    }
}

/// What a ticket is about in money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// In hundredths of the currency; not negative.
    pub cents: i64,
    /// ISO 4217.
    pub currency: String,
}

impl fmt::Display for Amount {
    /// As people write it: `12000.50 CNY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} {}", self.cents / 100, self.cents % 100, self.currency)
    }
}

/// What of a policy decides who handles what.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    pub(super) categories: CategoryTree,
    pub(super) complainant_types: BTreeMap<String, Text>,
    pub(super) criteria: Vec<Criterion>,
    pub(super) rules: Vec<Rule>,
    pub(super) keywords: Keywords,
    pub(super) rerouting: Rerouting,
    /// Where a severity starts; the others start at the front line.
    pub(super) starts: BTreeMap<Severity, ReceiverLevel>,
}

/// When the rules are looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rerouting {
    /// `on_category_change`.
    pub on_category_change: bool,
    /// `on_severity_change`.
    pub on_severity_change: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Criterion {
    pub severity: Severity,
    pub conditions: Conditions,
    pub repeat_within_days: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub name: Arc<str>,
    pub conditions: Conditions,
    pub team: Option<Arc<str>>,
    pub priority: Option<Priority>,
    pub owner: Option<Subject>,
    pub distribution: Option<Distribution>,
}

/// On what a rule or criterion depends: each that is not empty must be met, by one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub categories: BTreeSet<String>,
    /// Folded.
    pub products: BTreeSet<String>,
    pub org_units: BTreeSet<String>,
    pub grades: BTreeSet<String>,
    pub amount: Option<AmountRange>,
    /// Ids, with those of the words that are in them.
    pub keywords: BTreeSet<usize>,
    pub kinds: BTreeSet<TicketKind>,
    pub channels: BTreeSet<Channel>,
    pub severities: BTreeSet<Severity>,
    pub complainant_types: BTreeSet<String>,
    pub levels: BTreeSet<ReceiverLevel>,
}

/// From `min` to below `below`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AmountRange {
    pub currency: String,
    pub min: i64,
    pub below: Option<i64>,
}

/// What the conditions look at.
#[derive(Clone, Debug)]
pub(super) struct Matter<'a> {
    pub intake: &'a Intake,
    pub severity: Severity,
    /// Who may handle it.
    pub level: ReceiverLevel,
    pub product: String,
    pub words: BTreeSet<usize>,
}

/// A look at a rule or criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The rule's name, or where the criterion stands in the policy.
    pub rule: Arc<str>,
    /// The conditions that were not met, by the names of their fields; empty if it matched.
    pub unmet: Vec<&'static str>,
}

/// What the rules made of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// What was looked at, in order, up to the rule that decided.
    pub looks: Vec<Look>,
    /// The rule that decided.
    pub rule: Option<Arc<str>>,
    /// Code of the team.
    pub team: Option<Arc<str>>,
    /// Who owns it if still in the team.
    pub owner: Option<Subject>,
    /// How an owner is found otherwise.
    pub distribution: Option<Distribution>,
    /// The severity by the criteria, never lower than what was stated.
    pub severity: Severity,
    /// The priority that the rule asks for at least.
    pub priority: Option<Priority>,
}

impl Conditions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The conditions that a matter does not meet.
    pub fn unmet(&self, matter: &Matter<'_>) -> Vec<&'static str> {
        let Intake { org_unit, kind, channel, details, grade, amount, complainant_type, .. } =
            matter.intake;
        let below = |set: &BTreeSet<String>, path: &str| {
            set.is_empty() || set.iter().any(|of| is_within(path, of))
        };
        let named = |set: &BTreeSet<String>, value: Option<&String>| {
            set.is_empty() || value.is_some_and(|value| set.contains(value))
        };
        let words = self.keywords.is_empty() || !self.keywords.is_disjoint(&matter.words);
        let met = [
            ("categories", below(&self.categories, &details.category)),
            ("products", self.products.is_empty() || self.products.contains(&matter.product)),
            ("org_units", below(&self.org_units, org_unit)),
            ("customer_grades", named(&self.grades, grade.as_ref())),
            ("amount", self.amount.as_ref().is_none_or(|range| range.holds(amount.as_ref()))),
            ("keywords", words),
            ("kinds", self.kinds.is_empty() || self.kinds.contains(kind)),
            ("channels", self.channels.is_empty() || self.channels.contains(channel)),
            (
                "severities",
                self.severities.is_empty() || self.severities.contains(&matter.severity),
            ),
            ("complainant_types", named(&self.complainant_types, complainant_type.as_ref())),
            ("receiver_levels", self.levels.is_empty() || self.levels.contains(&matter.level)),
        ];
        met.into_iter().filter_map(|(name, met)| (!met).then_some(name)).collect()
    }

    /// Whether every matter that meets `other` meets these: then nothing is left to a rule that comes later. `within` tells
    /// which words are in a word.
    pub fn cover(&self, other: &Self, within: impl Fn(usize) -> BTreeSet<usize>) -> bool {
        fn some<T: Ord>(mine: &BTreeSet<T>, theirs: &BTreeSet<T>) -> bool {
            mine.is_empty() || (!theirs.is_empty() && theirs.is_subset(mine))
        }
        let below = |mine: &BTreeSet<String>, theirs: &BTreeSet<String>| {
            let held = |path: &String| mine.iter().any(|of| is_within(path, of));
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(held))
        };
        let words = self.keywords.is_empty()
            || (!other.keywords.is_empty()
                && other.keywords.iter().all(|word| !within(*word).is_disjoint(&self.keywords)));
        let amount = match (&self.amount, &other.amount) {
            (None, _) => true,
            (Some(mine), Some(theirs)) => mine.contains(theirs),
            (Some(_), None) => false,
        };
        words
            && amount
            && below(&self.categories, &other.categories)
            && below(&self.org_units, &other.org_units)
            && some(&self.products, &other.products)
            && some(&self.grades, &other.grades)
            && some(&self.kinds, &other.kinds)
            && some(&self.channels, &other.channels)
            && some(&self.severities, &other.severities)
            && some(&self.complainant_types, &other.complainant_types)
            && some(&self.levels, &other.levels)
    }
}

impl AmountRange {
    pub(super) fn holds(&self, amount: Option<&Amount>) -> bool {
        amount.is_some_and(|amount| {
            amount.currency == self.currency
                && amount.cents >= self.min
                && self.below.is_none_or(|below| amount.cents < below)
        })
    }

    fn contains(&self, other: &Self) -> bool {
        let ends = |range: &Self| range.below.unwrap_or(i64::MAX);
        self.currency == other.currency && self.min <= other.min && ends(self) >= ends(other)
    }
}

impl Routing {
    /// The category tree.
    #[must_use]
    pub fn categories(&self) -> &CategoryTree {
        &self.categories
    }

    /// Whether whoever complains may be of this type: one of the policy's, or not known.
    #[must_use]
    pub fn allows_complainant_type(&self, code: Option<&str>) -> bool {
        code.is_none_or(|code| {
            self.complainant_types.is_empty() || self.complainant_types.contains_key(code)
        })
    }

    /// Whether the rule that decided asks for the receiver level.
    #[must_use]
    pub fn goes_by_level(&self, routed: &Routed) -> bool {
        let decided = |rule: &&Rule| Some(&rule.name) == routed.rule.as_ref();
        self.rules.iter().find(decided).is_some_and(|rule| !rule.conditions.levels.is_empty())
    }

    /// Whether there are rules.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// How long back an earlier complaint of the same customer about the same matter is asked for, in days; none where
    /// nothing depends on it.
    #[must_use]
    pub fn repeat_days(&self) -> Option<i64> {
        self.criteria.iter().filter_map(|criterion| criterion.repeat_within_days).max()
    }

    /// What the criteria and rules make of a registration; none where the policy has neither.
    pub(super) fn route(&self, intake: &Intake, now: Timestamp) -> Option<Routed> {
        if self.criteria.is_empty() && self.rules.is_empty() {
            return None;
        }
        let mut matter = self.matter(intake);
        let mut looks = Vec::new();
        for (index, criterion) in self.criteria.iter().enumerate() {
            // What has no conditions is there for people to read.
            if criterion.conditions.is_empty() && criterion.repeat_within_days.is_none() {
                continue;
            }
            let mut unmet = criterion.conditions.unmet(&matter);
            if criterion.repeat_within_days.is_some_and(|days| !repeats(intake, days, now)) {
                unmet.push("repeat_within_days");
            }
            if unmet.is_empty() {
                matter.severity = matter.severity.max(criterion.severity);
            }
            looks.push(Look { rule: format!("severity_criteria[{index}]").into(), unmet });
        }
        matter.level = self.starts_at(matter.severity);
        Some(self.by_rules(&matter, looks))
    }

    fn starts_at(&self, severity: Severity) -> ReceiverLevel {
        self.starts.get(&severity).copied().unwrap_or(ReceiverLevel::FRONT_LINE)
    }

    pub(super) fn matter<'a>(&self, intake: &'a Intake) -> Matter<'a> {
        let texts = [intake.details.subject.as_str(), intake.details.description.as_str()];
        Matter {
            intake,
            severity: intake.severity,
            level: self.starts_at(intake.severity),
            product: folded(&intake.details.product),
            words: self.keywords.found_in(&texts),
        }
    }

    /// What the rules make of it, after what was looked at before.
    pub(super) fn by_rules(&self, matter: &Matter<'_>, mut looks: Vec<Look>) -> Routed {
        let mut decided = None;
        for rule in &self.rules {
            let unmet = rule.conditions.unmet(matter);
            let matched = unmet.is_empty();
            looks.push(Look { rule: rule.name.clone(), unmet });
            if matched {
                decided = Some(rule);
                break;
            }
        }
        Routed {
            looks,
            rule: decided.map(|rule| rule.name.clone()),
            team: decided.and_then(|rule| rule.team.clone()),
            owner: decided.and_then(|rule| rule.owner.clone()),
            distribution: decided.and_then(|rule| rule.distribution),
            severity: matter.severity,
            priority: decided.and_then(|rule| rule.priority),
        }
    }
}

/// Whether the last complaint about the matter is at most so many days old.
fn repeats(intake: &Intake, days: i64, now: Timestamp) -> bool {
    let reach = SignedDuration::from_hours(days.saturating_mul(24));
    intake.last_complaint_at.is_some_and(|last| now.duration_since(last) <= reach)
}

/// Somebody who could get a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The subject.
    pub staff: Subject,
    /// For whom he stands in.
    pub stands_for: Option<Subject>,
    /// His open tickets of the team.
    pub open: i32,
    /// The team's turn at which he last got one.
    pub turn: i64,
}

/// Puts those who could get a ticket in order, best first; the first gets it.
pub fn rank(candidates: &mut [Candidate], distribution: Distribution) {
    candidates.sort_by(|a, b| {
        let key = |candidate: &Candidate| match distribution {
            Distribution::LeastLoad => (candidate.open, candidate.turn),
            Distribution::RoundRobin => (0, candidate.turn),
        };
        key(a).cmp(&key(b)).then_with(|| a.staff.cmp(&b.staff))
    });
}
