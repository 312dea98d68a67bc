//! The customer 360 (G-02): the contexts are asked in parallel, and none of them can take more of the caller's time than
//! its share.

mod copies;
mod section;

use std::{collections::HashSet, sync::Arc, time::Duration};

use kefu_api::{
    customer::v1::{
        GetCustomerRequest, ListContactsRequest, ListStandingsRequest,
        customer_service_client::CustomerServiceClient,
    },
    gateway::v1::{
        ArchiveSection, CustomerOverview, GetCustomerOverviewRequest, SurveySection, TicketSection,
        gateway_service_server::GatewayService,
    },
    survey::v1::{
        ListAnswersRequest, ListInvitationsRequest, survey_service_client::SurveyServiceClient,
    },
    ticket::v1::{
        ListTicketsRequest, ListTicketsResponse, Ticket, TicketState,
        ticket_service_client::TicketServiceClient,
    },
};
use kefu_clock::SharedClock;
use kefu_identity::{Authorizer, OrgUnit};
use kefu_rpc::{Deadline, Reason, RequestContext, Transport};
use kefu_service::Dependencies;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use self::{
    copies::{Copies, Key},
    section::Reader,
};

const METHOD: &str = "gateway.GetCustomerOverview";

/// The most that one context may take, however much time the caller has: a person is waiting.
const SHARE: Duration = Duration::from_secs(2);

/// How much of the caller's time is kept for putting the answer together and sending it: a fifth within these bounds.
const MARGIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

const CONTACTS: i32 = 50;
const STANDINGS: i32 = 50;
const TICKETS: usize = 20;
const INVITATIONS: i32 = 20;
const ANSWERS: i32 = 20;

/// The states of tickets that somebody still has to do something about.
const OPEN: [TicketState; 7] = [
    TicketState::Registered,
    TicketState::InProgress,
    TicketState::Waiting,
    TicketState::Resolved,
    TicketState::ResultFedBack,
    TicketState::Reopened,
    TicketState::ExecutiveReview,
];

/// Answers the gateway's aggregates.
#[derive(Debug)]
pub struct Overview {
    customer: Transport,
    ticket: Transport,
    survey: Transport,
    authorizer: Arc<Authorizer>,
    clock: SharedClock,
    archives: Copies<ArchiveSection>,
    tickets: Copies<TicketSection>,
    surveys: Copies<SurveySection>,
}

impl Overview {
    /// With the ways to the contexts and room for last known copies.
    ///
    /// # Errors
    /// If the way to a context is not known.
    pub fn new(deps: &Dependencies) -> anyhow::Result<Self> {
        Ok(Self {
            customer: deps.peers.get("customer")?,
            ticket: deps.peers.get("ticket")?,
            survey: deps.peers.get("survey")?,
            authorizer: Arc::clone(&deps.authorizer),
            clock: deps.clock(),
            archives: Copies::new(),
            tickets: Copies::new(),
            surveys: Copies::new(),
        })
    }

    /// The caller and where it belongs, if it may ask.
    fn authorize<T>(&self, request: &Request<T>) -> Result<(RequestContext, OrgUnit), Status> {
        let context = RequestContext::of(request);
        let Some(home) = context.caller().org_unit().cloned() else {
            return Err(kefu_rpc::unauthenticated(Reason::TokenMissing));
        };
        self.authorizer
            .authorize(context.caller(), METHOD, &home)
            .map_err(|_| context.denied(METHOD, home.as_str()))?;
        Ok((context, home))
    }

    async fn archive(&self, asked: &Asked) -> Result<ArchiveSection, Status> {
        let mut client = CustomerServiceClient::new(self.customer.clone());
        let (mut of_contacts, mut of_standings) = (client.clone(), client.clone());
        let (name, parent) = (asked.name.clone(), asked.name.clone());
        let contacts =
            ListContactsRequest { parent, page_size: CONTACTS, ..ListContactsRequest::default() };
        let parent = asked.name.clone();
        let standings = ListStandingsRequest {
            parent,
            page_size: STANDINGS,
            ..ListStandingsRequest::default()
        };
        let (customer, contacts, standings) = tokio::try_join!(
            client.get_customer(asked.context.outgoing(GetCustomerRequest { name })),
            of_contacts.list_contacts(asked.context.outgoing(contacts)),
            of_standings.list_standings(asked.context.outgoing(standings)),
        )?;
        let (contacts, standings) = (contacts.into_inner(), standings.into_inner());
        let next_pages = [contacts.next_page_token, standings.next_page_token];
        Ok(ArchiveSection {
            status: None,
            customer: Some(customer.into_inner()),
            contacts: contacts.contacts,
            standings: standings.standings,
            truncated: next_pages.iter().any(|token| !token.is_empty()),
        })
    }

    /// Asked for twice: an open ticket behind many newer ones that are closed is the one that matters.
    async fn tickets(&self, asked: &Asked) -> Result<TicketSection, Status> {
        let newest = ListTicketsRequest {
            org_unit: asked.home.to_string(),
            customer: asked.name.clone(),
            page_size: i32::try_from(TICKETS).unwrap_or(i32::MAX),
            ..ListTicketsRequest::default()
        };
        let open = ListTicketsRequest { states: OPEN.map(i32::from).into(), ..newest.clone() };
        let mut client = TicketServiceClient::new(self.ticket.clone());
        let mut of_newest = client.clone();
        let (open, newest) = tokio::try_join!(
            client.list_tickets(asked.context.outgoing(open)),
            of_newest.list_tickets(asked.context.outgoing(newest)),
        )?;
        let (tickets, truncated) = open_first(open.into_inner(), newest.into_inner());
        Ok(TicketSection { status: None, tickets, truncated })
    }

    async fn surveys(&self, asked: &Asked) -> Result<SurveySection, Status> {
        let invitations = ListInvitationsRequest {
            org_unit: asked.home.to_string(),
            customer: asked.name.clone(),
            page_size: INVITATIONS,
            ..ListInvitationsRequest::default()
        };
        let answers = ListAnswersRequest {
            org_unit: asked.home.to_string(),
            customer: asked.name.clone(),
            page_size: ANSWERS,
            ..ListAnswersRequest::default()
        };
        let mut client = SurveyServiceClient::new(self.survey.clone());
        let mut of_answers = client.clone();
        let (invitations, answers) = tokio::try_join!(
            client.list_invitations(asked.context.outgoing(invitations)),
            of_answers.list_answers(asked.context.outgoing(answers)),
        )?;
        let (invitations, answers) = (invitations.into_inner(), answers.into_inner());
        let next_pages = [invitations.next_page_token, answers.next_page_token];
        Ok(SurveySection {
            status: None,
            invitations: invitations.invitations,
            answers: answers.answers,
            truncated: next_pages.iter().any(|token| !token.is_empty()),
        })
    }
}

/// The open tickets and then the newest of the others, and whether there are more than these. The two lists were read at
/// about the same time; a ticket that is in both is shown as it stood in the first.
fn open_first(open: ListTicketsResponse, newest: ListTicketsResponse) -> (Vec<Ticket>, bool) {
    let more = [open.next_page_token, newest.next_page_token].iter().any(|token| !token.is_empty());
    let known: HashSet<String> = open.tickets.iter().map(|ticket| ticket.name.clone()).collect();
    let others = newest.tickets.into_iter().filter(|ticket| !known.contains(&ticket.name));
    let mut tickets: Vec<Ticket> = open.tickets.into_iter().chain(others).collect();
    let truncated = more || tickets.len() > TICKETS;
    tickets.truncate(TICKETS);
    (tickets, truncated)
}

/// What is asked of every context.
struct Asked {
    context: RequestContext,
    home: OrgUnit,
    name: String,
}

/// The time that each context has.
fn share(deadline: Deadline) -> Duration {
    deadline.remaining().map_or(SHARE, |left| {
        let margin = (left / 5).clamp(MARGIN.0, MARGIN.1);
        left.saturating_sub(margin).min(SHARE)
    })
}

#[tonic::async_trait]
impl GatewayService for Overview {
    async fn get_customer_overview(
        &self,
        request: Request<GetCustomerOverviewRequest>,
    ) -> Result<Response<CustomerOverview>, Status> {
        let (context, home) = self.authorize(&request)?;
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "customers");
        let id: Uuid = violations.finish(id)?;
        let name = format!("customers/{id}");

        let share = share(context.deadline());
        let key = Key::new(context.caller(), id);
        let reader = Reader { clock: &*self.clock, language: context.language(), share, key };
        let context = context.with_deadline(context.deadline().at_most(share));
        let asked = Asked { context, home, name };

        // An error here is one of the whole call. It does not wait for the other sections, one of which may hang.
        let archive = async {
            let archive = self.archive(&asked).await;
            if archive.as_ref().is_err_and(|status| status.code() == Code::NotFound) {
                self.archives.forget(&reader.key);
            }
            archive
        };
        let (archive, tickets, surveys) = tokio::try_join!(
            reader.read("customer", &self.archives, Some(Code::NotFound), archive),
            reader.read("ticket", &self.tickets, None, self.tickets(&asked)),
            reader.read("survey", &self.surveys, None, self.surveys(&asked)),
        )?;
        Ok(Response::new(CustomerOverview {
            name: asked.name,
            archive: Some(archive),
            tickets: Some(tickets),
            surveys: Some(surveys),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g02_each_context_has_its_share_and_the_caller_keeps_a_margin() {
        let of = |millis| share(Deadline::default().at_most(Duration::from_millis(millis)));
        assert_eq!(share(Deadline(None)), SHARE);
        assert_eq!(of(60_000), SHARE);
        assert!(of(1_000) <= Duration::from_millis(800) && of(1_000) > Duration::from_millis(700));
        assert_eq!(of(1), Duration::ZERO);
    }
}
