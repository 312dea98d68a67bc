//! A broken rule with its evidence and proposed penalty (违规), T-19.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    authority,
    clock::ClockEntry,
    explain,
    policy::Policy,
    ticket::Ticket,
    word::{ClockKind, Subject, Text},
};

/// A violation that waits for a supervisor. At most one per ticket, rule, cycle and round, for a breach is
/// recorded once; whoever stores it gives it its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedViolation {
    /// Code of the rule.
    pub code: String,
    /// What the rule says.
    pub description: Text,
    /// Who is answerable.
    pub staff: Subject,
    /// Which promise was due when, in English and Chinese.
    pub evidence: String,
    /// Proposed penalty in hundredths of the currency.
    pub amount_cents: i64,
    /// The upper end of the range of the penalty.
    pub max_amount_cents: i64,
    /// ISO 4217; none without an amount.
    pub currency: Option<String>,
    /// As of when.
    pub at: Timestamp,
    /// The policy version by which it is judged; none for what was proposed before that was kept.
    pub policy_version: Option<Uuid>,
}

/// What a breach proposes by its rule, from the table of the version that promised it. `policy` judges the ticket.
pub(super) fn for_breach(
    policy: &Policy,
    ticket: &Ticket,
    clock: &ClockEntry,
    due: Timestamp,
) -> Option<ProposedViolation> {
    let promised = clock.terms.policy(policy);
    let own = promised.rule(&clock.rule)?.breach_violation.as_ref();
    let asks = clock.kind == ClockKind::CallBack;
    // Whoever documented that the customer cannot be reached is not charged for not having asked (T-09, T-13).
    if asks && authority::tried(ticket, policy) {
        return None;
    }
    let (table, code) = match own {
        Some(code) => (promised, code),
        None => (policy, authority::unasked(policy).filter(|_| asks)?),
    };
    let rule = table.violation(code)?;
    let version = own.and_then(|_| clock.terms.version()).unwrap_or(ticket.policy_version);
    let staff = answerable(ticket, clock.kind).clone();
    let evidence = evidence(clock, due, promised);
    Some(rule.broken(staff, evidence, due, version))
}

/// Who answers for a promise: the first-contact owner pushes the ticket to an answer and to a
/// verdict, whoever handles it (T-02); the work in between is the handler's. Whoever had the customer on the line should have
/// asked for the verdict (T-13).
pub(super) fn answerable(ticket: &Ticket, kind: ClockKind) -> &Subject {
    match kind {
        ClockKind::FirstResponse => &ticket.first_contact_owner,
        ClockKind::CallBack => {
            ticket.handling.reached_by.as_ref().unwrap_or(&ticket.first_contact_owner)
        }
        ClockKind::Resolution | ClockKind::ResultFeedback | ClockKind::ProgressUpdate => {
            ticket.answerable()
        }
    }
}

/// That a stage of a process was not done in time, in both languages: of which ticket, by its number.
#[must_use]
pub fn late_stage(
    policy: &Policy,
    ticket: &str,
    (process, stage): (&Text, &Text),
    due: Timestamp,
) -> String {
    let due = explain::stamp(policy.calendar(), due);
    let ((process, process_zh), (stage, stage_zh)) = (either(process), either(stage));
    format!(
        "Ticket {ticket}, process {process}: stage {stage} was due at {due} and not done by then. / \
         工单 {ticket}，流程“{process_zh}”：环节“{stage_zh}”应于 {due} 前完成，逾期未完成。"
    )
}

/// What something is called in each language, where one is missing in the other.
fn either(Text { en, zh }: &Text) -> (&str, &str) {
    match (en.as_str(), zh.as_str()) {
        ("", only) | (only, "") => (only, only),
        both => both,
    }
}

/// That a promise was broken, in both languages.
pub(super) fn evidence(clock: &ClockEntry, due: Timestamp, policy: &Policy) -> String {
    let ClockEntry { rule, cycle, .. } = clock;
    let calendar = policy.calendar();
    let stamp = |at| explain::stamp(calendar, at);
    let (started, due) = (stamp(clock.timeline.started()), stamp(due));
    let zone = calendar.time_zone().iana_name().unwrap_or("UTC");
    let Text { en, zh } = clock.kind.words();
    format!(
        "{rule} ({en}, cycle {cycle}): started {started}, due {due} ({zone}), not fulfilled by then. / \
         {rule}（{zh}，第 {cycle} 轮）：自 {started} 起计，应于 {due}（{zone}）前完成，逾期未完成。"
    )
}
