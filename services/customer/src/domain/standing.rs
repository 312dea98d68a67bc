//! A customer's grade in a department (C-10).

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use serde::Serialize;
use uuid::Uuid;

/// A standing (客户等级): not a property of the customer alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its id.
    pub id: Uuid,
    /// Whose standing it is.
    pub customer_id: Uuid,
    /// The department.
    pub department: OrgUnit,
    /// The product line; empty means all.
    pub product_line: String,
    /// What may change.
    pub rating: Rating,
    /// Since when the customer has this grade.
    pub graded_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A grade, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rating {
    /// Code of a grade on the policy's ladder.
    pub grade: String,
    /// Why this grade.
    pub reason: String,
    /// The version of the customer policy by which it was given.
    pub policy_version: Uuid,
}

impl Standing {
    /// A first grade in a place.
    pub fn create(
        id: Uuid,
        customer_id: Uuid,
        department: OrgUnit,
        product_line: String,
        rating: Rating,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            customer_id,
            department,
            product_line,
            rating,
            graded_at: now,
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Another rating; `None` if grade and reason stay. A rating that stays keeps the policy version by which it was given:
    /// a newer policy does not rewrite it. Since when the grade holds changes only with the grade.
    pub fn rate(&self, rating: Rating, now: Timestamp) -> Option<Self> {
        if rating.grade == self.rating.grade && rating.reason == self.rating.reason {
            return None;
        }
        let same_grade = rating.grade == self.rating.grade;
        Some(Self {
            graded_at: if same_grade { self.graded_at } else { now },
            rating: if same_grade {
                Rating { policy_version: self.rating.policy_version, ..rating }
            } else {
                rating
            },
            revision: self.revision + 1,
            updated_at: now,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rating(grade: &str, reason: &str, version: u128) -> Rating {
        let policy_version = Uuid::from_u128(version);
        Rating { grade: grade.into(), reason: reason.into(), policy_version }
    }

    #[test]
    fn x10_a_new_policy_does_not_rewrite_a_grade_that_stays() {
        let at = |second| Timestamp::new(second, 0).unwrap();
        let department = "group/sales".parse().unwrap();
        let first = Standing::create(
            Uuid::nil(),
            Uuid::nil(),
            department,
            String::new(),
            rating("vip", "", 1),
            at(1),
        );
        assert_eq!(first.rate(rating("vip", "", 2), at(2)), None);
        let explained = first.rate(rating("vip", "volume", 2), at(2)).unwrap();
        assert_eq!(explained.rating, rating("vip", "volume", 1));
        assert_eq!((explained.graded_at, explained.revision), (at(1), 2));
        let demoted = explained.rate(rating("qualified", "late", 2), at(3)).unwrap();
        assert_eq!(demoted.rating, rating("qualified", "late", 2));
        assert_eq!((demoted.graded_at, demoted.revision), (at(3), 3));
    }
}
