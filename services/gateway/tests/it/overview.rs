//! The customer 360 (G-02).

use std::{future::pending, time::Duration};

use jiff::SignedDuration;
use kefu_api::{
    customer::v1::{
        Contact, Customer, GetCustomerRequest, ListContactsRequest, ListContactsResponse,
        ListStandingsRequest, ListStandingsResponse, Standing,
    },
    gateway::v1::{
        CustomerOverview, GetCustomerOverviewRequest, SectionAvailability, SectionStatus,
        gateway_service_client::GatewayServiceClient,
    },
    survey::v1::{
        Answer, Invitation, ListAnswersRequest, ListAnswersResponse, ListInvitationsRequest,
        ListInvitationsResponse,
    },
    ticket::v1::{ListTicketsRequest, ListTicketsResponse, Ticket, TicketState},
};
use kefu_clock::Clock as _;
use tonic::{Code, Request, Status};

use crate::{
    fake::Fake,
    world::{BOTH, LIST_TICKETS, Way, World, reason},
};

use SectionAvailability::{Available, Denied, Stale, Unavailable};

const CUSTOMER: &str = "customers/0197f0c4-0000-7000-8000-000000000001";
const GET_CUSTOMER: &str = "/kefu.customer.v1.CustomerService/GetCustomer";
const LIST_CONTACTS: &str = "/kefu.customer.v1.CustomerService/ListContacts";
const LIST_STANDINGS: &str = "/kefu.customer.v1.CustomerService/ListStandings";
const LIST_INVITATIONS: &str = "/kefu.survey.v1.SurveyService/ListInvitations";
const LIST_ANSWERS: &str = "/kefu.survey.v1.SurveyService/ListAnswers";

/// Contexts that know one customer, and that were asked in the caller's name and unit.
fn fill(world: &World) {
    let customer = &world.customer;
    customer.unary(GET_CUSTOMER, |request: Request<GetCustomerRequest>| async move {
        let context = kefu_rpc::RequestContext::of(&request);
        assert_eq!(context.caller().subject(), "u-17");
        let name = request.into_inner().name;
        Ok(Customer { name, display_name: "北岸物业".to_owned(), ..Customer::default() })
    });
    customer.unary(LIST_CONTACTS, |request: Request<ListContactsRequest>| async move {
        assert_eq!(
            (request.get_ref().parent.as_str(), request.get_ref().page_size),
            (CUSTOMER, 50)
        );
        let contacts = vec![Contact::default(); 2];
        Ok(ListContactsResponse { contacts, ..ListContactsResponse::default() })
    });
    customer.unary(LIST_STANDINGS, |_: Request<ListStandingsRequest>| async move {
        let standings = vec![Standing { grade: "vip".to_owned(), ..Standing::default() }];
        Ok(ListStandingsResponse { standings, ..ListStandingsResponse::default() })
    });
    fill_tickets(&world.ticket);
    world.survey.unary(LIST_INVITATIONS, |request: Request<ListInvitationsRequest>| async move {
        assert_eq!(request.get_ref().customer, CUSTOMER);
        let invitations = vec![Invitation::default()];
        Ok(ListInvitationsResponse { invitations, ..ListInvitationsResponse::default() })
    });
    world.survey.unary(LIST_ANSWERS, |_: Request<ListAnswersRequest>| async move {
        let answers = vec![Answer { verdict: 4, ..Answer::default() }];
        Ok(ListAnswersResponse { answers, ..ListAnswersResponse::default() })
    });
}

fn fill_tickets(ticket: &Fake) {
    ticket.unary(LIST_TICKETS, |request: Request<ListTicketsRequest>| async move {
        let request = request.into_inner();
        assert_eq!((&*request.org_unit, &*request.customer), ("group/north", CUSTOMER));
        let tickets = vec![Ticket { number: "T-1".to_owned(), ..Ticket::default() }];
        Ok(ListTicketsResponse { tickets, ..ListTicketsResponse::default() })
    });
}

fn ask(world: &World) -> Request<GetCustomerOverviewRequest> {
    world.request(GetCustomerOverviewRequest { name: CUSTOMER.to_owned() })
}

async fn overview(
    world: &World,
    request: Request<GetCustomerOverviewRequest>,
) -> Result<CustomerOverview, Status> {
    let mut client = GatewayServiceClient::new(world.connect());
    client.get_customer_overview(request).await.map(tonic::Response::into_inner)
}

fn statuses(overview: &CustomerOverview) -> [SectionStatus; 3] {
    [
        overview.archive.as_ref().unwrap().status.clone().unwrap(),
        overview.tickets.as_ref().unwrap().status.clone().unwrap(),
        overview.surveys.as_ref().unwrap().status.clone().unwrap(),
    ]
}

fn availabilities(overview: &CustomerOverview) -> [SectionAvailability; 3] {
    statuses(overview).map(|status| status.availability())
}

#[tokio::test]
async fn g02_one_call_shows_what_all_contexts_know() {
    for way in BOTH {
        let world = World::start(way).await;
        fill(&world);
        let shown = overview(&world, ask(&world)).await.unwrap();
        assert_eq!(availabilities(&shown), [Available; 3]);
        let now = kefu_rpc::to_proto_timestamp(world.clock.now());
        for status in statuses(&shown) {
            assert_eq!((status.as_of_time, &*status.message), (Some(now), ""));
        }
        let archive = shown.archive.unwrap();
        assert_eq!(archive.customer.unwrap().display_name, "北岸物业");
        assert_eq!((archive.contacts.len(), &*archive.standings[0].grade), (2, "vip"));
        assert_eq!(shown.tickets.unwrap().tickets[0].number, "T-1");
        let surveys = shown.surveys.unwrap();
        assert_eq!((surveys.invitations.len(), surveys.answers[0].verdict), (1, 4));
    }
}

/// A cut list says so, and what is cut from it is never an open ticket for the sake of a closed one.
#[tokio::test]
async fn g02_open_tickets_come_before_newer_closed_ones_and_a_cut_list_says_so() {
    let world = World::start(BOTH[0]).await;
    fill(&world);
    let shown = overview(&world, ask(&world)).await.unwrap();
    let tickets = shown.tickets.unwrap();
    assert_eq!((tickets.tickets.len(), tickets.truncated), (1, false), "once, and whole");
    assert!(!shown.archive.unwrap().truncated && !shown.surveys.unwrap().truncated);

    world.ticket.unary(LIST_TICKETS, |request: Request<ListTicketsRequest>| async move {
        let request = request.into_inner();
        assert_eq!(request.page_size, 20);
        // Newest first: 21 closed ones, an open one that is among them, and an overdue one behind them all.
        let mut all: Vec<(u32, TicketState)> =
            (0..22).rev().map(|number| (number, TicketState::Closed)).collect();
        (all[1].1, all[21].1) = (TicketState::InProgress, TicketState::Registered);
        let ends = [TicketState::Closed, TicketState::Cancelled].map(i32::from);
        assert!(!request.states.iter().any(|state| ends.contains(state)));
        all.retain(|(_, state)| {
            request.states.is_empty() || request.states.contains(&i32::from(*state))
        });
        let next_page_token = if all.len() > 20 { "more".to_owned() } else { String::new() };
        let ticket = |(number, state): (u32, TicketState)| Ticket {
            name: format!("tickets/{number}"),
            state: state.into(),
            ..Ticket::default()
        };
        let tickets = all.into_iter().take(20).map(ticket).collect();
        Ok(ListTicketsResponse { tickets, next_page_token })
    });
    world.customer.unary(LIST_CONTACTS, |_: Request<ListContactsRequest>| async move {
        let next_page_token = "more".to_owned();
        Ok(ListContactsResponse { next_page_token, ..ListContactsResponse::default() })
    });
    world.survey.unary(LIST_ANSWERS, |_: Request<ListAnswersRequest>| async move {
        let next_page_token = "more".to_owned();
        Ok(ListAnswersResponse { next_page_token, ..ListAnswersResponse::default() })
    });
    let shown = overview(&world, ask(&world)).await.unwrap();
    assert_eq!(availabilities(&shown), [Available; 3]);
    assert!(shown.archive.unwrap().truncated && shown.surveys.unwrap().truncated);
    let tickets = shown.tickets.unwrap();
    assert!(tickets.truncated);
    let names: Vec<_> = tickets.tickets.iter().map(|ticket| ticket.name.as_str()).collect();
    let expected = [20, 0, 21].into_iter().chain((3..20).rev());
    let expected: Vec<String> = expected.map(|number| format!("tickets/{number}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn g02_a_stopped_context_is_said_to_be_and_its_last_known_copy_shown_with_its_age() {
    for way in BOTH {
        let mut world = World::start(way).await;
        fill(&world);
        world.survey.kill().await;
        let shown = overview(&world, ask(&world)).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Available, Unavailable]);
        let [.., survey] = statuses(&shown);
        assert_eq!(survey.message, "the survey context cannot answer now");
        assert_eq!(survey.as_of_time, None);

        world.survey.revive().await;
        let read = overview(&world, ask(&world)).await.unwrap();
        assert_eq!(availabilities(&read), [Available; 3]);
        world.clock.advance(SignedDuration::from_hours(2)).unwrap();
        world.survey.kill().await;
        let mut request = ask(&world);
        request.metadata_mut().insert("accept-language", "zh-CN".parse().unwrap());
        let shown = overview(&world, request).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Available, Stale]);
        let [.., survey] = statuses(&shown);
        assert_eq!(survey.message, "survey 服务暂时不可用");
        assert_eq!(survey.as_of_time, statuses(&read)[2].as_of_time, "two hours ago");
        assert_eq!(shown.surveys.unwrap().answers[0].verdict, 4);

        // Somebody else does not get it.
        let name = CUSTOMER.to_owned();
        let other = world.request_as("group/north", "auditor", GetCustomerOverviewRequest { name });
        let shown = overview(&world, other).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Available, Unavailable]);
        assert!(shown.surveys.unwrap().answers.is_empty());
    }
}

#[tokio::test]
async fn g02_a_context_that_hangs_does_not_take_the_callers_time() {
    for way in BOTH {
        let world = World::start(way).await;
        fill(&world);
        // One of two questions is answered: half a section is none.
        world.survey.raw(LIST_ANSWERS, |_| pending());
        let mut request = ask(&world);
        request.set_timeout(Duration::from_millis(1500));
        let shown = overview(&world, request).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Available, Unavailable]);
        let [.., survey] = statuses(&shown);
        assert_eq!(survey.message, "the survey context did not answer in time");

        // Whatever the caller would give, it is answered after the context's share of two seconds.
        let began = kefu_clock::monotonic();
        let mut request = ask(&world);
        request.set_timeout(Duration::from_secs(60));
        let shown = overview(&world, request).await.unwrap();
        assert_eq!(availabilities(&shown)[2], Unavailable);
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn g02_even_the_archive_can_be_missing() {
    let mut world = World::start(Way::Remote).await;
    fill(&world);
    world.customer.kill().await;
    let shown = overview(&world, ask(&world)).await.unwrap();
    assert_eq!(availabilities(&shown), [Unavailable, Available, Available]);
    assert_eq!(shown.name, CUSTOMER);
}

#[tokio::test]
async fn x07_a_section_that_is_denied_is_not_shown_from_a_copy() {
    for way in BOTH {
        let mut world = World::start(way).await;
        fill(&world);
        overview(&world, ask(&world)).await.unwrap();
        world.ticket.unary(LIST_TICKETS, |_: Request<ListTicketsRequest>| async move {
            let denied = kefu_rpc::permission_denied("ticket.ListTickets", "group/north");
            Err::<ListTicketsResponse, _>(denied)
        });
        let shown = overview(&world, ask(&world)).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Denied, Available]);
        assert!(shown.tickets.unwrap().tickets.is_empty());
        // Nor later, when the context that denied it is away.
        world.ticket.kill().await;
        let shown = overview(&world, ask(&world)).await.unwrap();
        assert_eq!(availabilities(&shown), [Available, Unavailable, Available]);
    }
}

#[tokio::test]
async fn g02_a_customer_that_does_not_exist_is_not_found_even_while_a_context_hangs() {
    for way in BOTH {
        let world = World::start(way).await;
        fill(&world);
        world.survey.raw(LIST_ANSWERS, |_| pending());
        world.customer.unary(GET_CUSTOMER, |request: Request<GetCustomerRequest>| async move {
            Err::<Customer, _>(kefu_rpc::not_found("kefu.dev/Customer", &request.get_ref().name))
        });
        let missing = overview(&world, ask(&world)).await.unwrap_err();
        assert_eq!((missing.code(), &*reason(&missing)), (Code::NotFound, "RESOURCE_NOT_FOUND"));
    }
}

#[tokio::test]
async fn x06_x07_the_question_itself_is_checked() {
    let world = World::start(BOTH[0]).await;
    fill(&world);
    for name in ["", "customers/", "customers/1", "tickets/0197f0c4-0000-7000-8000-000000000001"] {
        let request = world.request(GetCustomerOverviewRequest { name: name.to_owned() });
        let refused = overview(&world, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name}");
    }
    let name = || GetCustomerOverviewRequest { name: CUSTOMER.to_owned() };
    let anonymous = overview(&world, Request::new(name())).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    let operator = world.request_as("group", "operator", name());
    let operator = overview(&world, operator).await.unwrap_err();
    assert_eq!(operator.code(), Code::PermissionDenied);
    let mut hurried = ask(&world);
    hurried.set_timeout(Duration::from_millis(1));
    let hurried = overview(&world, hurried).await.unwrap_err();
    assert_eq!(hurried.code(), Code::DeadlineExceeded);
}
