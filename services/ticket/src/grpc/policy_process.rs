//! Staged processes of a policy from their messages (T-22).

use kefu_api::ticket::v1 as pb;
use kefu_policy::decode;
use kefu_rpc::Violations;

use super::policy::{self, each, text};
use crate::domain::{
    ApprovalDraft, AttributeDraft, InspectionsDraft, LengthDraft, OutcomeDraft,
    ProcessTemplateDraft, RouteConditionDraft, RouteDraft, StageClockDraft, StageDraft, ValueKind,
};

/// Beyond that nothing is looked at, however much there is.
const MOST: usize = 200;

/// Whether the longest lists are such that it makes sense to look into them.
pub(super) fn within_limits(policy: &pb::TicketPolicy, found: &mut Violations) -> bool {
    let templates = &policy.process_templates;
    found.at_most("process_templates", templates.len(), MOST)
        && templates.iter().enumerate().all(|(index, template)| {
            let lists = [
                ("attributes", template.attributes.len()),
                ("documents", template.documents.len()),
                ("routes", template.routes.len()),
                ("stages", template.stages.len()),
            ];
            found.item("process_templates", index, |found| {
                lists.iter().all(|(field, length)| found.at_most(field, *length, MOST))
            })
        })
}

/// The drafts; what is wrong with them beyond their form the domain finds.
pub(super) fn drafts(
    found: &mut Violations,
    templates: &[pb::ProcessTemplate],
) -> Vec<ProcessTemplateDraft> {
    list(found, "process_templates", templates, |found, template| ProcessTemplateDraft {
        code: template.code.clone(),
        title: text(found, "title", template.title.as_ref()),
        attributes: list(found, "attributes", &template.attributes, attribute),
        documents: list(found, "documents", &template.documents, |found, document| {
            (document.code.clone(), text(found, "title", document.title.as_ref()))
        }),
        attached: template
            .documents
            .iter()
            .filter(|document| document.attached)
            .map(|document| document.code.clone())
            .collect(),
        routes: list(found, "routes", &template.routes, |found, route| RouteDraft {
            code: route.code.clone(),
            title: text(found, "title", route.title.as_ref()),
            cases: list(found, "cases", &route.cases, |found, case| {
                list(found, "conditions", &case.conditions, condition)
            }),
        }),
        stages: list(found, "stages", &template.stages, stage),
        change_deciders: codes(found, "change_deciders", &template.change_deciders),
    })
}

fn list<M, D>(
    found: &mut Violations,
    field: &str,
    messages: &[M],
    decode: impl Fn(&mut Violations, &M) -> D,
) -> Vec<D> {
    if found.at_most(field, messages.len(), MOST) {
        each(found, field, messages, decode)
    } else {
        Vec::new()
    }
}

fn codes(found: &mut Violations, field: &str, codes: &[String]) -> Vec<String> {
    if found.at_most(field, codes.len(), MOST) { codes.to_vec() } else { Vec::new() }
}

fn attribute(found: &mut Violations, attribute: &pb::ProcessAttribute) -> AttributeDraft {
    use pb::ProcessAttributeKind::{Choice, Flag, Number, Unspecified};
    let kind = found.enumeration("kind", attribute.kind).and_then(|kind| match kind {
        Unspecified => None,
        Number => Some(ValueKind::Number),
        Flag => Some(ValueKind::Flag),
        Choice => Some(ValueKind::Choice),
    });
    AttributeDraft {
        code: attribute.code.clone(),
        title: text(found, "title", attribute.title.as_ref()),
        kind,
        choices: list(found, "choices", &attribute.choices, |found, choice| {
            (choice.code.clone(), text(found, "title", choice.title.as_ref()))
        }),
        minimum: attribute.minimum,
        maximum: attribute.maximum,
        change_restarts_at: attribute.change_restarts_at.clone(),
    }
}

fn condition(found: &mut Violations, condition: &pb::ProcessCondition) -> RouteConditionDraft {
    RouteConditionDraft {
        attribute: condition.attribute.clone(),
        above: condition.above,
        at_least: condition.at_least,
        below: condition.below,
        at_most: condition.at_most,
        flag: condition.flag,
        choices: codes(found, "choices", &condition.choices),
    }
}

fn stage(found: &mut Violations, stage: &pb::ProcessStage) -> StageDraft {
    StageDraft {
        code: stage.code.clone(),
        title: text(found, "title", stage.title.as_ref()),
        roles: codes(found, "roles", &stage.roles),
        parallel: stage.parallel,
        routes: codes(found, "routes", &stage.routes),
        clocks: list(found, "clocks", &stage.clocks, clock),
        documents: list(found, "documents", &stage.documents, |found, asked| {
            (asked.document.clone(), codes(found, "routes", &asked.routes))
        }),
        approvals: list(found, "approvals", &stage.approvals, |found, approval| ApprovalDraft {
            roles: codes(found, "roles", &approval.roles),
            count: approval.count,
            level: approval.level,
            routes: codes(found, "routes", &approval.routes),
        }),
        inspections: stage
            .inspections
            .as_ref()
            .map(|rules| found.within("inspections", |found| inspections(found, rules))),
        answer_promised: stage.answer_promised,
    }
}

fn clock(found: &mut Violations, clock: &pb::ProcessClock) -> StageClockDraft {
    use pb::process_clock::Length;
    StageClockDraft {
        length: clock.length.as_ref().map(|length| match length {
            Length::Target(target) => {
                LengthDraft::Target(decode::target(found, "target", Some(target)))
            }
            Length::Months(months) => LengthDraft::Months(*months),
        }),
        warn_percent: clock.warn_percent,
        breach_violation: clock.breach_violation.clone(),
        breach_raises_level: clock.breach_raises_level,
        steps: list(found, "steps", &clock.steps, |found, step| {
            policy::step(found, &as_of_a_clock(step))
        }),
        routes: codes(found, "routes", &clock.routes),
    }
}

/// A step of a stage is one of a clock; only the files of the API know two messages.
fn as_of_a_clock(step: &pb::ProcessEscalationStep) -> pb::EscalationStep {
    use pb::escalation_step::When as Of;
    use pb::process_escalation_step::When;
    pb::EscalationStep {
        name: step.name.clone(),
        when: step.when.map(|when| match when {
            When::Percent(percent) => Of::Percent(percent),
            When::Before(before) => Of::Before(before),
            When::After(after) => Of::After(after),
        }),
        notify_level: step.notify_level,
        raise_to_level: step.raise_to_level,
    }
}

fn inspections(found: &mut Violations, rules: &pb::ProcessInspections) -> InspectionsDraft {
    InspectionsDraft {
        minimum: rules.minimum,
        maximum: rules.maximum,
        outcomes: list(found, "outcomes", &rules.outcomes, |found, outcome| OutcomeDraft {
            code: outcome.code.clone(),
            title: text(found, "title", outcome.title.as_ref()),
            passed: outcome.passed,
            next: outcome.next.as_ref().map(|next| text(found, "next", Some(next))),
        }),
    }
}
