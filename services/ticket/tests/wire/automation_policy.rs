//! T-26: whatever is wrong with adapters, triggers and macros is named when the policy is applied, with its path.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;

use crate::automation::{step, tags, templates, trigger, wording};
use crate::delivery::{adapter, with_adapters};
use crate::pack::policy;
use crate::world::{World, violations};

#[tokio::test]
async fn t26_every_fault_of_the_automation_is_named_with_its_path() {
    let world = World::new().await;
    let notice = |adapter: &str, recipients: &str, said| {
        step(Step::Notify(pb::NoticeStep {
            adapter: adapter.into(),
            recipients: recipients.into(),
            wording: said,
        }))
    };
    let mut hasty = adapter("messenger", pb::ChannelAdapterKind::Webhook);
    hasty.max_attempts = 51;
    hasty.first_retry = Some(prost_types::Duration { seconds: 0, nanos: 5 });
    let condition = pb::TicketCondition {
        kinds: vec![99],
        severities: vec![4],
        categories: vec!["/质量".into()],
        org_units: vec!["Group//x".into()],
        tags: vec!["急".into()],
        without_tags: vec!["急".into(), String::new()],
        keywords: vec!["！！".into()],
        ..Default::default()
    };
    let bad = pb::TicketPolicy {
        message_templates: templates(),
        channel_adapters: vec![
            adapter("mail", pb::ChannelAdapterKind::Mail),
            hasty,
            adapter("mail", pb::ChannelAdapterKind::Unspecified),
        ],
        triggers: vec![
            pb::Trigger { name: "No".into(), ..Default::default() },
            pb::Trigger {
                when: vec![pb::TriggerEvent::Registered.into(), 99],
                ..trigger(
                    "a",
                    pb::TriggerEvent::Registered,
                    Some(condition),
                    vec![
                        tags(&[&"长".repeat(51), "急", "急"]),
                        step(Step::RaisePriority(0)),
                        step(Step::Escalate(" ".into())),
                        notice("fax", "Night", Some(wording("nothing", "fr"))),
                        notice("mail", "night", Some(wording("alarm", "en"))),
                        step(Step::CallWebhook("mail".into())),
                        step(Step::Respond(wording("alarm", "zh"))),
                        pb::AutomationStep { step: None },
                    ],
                )
            },
            trigger("a", pb::TriggerEvent::Updated, None, Vec::new()),
        ],
        macros: vec![pb::Macro {
            code: "m".into(),
            title: None,
            steps: vec![
                step(Step::CallWebhook("messenger".into())),
                step(Step::Pause(pb::PauseStep {
                    pause_reason: "none".into(),
                    reason: "等".into(),
                })),
            ],
        }],
        max_trigger_depth: 11,
        max_trigger_runs_per_hour: -1,
        ..policy()
    };
    let error = world.admin().apply("group", bad).await.unwrap_err();
    let mut found = violations(&error);
    found.sort_unstable();
    found.dedup();
    let mut expected: Vec<String> = [
        "channel_adapters[1].first_retry",
        "channel_adapters[1].max_attempts",
        "channel_adapters[2].code",
        "channel_adapters[2].kind",
        "macros[0].steps[0].call_webhook",
        "macros[0].steps[1].pause.pause_reason",
        "macros[0].title",
        "max_trigger_depth",
        "max_trigger_runs_per_hour",
        "triggers[0].name",
        "triggers[0].then",
        "triggers[0].title",
        "triggers[0].when",
        "triggers[1].if.categories[0]",
        "triggers[1].if.keywords[0]",
        "triggers[1].if.kinds[0]",
        "triggers[1].if.org_units[0]",
        "triggers[1].if.severities[0]",
        "triggers[1].if.without_tags[0]",
        "triggers[1].if.without_tags[1]",
        "triggers[1].then[0].add_tags.tags[0]",
        "triggers[1].then[0].add_tags.tags[2]",
        "triggers[1].then[1].raise_priority",
        "triggers[1].then[2].escalate",
        "triggers[1].then[3].notify.adapter",
        "triggers[1].then[3].notify.recipients",
        "triggers[1].then[3].notify.wording.language",
        "triggers[1].then[3].notify.wording.situation",
        "triggers[1].then[4].notify.wording.language",
        "triggers[1].then[5].call_webhook",
        "triggers[1].then[6].respond",
        "triggers[1].then[7]",
        "triggers[1].when[1]",
        "triggers[2].name",
        "triggers[2].then",
    ]
    .map(|field| format!("policy.{field}"))
    .into();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn x08_lists_without_end_are_refused_by_their_length() {
    let world = World::new().await;
    let endless = pb::TicketPolicy {
        triggers: (0..10_000).map(|_| pb::Trigger::default()).collect(),
        ..with_adapters()
    };
    let error = world.admin().apply("group", endless).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.triggers"]);
    let condition =
        pb::TicketCondition { keywords: vec!["漏".into(); 100_000], ..Default::default() };
    let rule = trigger("a", pb::TriggerEvent::Updated, Some(condition), vec![tags(&["x"])]);
    let endless = pb::TicketPolicy { triggers: vec![rule], ..with_adapters() };
    let error = world.admin().apply("group", endless).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.triggers[0].if.keywords"]);
}
