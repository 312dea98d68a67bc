//! T-22: templates of processes that cannot be followed are refused, with the place of each fault.

use super::process::*;
use super::*;

fn faults(change: impl FnOnce(&mut ProcessTemplateDraft)) -> Vec<String> {
    let mut template = template();
    change(&mut template);
    let faults = Policy::try_new(with(template)).expect_err("faults");
    let path = |fault: Fault| fault.path.replace("process_templates[0].", "");
    faults.into_iter().map(path).collect()
}

fn first_condition(template: &mut ProcessTemplateDraft) -> &mut RouteConditionDraft {
    &mut template.routes[0].cases[0][0]
}

#[test]
fn t22_routes_neither_gap_nor_overlap_nor_lead_nowhere() {
    assert_eq!(faults(|template| first_condition(template).at_most = Some(9.0)), ["routes"]);
    assert_eq!(faults(|template| first_condition(template).at_most = Some(11.0)), ["routes[1]"]);
    // Ten itself.
    let open = |template: &mut ProcessTemplateDraft| {
        let condition = first_condition(template);
        condition.below = condition.at_most.take();
    };
    assert_eq!(faults(open), ["routes"]);
    let closed = |template: &mut ProcessTemplateDraft| {
        let condition = &mut template.routes[1].cases[0][0];
        condition.at_least = condition.above.take();
    };
    assert_eq!(faults(closed), ["routes[1]"]);
    let beyond = |template: &mut ProcessTemplateDraft| {
        let above = RouteConditionDraft { above: Some(2_000.0), ..condition("capacity") };
        template.routes[1].cases.push(vec![above]);
    };
    assert_eq!(faults(beyond), ["routes[1].cases[2]"]);
    let nothing = |template: &mut ProcessTemplateDraft| {
        first_condition(template).above = Some(10.0);
    };
    assert_eq!(faults(nothing), ["routes[0].cases[0].conditions[0]"]);
    let unknown = |template: &mut ProcessTemplateDraft| {
        first_condition(template).attribute = "voltage".into();
    };
    assert_eq!(faults(unknown), ["routes[0].cases[0].conditions[0].attribute"]);
    let kind = |template: &mut ProcessTemplateDraft| first_condition(template).flag = Some(true);
    assert_eq!(faults(kind), ["routes[0].cases[0].conditions[0]"]);
    let infinite = |template: &mut ProcessTemplateDraft| {
        first_condition(template).at_most = Some(f64::NAN);
    };
    assert_eq!(faults(infinite), ["routes[0].cases[0].conditions[0].at_most"]);
}

#[test]
fn t22_faults_of_a_template_are_named_all_at_once_with_their_paths() {
    let found = faults(|template| {
        template.stages[0].parallel = true;
        template.stages[0].roles = codes(&["emperor"]);
        template.stages[1].code = "application".into();
        template.stages[1].clocks[0].length = Some(LengthDraft::Target(elapsed(0)));
        template.stages[1].documents[0].0 = "poem".into();
        template.stages[2].clocks[1].routes = codes(&["small"]);
        template.stages[3].roles = Vec::new();
        template.stages[3].routes = codes(&["huge"]);
        template.stages[4].approvals[0].level = 4;
        template.stages[4].approvals[1].count = 11;
        template.stages[5].inspections =
            Some(InspectionsDraft { minimum: 3, maximum: 2, outcomes: Vec::new() });
        template.stages[6].clocks[0].length = Some(LengthDraft::Months(0));
        template.stages[6].clocks[0].breach_violation = "nothing".into();
        template.change_deciders = codes(&["operator"]);
        template.attributes[1].change_restarts_at = "party".into();
    });
    assert_eq!(
        found,
        [
            "change_deciders[0]",
            "attributes[1].change_restarts_at",
            "stages[0].parallel",
            "stages[0].roles[0]",
            "stages[1].code",
            "stages[1].clocks[0].target.elapsed",
            "stages[1].documents[0].document",
            "stages[2].clocks[1]",
            "stages[3].roles",
            "stages[3].routes[0]",
            "stages[4].approvals[0].level",
            "stages[4].approvals[1].count",
            "stages[5].inspections.maximum",
            "stages[5].inspections.outcomes",
            "stages[6].clocks[0].breach_violation",
            "stages[6].clocks[0].months",
            "documents",
        ]
    );
    let none = faults(|template| {
        template.change_deciders = Vec::new();
        template.stages.clear();
        template.documents.clear();
    });
    assert_eq!(
        none,
        [
            "attributes[0].change_restarts_at",
            "attributes[1].change_restarts_at",
            "stages",
            "routes[0]",
            "routes[1]"
        ]
    );
}
