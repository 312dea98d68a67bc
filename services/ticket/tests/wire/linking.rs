//! T-04, X-03, X-07: who may take a ticket from under its parent, and what it has seen of both.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Code;

use crate::mass_answer::link;
use crate::world::{World, complaint, metadata, reason, request_id, violations};

#[tokio::test]
async fn t04_unlinking_needs_both_org_units_and_sees_the_etags_of_both_as_linking_does() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let parent = clerk.create(complaint("group/north", "全区停水")).await;
    let child = clerk.create(complaint("group/south", "家里停水")).await;
    let put = pb::LinkTicketRequest {
        name: child.name.clone(),
        parent: parent.name.clone(),
        parent_etag: parent.etag.clone(),
        ..Default::default()
    };
    // The parent leads from now on, and so has changed: who saw it before is told which of the two it is.
    manager.links.link_ticket(put.clone()).await.unwrap();
    let second = clerk.create(complaint("group/south", "也停水")).await;
    let stale = pb::LinkTicketRequest { name: second.name.clone(), ..put };
    let error = manager.links.link_ticket(stale).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::Aborted, "ETAG_STALE"));
    let leading = manager.get(&parent.name).await;
    let told = ["resource_name", "current_etag"].map(|key| metadata(&error, key));
    assert_eq!(told, [parent.name.clone(), leading.etag.clone()]);

    let take = pb::UnlinkTicketRequest {
        name: child.name.clone(),
        reason: "另有原因".into(),
        request_id: request_id(7),
        ..Default::default()
    };
    for org_unit in ["group/south", "group/north"] {
        let mut one_sided = world.desk("nan", org_unit, role::MANAGER);
        let error = one_sided.links.unlink_ticket(take.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{org_unit}");
    }
    assert_eq!(manager.get(&child.name).await.parent, parent.name);
    let stale = pb::UnlinkTicketRequest { parent_etag: parent.etag.clone(), ..take.clone() };
    let error = manager.links.unlink_ticket(stale).await.unwrap_err();
    assert_eq!(
        (error.code(), metadata(&error, "resource_name")),
        (Code::Aborted, parent.name.clone())
    );
    let stale = pb::UnlinkTicketRequest { etag: child.etag.clone(), ..take.clone() };
    let error = manager.links.unlink_ticket(stale).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "resource_name")), (Code::Aborted, ""));
    let wrong = pb::UnlinkTicketRequest { parent_etag: "7".into(), ..take.clone() };
    let error = manager.links.unlink_ticket(wrong).await.unwrap_err();
    assert_eq!(violations(&error), ["parent_etag"]);
    let etag = manager.get(&child.name).await.etag;
    let parent_etag = leading.etag.clone();
    let good = pb::UnlinkTicketRequest { etag, parent_etag, ..take };
    let alone = manager.links.unlink_ticket(good.clone()).await.unwrap().into_inner();
    assert_eq!(alone.parent, "");
    // Asked again it is the first answer, though there is no parent left to ask about.
    let again = manager.links.unlink_ticket(good).await.unwrap().into_inner();
    assert_eq!(again, alone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_unlinking_meets_relinking_and_whoever_comes_second_sees_what_the_first_left() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    let (mut linked, mut unlinked) = (0, 0);
    for _ in 0..6 {
        let mut names = Vec::new();
        for subject in ["甲", "乙", "丙"] {
            names.push(clerk.create(complaint("group", subject)).await.name);
        }
        let [child, parent, other] = [0, 1, 2].map(|place: usize| names[place].clone());
        link(&mut world.manager(), &child, &parent).await.unwrap();
        let calls: Vec<_> = (0..8_usize)
            .map(|index| {
                let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
                let take = pb::UnlinkTicketRequest {
                    name: child.clone(),
                    reason: "另有原因".into(),
                    ..Default::default()
                };
                let (child, other) = (child.clone(), other.clone());
                tokio::spawn(async move {
                    match index % 4 {
                        0 | 1 => (desk.links.unlink_ticket(take).await.map(drop), -1),
                        _ => (link(&mut desk, &child, &other).await.map(drop), 1),
                    }
                })
            })
            .collect();
        // One link there was; each that was made or ended is on record as that.
        let mut links = 1;
        for call in calls {
            match call.await.unwrap() {
                (Ok(()), change) => {
                    links += change;
                    unlinked += i64::from(change < 0);
                    linked += i64::from(change > 0);
                }
                (Err(status), _) => assert!(
                    matches!(status.code(), Code::FailedPrecondition | Code::Aborted),
                    "{status:?}"
                ),
            }
        }
        assert!(links == 0 || links == 1, "{links}");
        let of = world.manager().get(&child).await.parent;
        assert_eq!(of.is_empty(), links == 0, "{of}");
        let id = child.rsplit('/').next().unwrap();
        let present = "SELECT parent_id::text FROM ticket_link WHERE child_id::text = $1 AND unlinked_at IS NULL";
        let present: Option<String> =
            sqlx::query_scalar(present).bind(id).fetch_optional(&world.pool).await.unwrap();
        assert_eq!(present.map(|parent| format!("tickets/{parent}")).unwrap_or_default(), of);
    }
    assert!(unlinked >= 6, "whoever came first found a link");
    let ended = "SELECT count(*) FROM journal WHERE action = 'UnlinkTicket'";
    assert_eq!(world.count(ended).await, unlinked);
    let made = "SELECT count(*) FROM journal WHERE action = 'LinkTicket'";
    assert_eq!(world.count(made).await, linked + 6);
}
