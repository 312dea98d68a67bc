//! From drafts of staged processes to what can be followed: every fault at once, each with its path (T-22, X-06).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kefu_calendar::Calendar;
use kefu_identity::role;

use super::{
    policy::ViolationRule,
    policy_check::{self, DAY, Faults, Pair},
    policy_check_clock,
    process_draft::{
        ApprovalDraft, AttributeDraft, InspectionsDraft, LengthDraft, ProcessTemplateDraft,
        StageClockDraft, StageDraft, ValueKind,
    },
    process_route_check,
    process_template::{
        Approval, Attribute, AttributeKind, Inspections, Length, Number, OnRoutes, Outcome,
        ProcessTemplate, Route, Stage, StageClock,
    },
    word::{ReceiverLevel, Text},
};

/// The roles of people who work with customers; what others may do, no process can ask of them.
const PROCESS_ROLES: [&str; 6] =
    [role::CLERK, role::HANDLER, role::MANAGER, role::DIRECTOR, role::QUALITY, role::HEADQUARTERS];

const MAX_TEMPLATES: usize = 20;
const MAX_ATTRIBUTES: usize = 20;
const MAX_CHOICES: usize = 50;
const MAX_DOCUMENTS: usize = 100;
const MAX_STAGES: usize = 50;
const MAX_CLOCKS: usize = 20;
const MAX_ROLES: usize = 10;
const MAX_REQUIREMENTS: usize = 50;
const MAX_APPROVALS: usize = 20;
const MAX_INSPECTIONS: i32 = 20;
const MAX_MONTHS: u32 = 12;
/// No month is shorter.
const SHORTEST_MONTH: Duration = DAY.saturating_mul(28);
const GREATEST: f64 = 1e12;
const NO_TEXT: Pair = ("must have a text in English or Chinese", "须有英文或中文内容");

/// What of the policy processes refer to.
pub(super) struct Known<'a> {
    pub calendar: Option<&'a Calendar>,
    pub violations: &'a BTreeMap<String, ViolationRule>,
    pub levels: usize,
}

/// The templates by code.
pub(super) fn check(
    drafts: Vec<ProcessTemplateDraft>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> BTreeMap<String, ProcessTemplate> {
    faults.at_most(drafts.len(), MAX_TEMPLATES, "process_templates");
    let mut templates = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("process_templates[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        let code = draft.code.clone();
        let template = template(draft, known, &path, faults);
        faults.unique(&mut templates, code, template, format_args!("{path}.code"));
    }
    templates
}

fn template(
    draft: ProcessTemplateDraft,
    known: &Known<'_>,
    path: &str,
    faults: &mut Faults,
) -> ProcessTemplate {
    titled(&draft.title, path, faults);
    roles(&draft.change_deciders, 0, &format!("{path}.change_deciders"), faults);
    let changes = !draft.change_deciders.is_empty();
    let stages: Vec<String> = draft.stages.iter().map(|stage| stage.code.clone()).collect();
    let attributes = attributes(draft.attributes, &stages, changes, path, faults);
    if changes && attributes.iter().all(|attribute| attribute.restarts_at.is_none()) {
        faults.add(
            format_args!("{path}.change_deciders"),
            ("must be empty: no attribute can be changed", "不得填写：没有可变更的属性"),
        );
    }
    let documents = texts(draft.documents, MAX_DOCUMENTS, &format!("{path}.documents"), faults);
    let routes = process_route_check::routes(draft.routes, &attributes, path, faults);
    let place = Place { known, routes: &routes, documents: &documents };
    let stages = place.stages(draft.stages, path, faults);
    for (index, route) in routes.iter().enumerate() {
        if !stages.iter().any(|stage| stage.applies(Some(&route.code))) {
            faults.add(
                format_args!("{path}.routes[{index}]"),
                ("leads through no stage", "不经过任何环节"),
            );
        }
    }
    let asked: BTreeSet<&String> =
        stages.iter().flat_map(|stage| &stage.documents).map(|document| &document.asked).collect();
    for code in documents.keys().filter(|code| !asked.contains(code)) {
        let words = (format!("no stage asks for {code}"), format!("没有环节需要资料 {code}"));
        faults.add(format_args!("{path}.documents"), words);
    }
    ProcessTemplate {
        code: draft.code,
        title: draft.title,
        attributes,
        documents,
        attached: draft.attached.into_iter().collect(),
        routes,
        stages,
        change_deciders: draft.change_deciders,
    }
}

fn titled(title: &Text, path: &str, faults: &mut Faults) {
    if *title == Text::default() {
        faults.add(format_args!("{path}.title"), NO_TEXT);
    }
}

fn texts(
    drafts: Vec<(String, Text)>,
    most: usize,
    list: &str,
    faults: &mut Faults,
) -> BTreeMap<String, Text> {
    faults.at_most(drafts.len(), most, list);
    let mut found = BTreeMap::new();
    for (index, (code, title)) in drafts.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        faults.name(&code, format_args!("{path}.code"));
        titled(&title, &path, faults);
        faults.unique(&mut found, code, title, format_args!("{path}.code"));
    }
    found
}

fn roles(roles: &[String], least: usize, path: &str, faults: &mut Faults) {
    if roles.len() < least {
        faults.add(path, ("must name at least one role", "至少指定一个角色"));
    }
    faults.at_most(roles.len(), MAX_ROLES, path);
    let known = roles.iter().map(|role| PROCESS_ROLES.iter().find(|known| *known == role));
    faults.set(
        known,
        path,
        ("is no role of those who work with customers", "不是面向客户工作的角色"),
    );
}

fn attributes(
    drafts: Vec<AttributeDraft>,
    stages: &[String],
    changes: bool,
    path: &str,
    faults: &mut Faults,
) -> Vec<Attribute> {
    let list = format!("{path}.attributes");
    faults.at_most(drafts.len(), MAX_ATTRIBUTES, &list);
    let mut codes = BTreeMap::new();
    let mut attributes = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        titled(&draft.title, &path, faults);
        faults.unique(&mut codes, draft.code.clone(), (), format_args!("{path}.code"));
        let restarts = &draft.change_restarts_at;
        let restarts_at = stages.iter().position(|stage| stage == restarts);
        if !restarts.is_empty() && (restarts_at.is_none() || !changes) {
            let description = if changes {
                ("is not in the list `stages`", "不在 `stages` 清单中")
            } else {
                ("needs `change_deciders`", "须先有 `change_deciders`")
            };
            faults.add(format_args!("{path}.change_restarts_at"), description);
        }
        let (code, title) = (draft.code.clone(), draft.title.clone());
        if let Some(kind) = kind(draft, &path, faults) {
            attributes.push(Attribute { code, title, kind, restarts_at });
        }
    }
    attributes
}

fn kind(draft: AttributeDraft, path: &str, faults: &mut Faults) -> Option<AttributeKind> {
    let kind = faults.required(draft.kind, format_args!("{path}.kind"))?;
    if kind != ValueKind::Choice && !draft.choices.is_empty() {
        faults.add(
            format_args!("{path}.choices"),
            ("must be empty: it has no choices", "不得填写：该属性没有选项"),
        );
    }
    for (field, bound) in [("minimum", draft.minimum), ("maximum", draft.maximum)] {
        if bound.is_some() && kind != ValueKind::Number {
            faults.add(
                format_args!("{path}.{field}"),
                ("must be unset: it is no number", "不得填写：该属性不是数值"),
            );
        }
    }
    match kind {
        ValueKind::Flag => Some(AttributeKind::Flag),
        ValueKind::Choice => {
            if draft.choices.len() < 2 {
                faults.add(
                    format_args!("{path}.choices"),
                    ("must have at least 2 entries", "至少须有 2 项"),
                );
            }
            let list = format!("{path}.choices");
            Some(AttributeKind::Choice(texts(draft.choices, MAX_CHOICES, &list, faults)))
        }
        ValueKind::Number => {
            let bound = |bound: Option<f64>, or: f64, field: &str, faults: &mut Faults| {
                let number = bound.unwrap_or(or);
                let number = Number::new(number).filter(|number| number.get().abs() <= GREATEST);
                if number.is_none() {
                    faults.add(
                        format_args!("{path}.{field}"),
                        (
                            "must be a number up to 1,000,000,000,000",
                            "须为不超过 1,000,000,000,000 的数",
                        ),
                    );
                }
                number
            };
            let least = bound(draft.minimum, 0.0, "minimum", faults);
            let most = bound(draft.maximum, GREATEST, "maximum", faults);
            let (least, most) = (least?, most?);
            if least >= most {
                faults.add(
                    format_args!("{path}.maximum"),
                    ("must be more than `minimum`", "须大于 `minimum`"),
                );
            }
            Some(AttributeKind::Number(least, most))
        }
    }
}

/// Where stages are checked.
struct Place<'a> {
    known: &'a Known<'a>,
    routes: &'a [Route],
    documents: &'a BTreeMap<String, Text>,
}

impl Place<'_> {
    fn stages(&self, drafts: Vec<StageDraft>, path: &str, faults: &mut Faults) -> Vec<Stage> {
        let list = format!("{path}.stages");
        if drafts.is_empty() {
            faults.add(&list, ("must have at least one stage", "至少须有一个环节"));
        }
        faults.at_most(drafts.len(), MAX_STAGES, &list);
        let mut codes = BTreeMap::new();
        let mut stages = Vec::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            let path = format!("{list}[{index}]");
            faults.name(&draft.code, format_args!("{path}.code"));
            titled(&draft.title, &path, faults);
            faults.unique(&mut codes, draft.code.clone(), (), format_args!("{path}.code"));
            if index == 0 && draft.parallel {
                faults.add(
                    format_args!("{path}.parallel"),
                    ("must be false: there is no stage before it", "须为 false：其前没有环节"),
                );
            }
            roles(&draft.roles, 1, &format!("{path}.roles"), faults);
            let all: Vec<&str> = self.routes.iter().map(|route| &*route.code).collect();
            self.on(&draft.routes, &all, &format!("{path}.routes"), faults);
            let own: Vec<&str> = if draft.routes.is_empty() {
                all
            } else {
                draft.routes.iter().map(String::as_str).collect()
            };
            stages.push(Stage {
                code: draft.code,
                title: draft.title,
                parallel: draft.parallel,
                clocks: self.clocks(draft.clocks, &own, &path, faults),
                documents: self.requirements(draft.documents, &own, &path, faults),
                approvals: self.approvals(draft.approvals, &own, &path, faults),
                inspections: draft.inspections.and_then(|draft| inspections(draft, &path, faults)),
                answer_promised: draft.answer_promised,
                roles: draft.roles,
                routes: draft.routes,
            });
        }
        stages
    }

    /// Routes that are named are among these, each once.
    fn on(&self, routes: &[String], among: &[&str], path: &str, faults: &mut Faults) {
        let found = routes.iter().map(|route| among.iter().find(|known| *known == route));
        faults.set(
            found,
            path,
            ("is no route of the template that leads here", "不是模板中通往此处的路线"),
        );
    }

    /// Something that a route asks for once only, such as a clock: which routes it is for, and a fault where they have one.
    fn once(
        taken: &mut BTreeSet<String>,
        routes: &[String],
        own: &[&str],
        path: &str,
        faults: &mut Faults,
    ) {
        let routes: Vec<&str> = match (routes, own) {
            ([], []) => vec![""],
            ([], own) => own.to_vec(),
            (routes, _) => routes.iter().map(String::as_str).collect(),
        };
        let twice = routes.into_iter().filter(|route| !taken.insert((*route).to_owned()));
        let twice: Vec<&str> = twice.collect();
        if !twice.is_empty() {
            let on = twice.join(", ");
            let english = format!("there is one already on the same route {on}");
            faults.add(path, (english, format!("同一路线上已有一个：{on}")));
        }
    }

    fn clocks(
        &self,
        drafts: Vec<StageClockDraft>,
        own: &[&str],
        path: &str,
        faults: &mut Faults,
    ) -> Vec<OnRoutes<StageClock>> {
        faults.at_most(drafts.len(), MAX_CLOCKS, &format!("{path}.clocks"));
        let (mut taken, mut clocks) = (BTreeSet::new(), Vec::new());
        for (index, draft) in drafts.into_iter().enumerate() {
            let path = format!("{path}.clocks[{index}]");
            self.on(&draft.routes, own, &format!("{path}.routes"), faults);
            Self::once(&mut taken, &draft.routes, own, &path, faults);
            let warn = u32::try_from(draft.warn_percent).ok().filter(|percent| *percent < 100);
            if warn.is_none() {
                faults.add(
                    format_args!("{path}.warn_percent"),
                    ("must be 0 (no warning) to 99", "须为 0（不预警）至 99"),
                );
            }
            let violation = Some(draft.breach_violation).filter(|code| !code.is_empty());
            if violation.as_ref().is_some_and(|code| !self.known.violations.contains_key(code)) {
                let path = format_args!("{path}.breach_violation");
                faults.add(
                    path,
                    ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码"),
                );
            }
            let length = self.length(draft.length, &path, faults);
            let at_least = length.and_then(|length| self.at_least(length));
            let levels = self.known.levels;
            let steps = policy_check_clock::steps(draft.steps, at_least, levels, &path, faults);
            if let Some(length) = length {
                let asked = StageClock {
                    length,
                    warn_percent: warn.filter(|percent| *percent > 0),
                    violation,
                    breach_raises_level: draft.breach_raises_level,
                    steps,
                };
                clocks.push(OnRoutes { routes: draft.routes, asked });
            }
        }
        clocks
    }

    fn length(
        &self,
        draft: Option<LengthDraft>,
        path: &str,
        faults: &mut Faults,
    ) -> Option<Length> {
        match draft {
            None => {
                faults.add(path, ("must have a target or months", "须填写时限或月数"));
                None
            }
            Some(LengthDraft::Target(target)) => {
                let path = format!("{path}.target");
                let target = policy_check::target(target, self.known.calendar, &path, faults);
                target.map(Length::Target)
            }
            Some(LengthDraft::Months(months)) => {
                let months = u32::try_from(months).ok();
                let months = months.filter(|months| (1..=MAX_MONTHS).contains(months));
                if months.is_none() {
                    faults.add(format_args!("{path}.months"), ("must be 1 to 12", "须为 1 至 12"));
                }
                months.map(Length::Months)
            }
        }
    }

    /// How long that is whenever it begins.
    fn at_least(&self, length: Length) -> Option<Duration> {
        match length {
            Length::Target(target) => self.known.calendar.map(|calendar| target.amount(calendar)),
            Length::Months(months) => Some(SHORTEST_MONTH.saturating_mul(months)),
        }
    }

    fn requirements(
        &self,
        drafts: Vec<(String, Vec<String>)>,
        own: &[&str],
        path: &str,
        faults: &mut Faults,
    ) -> Vec<OnRoutes<String>> {
        faults.at_most(drafts.len(), MAX_REQUIREMENTS, &format!("{path}.documents"));
        let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, (asked, routes)) in drafts.into_iter().enumerate() {
            let path = format!("{path}.documents[{index}]");
            if !self.documents.contains_key(&asked) {
                faults.add(
                    format_args!("{path}.document"),
                    ("is not in the list `documents`", "不在 `documents` 清单中"),
                );
            }
            self.on(&routes, own, &format!("{path}.routes"), faults);
            let taken = taken.entry(asked.clone()).or_default();
            Self::once(taken, &routes, own, &path, faults);
            found.push(OnRoutes { routes, asked });
        }
        found
    }

    fn approvals(
        &self,
        drafts: Vec<ApprovalDraft>,
        own: &[&str],
        path: &str,
        faults: &mut Faults,
    ) -> Vec<OnRoutes<Approval>> {
        faults.at_most(drafts.len(), MAX_APPROVALS, &format!("{path}.approvals"));
        let mut found = Vec::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            let path = format!("{path}.approvals[{index}]");
            roles(&draft.roles, 1, &format!("{path}.roles"), faults);
            self.on(&draft.routes, own, &format!("{path}.routes"), faults);
            let count = match usize::try_from(draft.count) {
                Ok(0) => Some(1),
                Ok(count) if count <= 10 => Some(count),
                _ => None,
            };
            if count.is_none() {
                faults.add(
                    format_args!("{path}.count"),
                    ("must be 0 (meaning 1) to 10", "须为 0（即 1）至 10"),
                );
            }
            let known = usize::try_from(draft.level).is_ok_and(|level| level <= self.known.levels);
            if !known {
                faults.add(
                    format_args!("{path}.level"),
                    ("is not a level of `levels`", "不在 `levels` 所列级别中"),
                );
            }
            let level = ReceiverLevel::from_number(draft.level).filter(|_| known);
            let asked = Approval { roles: draft.roles, count: count.unwrap_or(1), level };
            found.push(OnRoutes { routes: draft.routes, asked });
        }
        found
    }
}

fn inspections(draft: InspectionsDraft, path: &str, faults: &mut Faults) -> Option<Inspections> {
    let path = format!("{path}.inspections");
    let InspectionsDraft { minimum, maximum, outcomes: drafts } = draft;
    if !(1..=MAX_INSPECTIONS).contains(&minimum) {
        faults.add(format_args!("{path}.minimum"), ("must be 1 to 20", "须为 1 至 20"));
    }
    if maximum < minimum || maximum > MAX_INSPECTIONS {
        faults.add(
            format_args!("{path}.maximum"),
            ("must be `minimum` to 20", "须不小于 `minimum`，最多 20"),
        );
    }
    let list = format!("{path}.outcomes");
    if !drafts.iter().any(|outcome| outcome.passed) {
        faults.add(&list, ("must have an outcome that passes", "须有一个合格的结果"));
    }
    faults.at_most(drafts.len(), 20, &list);
    let mut outcomes = BTreeMap::new();
    for (index, outcome) in drafts.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        faults.name(&outcome.code, format_args!("{path}.code"));
        titled(&outcome.title, &path, faults);
        match (&outcome.next, outcome.passed) {
            (Some(_), true) => faults.add(
                format_args!("{path}.next"),
                ("must be unset: it passes", "不得填写：该结果为合格"),
            ),
            (None, false) => {
                faults.add(
                    format_args!("{path}.next"),
                    ("must say what the next inspection is", "须说明下一次检查"),
                );
            }
            _ => {}
        }
        let found = Outcome { title: outcome.title, next: outcome.next };
        faults.unique(&mut outcomes, outcome.code, found, format_args!("{path}.code"));
    }
    let (minimum, maximum) = (usize::try_from(minimum).ok()?, usize::try_from(maximum).ok()?);
    Some(Inspections { minimum, maximum, outcomes })
}
