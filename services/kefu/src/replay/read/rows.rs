//! A file with one row per case.

use std::collections::HashMap;

use super::{Case, Intake, Malformed, Row, Step, What};
use crate::replay::mapping::{Plan, RowsMapping};

/// The cases so far.
pub(super) struct Rows<'a> {
    plan: &'a Plan,
    mapping: &'a RowsMapping,
    cases: Vec<Case>,
    /// The line on which each id was first.
    lines: HashMap<String, u64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(plan: &'a Plan, mapping: &'a RowsMapping) -> Self {
        Self { plan, mapping, cases: Vec::new(), lines: HashMap::new() }
    }
}

impl Intake for Rows<'_> {
    fn take(&mut self, row: &Row<'_>) -> Result<(), String> {
        let registered = row.time(self.plan, &self.mapping.registered)?;
        let mut case = row.case(self.plan, registered)?;
        if let Some(line) = self.lines.get(&case.id) {
            return Err(format!(
                "{} {} is on line {line} already",
                self.plan.mapping.case, case.id
            ));
        }
        let message = row.fill(&self.mapping.answer);
        match (row.get(&self.mapping.answered), message.as_str()) {
            // Nobody has answered.
            ("", "") => {}
            (_, "") => return Err("has a time of the answer, but no answer".to_owned()),
            _ => {
                let at = row.time(self.plan, &self.mapping.answered)?;
                if at < registered {
                    return Err("was answered before it was asked".to_owned());
                }
                let what = What::Answer(message);
                case.steps.push(Step { at, line: row.line, actor: String::new(), what });
            }
        }
        self.lines.insert(case.id.clone(), row.line);
        self.cases.push(case);
        Ok(())
    }

    fn finish(self: Box<Self>) -> (Vec<Case>, u64, Vec<Malformed>) {
        (self.cases, 0, Vec::new())
    }
}
