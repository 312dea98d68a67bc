//! T-22: what holds of staged processes for any commands at any times.

use proptest::{collection::vec, prelude::*};

use super::process::*;
use super::*;

/// A command that may or may not fit: by whom, what, and about which of the running stages.
fn commands() -> impl Strategy<Value = Vec<(usize, usize, usize, i64)>> {
    vec((0..7_usize, 0..14_usize, 0..4_usize, 0..4_000_i64), 0..60)
}

fn command(site: &Site, what: usize, pick: usize) -> ProcessCommand {
    let running = site.running();
    let any = ["application", "survey", "plan", "fee", "review", "construction", "check"];
    let stage = running.get(pick).copied().unwrap_or(any[(what + pick) % any.len()]).to_owned();
    let documents = ["form", "survey", "receipt", "drawings"];
    match what {
        0 => document(&stage, documents[pick]),
        1 => inspection(if pick == 0 { "passed" } else { "rework" }),
        2 => answer(&stage, site.now),
        3 => ProcessCommand::Submit { stage },
        4..=6 => approve(),
        7 => ProcessCommand::Reject { stage, reason: "不符".into() },
        8 | 9 => ProcessCommand::Complete { stage },
        10 => change([5.0, 10.0, 10.5, 700.0][pick]),
        11 => ProcessCommand::DecideChange { agreed: pick != 0, decision: "已核".into() },
        12 => {
            let values = vec![("double".to_owned(), Value::Flag(pick == 0 || pick == 2))];
            ProcessCommand::RequestChange { values, reason: "双电源".into() }
        }
        _ => document(&stage, documents[(pick + 1) % 4]),
    }
}

/// What always holds of a process.
fn sound(site: &Site) {
    let Site { process, now, .. } = site;
    let template = site.template();
    let route = template.route(&process.agreed);
    let running: Vec<_> = process.running().collect();
    assert_eq!(running.is_empty(), process.end.is_some(), "under way means something is");
    let groups: Vec<_> = template.groups().collect();
    let place = |stage: &str| template.stage(stage).expect("known").0;
    let group = |stage: &str| groups.iter().position(|group| group.contains(&place(stage)));
    // Two at once only beside each other.
    for pair in running.windows(2) {
        assert_eq!(group(&pair[0].stage), group(&pair[1].stage));
        assert_ne!(pair[0].stage, pair[1].stage);
    }
    // No stage of the route is skipped: what counts has all stages of earlier groups completed behind it.
    for run in process
        .runs
        .iter()
        .filter(|run| matches!(run.state, RunState::Running | RunState::Completed))
    {
        let earlier = template.stages().iter().filter(|stage| stage.applies(route));
        for stage in earlier.filter(|stage| group(&stage.code) < group(&run.stage)) {
            let before = process.counting(&stage.code).map(|before| before.state);
            assert_eq!(before, Some(RunState::Completed), "{} before {}", stage.code, run.stage);
        }
        let (_, stage) = template.stage(&run.stage).expect("known");
        assert!(stage.applies(route), "{} is not on the route", run.stage);
        // What was completed has all that is asked for by what is agreed now.
        if run.state == RunState::Completed {
            assert_eq!(run.missing_work(stage, route), []);
            assert_eq!(run.missing_approvals(stage, route), []);
            assert_eq!(run.record.answer.is_some(), stage.answer_promised);
        }
    }
    if process.state() == ProcessState::Completed {
        for stage in template.stages().iter().filter(|stage| stage.applies(route)) {
            let run = process.counting(&stage.code).map(|run| run.state);
            assert_eq!(run, Some(RunState::Completed), "{}", stage.code);
        }
    }
    for run in &process.runs {
        for submission in &run.record.submissions {
            let mut people: Vec<_> =
                submission.approvals.iter().map(|approval| &approval.by).collect();
            assert!(!people.contains(&&submission.by), "nobody approves its own");
            people.sort_unstable();
            people.dedup();
            assert_eq!(people.len(), submission.approvals.len(), "everybody once");
        }
        let late = run.ended.as_ref().map_or(*now, |ended| ended.at);
        assert_eq!(run.breached_at, run.due.filter(|due| *due < late), "{}", run.stage);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// For any commands by anybody at any times: stages in order, none skipped, each with all it asks for, nobody on both sides,
    /// deadlines noticed, what ended unchanged; and whoever is diligent brings it to its end from wherever it is.
    #[test]
    fn t22_a_process_holds_whatever_is_asked_of_it(
        capacity in prop_oneof![Just(10.0), 0.0..2_000.0_f64],
        double in any::<bool>(),
        steps in commands(),
    ) {
        let mut site = Site::at(capacity, double);
        for (who, what, pick, minutes) in steps {
            site.now += jiff::SignedDuration::from_mins(minutes);
            site.settle(false);
            let before = site.process.clone();
            let people = [HANDLER, FITTER, MANAGER, DIRECTOR, HEADS[0], HEADS[1], HANDLER];
            let asked = command(&site, what, pick);
            if site.asks(people[who], asked).is_err() {
                prop_assert_eq!(&site.process, &before, "refused means nothing has changed");
            }
            sound(&site);
            for (old, new) in before.runs.iter().zip(&site.process.runs) {
                if old.state != RunState::Running {
                    let counted_no_more = old.state == RunState::Completed && new.state == RunState::Superseded;
                    prop_assert!(counted_no_more || old.state == new.state);
                    prop_assert_eq!((&old.record, &old.ended, old.breached_at), (&new.record, &new.ended, new.breached_at));
                }
            }
        }
        if site.process.end.is_none() {
            site.finish();
            sound(&site);
        }
    }
}
