//! How the columns of a file become tickets.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use kefu_api::ticket::v1::{TicketChannel, TicketKind};
use kefu_identity::OrgUnit;
use serde::Deserialize;

use crate::policy::{self, Pack};

/// The mapping for a file of complaints, used unless another is given.
const COMPLAINTS: &str = include_str!("../../../../deploy/replay/complaints.yaml");

/// The packs that mappings may name without a path.
const PACKS: [(&str, &str); 2] = [
    ("replay-complaints.yaml", include_str!("../../../../deploy/policies/replay-complaints.yaml")),
    ("replay-helpdesk.yaml", include_str!("../../../../deploy/policies/replay-helpdesk.yaml")),
];

/// A column mapping, as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// In which zone a time without an offset is meant.
    pub time_zone: String,
    /// The forms of a time, as `strptime` knows them; the first that fits counts.
    pub time_forms: Vec<String>,
    /// Where the tickets go, unless the command says otherwise.
    pub org_unit: String,
    /// The policy pack by which they are judged: one that comes with the program, or a file beside the mapping.
    pub policy: String,
    /// The column with the id of the case.
    pub case: String,
    /// What the ticket says.
    pub ticket: TicketMapping,
    /// For a file with one row per case.
    #[serde(default)]
    pub rows: Option<RowsMapping>,
    /// For a file with one row per event.
    #[serde(default)]
    pub events: Option<EventsMapping>,
}

/// What a ticket says. Texts may name columns in braces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketMapping {
    /// Name of a `TicketKind`, without prefix.
    pub kind: String,
    /// Name of a `TicketChannel`, without prefix.
    pub channel: String,
    /// In short; must not be empty.
    pub subject: String,
    /// At length.
    #[serde(default)]
    pub description: String,
    /// Who complains.
    #[serde(default)]
    pub complainant: String,
    /// Tags; those that are empty are left out.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// One row tells all of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsMapping {
    /// The column with the time of registration.
    pub registered: String,
    /// The column with the time of the answer; empty where there is none.
    pub answered: String,
    /// The answer, a text that may name columns.
    pub answer: String,
}

/// A row tells one event of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsMapping {
    /// The column with its time.
    pub time: String,
    /// The column with what happened.
    pub activity: String,
    /// The column with who did it.
    pub actor: String,
    /// What the ticket says of it, a text that may name columns.
    pub message: String,
    /// What each activity means.
    pub activities: BTreeMap<String, Vec<Meaning>>,
}

/// What an activity means for the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// The customer hears something; ends waiting.
    Answer,
    /// Waits for somebody else.
    Wait,
    /// The solution.
    Resolve,
    /// The customer is told the result.
    Tell,
    /// Nothing that a promise depends on.
    Note,
}

/// A mapping with its words looked up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The mapping itself.
    pub mapping: Mapping,
    /// In which zone a time without an offset is meant.
    pub time_zone: TimeZone,
    /// Where the tickets go.
    pub org_unit: OrgUnit,
    /// The kind of every ticket.
    pub kind: TicketKind,
    /// The channel of every ticket.
    pub channel: TicketChannel,
    /// By what they are judged.
    pub pack: Pack,
}

impl Plan {
    /// The mapping in a file, or the one for complaints.
    ///
    /// # Errors
    /// What is wrong with it or with the pack that it names.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Plan> {
        let Some(path) = path else { return Plan::parse(COMPLAINTS, Path::new(".")) };
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let beside = path.parent().unwrap_or(Path::new("."));
        Plan::parse(&text, beside).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, beside: &Path) -> anyhow::Result<Plan> {
        let mapping: Mapping = serde_yaml_ng::from_str(text)?;
        anyhow::ensure!(
            mapping.rows.is_some() != mapping.events.is_some(),
            "either `rows` or `events` must be given"
        );
        anyhow::ensure!(!mapping.time_forms.is_empty(), "time_forms must not be empty");
        let kind = TicketKind::from_str_name(&format!("TICKET_KIND_{}", mapping.ticket.kind));
        let channel = format!("TICKET_CHANNEL_{}", mapping.ticket.channel);
        let channel = TicketChannel::from_str_name(&channel);
        let known = PACKS.iter().find(|(name, _)| *name == mapping.policy);
        let pack = match known {
            Some((name, text)) => Pack::parse(text).with_context(|| (*name).to_owned())?,
            None => policy::read(&beside.join(&mapping.policy))?,
        };
        anyhow::ensure!(pack.ticket.is_some(), "the policy has no part for tickets");
        Ok(Plan {
            time_zone: TimeZone::get(&mapping.time_zone).context("time_zone")?,
            org_unit: mapping.org_unit.parse().context("org_unit")?,
            kind: kind.context("ticket.kind is none")?,
            channel: channel.context("ticket.channel is none")?,
            pack,
            mapping,
        })
    }

    /// The instant that a text means; `None` for a text of none of the forms. Of a wall clock time that came twice, the
    /// first.
    pub fn time(&self, text: &str) -> Option<Timestamp> {
        self.mapping.time_forms.iter().find_map(|form| {
            let parsed = BrokenDownTime::parse(form, text.trim()).ok()?;
            if parsed.offset().is_some() {
                return parsed.to_timestamp().ok();
            }
            let wall: civil::DateTime = parsed.to_datetime().ok()?;
            Some(self.time_zone.to_ambiguous_zoned(wall).compatible().ok()?.timestamp())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x05_a_time_is_read_in_its_form_and_in_its_zone() {
        let plan = Plan::load(None).unwrap();
        let at = |text: &str| plan.time(text).map(|at| at.to_string());
        assert_eq!(at("2019/4/25 9:32:09").as_deref(), Some("2019-04-25T01:32:09Z"));
        assert_eq!(at(" 2011-04-02 18:00:54 ").as_deref(), Some("2011-04-02T10:00:54Z"));
        for wrong in ["2018/4/24", "2019/2/29 1:00:00", "2019/4/25 25:00:00", "yesterday", ""] {
            assert_eq!(at(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_mapping_of_the_help_desk_is_sound() {
        let text = include_str!("../../../../deploy/replay/helpdesk.yaml");
        let plan = Plan::parse(text, Path::new(".")).unwrap();
        let at = plan.time("2012-10-09T14:50:17+02:00").unwrap();
        assert_eq!(at.to_string(), "2012-10-09T12:50:17Z");
        assert_eq!(plan.mapping.events.unwrap().activities["Wait"], [Meaning::Wait]);
    }

    #[test]
    fn a_mapping_with_a_misspelt_word_is_refused() {
        let wrong = COMPLAINTS.replace("time_zone:", "timezone:");
        assert!(Plan::parse(&wrong, Path::new(".")).is_err());
        let wrong = COMPLAINTS.replace("kind: COMPLAINT", "kind: GRUMBLE");
        assert!(Plan::parse(&wrong, Path::new(".")).is_err());
    }
}
