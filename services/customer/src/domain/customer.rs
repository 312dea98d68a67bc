//! The archive of a customer (C-01).

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use kefu_identity::OrgUnit;
use serde::Serialize;
use uuid::Uuid;

use super::words;

words! {
    /// What kind of customer it is.
    CustomerType {
        /// A company or another organisation.
        Organization = "organization",
        /// A natural person.
        Person = "person",
    }
}

words! {
    /// How big the customer is.
    CustomerSize {
        /// Large, 大型.
        Large = "large",
        /// Medium, 中型.
        Medium = "medium",
        /// Small, 小型.
        Small = "small",
        /// An individual, 个人.
        Individual = "individual",
    }
}

words! {
    /// On what ground personal data is collected and held.
    LawfulBasis {
        /// The person agreed.
        Consent = "consent",
        /// A contract with the person needs it.
        Contract = "contract",
        /// A law demands it.
        LegalObligation = "legal_obligation",
        /// A legitimate interest that outweighs the person's.
        LegitimateInterest = "legitimate_interest",
    }
}

/// A customer (客户) as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// Its id.
    pub id: Uuid,
    /// Given once, see [`code`].
    pub code: String,
    /// The org unit that owns the archive; never changes.
    pub org_unit: OrgUnit,
    /// What may change.
    pub details: CustomerDetails,
    /// Counts the changes from 1.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What may change of a customer. Lengths are checked where a request is decoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CustomerDetails {
    /// Organisation or person.
    pub customer_type: CustomerType,
    /// Full name, not empty.
    pub display_name: String,
    /// Short name.
    pub short_name: String,
    /// Industry.
    pub industry: String,
    /// Size class, where known.
    pub size: Option<CustomerSize>,
    /// Postal address.
    pub address: String,
    /// Where the customer came from.
    pub source_channel: String,
    /// On what ground the data is held.
    pub lawful_basis: LawfulBasis,
    /// First day of cooperation, where known.
    pub cooperation_start_date: Option<Date>,
    /// Subject of the staff member who looks after the customer; empty where there is none.
    pub account_manager: String,
    /// Product lines, each once, as given.
    pub product_lines: Vec<String>,
    /// Free tags, each once, as given.
    pub tags: Vec<String>,
}

/// New values for some of [`CustomerDetails`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::option_option, reason = "unchanged and emptied are different changes")]
pub struct CustomerChanges {
    /// See [`CustomerDetails`], here and below.
    pub customer_type: Option<CustomerType>,
    /// Full name.
    pub display_name: Option<String>,
    /// Short name.
    pub short_name: Option<String>,
    /// Industry.
    pub industry: Option<String>,
    /// Size class; `Some(None)` empties it.
    pub size: Option<Option<CustomerSize>>,
    /// Postal address.
    pub address: Option<String>,
    /// Source channel.
    pub source_channel: Option<String>,
    /// Lawful basis.
    pub lawful_basis: Option<LawfulBasis>,
    /// First day of cooperation; `Some(None)` empties it.
    pub cooperation_start_date: Option<Option<Date>>,
    /// Account manager.
    pub account_manager: Option<String>,
    /// Product lines, all of them.
    pub product_lines: Option<Vec<String>>,
    /// Tags, all of them.
    pub tags: Option<Vec<String>>,
}

impl CustomerChanges {
    /// The details of a new customer, if every one is given.
    pub fn complete(self) -> Option<CustomerDetails> {
        Some(CustomerDetails {
            customer_type: self.customer_type?,
            display_name: self.display_name?,
            short_name: self.short_name?,
            industry: self.industry?,
            size: self.size?,
            address: self.address?,
            source_channel: self.source_channel?,
            lawful_basis: self.lawful_basis?,
            cooperation_start_date: self.cooperation_start_date?,
            account_manager: self.account_manager?,
            product_lines: self.product_lines?,
            tags: self.tags?,
        })
    }
}

impl Customer {
    /// A new customer.
    pub fn register(
        id: Uuid,
        code: String,
        org_unit: OrgUnit,
        details: CustomerDetails,
        now: Timestamp,
    ) -> Self {
        Self { id, code, org_unit, details, revision: 1, created_at: now, updated_at: now }
    }

    /// The customer with the changes; `None` if they change nothing.
    pub fn change(&self, changes: CustomerChanges, now: Timestamp) -> Option<Self> {
        let old = &self.details;
        let details = CustomerDetails {
            customer_type: changes.customer_type.unwrap_or(old.customer_type),
            display_name: changes.display_name.unwrap_or_else(|| old.display_name.clone()),
            short_name: changes.short_name.unwrap_or_else(|| old.short_name.clone()),
            industry: changes.industry.unwrap_or_else(|| old.industry.clone()),
            size: changes.size.unwrap_or(old.size),
            address: changes.address.unwrap_or_else(|| old.address.clone()),
            source_channel: changes.source_channel.unwrap_or_else(|| old.source_channel.clone()),
            lawful_basis: changes.lawful_basis.unwrap_or(old.lawful_basis),
            cooperation_start_date: changes
                .cooperation_start_date
                .unwrap_or(old.cooperation_start_date),
            account_manager: changes.account_manager.unwrap_or_else(|| old.account_manager.clone()),
            product_lines: changes.product_lines.unwrap_or_else(|| old.product_lines.clone()),
            tags: changes.tags.unwrap_or_else(|| old.tags.clone()),
        };
        (details != *old).then(|| Self {
            details,
            revision: self.revision + 1,
            updated_at: now,
            ..self.clone()
        })
    }
}

/// The year in which a customer registered at `now` counts. The year is UTC's: an org unit's own time zone is a matter of
/// the ticket policy's calendar, which this context does not have, and one company's codes should not depend on it.
pub fn code_year(now: Timestamp) -> i16 {
    now.to_zoned(TimeZone::UTC).year()
}

/// The last segment of the path, by which codes of one org unit look alike.
pub fn code_segment(org_unit: &OrgUnit) -> &str {
    org_unit.segments().next_back().unwrap_or(org_unit.as_str())
}

/// A customer's code, e.g. `C-2026-riverside-000042`. `number` counts from 1 for each segment and year; beyond 999,999 it
/// takes more digits.
pub fn code(year: i16, segment: &str, number: i64) -> String {
    format!("C-{year}-{segment}-{number:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c01_a_code_names_year_org_unit_and_number() {
        let org_unit: OrgUnit = "group/north/riverside".parse().unwrap();
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(code(code_year(now), code_segment(&org_unit), 42), "C-2026-riverside-000042");
        assert_eq!(code(2026, "r", 1_000_000), "C-2026-r-1000000");
    }

    #[test]
    fn c01_the_year_of_a_code_is_that_of_utc() {
        assert_eq!(code_year("2026-01-01T07:59:59+08:00".parse().unwrap()), 2025);
        assert_eq!(code_year("2026-01-01T08:00:00+08:00".parse().unwrap()), 2026);
    }
}
