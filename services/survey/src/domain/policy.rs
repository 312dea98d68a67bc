//! The survey policy: whom a regulation has asked, and what (S-02).

use std::time::Duration;

use kefu_api::survey::v1 as pb;
use kefu_policy::{Policy, decode};
use kefu_rpc::{Fault, Violations};

/// The longest text of a policy, in characters.
const MAX_TEXT: usize = 500;
/// How long an invitation may be answered.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The smallest and the largest value that a scale may have.
const LEAST: i32 = 0;
const MOST: i32 = 10;

/// A survey policy, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyPolicy {
    /// Whom to ask after a ticket; `None` asks nobody.
    pub ticket_call_back: Option<TicketCallBack>,
}

/// The campaign that asks after each ticket whose result was fed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketCallBack {
    /// The campaign's code.
    pub campaign: String,
    /// What answers are checked against.
    pub scale: Scale,
    /// How long an invitation may be answered.
    pub expire_after: Duration,
}

/// From the smallest to the largest value. Which end is good is said in the message and matters to who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The smallest value.
    pub min: i32,
    /// The largest value.
    pub max: i32,
}

impl Scale {
    /// What is wrong with this value.
    ///
    /// # Errors
    /// [`Fault`] for a value that the scale does not have.
    pub fn check(self, value: i32) -> Result<(), Fault> {
        if (self.min..=self.max).contains(&value) {
            Ok(())
        } else {
            Err(Fault::out_of_range(self.min, self.max, value))
        }
    }
}

impl Policy for SurveyPolicy {
    type Message = pb::SurveyPolicy;

    fn decode(message: &pb::SurveyPolicy, violations: &mut Violations) -> Option<Self> {
        decode::code(violations, "code", &message.code);
        decode::localized_text(violations, "title", message.title.as_ref(), MAX_TEXT);
        let ticket_call_back = message.ticket_call_back.as_ref().map(|call_back| {
            violations
                .within("ticket_call_back", |violations| ticket_call_back(call_back, violations))
        });
        violations.is_empty().then(|| Self { ticket_call_back: ticket_call_back.flatten() })
    }
}

fn ticket_call_back(
    message: &pb::TicketCallBack,
    violations: &mut Violations,
) -> Option<TicketCallBack> {
    let campaign = decode::code(violations, "campaign", &message.campaign);
    let questionnaire = violations.required("questionnaire", message.questionnaire.as_ref());
    let scale = questionnaire.and_then(|questionnaire| {
        violations.within("questionnaire", |violations| {
            decode::localized_text(violations, "title", questionnaire.title.as_ref(), MAX_TEXT);
            decode::localized_text(
                violations,
                "question",
                questionnaire.question.as_ref(),
                MAX_TEXT,
            );
            let scale = violations.required("scale", questionnaire.scale.as_ref())?;
            violations.within("scale", |violations| self::scale(scale, violations))
        })
    });
    let expire_after = violations.duration("expire_after", message.expire_after, SHORTEST, LONGEST);
    Some(TicketCallBack { campaign: campaign?, scale: scale?, expire_after: expire_after? })
}

fn scale(message: &pb::Scale, violations: &mut Violations) -> Option<Scale> {
    let min = violations.range("min", message.min, LEAST, MOST - 1);
    let least_max = min.map_or(LEAST + 1, |min| min + 1);
    let max = violations.range("max", message.max, least_max, MOST);
    let polarity = violations.enumeration::<pb::ScalePolarity>("polarity", message.polarity);
    let most = usize::try_from(MOST - LEAST + 1).unwrap_or_default();
    if violations.at_most("labels", message.labels.len(), most) {
        if let (Some(min), Some(max)) = (min, max) {
            let values = usize::try_from(max - min + 1).unwrap_or_default();
            let labels = message.labels.len();
            if labels != 0 && labels != values {
                violations.add("labels", wrong_number_of_labels(values, labels));
            }
        }
        for (index, label) in message.labels.iter().enumerate() {
            let field = format!("labels[{index}]");
            decode::localized_text(violations, &field, Some(label), MAX_TEXT);
        }
    }
    polarity.and(Some(Scale { min: min?, max: max? }))
}

fn wrong_number_of_labels(values: usize, labels: usize) -> Fault {
    Fault::new(
        "WRONG_NUMBER",
        format!("has {labels} elements; give none, or one for each of the {values} values"),
        format!("共 {labels} 项；应为空，或与 {values} 个取值一一对应"),
    )
}

#[cfg(test)]
mod tests {
    use kefu_api::policy::v1::LocalizedText;

    use super::*;

    fn text(zh: &str) -> Option<LocalizedText> {
        Some(LocalizedText { en: String::new(), zh: zh.into() })
    }

    fn good() -> pb::SurveyPolicy {
        let labels = ["非常满意", "满意", "一般", "不满意", "非常不满意"];
        pb::SurveyPolicy {
            code: "franchise-complaints".into(),
            title: text("加盟商投诉管理制度"),
            ticket_call_back: Some(pb::TicketCallBack {
                campaign: "ticket-call-back".into(),
                questionnaire: Some(pb::Questionnaire {
                    title: text("回访"),
                    question: text("您对处理结果满意吗？"),
                    scale: Some(pb::Scale {
                        min: 1,
                        max: 5,
                        polarity: pb::ScalePolarity::LowIsGood.into(),
                        labels: labels.into_iter().filter_map(text).collect(),
                    }),
                }),
                expire_after: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
            }),
        }
    }

    fn faults(policy: &pb::SurveyPolicy) -> Vec<String> {
        let mut violations = Violations::new();
        let decoded = SurveyPolicy::decode(policy, &mut violations);
        let faults: Vec<_> = violations.fields().map(String::from).collect();
        assert_eq!(decoded.is_none(), !faults.is_empty());
        faults
    }

    #[test]
    fn s02_a_policy_says_whom_to_ask_what_and_for_how_long() {
        let policy = SurveyPolicy::decode(&good(), &mut Violations::new()).unwrap();
        let call_back = policy.ticket_call_back.unwrap();
        assert_eq!(call_back.campaign, "ticket-call-back");
        assert_eq!(call_back.scale, Scale { min: 1, max: 5 });
        assert_eq!(call_back.expire_after, Duration::from_secs(86_400));

        let silent = pb::SurveyPolicy { ticket_call_back: None, ..good() };
        let silent = SurveyPolicy::decode(&silent, &mut Violations::new()).unwrap();
        assert_eq!(silent.ticket_call_back, None);
    }

    #[test]
    fn x06_every_fault_of_a_policy_is_named_by_its_path() {
        let call_back = pb::TicketCallBack {
            campaign: "Call Back".into(),
            questionnaire: Some(pb::Questionnaire {
                title: None,
                question: text("\u{7}"),
                scale: Some(pb::Scale {
                    min: 3,
                    max: 3,
                    polarity: 9,
                    labels: vec![LocalizedText::default()],
                }),
            }),
            expire_after: Some(prost_types::Duration { seconds: 59, nanos: 0 }),
        };
        let policy = pb::SurveyPolicy {
            code: String::new(),
            title: None,
            ticket_call_back: Some(call_back),
        };
        let expected = [
            "code",
            "title",
            "ticket_call_back.campaign",
            "ticket_call_back.questionnaire.title",
            "ticket_call_back.questionnaire.question.zh",
            "ticket_call_back.questionnaire.scale.max",
            "ticket_call_back.questionnaire.scale.polarity",
            "ticket_call_back.questionnaire.scale.labels[0]",
            "ticket_call_back.expire_after",
        ];
        assert_eq!(faults(&policy), expected);

        let empty =
            pb::SurveyPolicy { ticket_call_back: Some(pb::TicketCallBack::default()), ..good() };
        let expected = ["campaign", "questionnaire", "expire_after"];
        assert_eq!(faults(&empty), expected.map(|field| format!("ticket_call_back.{field}")));
    }

    #[test]
    fn s01_a_scale_states_which_end_is_good_and_has_one_label_for_each_value() {
        let with = |change: fn(&mut pb::Scale)| {
            let mut policy = good();
            let questionnaire = policy.ticket_call_back.as_mut().unwrap().questionnaire.as_mut();
            change(questionnaire.unwrap().scale.as_mut().unwrap());
            faults(&policy)
        };
        let path = |field: &str| vec![format!("ticket_call_back.questionnaire.scale.{field}")];
        assert_eq!(with(|scale| scale.polarity = 0), path("polarity"));
        assert_eq!(with(|scale| scale.max = 6), path("labels"));
        assert_eq!(with(|scale| scale.max = 11), path("max"));
        assert_eq!(with(|scale| scale.max = i32::MIN), path("max"));
        assert_eq!(with(|scale| scale.min = -1), path("min"));
        assert_eq!(with(|scale| scale.min = i32::MAX), path("min"));
        assert_eq!(with(|scale| scale.labels.clear()), [] as [String; 0]);
        assert_eq!(
            with(|scale| *scale = pb::Scale { min: 0, max: 10, labels: vec![], ..*scale }),
            [] as [String; 0]
        );
        assert_eq!(
            with(|scale| scale.labels = vec![LocalizedText::default(); 5_000]),
            path("labels")
        );
    }

    #[test]
    fn s05_a_verdict_outside_of_the_scale_is_a_fault() {
        let scale = Scale { min: 1, max: 5 };
        for good in 1..=5 {
            assert!(scale.check(good).is_ok());
        }
        for bad in [0, 6, -1, i32::MAX, i32::MIN] {
            assert_eq!(scale.check(bad).unwrap_err().reason(), "OUT_OF_RANGE");
        }
    }
}
