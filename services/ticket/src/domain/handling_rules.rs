//! What a policy says about the handling of tickets (T-09 to T-13, T-15), checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kefu_calendar::{Calendar, Target};

use super::{
    category::CategoryTree,
    phrase::ForbiddenPhrases,
    policy::ViolationRule,
    policy_check::{DAY, Faults, Pair, target},
    policy_draft::ForbiddenPhraseDraft,
    routing::Amount,
    routing_check::is_currency,
    ticket::{Details, Ticket},
    word::{ReceiverLevel, Severity, Text},
};

const MAX_ATTEMPTS: i32 = 20;
const MAX_DAYS: u32 = 30;
const MAX_ENTRIES: usize = 50;
const MAX_KEYWORDS: usize = 200;
const MAX_CATEGORY: usize = 200;
const NO_SEVERITY: Pair = ("must be 1, 2 or 3", "须为 1、2 或 3");
const NO_VIOLATION: Pair =
    ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码");
pub(super) const NO_CATEGORY: Pair = ("is not one of `categories`", "不在 `categories` 所列类别中");

/// As it is written down, with nothing checked yet. Paths of faults are made of the field names of the API message.
#[derive(Clone, Debug, Default)]
pub struct HandlingDraft {
    /// `contact_attempts`.
    pub attempts: Option<AttemptDraft>,
    /// `handling_plan`: severities, agreement.
    pub plan: Option<(Vec<i32>, bool)>,
    /// `authorities`.
    pub authorities: Vec<AuthorityDraft>,
    /// `handling_form_required`.
    pub form_required: bool,
    /// `supervision.missed_answer_violation`; empty means none.
    pub missed_answer_violation: String,
    /// `headquarters_reporting`.
    pub reporting: Option<ReportingDraft>,
    /// `reopening.within`: unset where nothing is reopened, none where how long is missing.
    pub reopen_within: Option<Option<Target>>,
}

/// What a level may resolve.
#[derive(Clone, Debug, Default)]
pub struct AuthorityDraft {
    /// `level`.
    pub level: i32,
    /// `severities`; empty means all.
    pub severities: Vec<i32>,
    /// `categories`; empty means all.
    pub categories: Vec<String>,
    /// `max_amount_cents`; 0 means any amount.
    pub max_amount_cents: i64,
    /// `currency`; empty without a limit.
    pub currency: String,
}

/// When a ticket may be closed without a verdict.
#[derive(Clone, Debug, Default)]
pub struct AttemptDraft {
    /// `failed_attempts`.
    pub failed: i32,
    /// `min_interval`.
    pub min_interval: Duration,
    /// `distinct_days`.
    pub distinct_days: bool,
    /// `unasked_violation`; empty means none.
    pub unasked_violation: String,
}

/// What is reported to headquarters.
#[derive(Clone, Debug, Default)]
pub struct ReportingDraft {
    /// `criteria`.
    pub criteria: Vec<ReportingCriterionDraft>,
    /// `supervise_within`.
    pub supervise_within: Option<Target>,
}

/// What makes a ticket a matter for headquarters.
#[derive(Clone, Debug, Default)]
pub struct ReportingCriterionDraft {
    /// `title`.
    pub title: Text,
    /// `severities`.
    pub severities: Vec<i32>,
    /// `categories`.
    pub categories: Vec<String>,
    /// `keywords`.
    pub keywords: Vec<String>,
    /// `min_level`; 0 means whichever.
    pub min_level: i32,
}

/// The rules of a policy about handling.
#[derive(Clone, Debug, Default)]
pub struct HandlingRules {
    /// When a ticket may be closed without a verdict; none means never.
    pub attempts: AttemptRule,
    /// When a plan is needed; none means never.
    pub plan: Option<PlanRule>,
    /// What a level may resolve; a level that is not named may resolve everything.
    pub authorities: BTreeMap<ReceiverLevel, Vec<Authority>>,
    /// Whether the latest handling form must be filled in before a resolution.
    pub form_required: bool,
    /// Code of the violation that a missed answer proposes.
    pub missed_answer_violation: Option<String>,
    /// What is reported to headquarters; empty means nothing.
    pub criteria: Vec<Criterion>,
    /// How soon the unit answers for a reported ticket; none means that it is only reported.
    pub supervise_within: Option<Target>,
    /// How long what was closed can be reopened; none means that it cannot.
    pub reopen_within: Option<Target>,
}

/// When a ticket may be closed without a verdict (T-09).
#[derive(Clone, Debug)]
pub struct AttemptRule {
    /// So many failed attempts.
    pub failed: u32,
    /// Each so long after the one before.
    pub min_interval: Duration,
    /// Each on another day.
    pub distinct_days: bool,
    /// Code of the violation that an unasked verdict proposes.
    pub unasked_violation: Option<String>,
}

/// When a plan is needed before a resolution (T-10).
#[derive(Clone, Debug)]
pub struct PlanRule {
    severities: BTreeSet<Severity>,
    /// Whether the customer must have agreed.
    pub agreement: bool,
}

/// What a level may resolve (T-12).
#[derive(Clone, Debug)]
pub struct Authority {
    severities: BTreeSet<Severity>,
    categories: Vec<String>,
    /// Up to how much; none means any amount.
    limit: Option<Amount>,
}

impl Authority {
    /// Whether it is for such a ticket, whatever that is about in money.
    fn is_about(&self, ticket: &Ticket) -> bool {
        (self.severities.is_empty() || self.severities.contains(&ticket.severity))
            && within(&self.categories, &ticket.details.category)
    }

    /// Whether it reaches as far as the ticket's amount: nobody can tell what another currency is worth, and a ticket without an
    /// amount is not about money as far as is known.
    fn reaches(&self, ticket: &Ticket) -> bool {
        match (&self.limit, &ticket.amount) {
            (Some(limit), Some(amount)) => {
                limit.currency == amount.currency && amount.cents <= limit.cents
            }
            _ => true,
        }
    }
}

/// What makes a ticket a matter for headquarters (T-15).
#[derive(Clone, Debug)]
pub struct Criterion {
    title: Text,
    severities: BTreeSet<Severity>,
    categories: Vec<String>,
    keywords: Option<ForbiddenPhrases>,
    min_level: Option<ReceiverLevel>,
}

impl Default for AttemptRule {
    /// As T-09 has it where a policy says nothing: three, which are not three calls in a row.
    fn default() -> Self {
        Self {
            failed: 3,
            min_interval: Duration::ZERO,
            distinct_days: true,
            unasked_violation: None,
        }
    }
}

impl PlanRule {
    /// Whether such a ticket needs one.
    #[must_use]
    pub fn covers(&self, severity: Severity) -> bool {
        self.severities.is_empty() || self.severities.contains(&severity)
    }
}

impl HandlingRules {
    /// Whether a level may resolve such a ticket.
    #[must_use]
    pub fn may_resolve(&self, level: ReceiverLevel, ticket: &Ticket) -> bool {
        let covers =
            |authority: &Authority| authority.is_about(ticket) && authority.reaches(ticket);
        self.authorities.get(&level).is_none_or(|entries| entries.iter().any(covers))
    }

    /// Up to how much, in the currency of the ticket's amount, a level may resolve such a ticket, where that is too little.
    #[must_use]
    pub fn exceeded(&self, level: ReceiverLevel, ticket: &Ticket) -> Option<Amount> {
        let amount = ticket.amount.as_ref().filter(|_| !self.may_resolve(level, ticket))?;
        let entries = self.authorities.get(&level)?.iter().filter(|entry| entry.is_about(ticket));
        let limits = entries.filter_map(|entry| entry.limit.clone());
        let comparable = limits.filter(|limit| limit.currency == amount.currency);
        comparable.max_by_key(|limit| limit.cents)
    }

    /// The first criterion that a ticket meets, by its name in English and Chinese.
    #[must_use]
    pub fn criterion(&self, ticket: &Ticket) -> Option<String> {
        let met = |criterion: &&Criterion| {
            (criterion.severities.is_empty() || criterion.severities.contains(&ticket.severity))
                && within(&criterion.categories, &ticket.details.category)
                && criterion.min_level.is_none_or(|level| ticket.receiver_level >= level)
                && criterion.keywords.as_ref().is_none_or(|words| mentions(words, &ticket.details))
        };
        self.criteria.iter().find(met).map(|criterion| both(&criterion.title))
    }
}

fn both(Text { en, zh }: &Text) -> String {
    match (&**en, &**zh) {
        ("", only) | (only, "") => only.to_owned(),
        (en, zh) => format!("{en} / {zh}"),
    }
}

fn mentions(words: &ForbiddenPhrases, details: &Details) -> bool {
    [&details.subject, &details.description].iter().any(|text| !words.found_in(text).is_empty())
}

/// At or below one of the categories; none means all.
fn within(categories: &[String], category: &str) -> bool {
    let at = |top: &String| {
        category
            .strip_prefix(top.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    categories.is_empty() || categories.iter().any(at)
}

pub(super) fn check(
    draft: HandlingDraft,
    calendar: Option<&Calendar>,
    (violations, tree): (&BTreeMap<String, ViolationRule>, &CategoryTree),
    levels: usize,
    faults: &mut Faults,
) -> HandlingRules {
    let violation = |code: String, path: &str, faults: &mut Faults| {
        let code = Some(code).filter(|code| !code.is_empty());
        if code.as_ref().is_some_and(|code| !violations.contains_key(code)) {
            faults.add(path, NO_VIOLATION);
        }
        code
    };
    let attempts = draft.attempts.map_or_else(AttemptRule::default, |draft| {
        if !(1..=MAX_ATTEMPTS).contains(&draft.failed) {
            faults.add("contact_attempts.failed_attempts", ("must be 1 to 20", "须为 1 至 20"));
        }
        if draft.min_interval > DAY * MAX_DAYS {
            faults.add("contact_attempts.min_interval", ("must be up to 30 days", "最多 30 天"));
        }
        let path = "contact_attempts.unasked_violation";
        AttemptRule {
            failed: u32::try_from(draft.failed).unwrap_or(1),
            min_interval: draft.min_interval,
            distinct_days: draft.distinct_days,
            unasked_violation: violation(draft.unasked_violation, path, faults),
        }
    });
    let path = "supervision.missed_answer_violation";
    let missed_answer_violation = violation(draft.missed_answer_violation, path, faults);
    let plan = draft.plan.map(|(numbers, agreement)| PlanRule {
        severities: severities(&numbers, "handling_plan", faults),
        agreement,
    });
    let authorities = authorities(draft.authorities, tree, levels, faults);
    let reporting = draft.reporting.map(|draft| reporting(draft, calendar, tree, levels, faults));
    let (criteria, supervise_within) = reporting.unwrap_or_default();
    let reopen_within =
        draft.reopen_within.and_then(|within| target(within, calendar, "reopening.within", faults));
    HandlingRules {
        attempts,
        plan,
        authorities,
        form_required: draft.form_required,
        missed_answer_violation,
        criteria,
        supervise_within,
        reopen_within,
    }
}

fn severities(numbers: &[i32], path: &str, faults: &mut Faults) -> BTreeSet<Severity> {
    let mut set = BTreeSet::new();
    for (index, number) in numbers.iter().enumerate() {
        match Severity::from_number(*number) {
            None => faults.add(format_args!("{path}.severities[{index}]"), NO_SEVERITY),
            Some(severity) if !set.insert(severity) => {
                faults.add(format_args!("{path}.severities[{index}]"), ("is given twice", "重复"));
            }
            Some(_) => {}
        }
    }
    set
}

fn categories(
    categories: Vec<String>,
    tree: &CategoryTree,
    path: &str,
    faults: &mut Faults,
) -> Vec<String> {
    faults.at_most(categories.len(), MAX_ENTRIES, &format!("{path}.categories"));
    for (index, category) in categories.iter().enumerate() {
        let length = category.chars().count();
        let sound = (1..=MAX_CATEGORY).contains(&length)
            && category.split('/').all(|part| !part.trim().is_empty());
        if !sound {
            let description = (
                "must be a category of 1 to 200 characters, without an empty part",
                "须为 1 至 200 个字符的类别，各级不得为空",
            );
            faults.add(format_args!("{path}.categories[{index}]"), description);
        } else if !tree.allows(category) {
            faults.add(format_args!("{path}.categories[{index}]"), NO_CATEGORY);
        }
    }
    categories
}

fn authorities(
    drafts: Vec<AuthorityDraft>,
    tree: &CategoryTree,
    levels: usize,
    faults: &mut Faults,
) -> BTreeMap<ReceiverLevel, Vec<Authority>> {
    faults.at_most(drafts.len(), MAX_ENTRIES, "authorities");
    let mut authorities: BTreeMap<_, Vec<Authority>> = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("authorities[{index}]");
        let severities = severities(&draft.severities, &path, faults);
        let categories = categories(draft.categories, tree, &path, faults);
        let limit = limit((draft.max_amount_cents, draft.currency), &path, faults);
        let number = draft.level;
        let below = usize::try_from(number).is_ok_and(|number| number < levels);
        match ReceiverLevel::from_number(number).filter(|_| below) {
            Some(level) => {
                let authority = Authority { severities, categories, limit };
                authorities.entry(level).or_default().push(authority);
            }
            // Else some tickets could be resolved by nobody.
            None => faults.add(
                format_args!("{path}.level"),
                (
                    "must be a level of `levels` below the top, which may resolve everything",
                    "须为 `levels` 中最高级以外的级别，最高级可办结一切",
                ),
            ),
        }
    }
    authorities
}

fn limit((cents, currency): (i64, String), path: &str, faults: &mut Faults) -> Option<Amount> {
    if cents < 0 {
        let description = ("must be 0 (no limit) or more", "须为 0（不限）或正数");
        faults.add(format_args!("{path}.max_amount_cents"), description);
    }
    if cents != 0 && !is_currency(&currency) {
        let description = (
            "must be three capital letters as in ISO 4217, with a limit on the amount",
            "限定金额时须为 ISO 4217 的三个大写字母",
        );
        faults.add(format_args!("{path}.currency"), description);
    }
    if cents == 0 && !currency.is_empty() {
        faults.add(
            format_args!("{path}.currency"),
            ("must be empty without a limit on the amount", "未限定金额时不得填写"),
        );
    }
    (cents > 0).then_some(Amount { cents, currency })
}

fn reporting(
    draft: ReportingDraft,
    calendar: Option<&Calendar>,
    tree: &CategoryTree,
    levels: usize,
    faults: &mut Faults,
) -> (Vec<Criterion>, Option<Target>) {
    const PATH: &str = "headquarters_reporting";
    if draft.criteria.is_empty() {
        faults
            .add(format_args!("{PATH}.criteria"), ("must have at least one entry", "至少须有一项"));
    }
    faults.at_most(draft.criteria.len(), MAX_ENTRIES, "headquarters_reporting.criteria");
    let within = draft.supervise_within.and_then(|time| {
        target(Some(time), calendar, "headquarters_reporting.supervise_within", faults)
    });
    let criteria = draft.criteria.into_iter().enumerate();
    let criteria = criteria.map(|(index, draft)| {
        criterion(draft, tree, &format!("{PATH}.criteria[{index}]"), levels, faults)
    });
    (criteria.collect(), within)
}

fn criterion(
    draft: ReportingCriterionDraft,
    tree: &CategoryTree,
    path: &str,
    levels: usize,
    faults: &mut Faults,
) -> Criterion {
    let none = draft.severities.is_empty() && draft.categories.is_empty();
    if none && draft.keywords.is_empty() && draft.min_level == 0 {
        faults.add(
            path,
            (
                "must set at least one of severities, categories, keywords, min_level",
                "severities、categories、keywords、min_level 至少填写一项",
            ),
        );
    }
    if draft.title == Text::default() {
        faults.add(
            format_args!("{path}.title"),
            ("must have a text in English or Chinese", "须有英文或中文内容"),
        );
    }
    let known = draft.min_level == 0
        || usize::try_from(draft.min_level).is_ok_and(|level| (1..=levels).contains(&level));
    if !known {
        faults.add(
            format_args!("{path}.min_level"),
            ("is not a level of `levels`", "不在 `levels` 所列级别中"),
        );
    }
    Criterion {
        title: draft.title,
        severities: severities(&draft.severities, path, faults),
        categories: categories(draft.categories, tree, path, faults),
        keywords: keywords(draft.keywords, path, faults),
        min_level: ReceiverLevel::from_number(draft.min_level),
    }
}

/// Found in a text as forbidden phrases are: whatever its width, letter case and characters.
fn keywords(words: Vec<String>, path: &str, faults: &mut Faults) -> Option<ForbiddenPhrases> {
    if words.is_empty() {
        return None;
    }
    faults.at_most(words.len(), MAX_KEYWORDS, &format!("{path}.keywords"));
    let draft = |phrase: String| {
        let suggestion = Text::new(phrase.clone(), phrase.clone());
        ForbiddenPhraseDraft { phrase, suggestion }
    };
    match ForbiddenPhrases::check(words.into_iter().map(draft).collect()) {
        Ok(words) => Some(words),
        Err(found) => {
            for fault in found {
                let at = fault.path.trim_end_matches(".phrase").trim_end_matches(".suggestion");
                let of_keywords = |text: &str| text.replace("forbidden_phrases", "keywords");
                let words = (of_keywords(&fault.description), of_keywords(&fault.chinese));
                faults.add(format_args!("{path}.keywords{at}"), words);
            }
            None
        }
    }
}
