//! T-03: who moves tickets between teams while others do, by triggers or merges, waits for them and locks nobody out.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::automation::trigger;
use crate::merge::into;
use crate::pack::text;
use crate::reroute::{rerouting, to_team};
use crate::routing::{RECOUNT, assign, company, present, routed};
use crate::world::{World, complaint};

const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_t26_triggers_that_distribute_one_after_the_other_cross_with_macros() {
    let mut world = World::new().await;
    world.start_replica().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let least = pb::Distribution::LeastLoad;
    let tagged = |name: &str, team: &str| {
        let tags = vec!["cross".to_owned()];
        let condition = pb::TicketCondition { tags, ..Default::default() };
        let then = vec![to_team(team, "", least)];
        trigger(name, pb::TriggerEvent::Updated, Some(condition), then)
    };
    let over_to = |code: &str, team: &str| pb::Macro {
        code: code.into(),
        title: Some(text("", "转交")),
        steps: vec![to_team(team, "", least)],
    };
    let policy = pb::TicketPolicy {
        // The second locks what comes before what the first has locked.
        triggers: vec![tagged("first", "desk"), tagged("second", "lifts")],
        macros: vec![over_to("to-lifts", "lifts"), over_to("to-desk", "desk")],
        ..routed(least)
    };
    world.admin().apply("group", policy).await.unwrap();
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for _ in 0..24 {
        names.push(clerk.create(complaint("group", "漏水")).await.name);
    }
    let to = |name: &str, code: &str| pb::ApplyMacroRequest {
        name: name.into(),
        r#macro: code.into(),
        ..Default::default()
    };
    let (tagged, moved) = names.split_at(12);
    for name in moved {
        manager.automation.apply_macro(to(name, "to-desk")).await.unwrap();
    }
    for name in tagged {
        let request = pb::TagTicketRequest {
            name: name.clone(),
            add: vec!["cross".into()],
            ..Default::default()
        };
        manager.tickets.tag_ticket(request).await.unwrap();
    }
    // While the triggers run.
    let calls = moved.iter().enumerate().map(|(number, name)| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let there_and_back = ["to-lifts", "to-desk", "to-lifts"].map(|code| to(name, code));
        async move {
            for request in there_and_back {
                desk.automation.apply_macro(request).await.unwrap();
            }
        }
    });
    futures::future::join_all(calls).await;
    world.settle().await;
    assert_eq!(world.count(DEADLOCKS).await, 0);
    assert_eq!(world.count(RECOUNT).await, 0);
    // Each trigger acted once on each, and in their order.
    let acted = "SELECT count(*) FROM trigger_run WHERE outcome = 'acted'";
    assert_eq!(world.count(acted).await, 24);
    let lifts = manager.get(&tagged[0]).await.team;
    for name in tagged {
        assert_eq!(manager.get(name).await.team, lifts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_t04_merges_that_route_again_cross_with_assignments() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    world.admin().apply("group", rerouting(false, true)).await.unwrap();
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let (mut graves, mut waiting, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..8 {
        waiting.push(clerk.create(complaint("group", "漏水")).await.name);
        let grave = pb::Ticket { severity: 3, ..complaint("group", "漏水，伤到人") };
        graves.push(clerk.create(grave).await.name);
        others.push(clerk.create(complaint("group", "漏水")).await.name);
    }
    // All of one who goes home: among those who could get the survivor he is not, and his load comes first.
    for name in graves.iter().chain(&others) {
        assign(&mut manager, name, &lifts, "an").await.unwrap();
    }
    present(&world, &["an"], false).await;
    let merges = graves.iter().zip(&waiting).enumerate().map(|(number, (grave, waiting))| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let request = into(grave, waiting);
        async move { desk.links.merge_ticket(request).await.map(drop) }
    });
    let assignments = others.iter().enumerate().map(|(number, name)| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let lifts = &lifts;
        async move {
            for owner in ["bo", "an", "chen", "an"] {
                assign(&mut desk, name, lifts, owner).await?;
            }
            Ok(())
        }
    });
    let (merged, assigned) =
        futures::join!(futures::future::join_all(merges), futures::future::join_all(assignments));
    for done in merged.into_iter().chain(assigned) {
        done.unwrap();
    }
    assert_eq!(world.count(DEADLOCKS).await, 0);
    assert_eq!(world.count(RECOUNT).await, 0);
}
