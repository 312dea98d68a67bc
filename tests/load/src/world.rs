//! What there must be before anything can be measured: org units, policies, customers with standings, some tickets. All of
//! it made through the public API.

use std::time::Duration;

use anyhow::Context as _;
use kefu::client::{Client, failed};
use kefu_api::customer::v1 as customer;
use kefu_api::policy::v1 as policy;
use kefu_api::ticket::v1 as ticket;
use kefu_clock::IdSource;
use tonic::{Code, Status};

/// How many org units the tickets belong to, and how many customers they are of. Each registration counts in its org
/// unit's own row, so with one org unit everybody would queue for one row, in pgbench more than here.
pub const SIZE: usize = 64;

/// Longest wait for what the contexts learn from each other's feeds.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Where the org units of the benchmark are, below the root.
const BRANCH: &str = "load";

/// Who and what the calls are about.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Paths of the org units.
    pub org_units: Vec<String>,
    /// Names of the customers.
    pub customers: Vec<String>,
    /// Names of tickets that exist.
    pub tickets: Vec<String>,
}

impl World {
    /// Makes it below the org unit `root`, which is made as well where it is missing. May be repeated: org units that are
    /// there are taken, customers are new each time.
    ///
    /// # Errors
    /// What the mesh refuses.
    pub async fn make(client: &Client, ids: &IdSource, root: &str) -> anyhow::Result<World> {
        let branch = format!("{root}/{BRANCH}");
        for path in [root, &branch] {
            org_unit(client, path).await?;
        }
        let org_units: Vec<_> = (1..=SIZE).map(|n| unit(root, n)).collect();
        for path in &org_units {
            org_unit(client, path).await?;
        }
        policies(client, ids, &branch).await?;
        let mut customers = Vec::with_capacity(SIZE);
        for (n, org_unit) in org_units.iter().enumerate() {
            customers.push(registered_customer(client, ids, org_unit, n).await?);
        }
        let mut world = World { org_units, customers, tickets: Vec::new() };
        for n in 0..SIZE {
            world.tickets.push(first_ticket(client, ids, &world, n).await?);
        }
        Ok(world)
    }

    /// A complaint of the customer with this number at the org unit with the other.
    pub fn complaint(&self, ids: &IdSource, unit: usize, of: usize) -> ticket::CreateTicketRequest {
        let at = |list: &[String], n: usize| list.get(n % list.len().max(1)).cloned();
        let ticket = ticket::Ticket {
            org_unit: at(&self.org_units, unit).unwrap_or_default(),
            customer: at(&self.customers, of).unwrap_or_default(),
            kind: ticket::TicketKind::Complaint.into(),
            channel: ticket::TicketChannel::Phone.into(),
            subject: "下雨天客厅漏水，物业三天没有人来 (water through the living-room ceiling)"
                .to_owned(),
            description: DESCRIPTION.to_owned(),
            category: "repair/leak".to_owned(),
            product: "riverside".to_owned(),
            tags: vec!["leak".to_owned(), "second-call".to_owned()],
            severity: 2,
            ..ticket::Ticket::default()
        };
        let request_id = ids.uuid().to_string();
        ticket::CreateTicketRequest { ticket: Some(ticket), request_id }
    }
}

/// As long as what people write.
const DESCRIPTION: &str = "业主来电反映：从上周五开始，每逢下雨客厅天花板就滴水，墙面已经发霉，木地板也翘起来了。\
     已经打过两次电话，前台都说会派人来看，到现在没有人联系过。要求今天之内有人上门，并说明由谁负责修复和赔偿。\n\
     The owner asks for somebody to come today, and to be told who pays for the wall and the floor.";

/// The path of the org unit with a number from 1. All are equally long.
pub fn unit(root: &str, number: usize) -> String {
    format!("{root}/{BRANCH}/unit-{}", 100 + number)
}

async fn org_unit(client: &Client, path: &str) -> anyhow::Result<()> {
    let title = path.rsplit('/').next().unwrap_or_default();
    let org_unit = customer::OrgUnit {
        path: path.to_owned(),
        title: text(title, title),
        ..customer::OrgUnit::default()
    };
    // Whoever finds it there is content, so no request id is needed.
    let request =
        customer::CreateOrgUnitRequest { org_unit: Some(org_unit), request_id: String::new() };
    match client.org_units().create_org_unit(request).await {
        Err(status) if status.code() != Code::AlreadyExists => {
            Err(failed(format!("making the org unit {path}"))(status))
        }
        _ => Ok(()),
    }
}

/// One grade; two promises from the start of a ticket and two that come later.
async fn policies(client: &Client, ids: &IdSource, org_unit: &str) -> anyhow::Result<()> {
    let grade = customer::Grade {
        code: "vip".to_owned(),
        title: text("Important", "重要客户"),
        visible_to_customer: false,
    };
    let grades = customer::CustomerPolicy {
        code: "load".to_owned(),
        title: text("Load test", "压力测试"),
        grades: vec![grade],
    };
    let request = customer::ApplyCustomerPolicyRequest {
        org_unit: org_unit.to_owned(),
        policy: Some(grades),
        effective_time: None,
        request_id: ids.uuid().to_string(),
    };
    let applied = client.customer_policies().apply_customer_policy(request).await;
    applied.map_err(failed("applying the customer policy"))?;

    let request_id = ids.uuid().to_string();
    eventually("the ticket context to learn of the org unit", || async {
        let request = ticket::ApplyTicketPolicyRequest {
            org_unit: org_unit.to_owned(),
            policy: Some(ticket_policy()),
            effective_time: None,
            request_id: request_id.clone(),
        };
        client.ticket_policies().apply_ticket_policy(request).await.map(|_| ())
    })
    .await
}

fn ticket_policy() -> ticket::TicketPolicy {
    let hours = |hours: i64| prost_types::Duration { seconds: hours * 3_600, nanos: 0 };
    let elapsed = |h| policy::target::Target::Elapsed(hours(h));
    let days = policy::target::Target::WorkingDays;
    let clock = |name: &str, kind: ticket::ClockKind, target, warn_percent| ticket::ClockRule {
        name: name.to_owned(),
        kind: kind.into(),
        target: Some(policy::Target { target: Some(target) }),
        warn_percent,
        ..ticket::ClockRule::default()
    };
    let open = |open: &str, close: &str| policy::OpenInterval {
        open_time: open.to_owned(),
        close_time: close.to_owned(),
    };
    ticket::TicketPolicy {
        code: "load".to_owned(),
        title: text("Load test", "压力测试"),
        calendar: Some(policy::BusinessCalendar {
            time_zone: "Asia/Shanghai".to_owned(),
            weekly_hours: (1..=5)
                .map(|day| policy::WeeklyHours {
                    day_of_week: day,
                    intervals: vec![open("09:00", "12:00"), open("13:30", "18:00")],
                })
                .collect(),
            exceptions: Vec::new(),
            working_day_length: Some(prost_types::Duration { seconds: 27_000, nanos: 0 }),
        }),
        clocks: vec![
            ticket::ClockRule {
                breach_raises_level: true,
                breach_violation: "late-first-response".to_owned(),
                ..clock("first-response", ticket::ClockKind::FirstResponse, elapsed(24), 80)
            },
            ticket::ClockRule {
                on_reopen: ticket::ReopenMode::Restart.into(),
                ..clock("resolution", ticket::ClockKind::Resolution, days(3), 50)
            },
            clock("feedback", ticket::ClockKind::ResultFeedback, elapsed(48), 0),
            clock("call-back", ticket::ClockKind::CallBack, days(1), 0),
        ],
        levels: (1..=3)
            .map(|level| ticket::ReceiverLevel {
                level,
                title: text("Level", "级别"),
                roles: Vec::new(),
            })
            .collect(),
        severities: vec![ticket::SeverityRule { severity: 3, receiver_level: 2 }],
        verdict_scale: Some(ticket::VerdictScale {
            options: (1..=5)
                .map(|value| ticket::VerdictOption {
                    value,
                    label: text(&format!("value {value}"), &format!("评价 {value}")),
                    outcome: if value <= 3 {
                        ticket::VerdictOutcome::Close
                    } else {
                        ticket::VerdictOutcome::Reopen
                    }
                    .into(),
                })
                .collect(),
        }),
        violations: vec![ticket::ViolationRule {
            code: "late-first-response".to_owned(),
            description: text("Late", "首次回复超时"),
            ..ticket::ViolationRule::default()
        }],
        grade_priorities: vec![ticket::GradePriority {
            grade: "vip".to_owned(),
            priority: ticket::TicketPriority::Urgent.into(),
        }],
        ..ticket::TicketPolicy::default()
    }
}

async fn registered_customer(
    client: &Client,
    ids: &IdSource,
    org_unit: &str,
    number: usize,
) -> anyhow::Result<String> {
    let contact = |display_name: &str, phone: String| customer::Contact {
        display_name: display_name.to_owned(),
        phones: vec![phone],
        ..customer::Contact::default()
    };
    let request = customer::CreateCustomerRequest {
        customer: Some(customer::Customer {
            org_unit: org_unit.to_owned(),
            customer_type: customer::CustomerType::Organization.into(),
            display_name: format!("测试客户 {number} Ltd."),
            lawful_basis: customer::LawfulBasis::Contract.into(),
            ..customer::Customer::default()
        }),
        contacts: vec![
            contact("联系人甲", format!("+86138000{number:05}")),
            contact("Contact B", format!("+86139000{number:05}")),
        ],
        request_id: ids.uuid().to_string(),
    };
    let created = client.customers().create_customer(request).await;
    let name = created.map_err(failed("registering a customer"))?.into_inner().name;
    let request = customer::SetStandingRequest {
        parent: name.clone(),
        standing: Some(customer::Standing {
            department: org_unit.to_owned(),
            grade: "vip".to_owned(),
            reason: "load test".to_owned(),
            ..customer::Standing::default()
        }),
        request_id: ids.uuid().to_string(),
    };
    let set = client.customers().set_standing(request).await;
    set.map_err(failed("setting a standing"))?;
    Ok(name)
}

/// The first ticket of a customer: makes its org unit's counter, and shows that the feed has told of the standing.
async fn first_ticket(
    client: &Client,
    ids: &IdSource,
    world: &World,
    number: usize,
) -> anyhow::Result<String> {
    let began = kefu_clock::monotonic();
    loop {
        let request = world.complaint(ids, number, number);
        let created = client.tickets().create_ticket(request).await;
        let created = created.map_err(failed("registering a ticket"))?.into_inner();
        if created.customer_grade == "vip" {
            return Ok(created.name);
        }
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "the ticket context does not learn of standings"
        );
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Tries until it succeeds or has taken too long.
pub async fn eventually<W>(what: &str, mut attempt: impl FnMut() -> W) -> anyhow::Result<()>
where
    W: Future<Output = Result<(), Status>>,
{
    let began = kefu_clock::monotonic();
    loop {
        match attempt().await {
            Ok(()) => return Ok(()),
            Err(status) if began.elapsed() > PATIENCE => {
                return Err(failed("the last attempt")(status))
                    .with_context(|| format!("waiting for {what}"));
            }
            Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

fn text(en: &str, zh: &str) -> Option<policy::LocalizedText> {
    Some(policy::LocalizedText { en: en.to_owned(), zh: zh.to_owned() })
}
