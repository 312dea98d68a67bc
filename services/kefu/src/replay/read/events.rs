//! A file with one row per event.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Case, Intake, Malformed, Row, Step, What};
use crate::replay::mapping::{EventsMapping, Meaning, Plan};

/// The cases so far, and the events of each.
pub(super) struct Events<'a> {
    plan: &'a Plan,
    mapping: &'a EventsMapping,
    cases: Vec<(Case, Vec<Event>)>,
    by_id: HashMap<String, usize>,
}

/// Something that happened.
struct Event {
    at: Timestamp,
    line: u64,
    actor: String,
    message: String,
    means: Vec<Meaning>,
    /// The case as this row tells it.
    case: Case,
}

impl<'a> Events<'a> {
    pub(super) fn new(plan: &'a Plan, mapping: &'a EventsMapping) -> Self {
        Self { plan, mapping, cases: Vec::new(), by_id: HashMap::new() }
    }
}

impl Intake for Events<'_> {
    fn take(&mut self, row: &Row<'_>) -> Result<(), String> {
        let activity = row.need(&self.mapping.activity)?;
        let means = self.mapping.activities.get(activity);
        let means = means.ok_or_else(|| format!("the mapping does not know {activity:?}"))?;
        let at = row.time(self.plan, &self.mapping.time)?;
        let case = row.case(self.plan, at)?;
        let event = Event {
            at,
            line: row.line,
            actor: row.get(&self.mapping.actor).to_owned(),
            message: row.fill(&self.mapping.message),
            means: means.clone(),
            case: case.clone(),
        };
        let index = *self.by_id.entry(case.id.clone()).or_insert_with(|| {
            self.cases.push((case, Vec::new()));
            self.cases.len() - 1
        });
        if let Some((_, events)) = self.cases.get_mut(index) {
            events.push(event);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> (Vec<Case>, u64, Vec<Malformed>) {
        let mut without_effect = 0;
        let cases = self.cases.into_iter().filter_map(|(_, mut events)| {
            // Stable: of one time, in the order of the file.
            events.sort_by_key(|event| event.at);
            let first = events.first()?;
            let mut case = Case { registrar: first.actor.clone(), ..first.case.clone() };
            let mut story = Story::default();
            for (index, event) in events.into_iter().enumerate() {
                let before = case.steps.len();
                for meaning in &event.means {
                    for what in story.tell(*meaning, &event.message) {
                        let (at, line, actor) = (event.at, event.line, event.actor.clone());
                        case.steps.push(Step { at, line, actor, what });
                    }
                }
                // The first event has registered the ticket, if nothing else.
                without_effect += u64::from(index > 0 && case.steps.len() == before);
            }
            Some(case)
        });
        let cases: Vec<Case> = cases.collect();
        (cases, without_effect, Vec::new())
    }
}

/// Where a ticket stands, as far as it decides what an event can still do.
#[derive(Default)]
struct Story {
    answered: bool,
    place: Place,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Open,
    Waiting,
    Resolved,
    Told,
}

impl Story {
    /// What an event does to the ticket.
    fn tell(&mut self, meaning: Meaning, message: &str) -> Vec<What> {
        let message = || message.to_owned();
        match (meaning, self.place) {
            (Meaning::Answer, place) => {
                let mut done = Vec::new();
                if place == Place::Waiting {
                    self.place = Place::Open;
                    done.push(What::Resume);
                }
                if !std::mem::replace(&mut self.answered, true) {
                    done.push(What::Answer(message()));
                }
                done
            }
            (Meaning::Wait, Place::Open) => {
                self.place = Place::Waiting;
                vec![What::Wait(message())]
            }
            (Meaning::Resolve, Place::Open | Place::Waiting) => {
                self.place = Place::Resolved;
                vec![What::Resolve(message())]
            }
            (Meaning::Tell, Place::Resolved) => {
                self.place = Place::Told;
                vec![What::Tell(message())]
            }
            (Meaning::Note | Meaning::Wait | Meaning::Resolve | Meaning::Tell, _) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(meanings: &[Meaning]) -> Vec<&'static str> {
        let mut story = Story::default();
        let done = meanings.iter().flat_map(|meaning| story.tell(*meaning, "m"));
        done.map(|what| match what {
            What::Answer(_) => "answer",
            What::Wait(_) => "wait",
            What::Resume => "resume",
            What::Resolve(_) => "resolve",
            What::Tell(_) => "tell",
        })
        .collect()
    }

    #[test]
    fn t09_events_become_moves_that_the_life_of_a_ticket_allows() {
        use Meaning::{Answer, Note, Resolve, Tell, Wait};
        assert_eq!(told(&[Note, Answer, Resolve, Tell]), ["answer", "resolve", "tell"]);
        assert_eq!(
            told(&[Answer, Wait, Wait, Answer, Resolve]),
            ["answer", "wait", "resume", "resolve"]
        );
        assert_eq!(told(&[Wait, Resolve, Wait, Resolve, Tell, Tell]), ["wait", "resolve", "tell"]);
        assert_eq!(told(&[Tell, Answer]), ["answer"], "nothing to tell without a solution");
    }
}
