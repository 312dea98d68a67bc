//! T-14: standard wordings.

use proptest::prelude::*;

use super::*;

fn wording(en: &str, zh: &str) -> PolicyDraft {
    let template = MessageTemplateDraft {
        situation: "first-response".into(),
        title: Text::new("First response", "首次回复"),
        text: Text::new(en, zh),
    };
    PolicyDraft { message_templates: vec![template], ..draft() }
}

fn faults(draft: PolicyDraft) -> Vec<(String, String)> {
    let faults = Policy::try_new(draft).expect_err("faults");
    faults.into_iter().map(|fault| (fault.path, fault.description)).collect()
}

fn render(desk: &Desk, customer_name: Option<&str>) -> Result<Text, Refusal> {
    let template = desk.policy.message_template("first-response").expect("a wording");
    template.render(Filling { ticket: &desk.ticket, policy: &desk.policy, customer_name })
}

#[test]
fn t14_a_wording_says_what_the_ticket_is_in_the_org_units_time() {
    let policy = wording(
        "Dear {customer.name},\nwe answer {ticket.kind} {{{ticket.number}}} by {first_response.due_time}.",
        "尊敬的{ customer.name }：\n您的{ticket.kind}（{ticket.number}）将于{due_time}前答复。",
    );
    let desk = Desk::with(Policy::try_new(policy).expect("sound"), Severity::Ordinary);
    let text = render(&desk, Some("王芳")).expect("rendered");
    assert_eq!(
        text.en,
        "Dear 王芳,\nwe answer complaint {T-2019-riverside-000001} by 26 September 2019, 10:00."
    );
    assert_eq!(
        text.zh,
        "尊敬的王芳：\n您的投诉（T-2019-riverside-000001）将于2019年9月26日 10:00前答复。"
    );
    let text = render(&desk, None).expect("rendered");
    assert!(text.en.starts_with("Dear customer,") && text.zh.starts_with("尊敬的客户："));
}

#[test]
fn t14_a_wording_without_a_value_names_all_that_is_missing() {
    let text = "{ticket.solution}{call_back.due_time}{ticket.solution}{ticket.product}";
    let policy = Policy::try_new(wording("", text)).expect("sound");
    let desk = Desk::with(policy, Severity::Ordinary);
    let Err(Refusal::NoValue { variables, .. }) = render(&desk, None) else { panic!("rendered") };
    let expected = [Variable::TicketSolution, Variable::CallBackDueTime, Variable::TicketProduct];
    assert_eq!(variables, expected);
}

#[test]
fn t14_x06_every_fault_of_a_wording_is_named_with_its_path() {
    let mut policy = wording("Dear {custmer.name} {", "你好}，{ticket.number} 你是骗 子");
    policy.forbidden_phrases =
        vec![ForbiddenPhraseDraft { phrase: "骗子".into(), suggestion: Text::new("", "对方") }];
    policy.message_templates.push(MessageTemplateDraft {
        situation: "first-response".into(),
        title: Text::default(),
        text: Text::new("", "{due_time}".repeat(21)),
    });
    policy.message_templates.push(MessageTemplateDraft {
        situation: "First response".into(),
        title: Text::new("First", ""),
        text: Text::default(),
    });
    let faults = faults(policy);
    let mut paths: Vec<&str> = faults.iter().map(|(path, _)| path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "message_templates[0].text.en",
        "message_templates[0].text.en",
        "message_templates[0].text.zh",
        "message_templates[0].text.zh",
        "message_templates[1].situation",
        "message_templates[1].text.zh",
        "message_templates[1].title",
        "message_templates[2].situation",
        "message_templates[2].text",
    ];
    assert_eq!(paths, expected);
    let said = |words: &str| faults.iter().any(|(_, description)| description.contains(words));
    assert!(said("unknown variable {custmer.name}") && said("forbidden phrase “骗子”"));
}

proptest! {
    #[test]
    fn t14_a_wording_is_accepted_or_refused_and_never_more(text in "[a-z{}. 好]{1,30}|(\\{due_time\\}|\\{\\{|\\}\\}|x){1,5}") {
        if let Ok(policy) = Policy::try_new(wording(&text, "好")) {
            render(&Desk::with(policy, Severity::Ordinary), None).expect("nothing is missing");
        }
    }

    #[test]
    fn t14_a_wording_without_variables_says_itself(text in "[^{}\\x00-\\x20][^{}]{0,40}") {
        let policy = Policy::try_new(wording(&text, "好")).expect("sound");
        let rendered = render(&Desk::with(policy, Severity::Ordinary), None).expect("rendered");
        prop_assert_eq!(rendered.en, text);
    }
}
