//! T-06, T-07, T-08, T-11, T-14: who is told what, and that nobody is said to have been told who was not.

use std::sync::Arc;

use super::*;

const FORBIDDEN: &str = "不归我们管";

/// A policy with a way out, wordings, a forbidden phrase, and a pause reason that reminds.
fn telling(change: impl FnOnce(&mut PolicyDraft)) -> PolicyDraft {
    let template = |situation: &str, zh: &str| MessageTemplateDraft {
        situation: situation.into(),
        title: Text::new("", "话术"),
        text: Text::new("", zh),
    };
    let mut draft = draft();
    draft.automation.adapters = vec![AdapterDraft {
        code: "mail".into(),
        kind: Some(AdapterKind::Mail),
        title: Text::new("Mail", "邮件"),
        max_attempts: 3,
        first_retry: Some(Duration::from_secs(60)),
        longest_retry: Some(Duration::from_secs(3_600)),
    }];
    draft.message_templates = vec![
        template("reminder", "您好，工单{ticket.number}（{ticket.subject}）仍在等待您的资料。"),
        template("solved", "处理结果：{ticket.solution}"),
    ];
    draft.forbidden_phrases = vec![ForbiddenPhraseDraft {
        phrase: FORBIDDEN.into(),
        suggestion: Text::new("", "我们帮您转接"),
    }];
    draft.pause_reasons = vec![PauseReasonDraft {
        code: "documents".into(),
        title: Text::new("Documents", "资料"),
        remind_after: elapsed(48),
        reminder: Some(ReminderDraft {
            adapter: "mail".into(),
            wording: WordingDraft { situation: "reminder".into(), language: "zh".into() },
        }),
        ..PauseReasonDraft::default()
    }];
    change(&mut draft);
    draft
}

fn desk(change: impl FnOnce(&mut PolicyDraft)) -> Desk {
    let policy = Policy::try_new(telling(change)).expect("a sound policy");
    Desk::with(policy, Severity::Ordinary)
}

fn pause_to(recipient: Option<&str>) -> Command {
    Command::Pause {
        reason: "等待照片".into(),
        code: "documents".into(),
        recipient: recipient.map(ToOwned::to_owned),
    }
}

fn by_mail(command: Command, recipient: &str) -> Command {
    let route = Route { adapter: "mail".into(), recipient: recipient.into() };
    Command::Send { command: Box::new(command), route }
}

fn delay(reason: &str, message: Option<&str>) -> Command {
    Command::AnnounceDelay {
        rule: "resolution".into(),
        new_due: hours(100),
        reason: reason.into(),
        message: message.map(ToOwned::to_owned),
    }
}

fn told(changes: &[Change]) -> (MessagePurpose, String, Option<String>) {
    let spoken = changes.iter().find_map(Change::spoken).expect("something was said");
    let recipient = spoken.dispatch.map(|dispatch| dispatch.recipient.clone());
    (spoken.purpose, spoken.message.to_owned(), recipient)
}

/// Waiting since hour 2, and the timers at hour 60: why the customer was not told, if so.
fn unsent(desk: &mut Desk, recipient: Option<&str>) -> Option<NotReminded> {
    desk.does(HANDLER, hours(2), pause_to(recipient));
    let fired = desk.fires(hours(60));
    let due = fired.iter().find_map(|change| match &change.what {
        What::ReminderDue { told, .. } => Some(told.as_ref().err().copied()),
        _ => None,
    });
    due.expect("a reminder is due")
}

#[test]
fn t06_the_customer_is_sent_the_policys_reminder_once() {
    let mut desk = desk(|_| ());
    desk.does(HANDLER, hours(2), pause_to(Some("wang@example.cn")));
    let fired = desk.fires(hours(60));
    let reminders: Vec<_> =
        fired.iter().filter(|change| change.action() == "RemindCustomer").collect();
    assert_eq!(reminders.len(), 1);
    let number = desk.ticket.number.clone();
    let said = format!("您好，工单{number}（门窗漏水 💧）仍在等待您的资料。");
    let expected = (MessagePurpose::Reminder, said, Some("wang@example.cn".to_owned()));
    assert_eq!(told(&fired), expected);
    let spoken = reminders[0].spoken().expect("said");
    assert_eq!(spoken.at, hours(60), "sent when it was put in the outbox, not when it was due");
    let follow_up = desk.ticket.state.follow_up().expect("it waits");
    assert_eq!((follow_up.reminded_at, follow_up.told), (Some(hours(60)), true));
    assert_eq!(desk.fires(hours(500)).iter().filter_map(Change::spoken).count(), 0, "once");
    assert_eq!(desk.ticket.first_response_at, None, "a reminder is no answer");
}

#[test]
fn t06_without_an_address_the_reminder_goes_where_the_last_message_went() {
    let mut first = desk(|_| ());
    first.does(HANDLER, hours(1), by_mail(respond(), "old@example.cn"));
    first.does(HANDLER, hours(1), by_mail(respond(), "wang@example.cn"));
    assert_eq!(unsent(&mut first, Some("")), None);
    assert_eq!(first.ticket.outbound.recipients["mail"], "wang@example.cn");
    let mut other = desk(|_| ());
    other.does(HANDLER, hours(1), by_mail(respond(), "old@example.cn"));
    other.does(HANDLER, hours(2), pause_to(Some("li@example.cn")));
    assert_eq!(told(&other.fires(hours(60))).2.as_deref(), Some("li@example.cn"));
}

#[test]
fn t06_what_cannot_be_sent_is_on_record_as_due_and_not_as_done() {
    let nothing = |draft: &mut PolicyDraft| draft.pause_reasons[0].reminder = None;
    let no_value = |draft: &mut PolicyDraft| {
        if let Some(reminder) = &mut draft.pause_reasons[0].reminder {
            reminder.wording.situation = "solved".into();
        }
    };
    let mut rude = desk(|_| ());
    let details = Details { subject: format!("客服说{FORBIDDEN}"), ..Details::default() };
    rude.does(HANDLER, hours(1), Command::UpdateDetails { details });
    let mut long = desk(|_| ());
    let details = Details { subject: "长".repeat(20_000), ..Details::default() };
    long.does(HANDLER, hours(1), Command::UpdateDetails { details });
    let cases = [
        (desk(nothing), None, NotReminded::NoReminder),
        (desk(|_| ()), None, NotReminded::NoRecipient),
        (desk(no_value), Some("wang@example.cn"), NotReminded::NoValue),
        (rude, Some("wang@example.cn"), NotReminded::ForbiddenPhrase),
        (long, Some("wang@example.cn"), NotReminded::TooLong),
    ];
    for (mut desk, recipient, why) in cases {
        assert_eq!(unsent(&mut desk, recipient), Some(why));
        let follow_up = desk.ticket.state.follow_up().expect("it waits");
        assert_eq!((follow_up.reminded_at, follow_up.told), (Some(hours(50)), false), "{why:?}");
        assert!(desk.fires(hours(500)).is_empty(), "once: {why:?}");
    }
}

#[test]
fn t06_an_address_must_be_one_and_have_a_use() {
    let wrong = desk(|_| ()).tries(HANDLER, hours(2), pause_to(Some("王女士")));
    assert_eq!(wrong_fields(wrong), ["reminder_recipient"]);
    let unused = desk(|draft| draft.pause_reasons[0].reminder = None);
    let unused = unused.tries(HANDLER, hours(2), pause_to(Some("wang@example.cn")));
    assert_eq!(wrong_fields(unused), ["reminder_recipient"]);
    let mut free = Desk::new(Severity::Ordinary);
    let command = |recipient: &str| Command::Pause {
        reason: "x".into(),
        code: String::new(),
        recipient: Some(recipient.into()),
    };
    assert_eq!(
        wrong_fields(free.tries(HANDLER, hours(2), command("wang@example.cn"))),
        ["reminder_recipient"]
    );
    free.does(HANDLER, hours(2), command(""));
}

#[test]
fn t06_a_reminder_names_what_the_policy_has() {
    let wrong = telling(|draft| {
        draft.pause_reasons[0].remind_after = None;
        draft.pause_reasons[0].reminder = Some(ReminderDraft {
            adapter: "fax".into(),
            wording: WordingDraft { situation: "reminder".into(), language: "en".into() },
        });
        draft.pause_reasons.push(PauseReasonDraft {
            code: "parts".into(),
            title: Text::new("Parts", "配件"),
            remind_after: elapsed(1),
            reminder: Some(ReminderDraft::default()),
            ..PauseReasonDraft::default()
        });
    });
    let faults = Policy::try_new(wrong).expect_err("faulty");
    let mut paths: Vec<_> = faults.into_iter().map(|fault| fault.path).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "pause_reasons[0].reminder",
            "pause_reasons[0].reminder.adapter",
            "pause_reasons[0].reminder.wording.language",
            "pause_reasons[1].reminder.adapter",
            "pause_reasons[1].reminder.wording.language",
            "pause_reasons[1].reminder.wording.situation",
        ]
    );
}

#[test]
fn t08_the_customer_is_told_of_the_delay_with_reason_and_new_date() {
    let mut first = desk(|_| ());
    let due = first.clock("resolution", 1).due;
    let command = by_mail(delay("配件缺货", None), "wang@example.cn");
    let changes = first.does(HANDLER, hours(1), command);
    let (purpose, said, recipient) = told(&changes);
    assert_eq!((purpose, recipient.as_deref()), (MessagePurpose::Delay, Some("wang@example.cn")));
    // A hundred hours after Wednesday at ten, in Shanghai.
    assert_eq!(
        said,
        "配件缺货\n新的预计完成时间：2019年9月29日 14:00。\nNew expected date: 29 September 2019, 14:00."
    );
    assert_eq!(first.clock("resolution", 1).due, due, "the deadline still counts");
    assert_eq!(first.ticket.first_response_at, None, "that it will be late is no answer");
    let mut own = desk(|_| ());
    let own = own.does(HANDLER, hours(1), delay("缺货", Some("王女士，周日修好")));
    assert_eq!(told(&own), (MessagePurpose::Delay, "王女士，周日修好".to_owned(), None));
}

#[test]
fn t08_what_must_not_be_said_is_not_said_in_a_delay_either() {
    let mut desk = desk(|_| ());
    let rude = format!("这{FORBIDDEN}");
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(1), delay(&rude, None))), ["reason"]);
    let both = by_mail(delay(&rude, Some(&rude)), "王女士");
    let wrong = wrong_fields(desk.tries(HANDLER, hours(1), both.clone()));
    assert_eq!(wrong, ["reason", "message", "delivery.recipient"], "all at once");
    let overriding = Command::OverridePhrases(Box::new(delay(&rude, Some(&rude))));
    assert!(overriding.overrides_phrases());
    let changes = desk.does(HANDLER, hours(1), overriding);
    let spoken = changes.iter().find_map(Change::spoken).expect("said");
    assert_eq!(spoken.overridden, [Arc::<str>::from(FORBIDDEN)], "on record, once");
}

#[test]
fn t11_who_has_the_ticket_now_can_be_sent() {
    let mut desk = desk(|_| ());
    let send = HandlingCommand::Transfer {
        to: Some("group/south".into()),
        team: None,
        note: "请回电".into(),
    };
    desk.does(HANDLER, hours(1), Command::Handle(send));
    let accept = |adapter: &str, message: Option<&str>| {
        let message = message.map(ToOwned::to_owned);
        let route = Some(Route { adapter: adapter.into(), recipient: "wang@example.cn".into() });
        Command::Handle(HandlingCommand::AcceptTransfer {
            message,
            route,
            receiving: Receiving::default(),
        })
    };
    let wrong = desk.tries(QUALITY, hours(2), accept("fax", None));
    assert_eq!(wrong_fields(wrong), ["message", "delivery.adapter"], "all at once");
    let changes = desk.does(QUALITY, hours(2), accept("mail", Some("现由南区处理")));
    let expected = (MessagePurpose::Answer, "现由南区处理".to_owned());
    let (purpose, said, recipient) = told(&changes);
    assert_eq!((purpose, said), expected);
    assert_eq!(recipient.as_deref(), Some("wang@example.cn"));
}

#[test]
fn t07_a_breach_says_which_level_is_told() {
    let notified = |desk: &mut Desk| {
        let fired = desk.fires(hours(25));
        let breach = fired.iter().find_map(|change| match &change.what {
            What::ClockBreached { notify, .. } => Some(notify.number()),
            _ => None,
        });
        (breach.expect("a breach"), desk.level())
    };
    assert_eq!(notified(&mut desk(|_| ())), (2, 2), "raised to it");
    let mut told_only = desk(|draft| draft.clocks[0].breach_raises_level = false);
    assert_eq!(notified(&mut told_only), (2, 1), "told, not raised");
    let mut top = desk(|_| ());
    top.ticket.receiver_level = ReceiverLevel::from_number(3).expect("a level");
    assert_eq!(notified(&mut top), (3, 3), "there is none above");
}

pub fn note(message: u128, sent_at: Timestamp, state: DeliveryState, overtaken: bool) -> Command {
    let (message, delivery) = (Uuid::from_u128(message), Uuid::from_u128(message + 1_000));
    Command::NoteDelivery(DeliveryNote { message, delivery, sent_at, state, overtaken })
}

#[test]
fn t14_what_never_left_marks_the_ticket_until_the_customer_hears_something() {
    use DeliveryState::{Cancelled, Parked, Sent};
    let mut desk = desk(|_| ());
    desk.does(HANDLER, hours(1), by_mail(respond(), "wang@example.cn"));
    let kept = desk.clock("first-response", 1).clone();
    let marked = |desk: &Desk| {
        let lost = desk.ticket.outbound.undelivered.as_ref();
        lost.map(|lost| (lost.message.as_u128(), lost.cancelled))
    };
    let outbox = |desk: &mut Desk, now: i64, command: Command| {
        let changes = decide(&desk.ticket, &desk.policy, command, &Actor::OUTBOX, hours(now));
        let changes = changes.expect("never refused");
        desk.take(&changes);
        actions(&changes).join(" ")
    };
    assert_eq!(outbox(&mut desk, 2, note(1, hours(1), Sent, false)), "", "as it should be");
    assert_eq!(outbox(&mut desk, 3, note(3, hours(2), Parked, true)), "", "heard since");
    assert_eq!(outbox(&mut desk, 3, note(3, hours(2), Parked, false)), "MarkUndelivered");
    assert_eq!(marked(&desk), Some((3, false)));
    assert_eq!(desk.clock("first-response", 1), &kept, "it counts as of when it was sent");
    assert_eq!(outbox(&mut desk, 4, note(1, hours(1), Sent, false)), "", "an earlier one");
    assert_eq!(
        outbox(&mut desk, 4, note(2, hours(1), Parked, false)),
        "",
        "the latest is what is shown"
    );
    assert_eq!(outbox(&mut desk, 5, note(3, hours(2), Cancelled, false)), "MarkUndelivered");
    assert_eq!(marked(&desk), Some((3, true)), "by a person");
    assert_eq!(outbox(&mut desk, 6, note(4, hours(2), Sent, false)), "ClearUndelivered");
    assert_eq!(marked(&desk), None);
    // Somebody tells the customer himself.
    outbox(&mut desk, 7, note(5, hours(6), Parked, false));
    desk.does(HANDLER, hours(8), by_mail(respond(), "wang@example.cn"));
    assert_eq!(marked(&desk), Some((5, false)), "that another one is on its way is not enough");
    desk.does(HANDLER, hours(9), respond_sent(hours(5)));
    assert_eq!(marked(&desk), Some((5, false)), "said before");
    desk.does(HANDLER, hours(9), respond());
    assert_eq!(marked(&desk), None);
}

#[test]
fn t26_a_notice_goes_to_whoever_that_is_when_the_trigger_runs() {
    let to = |name: &str| {
        let step = StepDraftOf::Notify {
            adapter: "mail".into(),
            recipients: name.into(),
            wording: WordingDraft { situation: "reminder".into(), language: "zh".into() },
        };
        let trigger = TriggerDraft {
            name: "warn".into(),
            title: Text::new("", "提醒"),
            when: vec![Some(TriggerEvent::ClockWarned)],
            condition: ConditionDraft::default(),
            then: vec![step],
        };
        desk(|draft| draft.automation.triggers = vec![trigger])
    };
    let addressee = |desk: &Desk, told_level: Option<i32>| {
        let mut triggers = desk.policy.automation().triggers_on(&[TriggerEvent::ClockWarned]);
        let steps = &triggers.next().expect("the trigger").then;
        let actor = Actor::Trigger("warn".into());
        let told_level = told_level.and_then(ReceiverLevel::from_number);
        let occurred = EventTold { told_level, ..EventTold::default() };
        let doing = Doing {
            actor: &actor,
            by_manager: false,
            now: hours(1),
            customer_name: None,
            route: None,
            placed: None,
            occurred: Some(&occurred),
        };
        let done = automate(&desk.ticket, &desk.policy, steps, doing).expect("allowed");
        let [Outgoing::Notice { to, .. }] = &done.outgoing[..] else {
            panic!("no notice: {:?}", done.outgoing)
        };
        assert_eq!(to.to_string().parse(), Ok(to.clone()), "as it is stored");
        to.to_string()
    };
    assert_eq!(addressee(&to("night-shift"), None), "night-shift");
    let mut owned = to("owner");
    assert_eq!(addressee(&owned, None), "staff:clerk-li", "nobody else has it");
    owned.ticket.owner = Some(HANDLER.into());
    assert_eq!(addressee(&owned, None), "staff:handler-wang");
    let mut first = to("first-contact-owner");
    first.ticket.owner = Some(HANDLER.into());
    assert_eq!(addressee(&first, None), "staff:clerk-li");
    assert_eq!(addressee(&to("receiver-level"), None), "level:1@group/north/riverside");
    assert_eq!(addressee(&to("receiver-level"), Some(3)), "level:3@group/north/riverside");
    assert_eq!("level:x@group".parse(), Ok(Addressee::List("level:x@group".into())));
}
