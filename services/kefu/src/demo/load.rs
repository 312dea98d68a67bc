//! Loading the story. Every call has an id of its own that is the same in every attempt.

use std::time::Duration;

use anyhow::Context as _;
use jiff::civil::{Date, Weekday};
use kefu_api::customer::v1::{
    Contact, ContactChannel, CreateCustomerRequest, CreateOrgUnitRequest, Customer, CustomerType,
    DecisionRole, LawfulBasis, OrgUnit, SetStandingRequest, Standing,
};
use kefu_api::policy::v1::{CalendarException, LocalizedText};
use kefu_api::ticket::v1::{CreateTicketRequest, Ticket, TicketChannel, TicketKind};
use tonic::Code;
use uuid::Uuid;

use super::Made;
use crate::client::{Client, failed};
use crate::policy::{self, Pack};

const GROUP: &str = include_str!("../../../../deploy/policies/group.yaml");
const HOURS: &str = include_str!("../../../../deploy/policies/elapsed-hours.yaml");
const DAYS: &str = include_str!("../../../../deploy/policies/working-days.yaml");

/// How long the ticket context may take to hear of the standings. It takes a fraction of that.
const FEED: Duration = Duration::from_secs(1);

/// The company: path, English and Chinese title.
const TREE: [(&str, &str, &str); 5] = [
    ("group", "Group", "集团"),
    ("group/north", "North region", "北方区域公司"),
    ("group/north/riverside", "Riverside estate", "滨河花园项目"),
    ("group/south", "South region", "南方区域公司"),
    ("group/south/lakeside", "Lakeside shop", "湖畔门店"),
];

/// Loads everything, or goes on with it.
pub(super) async fn load(client: &Client, day: Date) -> anyhow::Result<Made> {
    let ids = Ids(day);
    tree(client, &ids).await?;
    Box::pin(policies(client, &ids, day)).await?;
    let owners = owners(client, &ids).await?;
    let restaurant = restaurant(client, &ids).await?;
    standing(client, &ids, &owners, "group/north/riverside", "vip").await?;
    standing(client, &ids, &restaurant, "group/south/lakeside", "key").await?;
    // The priority of a ticket comes from the standing that the ticket context knows by then.
    tokio::time::sleep(FEED).await;
    let noise = Box::pin(ticket(
        client,
        &ids,
        "noise",
        Ticket {
            org_unit: "group/north/riverside".to_owned(),
            channel: TicketChannel::Phone.into(),
            customer: owners.clone(),
            subject: "The lift of block 3 has been out of order since Monday".to_owned(),
            description:
                "Residents over eighty live on the ninth floor. Third call this week; nobody \
                      has told us when it will be repaired."
                    .to_owned(),
            category: "engineering/lift".to_owned(),
            severity: 1,
            tags: vec!["lift".to_owned()],
            ..Ticket::default()
        },
    ))
    .await?;
    let bill = Box::pin(ticket(
        client,
        &ids,
        "bill",
        Ticket {
            org_unit: "group/south/lakeside".to_owned(),
            channel: TicketChannel::Messenger.into(),
            customer: restaurant,
            subject: "上月账单多收了两笔配送费，门店一直没有答复".to_owned(),
            description: "九月十二日和十九日的订单没有配送，账单上却各收了一百二十元配送费。\
                      我们已经给门店打过两次电话。"
                .to_owned(),
            category: "service/billing".to_owned(),
            severity: 1,
            tags: vec!["账单".to_owned()],
            ..Ticket::default()
        },
    ))
    .await?;
    Ok(Made { owners, noise, bill })
}

async fn tree(client: &Client, ids: &Ids) -> anyhow::Result<()> {
    for (path, en, zh) in TREE {
        let request = CreateOrgUnitRequest {
            org_unit: Some(OrgUnit {
                path: path.to_owned(),
                title: Some(text(en, zh)),
                ..OrgUnit::default()
            }),
            request_id: ids.of(path),
        };
        match client.org_units().create_org_unit(request).await {
            // It may be there already, made by whoever uses this directory.
            Err(status) if status.code() != Code::AlreadyExists => {
                return Err(failed(format!("making {path}"))(status));
            }
            _ => {}
        }
    }
    Ok(())
}

/// One promise in hours in the north, one in working days in the south, everything else for the whole group.
async fn policies(client: &Client, ids: &Ids, day: Date) -> anyhow::Result<()> {
    let mut days = Pack::parse(DAYS)?;
    if let Some(calendar) = days.ticket.as_mut().and_then(|policy| policy.calendar.as_mut()) {
        // So that there is a holiday to count around, whenever the demonstration is started.
        let hours = calendar.weekly_hours.first().map(|monday| monday.intervals.clone());
        let (holiday, make_up) = around(day)?;
        calendar.exceptions.retain(|exception| {
            exception.date != holiday.to_string() && exception.date != make_up.to_string()
        });
        calendar.exceptions.push(CalendarException {
            date: holiday.to_string(),
            label: Some(text("Founding day (made up for the demo)", "司庆日（演示用）")),
            intervals: Vec::new(),
        });
        calendar.exceptions.push(CalendarException {
            date: make_up.to_string(),
            label: Some(text("Make-up working day (demo)", "调休上班（演示用）")),
            intervals: hours.unwrap_or_default(),
        });
    }
    for (pack, path) in [
        (Pack::parse(GROUP)?, "group"),
        (Pack::parse(HOURS)?, "group/north"),
        (days, "group/south"),
    ] {
        let unit = path.parse()?;
        let id = |part: &str| ids.uuid(&format!("{path} {part}"));
        policy::apply(client, &pack, &unit, None, id).await.with_context(|| path.to_owned())?;
    }
    Ok(())
}

/// The next weekday, which shall be a holiday, and the next Saturday, on which its work is made up for.
fn around(day: Date) -> anyhow::Result<(Date, Date)> {
    let mut holiday = day.tomorrow()?;
    while matches!(holiday.weekday(), Weekday::Saturday | Weekday::Sunday) {
        holiday = holiday.tomorrow()?;
    }
    let mut make_up = day.tomorrow()?;
    while make_up.weekday() != Weekday::Saturday {
        make_up = make_up.tomorrow()?;
    }
    Ok((holiday, make_up))
}

async fn owners(client: &Client, ids: &Ids) -> anyhow::Result<String> {
    let customer = Customer {
        org_unit: "group/north/riverside".to_owned(),
        customer_type: CustomerType::Organization.into(),
        display_name: "Riverside Owners' Association".to_owned(),
        short_name: "Riverside owners".to_owned(),
        lawful_basis: LawfulBasis::Contract.into(),
        cooperation_start_date: "2019-03-01".to_owned(),
        ..Customer::default()
    };
    let contacts = vec![
        Contact {
            display_name: "Chair of the association".to_owned(),
            title: "Chair".to_owned(),
            phones: vec!["+8613800000001".to_owned()],
            emails: vec!["chair@riverside.example".to_owned()],
            preferred_channel: ContactChannel::Phone.into(),
            decision_role: DecisionRole::Decider.into(),
            ..Contact::default()
        },
        Contact {
            display_name: "Caretaker of block 3".to_owned(),
            phones: vec!["+8613800000002".to_owned()],
            preferred_channel: ContactChannel::Messenger.into(),
            messengers: vec!["wechat:block3".to_owned()],
            decision_role: DecisionRole::User.into(),
            ..Contact::default()
        },
    ];
    create(client, ids, "owners", customer, contacts).await
}

async fn restaurant(client: &Client, ids: &Ids) -> anyhow::Result<String> {
    let customer = Customer {
        org_unit: "group/south/lakeside".to_owned(),
        customer_type: CustomerType::Organization.into(),
        display_name: "湖畔餐饮有限公司".to_owned(),
        short_name: "湖畔餐饮".to_owned(),
        industry: "餐饮".to_owned(),
        lawful_basis: LawfulBasis::Contract.into(),
        cooperation_start_date: "2021-06-18".to_owned(),
        ..Customer::default()
    };
    let contact = Contact {
        display_name: "采购负责人".to_owned(),
        title: "采购经理".to_owned(),
        phones: vec!["+8613800000003".to_owned()],
        preferred_channel: ContactChannel::Messenger.into(),
        messengers: vec!["wechat:lakeside".to_owned()],
        decision_role: DecisionRole::Decider.into(),
        ..Contact::default()
    };
    create(client, ids, "restaurant", customer, vec![contact]).await
}

async fn create(
    client: &Client,
    ids: &Ids,
    what: &str,
    customer: Customer,
    contacts: Vec<Contact>,
) -> anyhow::Result<String> {
    let request =
        CreateCustomerRequest { customer: Some(customer), contacts, request_id: ids.of(what) };
    let made = client.customers().create_customer(request).await;
    Ok(made.map_err(failed("registering a customer"))?.into_inner().name)
}

async fn standing(
    client: &Client,
    ids: &Ids,
    customer: &str,
    department: &str,
    grade: &str,
) -> anyhow::Result<()> {
    let request = SetStandingRequest {
        parent: customer.to_owned(),
        standing: Some(Standing {
            department: department.to_owned(),
            grade: grade.to_owned(),
            reason: "Demonstration".to_owned(),
            ..Standing::default()
        }),
        request_id: ids.of(&format!("standing {department}")),
    };
    client.customers().set_standing(request).await.map_err(failed("giving a standing"))?;
    Ok(())
}

async fn ticket(client: &Client, ids: &Ids, what: &str, ticket: Ticket) -> anyhow::Result<String> {
    let ticket = Ticket { kind: TicketKind::Complaint.into(), ..ticket };
    let request = CreateTicketRequest { ticket: Some(ticket), request_id: ids.of(what) };
    // Boxed, for the request is a large one.
    let made = Box::pin(client.tickets().create_ticket(request)).await;
    Ok(made.map_err(failed("registering a complaint"))?.into_inner().name)
}

fn text(en: &str, zh: &str) -> LocalizedText {
    LocalizedText { en: en.to_owned(), zh: zh.to_owned() }
}

/// The ids of the story's requests: the same whenever loading is tried again.
struct Ids(Date);

impl Ids {
    fn of(&self, what: &str) -> String {
        self.uuid(what).to_string()
    }

    fn uuid(&self, what: &str) -> Uuid {
        // FNV-1a over the words, twice with different beginnings: nobody but us makes these, so it need only spread.
        let half = |basis: u64| {
            format!("kefu demo {} {what}", self.0).bytes().fold(basis, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
            })
        };
        let bits = (half(0xCBF2_9CE4_8422_2325), half(0x6C62_272E_07BB_0142));
        let [high, low] = [bits.0.to_be_bytes(), bits.1.to_be_bytes()];
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        uuid::Builder::from_bytes(bytes)
            .with_variant(uuid::Variant::RFC4122)
            .with_version(uuid::Version::Custom)
            .into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x02_the_ids_of_the_story_are_the_same_in_every_attempt_and_differ() {
        let day = jiff::civil::date(2026, 9, 30);
        let all: std::collections::BTreeSet<_> =
            TREE.iter().map(|(path, ..)| Ids(day).of(path)).collect();
        assert_eq!(all.len(), TREE.len());
        assert_eq!(Ids(day).of("group"), Ids(day).of("group"));
        assert_ne!(Ids(day).of("group"), Ids(day.tomorrow().unwrap()).of("group"));
    }

    #[test]
    fn x05_the_story_has_a_holiday_and_a_make_up_saturday_ahead() {
        let friday = jiff::civil::date(2026, 9, 25);
        let (holiday, make_up) = around(friday).unwrap();
        assert_eq!(holiday, jiff::civil::date(2026, 9, 28));
        assert_eq!(make_up, jiff::civil::date(2026, 9, 26));
    }
}
