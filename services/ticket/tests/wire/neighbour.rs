//! The other contexts, as far as this one needs them: a feed over a real journal, and two questions.

use kefu_api::customer::v1 as pb;
use kefu_api::customer::v1::customer_service_server::{CustomerService, CustomerServiceServer};
use kefu_api::customer::v1::org_unit_service_server::{OrgUnitService, OrgUnitServiceServer};
use kefu_journal::Tail;
use kefu_service::{Assembled, Context, Dependencies};
use sqlx::migrate::Migrator;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Stands for the customer context and, with the same feed, for the survey context.
pub struct Neighbour;

/// A customer, or a contact, of which only the neighbour knows, not its feed.
pub fn known_only_there(number: u128) -> Uuid {
    Uuid::from_u128((0xAAAA << 112) | number)
}

/// A customer that the feed tells of, and of which the neighbour itself can say nothing before it may [`speak`] of it.
pub fn silent(number: u128) -> u128 {
    (0xDDDD << 112) | number
}

static SPOKEN_OF: Mutex<BTreeSet<u128>> = Mutex::new(BTreeSet::new());

/// From now on the neighbour says what this customer is called.
pub fn speak(customer: u128) {
    SPOKEN_OF.lock().unwrap().insert(customer);
}

fn is_silent(id: &str) -> bool {
    let id = Uuid::try_parse(id).unwrap().as_u128();
    id >> 112 == 0xDDDD && !SPOKEN_OF.lock().unwrap().contains(&id)
}

/// A customer whose name the neighbour tells only once somebody lets it; until then whoever asks waits.
#[derive(Clone)]
pub struct Held {
    number: u128,
    asked: Arc<Semaphore>,
    told: Arc<Semaphore>,
}

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Another number for each test.
pub fn hold(number: u128) -> Held {
    let number = (0xEEEE << 112) | number;
    let [asked, told] = [0, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let held = Held { number, asked, told };
    HELD.lock().unwrap().push(held.clone());
    held
}

impl Held {
    pub fn customer(&self) -> u128 {
        self.number
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }

    /// From now on it is told.
    pub fn tell(&self) {
        self.told.add_permits(1);
    }

    async fn waits(&self) {
        self.asked.add_permits(1);
        drop(self.told.acquire().await.unwrap());
    }
}

fn held(id: &str) -> Option<Held> {
    let id = Uuid::try_parse(id).unwrap().as_u128();
    HELD.lock().unwrap().iter().find(|held| held.number == id).cloned()
}

fn is_known(id: &str) -> bool {
    ["aaaa", "dddd", "eeee"].iter().any(|known| id.starts_with(known))
}

impl Context for Neighbour {
    const NAME: &'static str = "customer";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let tail = Tail::new(deps.pool()?.clone(), Arc::clone(&deps.wake));
        let routes = Routes::new(CustomerServiceServer::new(Answers))
            .add_service(OrgUnitServiceServer::new(Answers));
        Ok(Assembled::new(routes).journal(tail))
    }
}

struct Answers;

fn absent<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not needed"))
}

#[tonic::async_trait]
impl OrgUnitService for Answers {
    async fn create_org_unit(
        &self,
        _: Request<pb::CreateOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        absent()
    }

    async fn get_org_unit(
        &self,
        request: Request<pb::GetOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        let name = request.into_inner().name;
        if name == "orgUnits/group/new" {
            Ok(Response::new(pb::OrgUnit { name, ..pb::OrgUnit::default() }))
        } else {
            Err(Status::not_found(""))
        }
    }

    async fn update_org_unit(
        &self,
        _: Request<pb::UpdateOrgUnitRequest>,
    ) -> Result<Response<pb::OrgUnit>, Status> {
        absent()
    }

    async fn list_org_units(
        &self,
        _: Request<pb::ListOrgUnitsRequest>,
    ) -> Result<Response<pb::ListOrgUnitsResponse>, Status> {
        absent()
    }
}

#[tonic::async_trait]
impl CustomerService for Answers {
    async fn create_customer(
        &self,
        _: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        absent()
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        let name = request.into_inner().name;
        if let Some(held) = name.strip_prefix("customers/").and_then(held) {
            held.waits().await;
        }
        if name.strip_prefix("customers/").is_some_and(is_silent) {
            return Err(Status::unavailable("not now"));
        }
        if name.strip_prefix("customers/").is_some_and(is_known) {
            Ok(Response::new(pb::Customer {
                name,
                org_unit: "group".to_owned(),
                display_name: "滨河物业".to_owned(),
                ..pb::Customer::default()
            }))
        } else {
            Err(Status::not_found(""))
        }
    }

    async fn list_customers(
        &self,
        _: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        absent()
    }

    async fn update_customer(
        &self,
        _: Request<pb::UpdateCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        absent()
    }

    async fn create_contact(
        &self,
        _: Request<pb::CreateContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        absent()
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        let name = request.into_inner().name;
        if name.rsplit('/').next().is_some_and(is_known) {
            Ok(Response::new(pb::Contact { name, ..pb::Contact::default() }))
        } else {
            Err(Status::not_found(""))
        }
    }

    async fn list_contacts(
        &self,
        _: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        absent()
    }

    async fn update_contact(
        &self,
        _: Request<pb::UpdateContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        absent()
    }

    async fn set_standing(
        &self,
        _: Request<pb::SetStandingRequest>,
    ) -> Result<Response<pb::Standing>, Status> {
        absent()
    }

    async fn list_standings(
        &self,
        _: Request<pb::ListStandingsRequest>,
    ) -> Result<Response<pb::ListStandingsResponse>, Status> {
        absent()
    }
}
