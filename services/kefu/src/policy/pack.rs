//! From the text of a pack file to checked messages.

use std::fmt;

use kefu_api::customer::v1::CustomerPolicy;
use kefu_api::survey::v1::SurveyPolicy;
use kefu_api::ticket::v1::TicketPolicy;
use kefu_policy::Policy;
use kefu_rpc::Violations;
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tonic_types::StatusExt as _;

use super::walk;

/// A pack: the part of each context, where the regulation has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pack {
    /// Grades.
    pub customer: Option<CustomerPolicy>,
    /// Promises, levels, verdicts, violations.
    pub ticket: Option<TicketPolicy>,
    /// Whom to ask what.
    pub survey: Option<SurveyPolicy>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Such as `ticket.clocks[2].target.elapsed`; empty for the file as a whole.
    pub path: String,
    /// For a person.
    pub description: String,
}

/// Everything that is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            let colon = if fault.path.is_empty() { "" } else { ": " };
            write!(f, "{line}{}{colon}{}", fault.path, fault.description)?;
        }
        Ok(())
    }
}

impl Pack {
    /// Reads a pack: YAML (or JSON, which is YAML) with the keys `customer`, `ticket` and `survey`, each the canonical
    /// JSON form of that context's policy message. What the context would refuse is refused here as well.
    ///
    /// # Errors
    /// Every fault by its path, unknown keys among them.
    pub fn parse(text: &str) -> Result<Pack, Faults> {
        let whole = |description: String| Faults(vec![Fault { path: String::new(), description }]);
        let value: Value =
            serde_yaml_ng::from_str(text).map_err(|error| whole(format!("not YAML: {error}")))?;
        let Value::Object(parts) = value else {
            return Err(whole("must have at least one of customer, ticket, survey".to_owned()));
        };
        let mut faults = Vec::new();
        let mut pack = Pack::default();
        for (key, part) in &parts {
            match key.as_str() {
                "customer" => {
                    pack.customer = part_of::<kefu_customer::domain::policy::CustomerPolicy>(
                        key,
                        part,
                        &mut faults,
                    );
                }
                "ticket" => {
                    pack.ticket = part_of::<kefu_ticket::domain::Policy>(key, part, &mut faults);
                }
                "survey" => {
                    pack.survey = part_of::<kefu_survey::domain::policy::SurveyPolicy>(
                        key,
                        part,
                        &mut faults,
                    );
                }
                _ => faults.push(Fault {
                    path: key.clone(),
                    description: "is unknown; known are customer, ticket, survey".to_owned(),
                }),
            }
        }
        if parts.is_empty() {
            return Err(whole("must have at least one of customer, ticket, survey".to_owned()));
        }
        if faults.is_empty() { Ok(pack) } else { Err(Faults(faults)) }
    }
}

/// One part: its shape first, then what its context says of its content.
fn part_of<P: Policy>(key: &str, value: &Value, faults: &mut Vec<Fault>) -> Option<P::Message> {
    let name = P::Message::full_name();
    let Some(descriptor) = kefu_api::descriptor_pool().get_message_by_name(&name) else {
        faults.push(Fault { path: key.to_owned(), description: format!("{name} is unknown") });
        return None;
    };
    let before = faults.len();
    walk::check(&descriptor, value, key, faults);
    if faults.len() > before {
        return None;
    }
    let message: P::Message = match typed(descriptor, value) {
        Ok(message) => message,
        Err(description) => {
            faults.push(Fault { path: key.to_owned(), description });
            return None;
        }
    };
    let mut violations = Violations::new();
    let decoded = violations.within(key, |violations| P::decode(&message, violations));
    let refusal = violations.into_result().err();
    let refused = refusal.iter().flat_map(|status| {
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| bad.field_violations.clone());
        fields.unwrap_or_default()
    });
    let refused = refused.map(|field| Fault { path: field.field, description: field.description });
    faults.extend(refused);
    decoded.map(|_| message)
}

fn typed<M: Message + Default>(descriptor: MessageDescriptor, value: &Value) -> Result<M, String> {
    let dynamic =
        DynamicMessage::deserialize(descriptor, value).map_err(|error| error.to_string())?;
    dynamic.transcode_to().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Pack::parse(text).unwrap_err().0.into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn x06_the_packs_that_come_with_kefu_are_sound() {
        for (text, parts) in [
            (include_str!("../../../../deploy/policies/group.yaml"), (true, false, true)),
            (include_str!("../../../../deploy/policies/elapsed-hours.yaml"), (false, true, false)),
            (include_str!("../../../../deploy/policies/working-days.yaml"), (false, true, false)),
            (
                include_str!("../../../../deploy/policies/replay-complaints.yaml"),
                (false, true, false),
            ),
            (
                include_str!("../../../../deploy/policies/replay-helpdesk.yaml"),
                (false, true, false),
            ),
        ] {
            let pack = Pack::parse(text).unwrap();
            let present = (pack.customer.is_some(), pack.ticket.is_some(), pack.survey.is_some());
            assert_eq!(present, parts);
        }
    }

    #[test]
    fn x06_every_file_among_the_packs_is_one() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/policies");
        let mut codes = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let pack = Pack::parse(&std::fs::read_to_string(&path).unwrap());
            let pack = pack.unwrap_or_else(|faults| panic!("{}: {faults}", path.display()));
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            codes.extend(pack.ticket.map(|ticket| (ticket.code == name, name)));
        }
        assert!(codes.len() >= 16, "{codes:?}");
        assert!(codes.iter().all(|(named_after_its_code, _)| *named_after_its_code), "{codes:?}");
    }

    #[test]
    fn x06_every_unknown_key_and_every_wrong_value_is_named_with_its_path() {
        let text = "
customer:
  code: grades
  colour: red
  title: {en: Grades}
  grades:
    - {code: vip, title: {en: VIP, fr: VIP}}
ticket:
  clocks:
    - {name: first, kind: FAST, target: {elapsed: 24h}}
    - 7
shop: {}
";
        assert_eq!(
            paths(text),
            [
                "customer.colour",
                "customer.grades[0].title.fr",
                "ticket.clocks[0].kind",
                "ticket.clocks[0].target.elapsed",
                "ticket.clocks[1]",
                "shop",
            ]
        );
    }

    #[test]
    fn x06_what_a_context_would_refuse_is_refused_here() {
        let text =
            "customer: {code: Grades, title: {en: Grades}, grades: [{code: vip, title: {}}]}";
        assert_eq!(paths(text), ["customer.code", "customer.grades[0].title"]);
    }

    #[test]
    fn x06_a_file_that_is_no_pack_is_refused_as_a_whole() {
        for text in ["", "7", "[]", "{", "{}"] {
            assert_eq!(paths(text), [""], "{text:?}");
        }
    }
}
