//! The result of a replay, for a person.

use std::fmt::{self, Write as _};

use jiff::SignedDuration;
use kefu_api::ticket::v1::{ComplaintReport, DurationStatistics};

use super::read::Malformed;
use super::run::Replayed;

/// How many malformed rows are listed; the others are counted.
const LISTED: usize = 100;

/// The numbers of a replay, all of them from the ticket context's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Tickets registered.
    pub registered: i64,
    /// Of these, answered.
    pub answered: i64,
    /// Of these, resolved.
    pub resolved: i64,
    /// What was promised and what was kept, in the order of the policy.
    pub promises: Vec<Promise>,
    /// Promises broken, all rules together.
    pub breaches: i64,
    /// Escalations, all causes together.
    pub escalations: i64,
    /// From registration to the first answer.
    pub time_to_answer: Option<Middle>,
    /// From registration to the first solution.
    pub time_to_resolve: Option<Middle>,
    /// Rows that could not be replayed.
    pub malformed: Vec<Malformed>,
}

/// How one promise was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The name of its rule in the policy.
    pub rule: String,
    /// Kept.
    pub met: i64,
    /// Broken.
    pub breached: i64,
    /// Not decided at the end of the file.
    pub running: i64,
}

/// The middle and the slow end of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Middle {
    /// Half take at most this long.
    pub median: SignedDuration,
    /// Nine of ten take at most this long.
    pub p90: SignedDuration,
}

impl Table {
    /// The numbers of a replay; `rules` gives the order of the promises.
    pub fn new<'a>(replayed: &Replayed, rules: impl IntoIterator<Item = &'a str>) -> Table {
        let report = &replayed.report;
        let promises: Vec<Promise> =
            rules.into_iter().filter_map(|rule| promise(report, rule)).collect();
        Table {
            registered: report.received,
            answered: report.answered,
            resolved: report.resolved,
            breaches: report.compliance.iter().map(|clock| clock.breached).sum(),
            escalations: report.escalations.iter().map(|escalation| escalation.count).sum(),
            time_to_answer: middle(report.first_response.as_ref()),
            time_to_resolve: middle(report.resolution.as_ref()),
            malformed: replayed.malformed.clone(),
            promises,
        }
    }
}

fn promise(report: &ComplaintReport, rule: &str) -> Option<Promise> {
    let mut of_rule = report.compliance.iter().filter(|clock| clock.rule == rule).peekable();
    of_rule.peek()?;
    let none = Promise { rule: rule.to_owned(), met: 0, breached: 0, running: 0 };
    Some(of_rule.fold(none, |sum, clock| Promise {
        met: sum.met + clock.met,
        breached: sum.breached + clock.breached,
        running: sum.running + clock.running,
        ..sum
    }))
}

fn middle(statistics: Option<&DurationStatistics>) -> Option<Middle> {
    let statistics = statistics.filter(|statistics| statistics.count > 0)?;
    let duration = |value: Option<prost_types::Duration>| {
        value.map(|value| SignedDuration::new(value.seconds, value.nanos))
    };
    Some(Middle { median: duration(statistics.median)?, p90: duration(statistics.p90)? })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |title: &str, value: &dyn fmt::Display| writeln!(f, "  {title:<34}{value}");
        line("registered", &grouped(self.registered))?;
        line("answered", &grouped(self.answered))?;
        if self.resolved > 0 {
            line("resolved", &grouped(self.resolved))?;
        }
        for promise in &self.promises {
            let all = promise.met + promise.breached + promise.running;
            let mut text = format!("{} of {}", grouped(promise.met), grouped(all));
            if all > 0 {
                // Tenths of a percent, rounded half up.
                let tenths = (promise.met * 2_000 + all) / (all * 2);
                // Writing to a string does not fail.
                let _ = write!(text, ", {}.{} %", tenths / 10, tenths % 10);
            }
            if promise.running > 0 {
                let _ = write!(text, " ({} undecided)", grouped(promise.running));
            }
            line(&promise.rule.replace('-', " "), &text)?;
        }
        line("breaches", &grouped(self.breaches))?;
        line("escalations", &grouped(self.escalations))?;
        for (title, middle) in
            [("to answer", self.time_to_answer), ("to resolve", self.time_to_resolve)]
        {
            if let Some(middle) = middle {
                line(&format!("median time {title}"), &long(middle.median))?;
                line(&format!("p90 time {title}"), &long(middle.p90))?;
            }
        }
        line("malformed rows", &self.malformed.len())?;
        for malformed in self.malformed.iter().take(LISTED) {
            writeln!(f, "    line {}: {}", malformed.line, malformed.reason)?;
        }
        if self.malformed.len() > LISTED {
            writeln!(f, "    and {} more", self.malformed.len() - LISTED)?;
        }
        Ok(())
    }
}

/// `2816` as `2,816`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `11 d 4 h 55 min 52 s`, without leading zeros.
fn long(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let from = parts.iter().position(|(amount, _)| *amount > 0).unwrap_or(parts.len() - 1);
    let parts = parts.iter().skip(from).map(|(amount, unit)| format!("{amount} {unit}"));
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_written_for_people() {
        assert_eq!(
            [0, 999, 1_000, -2_816, 1_234_567].map(grouped),
            ["0", "999", "1,000", "-2,816", "1,234,567"]
        );
        let long = |seconds| long(SignedDuration::from_secs(seconds));
        assert_eq!(long(0), "0 s");
        assert_eq!(long(86_400 * 11 + 3_600 * 4 + 61), "11 d 4 h 1 min 1 s");
    }
}
