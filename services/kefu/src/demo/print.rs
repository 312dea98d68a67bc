//! What the demonstration shows: the main job working, and what to type next.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kefu_api::gateway::v1::{CustomerOverview, GetCustomerOverviewRequest, SectionStatus};
use kefu_api::ticket::v1::{DeadlineExplanation, ExplainDeadlineRequest, GetTicketRequest, Ticket};

use super::Made;
use crate::client::{Client, failed};

/// Shows the two complaints with their promises, the customer from all sides, and commands to go on with.
pub(super) async fn story(
    client: &Client,
    made: &Made,
    token: &str,
    address: &str,
) -> anyhow::Result<()> {
    for name in [&made.noise, &made.bill] {
        let request = GetTicketRequest { name: name.clone() };
        let ticket = client.tickets().get_ticket(request).await;
        let ticket = ticket.map_err(failed("reading a complaint"))?.into_inner();
        let request = ExplainDeadlineRequest { name: name.clone() };
        let explained = client.tickets().explain_deadline(request).await;
        let explained = explained.map_err(failed("explaining its deadlines"))?.into_inner();
        complaint(&ticket, &explained.explanations);
    }
    let request = GetCustomerOverviewRequest { name: made.owners.clone() };
    let overview = client.gateway().get_customer_overview(request).await;
    customer(&overview.map_err(failed("reading a customer"))?.into_inner());
    next(made, token, address);
    Ok(())
}

fn complaint(ticket: &Ticket, explanations: &[DeadlineExplanation]) {
    println!("{}  {}", ticket.number, ticket.subject);
    println!(
        "    {}, {}, customer graded {:?}, receiver level {}",
        word(ticket.state().as_str_name(), "TICKET_STATE_"),
        word(ticket.priority().as_str_name(), "TICKET_PRIORITY_"),
        ticket.customer_grade,
        ticket.receiver_level
    );
    for explanation in explanations {
        let Some(clock) = &explanation.clock else { continue };
        let zone = TimeZone::get(&explanation.time_zone).unwrap_or(TimeZone::UTC);
        let due = clock.due_time.and_then(|due| kefu_rpc::timestamp(&due).ok());
        let due = due.map_or("paused".to_owned(), |due| local(due, zone));
        println!("    {:<16} due {due}", clock.rule);
        if let Some(summary) = &explanation.summary {
            println!("        {}\n        {}", summary.en, summary.zh);
        }
    }
    println!();
}

fn customer(overview: &CustomerOverview) {
    if let Some(archive) = &overview.archive {
        let customer = archive.customer.clone().unwrap_or_default();
        println!("{}  {}", customer.code, customer.display_name);
        println!(
            "    archive {}: {} contacts, standings {}",
            availability(archive.status.as_ref()),
            archive.contacts.len(),
            archive.standings.iter().map(|one| one.grade.as_str()).collect::<Vec<_>>().join(", ")
        );
    }
    if let Some(tickets) = &overview.tickets {
        let status = availability(tickets.status.as_ref());
        println!("    tickets {status}: {}", tickets.tickets.len());
    }
    if let Some(surveys) = &overview.surveys {
        let status = availability(surveys.status.as_ref());
        let (invitations, answers) = (surveys.invitations.len(), surveys.answers.len());
        println!("    surveys {status}: {invitations} invitations, {answers} answers");
    }
    println!();
}

fn next(made: &Made, token: &str, address: &str) {
    let (ticket, owners) = (&made.noise, &made.owners);
    let tickets = "kefu.ticket.v1.TicketService";
    let shown = [
        (
            "Everything about the customer, from all contexts in one call",
            commands(
                token,
                address,
                "kefu.gateway.v1.GatewayService",
                "GetCustomerOverview",
                &format!(r#"{{"name": "{owners}"}}"#),
            ),
        ),
        (
            "How the deadlines came about, segment by segment",
            commands(
                token,
                address,
                tickets,
                "ExplainDeadline",
                &format!(r#"{{"name": "{}"}}"#, made.bill),
            ),
        ),
        (
            "Answer the complaint: its first promise is kept",
            commands(
                token,
                address,
                tickets,
                "RespondTicket",
                &format!(
                    r#"{{"name": "{ticket}", "message": "The technician comes today at four.", "requestId": "'$(cat /proc/sys/kernel/random/uuid)'"}}"#
                ),
            ),
        ),
        (
            "The week's report of the whole group",
            commands(
                token,
                address,
                "kefu.ticket.v1.ReportService",
                "GetComplaintReport",
                r#"{"orgUnit": "group"}"#,
            ),
        ),
    ];
    println!("What to try next, in another terminal:\n");
    for (what, commands) in shown {
        println!("# {what}\n{commands}");
    }
}

/// A call as it is typed: with grpcurl, and with curl for those without.
pub fn commands(token: &str, address: &str, service: &str, method: &str, json: &str) -> String {
    let bearer = format!("-H \"authorization: Bearer $(cat '{token}')\"");
    format!(
        "grpcurl -plaintext {bearer} -d '{json}' {address} {service}/{method}\n\
         curl -s {bearer} -H 'content-type: application/json' -d '{json}' http://{address}/{service}/{method}\n"
    )
}

fn availability(status: Option<&SectionStatus>) -> String {
    let name = status.map_or("", |status| status.availability().as_str_name());
    word(name, "SECTION_AVAILABILITY_")
}

/// `TICKET_STATE_IN_PROGRESS` as `in progress`.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

fn local(at: Timestamp, zone: TimeZone) -> String {
    at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values_are_shown_as_words() {
        assert_eq!(word("TICKET_STATE_IN_PROGRESS", "TICKET_STATE_"), "in progress");
        assert_eq!(word("", "TICKET_STATE_"), "");
    }
}
