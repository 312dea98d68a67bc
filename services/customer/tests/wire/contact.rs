//! C-02: contacts.

use kefu_api::customer::v1::{
    Contact, ContactChannel, CreateContactRequest, DecisionRole, DoNotContact, GetContactRequest,
    UpdateContactRequest,
};
use prost_types::FieldMask;
use tonic::Code;

use crate::world::{World, contact, customer, violations};

fn full() -> Contact {
    Contact {
        title: "采购经理".into(),
        phones: vec!["+86 138-0013-8042".into(), "0755 1234567".into()],
        emails: vec!["Wang.Fang@EXAMPLE.com".into()],
        messengers: vec!["wechat:wangfang".into()],
        birthday: "1988-08-08".into(),
        preferred_channel: ContactChannel::Messenger.into(),
        do_not_contact: vec![DoNotContact {
            channel: ContactChannel::Sms.into(),
            reason: "本人要求".into(),
        }],
        decision_role: DecisionRole::Decider.into(),
        ..contact("王芳")
    }
}

#[tokio::test]
async fn c02_a_contact_is_added_read_and_changed() {
    let world = World::new().await;
    let mut desk = world.manager();
    let parent = desk.register(customer("group/north", "客户")).await.name;
    let request = CreateContactRequest {
        parent: parent.clone(),
        contact: Some(full()),
        request_id: String::new(),
    };
    let created = desk.customers.create_contact(request).await.unwrap().into_inner();
    let expected = Contact {
        name: created.name.clone(),
        phones: vec!["+8613800138042".into(), "07551234567".into()],
        emails: vec!["Wang.Fang@example.com".into()],
        create_time: created.create_time,
        update_time: created.update_time,
        etag: "r1".into(),
        ..full()
    };
    assert_eq!(created, expected);
    assert!(created.name.starts_with(&format!("{parent}/contacts/")));
    let request = GetContactRequest { name: created.name.clone() };
    assert_eq!(desk.customers.get_contact(request).await.unwrap().into_inner(), created);

    let emptied =
        Contact { name: created.name.clone(), etag: created.etag.clone(), ..Contact::default() };
    let request = UpdateContactRequest {
        contact: Some(emptied),
        update_mask: Some(FieldMask {
            paths: vec!["birthday".into(), "do_not_contact".into(), "decision_role".into()],
        }),
        request_id: String::new(),
    };
    let changed = desk.customers.update_contact(request).await.unwrap().into_inner();
    let expected = Contact {
        birthday: String::new(),
        do_not_contact: vec![],
        decision_role: 0,
        etag: "r2".into(),
        update_time: changed.update_time,
        ..created
    };
    assert_eq!(changed, expected);
}

#[tokio::test]
async fn c02_a_contact_is_reached_through_its_own_customer_only() {
    let world = World::new().await;
    let mut desk = world.manager();
    let own = desk.register(customer("group/north", "甲")).await.name;
    let other = desk.register(customer("group/north", "乙")).await.name;
    let request = CreateContactRequest {
        parent: own.clone(),
        contact: Some(full()),
        request_id: String::new(),
    };
    let created = desk.customers.create_contact(request).await.unwrap().into_inner();
    let name = created.name.replace(&own, &other);
    let status = desk.customers.get_contact(GetContactRequest { name }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let nobody = "customers/00000000-0000-7000-8000-000000000000".to_owned();
    let request =
        CreateContactRequest { parent: nobody, contact: Some(full()), request_id: String::new() };
    assert_eq!(desk.customers.create_contact(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn c02_every_wrong_way_to_reach_a_contact_is_named() {
    let world = World::new().await;
    let mut desk = world.manager();
    let parent = desk.register(customer("group/north", "客户")).await.name;
    let never = |channel: ContactChannel, reason: &str| DoNotContact {
        channel: channel.into(),
        reason: reason.into(),
    };
    let wrong = Contact {
        display_name: "控制\u{7}字符".into(),
        phones: vec!["13800138042".into(), "不是电话".into(), "123".into()],
        emails: vec!["a@b".into()],
        messengers: vec!["".into()],
        birthday: "2026-03-04".into(),
        preferred_channel: 99,
        do_not_contact: vec![
            never(ContactChannel::Sms, "本人要求"),
            never(ContactChannel::Sms, ""),
            never(ContactChannel::Unspecified, "?"),
        ],
        ..Contact::default()
    };
    let request = CreateContactRequest { parent, contact: Some(wrong), request_id: "x".into() };
    let status = desk.customers.create_contact(request).await.unwrap_err();
    assert_eq!(
        violations(&status),
        [
            "request_id",
            "contact.display_name",
            "contact.phones[1]",
            "contact.phones[2]",
            "contact.emails[0]",
            "contact.messengers[0]",
            "contact.birthday",
            "contact.preferred_channel",
            "contact.do_not_contact[1].reason",
            "contact.do_not_contact[1].channel",
            "contact.do_not_contact[2].channel",
        ]
    );
}
