//! The customer policy: what a regulation says of archives and standings (C-10).

use kefu_api::customer::v1 as pb;
use kefu_policy::{Policy, decode};
use kefu_rpc::{Fault, Violations};

/// The most rungs of a ladder.
const MAX_GRADES: usize = 20;
/// The longest title of a pack or a grade, in characters.
const MAX_TITLE: usize = 500;

/// A customer policy, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerPolicy {
    /// Codes of the grades, best first; each once, at least one.
    grades: Vec<String>,
}

impl CustomerPolicy {
    /// Whether a standing may have this grade.
    pub fn has_grade(&self, code: &str) -> bool {
        self.grades.iter().any(|grade| grade == code)
    }

    /// The codes of the ladder, best first.
    pub fn grades(&self) -> &[String] {
        &self.grades
    }
}

impl Policy for CustomerPolicy {
    type Message = pb::CustomerPolicy;

    fn decode(message: &pb::CustomerPolicy, violations: &mut Violations) -> Option<Self> {
        decode::code(violations, "code", &message.code);
        decode::localized_text(violations, "title", message.title.as_ref(), MAX_TITLE);
        if message.grades.is_empty() {
            violations.add("grades", Fault::required());
        }
        if !violations.at_most("grades", message.grades.len(), MAX_GRADES) {
            return None;
        }
        let mut grades: Vec<String> = Vec::with_capacity(message.grades.len());
        for (index, grade) in message.grades.iter().enumerate() {
            violations.item("grades", index, |violations| {
                decode::localized_text(violations, "title", grade.title.as_ref(), MAX_TITLE);
                let Some(code) = decode::code(violations, "code", &grade.code) else { return };
                if grades.contains(&code) {
                    violations.add(
                        "code",
                        Fault::new("DUPLICATE", "is on the ladder twice", "等级代码重复"),
                    );
                }
                grades.push(code);
            });
        }
        violations.is_empty().then_some(Self { grades })
    }
}

#[cfg(test)]
mod tests {
    use kefu_api::policy::v1::LocalizedText;

    use super::*;

    fn grade(code: &str) -> pb::Grade {
        let title = Some(LocalizedText { en: String::new(), zh: "贵宾".into() });
        pb::Grade { code: code.into(), title, visible_to_customer: true }
    }

    #[test]
    fn c10_a_ladder_has_each_grade_once() {
        let title = grade("a").title;
        let policy = pb::CustomerPolicy {
            code: "graded-accounts".into(),
            title,
            grades: vec![grade("vip"), grade("VIP"), grade("vip"), pb::Grade::default()],
        };
        let mut violations = Violations::new();
        assert_eq!(CustomerPolicy::decode(&policy, &mut violations), None);
        let fields: Vec<_> = violations.fields().collect();
        assert_eq!(
            fields,
            ["grades[1].code", "grades[2].code", "grades[3].title", "grades[3].code"]
        );
    }

    #[test]
    fn c10_an_empty_policy_lacks_everything() {
        let mut violations = Violations::new();
        CustomerPolicy::decode(&pb::CustomerPolicy::default(), &mut violations);
        assert_eq!(violations.fields().collect::<Vec<_>>(), ["code", "title", "grades"]);
    }
}
