//! What is called.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kefu::client::Client;
use kefu_api::gateway::v1::GetCustomerOverviewRequest;
use kefu_api::ticket::v1::{
    GetComplaintReportRequest, GetTicketRequest, ListQueueRequest, ListTicketHistoryRequest,
    ListTicketMessagesRequest, QueueOrder, SearchTicketsRequest, TicketView,
};
use kefu_clock::{Clock as _, IdSource, SystemClock};
use kefu_rpc::to_proto_timestamp;
use tonic::{Code, Request};

use crate::site::ROOT;
use crate::stats::scatter;
use crate::world::World;

/// The deadline of every call. A mesh that is behind is seen in the latencies before it is seen here.
const DEADLINE: Duration = Duration::from_secs(10);

/// Of a hundred calls of the mix, so many register a ticket, so many more read one, and the rest read a 360.
const MIX: (u64, u64) = (20, 70);

/// A kind of call, or the mix of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scenario {
    /// Register a complaint of a customer (T-01): number, priority, clocks, journal, event.
    CreateTicket,
    /// Read a ticket with its clocks, verdicts and escalations.
    GetTicket,
    /// Read everything about a customer, from all contexts (G-02).
    #[value(name = "customer-360")]
    Customer360,
    /// 20 % create, 70 % get, 10 % customer 360.
    Mix,
    /// Read a page of a queue (T-23): of the whole company, of an org unit, of a person; in each order.
    QueuePage,
    /// Read a ticket, its audit trail and what was said to the customer.
    TicketHistory,
    /// Read the weekly report of one org unit (T-20), of one week after the other.
    ReportOrgUnit,
    /// Read the weekly report of the whole company.
    ReportCompany,
    /// Find tickets by Chinese words (T-23), frequent and rare ones, in the company and in an org unit.
    Search,
}

impl Scenario {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateTicket => "create-ticket",
            Self::GetTicket => "get-ticket",
            Self::Customer360 => "customer-360",
            Self::Mix => "mix",
            Self::QueuePage => "queue-page",
            Self::TicketHistory => "ticket-history",
            Self::ReportOrgUnit => "report-org-unit",
            Self::ReportCompany => "report-company",
            Self::Search => "search",
        }
    }

    /// What the call with this number is.
    pub fn call(self, number: u64) -> Scenario {
        match self {
            Self::Mix => match number % 100 {
                // 37 has no factor in common with 100, so that each hundred is the same, well stirred.
                n if n * 37 % 100 < MIX.0 => Self::CreateTicket,
                n if n * 37 % 100 < MIX.0 + MIX.1 => Self::GetTicket,
                _ => Self::Customer360,
            },
            one => one,
        }
    }
}

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    world: Arc<World>,
    ids: Arc<IdSource>,
}

impl Caller {
    /// Through `client`, about what is in `world`.
    pub fn new(client: Client, world: Arc<World>, ids: Arc<IdSource>) -> Self {
        Self { client, world, ids }
    }

    /// Makes the call with this number and waits for its answer. A mix must have been resolved by [`Scenario::call`].
    ///
    /// # Errors
    /// The status of an answer that is not OK.
    pub async fn call(&self, scenario: Scenario, number: u64) -> Result<(), Code> {
        let pick = |list: &[String]| list.get(scatter(number, list.len())).cloned();
        let outcome = match scenario {
            Scenario::CreateTicket => {
                let unit = scatter(number, self.world.org_units.len());
                let of = scatter(!number, self.world.customers.len());
                let request = timed(self.world.complaint(&self.ids, unit, of));
                self.client.tickets().create_ticket(request).await.map(|_| ())
            }
            Scenario::GetTicket | Scenario::Mix => {
                let name = pick(&self.world.tickets).unwrap_or_default();
                self.client.tickets().get_ticket(timed(GetTicketRequest { name })).await.map(|_| ())
            }
            Scenario::Customer360 => {
                let name = pick(&self.world.customers).unwrap_or_default();
                let request = timed(GetCustomerOverviewRequest { name });
                self.client.gateway().get_customer_overview(request).await.map(|_| ())
            }
            Scenario::QueuePage => {
                let request = timed(self.queue(number));
                self.client.queues().list_queue(request).await.map(|_| ())
            }
            Scenario::TicketHistory => {
                self.ticket_history(pick(&self.world.tickets).unwrap_or_default()).await
            }
            Scenario::ReportOrgUnit | Scenario::ReportCompany => {
                let request = timed(self.report(scenario, number));
                self.client.reports().get_complaint_report(request).await.map(|_| ())
            }
            Scenario::Search => {
                let request = timed(self.search(number));
                self.client.queues().search_tickets(request).await.map(|_| ())
            }
        };
        outcome.map_err(|status| status.code())
    }

    fn queue(&self, number: u64) -> ListQueueRequest {
        let unit = scatter(number, self.world.org_units.len());
        let (root, unit) = (ROOT.to_owned(), self.world.org_units.get(unit).cloned());
        let (org_unit, filter) = match number % 4 {
            0 => (root, String::new()),
            1 => (root, format!("handler = handler-{}", number % 500)),
            2 => (unit.unwrap_or(root), "state = IN_PROGRESS AND severity >= 2".to_owned()),
            _ => (root, "priority = URGENT OR overdue = true".to_owned()),
        };
        let orders = [QueueOrder::DueTime, QueueOrder::Priority, QueueOrder::Newest];
        let order = orders[scatter(number, orders.len())].into();
        let view = TicketView::Basic.into();
        ListQueueRequest { org_unit, filter, order, page_size: 20, view, ..Default::default() }
    }

    /// One of the last fifty weeks, with the week and the year before it.
    fn report(&self, scenario: Scenario, number: u64) -> GetComplaintReportRequest {
        let unit = scatter(number, self.world.org_units.len());
        let unit = self.world.org_units.get(unit).filter(|_| scenario == Scenario::ReportOrgUnit);
        let week = SignedDuration::from_hours(7 * 24);
        let weeks = i32::try_from(number % 50).unwrap_or_default();
        let end = SystemClock.now() - week * weeks;
        GetComplaintReportRequest {
            org_unit: unit.cloned().unwrap_or_else(|| ROOT.to_owned()),
            start_time: Some(to_proto_timestamp(end - week)),
            end_time: Some(to_proto_timestamp(end)),
            kinds: (1..=4).collect(),
            compare: true,
            ..Default::default()
        }
    }

    async fn ticket_history(&self, name: String) -> Result<(), tonic::Status> {
        let mut client = self.client.tickets();
        client.get_ticket(timed(GetTicketRequest { name: name.clone() })).await?;
        let parent = name.clone();
        let history = ListTicketHistoryRequest { parent, ..Default::default() };
        client.list_ticket_history(timed(history)).await?;
        let messages = ListTicketMessagesRequest { parent: name, ..Default::default() };
        client.list_ticket_messages(timed(messages)).await?;
        Ok(())
    }

    fn search(&self, number: u64) -> SearchTicketsRequest {
        // In a tenth of the tickets, in few, in one, in none.
        let words = [
            "漏水".to_owned(),
            "天花板 配件已到货".to_owned(),
            "电梯轿厢异响".to_owned(),
            format!("编号{}", scatter(number, 1_000_000)),
            "书面答复 水泵7".to_owned(),
            "钢琴".to_owned(),
        ];
        let query = words[scatter(number, words.len())].clone();
        let unit = scatter(!number, self.world.org_units.len());
        let unit = self.world.org_units.get(unit).filter(|_| number.is_multiple_of(3)).cloned();
        let org_unit = unit.unwrap_or_else(|| ROOT.to_owned());
        let view = TicketView::Basic.into();
        SearchTicketsRequest { org_unit, query, page_size: 20, view, ..Default::default() }
    }
}

fn timed<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hundred_of_the_mix_holds_what_is_promised() {
        let count = |kind| (300..400).filter(|n| Scenario::Mix.call(*n) == kind).count();
        let counts =
            [Scenario::CreateTicket, Scenario::GetTicket, Scenario::Customer360].map(count);
        assert_eq!(counts, [20, 70, 10]);
        let first: std::collections::BTreeSet<_> = (0..12).map(|n| Scenario::Mix.call(n)).collect();
        assert_eq!(first.len(), 3, "stirred");
        assert_eq!(Scenario::GetTicket.call(5), Scenario::GetTicket);
    }
}
