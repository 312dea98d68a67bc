//! What is called.

use std::sync::Arc;
use std::time::Duration;

use kefu::client::Client;
use kefu_api::gateway::v1::GetCustomerOverviewRequest;
use kefu_api::ticket::v1::GetTicketRequest;
use kefu_clock::IdSource;
use tonic::{Code, Request};

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
}

impl Scenario {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateTicket => "create-ticket",
            Self::GetTicket => "get-ticket",
            Self::Customer360 => "customer-360",
            Self::Mix => "mix",
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
        };
        outcome.map_err(|status| status.code())
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
