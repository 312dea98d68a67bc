//! Staged processes as the policy writes them down (流程模板), checked (T-22).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::{Timestamp, ToSpan};
use kefu_calendar::{Calendar, Target};
use serde::{Deserialize, Serialize};

use super::{
    clock_note::StepRule,
    word::{Fault, ReceiverLevel, Text},
};

/// A process in stages, checked as its policy was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessTemplate {
    pub(super) code: String,
    pub(super) title: Text,
    pub(super) attributes: Vec<Attribute>,
    pub(super) documents: BTreeMap<String, Text>,
    /// Codes of the documents as which only a file of the ticket counts.
    pub(super) attached: BTreeSet<String>,
    /// Exactly one fits whatever is agreed; empty where there is one way for all.
    pub(super) routes: Vec<Route>,
    /// In order; never empty.
    pub(super) stages: Vec<Stage>,
    pub(super) change_deciders: Vec<String>,
}

/// Something that was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Unique in the template.
    pub code: String,
    /// What it is called.
    pub title: Text,
    /// What values it has.
    pub kind: AttributeKind,
    /// From which stage on things are done again when it changes; none means that it cannot be changed.
    pub restarts_at: Option<usize>,
}

/// What values an attribute has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// Numbers between two, both included.
    Number(Number, Number),
    /// Yes or no.
    Flag,
    /// One of these, by code.
    Choice(BTreeMap<String, Text>),
}

/// A finite number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(f64);

impl Number {
    /// None for what is infinite or no number. Minus nothing is nothing.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// As it is.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Of a number.
    Number(Number),
    /// Of a flag.
    Flag(bool),
    /// Of a choice.
    Choice(String),
}

/// What is agreed: a value for each attribute, by code.
pub type Agreed = BTreeMap<String, Value>;

/// One way through the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique in the template.
    pub code: String,
    /// What it is called.
    pub title: Text,
    /// In any of these cases; in each all conditions hold.
    pub cases: Vec<Vec<Condition>>,
}

/// What is asked of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its code.
    pub attribute: String,
    /// What is asked.
    pub is: Is,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// A number between these; `true` beside what is included.
    Between(Option<(Number, bool)>, Option<(Number, bool)>),
    /// This.
    Flag(bool),
    /// One of these.
    OneOf(Vec<String>),
}

impl Is {
    /// Whether the value is so.
    #[must_use]
    pub fn met_by(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Between(from, to), Value::Number(number)) => {
                from.is_none_or(|(from, at)| *number > from || (at && *number == from))
                    && to.is_none_or(|(to, at)| *number < to || (at && *number == to))
            }
            (Self::Flag(asked), Value::Flag(flag)) => asked == flag,
            (Self::OneOf(choices), Value::Choice(choice)) => choices.contains(choice),
            _ => false,
        }
    }
}

impl Route {
    /// Whether what is agreed goes this way.
    #[must_use]
    pub fn fits(&self, agreed: &Agreed) -> bool {
        let holds = |condition: &Condition| {
            agreed.get(&condition.attribute).is_some_and(|value| condition.is.met_by(value))
        };
        self.cases.iter().any(|case| case.iter().all(holds))
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Unique in the template.
    pub code: String,
    /// What it is called.
    pub title: Text,
    /// Of which one does it.
    pub roles: Vec<String>,
    /// Whether it runs beside the one before it.
    pub parallel: bool,
    /// Only on these; empty means all.
    pub routes: Vec<String>,
    /// How long it may take.
    pub clocks: Vec<OnRoutes<StageClock>>,
    /// Codes of the documents.
    pub documents: Vec<OnRoutes<String>>,
    /// Who approves.
    pub approvals: Vec<OnRoutes<Approval>>,
    /// The inspections; none means none.
    pub inspections: Option<Inspections>,
    /// Whether the customer is promised a written answer.
    pub answer_promised: bool,
}

/// What is asked on some routes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnRoutes<T> {
    /// Which; empty means all.
    pub routes: Vec<String>,
    /// What.
    pub asked: T,
}

/// How long a stage may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageClock {
    /// So long.
    pub length: Length,
    /// At how many hundredths of the time it is told; none means never.
    pub warn_percent: Option<u32>,
    /// Code of the violation that a breach proposes.
    pub violation: Option<String>,
    /// Whether a breach raises the ticket to the next receiver level.
    pub breach_raises_level: bool,
    /// The steps of its escalation.
    pub steps: Vec<StepRule>,
}

/// A length of time from when a stage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A promise as any other.
    Target(Target),
    /// Months of the calendar, in its time zone.
    Months(u32),
}

impl Length {
    /// As a promise that begins then. None beyond the end of time.
    #[must_use]
    pub fn from(self, start: Timestamp, calendar: &Calendar) -> Option<Target> {
        match self {
            Self::Target(target) => Some(target),
            Self::Months(months) => {
                let local = start.to_zoned(calendar.time_zone().clone());
                let due = local.checked_add(i64::from(months).months()).ok()?.timestamp();
                Some(Target::Elapsed(due.duration_since(start).try_into().ok()?))
            }
        }
    }
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Of which one approves.
    pub roles: Vec<String>,
    /// How many different people.
    pub count: usize,
    /// Which receiver level that is.
    pub level: Option<ReceiverLevel>,
}

/// The inspections of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspections {
    /// At least so many.
    pub minimum: usize,
    /// At most so many.
    pub maximum: usize,
    /// What one can find, by code.
    pub outcomes: BTreeMap<String, Outcome>,
}

/// What an inspection can find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it is called.
    pub title: Text,
    /// What the next one is; none where it passed.
    pub next: Option<Text>,
}

fn goes(routes: &[String], route: Option<&str>) -> bool {
    routes.is_empty() || route.is_some_and(|route| routes.iter().any(|code| code == route))
}

fn asked<'a, T>(
    all: &'a [OnRoutes<T>],
    route: Option<&'a str>,
) -> impl Iterator<Item = &'a T> + 'a {
    all.iter().filter(move |one| goes(&one.routes, route)).map(|one| &one.asked)
}

impl Stage {
    /// Whether the route leads through it.
    #[must_use]
    pub fn applies(&self, route: Option<&str>) -> bool {
        goes(&self.routes, route)
    }

    /// How long it may take on the route.
    #[must_use]
    pub fn clock<'a>(&'a self, route: Option<&'a str>) -> Option<&'a StageClock> {
        asked(&self.clocks, route).next()
    }

    /// The documents that it asks for on the route.
    pub fn documents<'a>(&'a self, route: Option<&'a str>) -> impl Iterator<Item = &'a String> {
        asked(&self.documents, route)
    }

    /// The approvals that it asks for on the route.
    pub fn approvals<'a>(&'a self, route: Option<&'a str>) -> impl Iterator<Item = &'a Approval> {
        asked(&self.approvals, route)
    }

    /// Whether it asks for the same on both routes.
    #[must_use]
    pub fn asks_the_same(&self, one: Option<&str>, other: Option<&str>) -> bool {
        self.applies(one) == self.applies(other)
            && self.clock(one) == self.clock(other)
            && self.documents(one).eq(self.documents(other))
            && self.approvals(one).eq(self.approvals(other))
    }
}

impl ProcessTemplate {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }

    /// What is agreed, in order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The stages, in order; never empty.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage with this code, and its place.
    #[must_use]
    pub fn stage(&self, code: &str) -> Option<(usize, &Stage)> {
        self.stages.iter().enumerate().find(|(_, stage)| stage.code == code)
    }

    /// Whether only a file of the ticket counts as this document.
    #[must_use]
    pub fn is_attached(&self, document: &str) -> bool {
        self.attached.contains(document)
    }

    /// Which role decides on changes.
    #[must_use]
    pub fn change_deciders(&self) -> &[String] {
        &self.change_deciders
    }

    /// The route for what is agreed; none where there is one way for all.
    #[must_use]
    pub fn route(&self, agreed: &Agreed) -> Option<&str> {
        self.routes.iter().find(|route| route.fits(agreed)).map(|route| &*route.code)
    }

    /// The places of stages that run beside each other, in order.
    pub fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = self.stages.iter().enumerate().filter(|(_, stage)| !stage.parallel);
        let starts: Vec<usize> = starts.map(|(place, _)| place).collect();
        let ends = starts.clone().into_iter().skip(1).chain([self.stages.len()]);
        starts.into_iter().zip(ends).map(|(from, to)| from..to)
    }

    /// Takes values for all attributes, or with `some` for some of those that can be changed.
    ///
    /// # Errors
    /// Everything that is wrong, with its path below `attributes`.
    pub fn agree(&self, values: Vec<(String, Value)>, some: bool) -> Result<Agreed, Vec<Fault>> {
        let (mut agreed, mut faults) = (Agreed::new(), Vec::new());
        for (index, (code, value)) in values.into_iter().enumerate() {
            let path = format!("attributes[{index}].attribute");
            match self.attributes.iter().find(|attribute| attribute.code == code) {
                None => {
                    faults.push(fault(
                        &path,
                        "is no attribute of the template",
                        "模板中没有此属性",
                    ));
                }
                Some(attribute) if some && attribute.restarts_at.is_none() => {
                    faults.push(fault(&path, "cannot be changed", "此属性不可变更"));
                }
                Some(attribute) => {
                    if let Err(fault) =
                        attribute.kind.check(&value, &format!("attributes[{index}]"))
                    {
                        faults.push(fault);
                    }
                    if agreed.insert(code, value).is_some() {
                        faults.push(fault(&path, "is given twice", "属性重复"));
                    }
                }
            }
        }
        let missing = self.attributes.iter().filter(|known| !agreed.contains_key(&known.code));
        if !some && let missing @ [_, ..] = &*missing.map(|known| &*known.code).collect::<Vec<_>>()
        {
            let codes = missing.join(", ");
            let (en, zh) = (format!("must have a value for {codes}"), format!("缺少属性：{codes}"));
            faults.push(fault("attributes", &en, &zh));
        }
        if faults.is_empty() { Ok(agreed) } else { Err(faults) }
    }
}

impl AttributeKind {
    fn check(&self, value: &Value, path: &str) -> Result<(), Fault> {
        let (field, en, zh) = match (self, value) {
            (Self::Number(least, most), Value::Number(number)) => {
                if (least..=most).contains(&number) {
                    return Ok(());
                }
                let (least, most) = (least.get(), most.get());
                (
                    ".number",
                    format!("must be {least} to {most}"),
                    format!("须在 {least} 至 {most} 之间"),
                )
            }
            (Self::Flag, Value::Flag(_)) => return Ok(()),
            (Self::Choice(choices), Value::Choice(choice)) => {
                if choices.contains_key(choice) {
                    return Ok(());
                }
                (".choice", "is none of the choices".to_owned(), "不在选项之中".to_owned())
            }
            _ => (
                "",
                "must have a value of the attribute's kind".to_owned(),
                "值的类型与属性不符".to_owned(),
            ),
        };
        Err(fault(&format!("{path}{field}"), &en, &zh))
    }
}

/// A fault in both languages.
pub(super) fn fault(path: &str, en: &str, zh: &str) -> Fault {
    Fault::new(path, (en, zh))
}
