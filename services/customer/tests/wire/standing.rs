//! C-10: standings.

use futures::future::join_all;
use kefu_api::customer::v1::{ListStandingsRequest, SetStandingRequest, Standing};
use kefu_identity::role;
use tonic::{Code, Status};

use crate::world::{Desk, World, customer, metadata, reason, violations};

const SALES: &str = "group/north/sales";

pub fn standing(department: &str, grade: &str) -> Standing {
    Standing { department: department.into(), grade: grade.into(), ..Standing::default() }
}

impl Desk {
    pub async fn grade(&mut self, parent: &str, standing: Standing) -> Result<Standing, Status> {
        let standing = Some(standing);
        let request =
            SetStandingRequest { parent: parent.into(), standing, request_id: String::new() };
        self.customers.set_standing(request).await.map(tonic::Response::into_inner)
    }

    pub async fn standings(&mut self, parent: &str) -> Vec<Standing> {
        self.try_standings(parent).await.unwrap()
    }

    pub async fn try_standings(&mut self, parent: &str) -> Result<Vec<Standing>, Status> {
        let parent = parent.into();
        let request = ListStandingsRequest { parent, ..ListStandingsRequest::default() };
        Ok(self.customers.list_standings(request).await?.into_inner().standings)
    }
}

#[tokio::test]
async fn c10_a_grade_is_given_kept_and_changed_per_department_and_product_line() {
    let world = World::new().await;
    let mut desk = world.manager();
    let policy = world.admin().apply_ladder("group", &["vip", "preferred"]).await;
    let name = desk.register(customer("group/north", "客户")).await.name;

    let first = desk.grade(&name, standing(SALES, "vip")).await.unwrap();
    assert_eq!((first.etag.as_str(), &first.policy_version), ("r1", &policy));
    assert_eq!(first.grade_time, first.create_time);
    let line = Standing { product_line: "电梯".into(), ..standing(SALES, "preferred") };
    let line = desk.grade(&name, line).await.unwrap();
    let other = desk.grade(&name, standing("group/north", "preferred")).await.unwrap();
    assert_eq!(desk.standings(&name).await, [other, first.clone(), line]);

    world.clock.set("2026-04-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(desk.grade(&name, standing(SALES, "vip")).await.unwrap(), first, "nothing changed");
    let lower = Standing { reason: "逾期付款".into(), ..standing(SALES, "preferred") };
    let lower = desk.grade(&name, lower).await.unwrap();
    assert_eq!((lower.name.as_str(), lower.etag.as_str()), (first.name.as_str(), "r2"));
    assert_ne!(lower.grade_time, first.grade_time);
    assert_eq!(lower.create_time, first.create_time);
}

#[tokio::test]
async fn c10_a_grade_must_be_on_the_ladder_of_the_policy_in_force() {
    let world = World::new().await;
    let mut desk = world.manager();
    let name = desk.register(customer("group/north", "客户")).await.name;
    let status = desk.grade(&name, standing(SALES, "vip")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "POLICY_MISSING")
    );
    assert_eq!(metadata(&status, "org_unit"), SALES);

    world.admin().apply_ladder("group", &["vip", "preferred"]).await;
    world.admin().apply_ladder(SALES, &["a", "b"]).await;
    let status = desk.grade(&name, standing(SALES, "vip")).await.unwrap_err();
    assert_eq!(violations(&status), ["standing.grade"]);
    assert!(status.message().contains("a, b"), "{}", status.message());
    assert!(desk.grade(&name, standing(SALES, "a")).await.is_ok());
    assert!(desk.grade(&name, standing("group/south", "vip")).await.is_ok());

    let status = desk.grade(&name, standing("group/nowhere", "vip")).await.unwrap_err();
    assert_eq!(reason(&status), "ORG_UNIT_UNKNOWN");
}

/// Two replicas, many first grades for one place: one creation, the others change it or change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_one_place_has_one_grade_however_many_give_it_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    world.admin().apply_ladder("group", &["vip", "preferred"]).await;
    let name = world.manager().register(customer("group/north", "客户")).await.name;
    let gradings = (0..20).map(|number| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let grade = ["vip", "preferred"][number / 2 % 2];
        let name = name.clone();
        tokio::spawn(async move { desk.grade(&name, standing(SALES, grade)).await.unwrap() })
    });
    let given: Vec<Standing> = join_all(gradings).await.into_iter().map(Result::unwrap).collect();
    let found = world.manager().standings(&name).await;
    assert_eq!(found.len(), 1);
    assert!(given.iter().all(|standing| standing.name == found[0].name));
    let revisions =
        world.count("SELECT count(*) FROM journal WHERE aggregate_type = 'standing'").await;
    assert_eq!(found[0].etag, format!("r{revisions}"), "each revision is on record once");
}

#[tokio::test]
async fn x10_a_standing_keeps_the_version_by_which_it_was_given() {
    let world = World::new().await;
    let mut desk = world.manager();
    let old = world.admin().apply_ladder("group", &["vip", "preferred"]).await;
    let name = desk.register(customer("group/north", "客户")).await.name;
    desk.grade(&name, standing(SALES, "vip")).await.unwrap();
    world.clock.set("2026-04-01T00:00:00Z".parse().unwrap()).unwrap();
    let new = world.admin().apply_ladder("group", &["vip", "preferred", "qualified"]).await;
    assert_eq!(desk.standings(&name).await[0].policy_version, old);
    let changed = desk.grade(&name, standing(SALES, "qualified")).await.unwrap();
    assert_eq!(changed.policy_version, new);
}

/// A department's grade is the department's: its manager, who gives it, sees it and no other one, though the archive belongs
/// elsewhere; and who may read the archive does not see by that what other departments think of the customer.
#[tokio::test]
async fn x07_standings_are_shown_to_those_who_may_read_their_departments() {
    let world = World::new().await;
    world.admin().apply_ladder("group", &["vip", "preferred"]).await;
    let name = world.manager().register(customer("group/north", "客户")).await.name;
    let mut south = world.desk("south", "group/south", role::MANAGER);
    let mut north = world.desk("north", "group/north", role::CLERK);
    let denied = south.try_standings(&name).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "neither the archive nor a grade of its own");
    assert!(north.standings(&name).await.is_empty());

    let line = Standing { product_line: "电梯".into(), ..standing("group/south", "vip") };
    let theirs = south.grade(&name, line).await.unwrap();
    assert!(north.standings(&name).await.is_empty(), "the archive is its own, the grade is not");
    let own = world.manager().grade(&name, standing(SALES, "preferred")).await.unwrap();
    assert_eq!(south.standings(&name).await, std::slice::from_ref(&theirs));
    assert_eq!(north.standings(&name).await, std::slice::from_ref(&own));
    assert_eq!(world.manager().standings(&name).await, [own, theirs]);

    let mut operator = world.desk("operator", "group", role::OPERATOR);
    let denied = operator.try_standings(&name).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}
