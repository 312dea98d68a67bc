//! The context's SQL, one file per noun. A row is converted to its domain type here; what no version of this program
//! wrote is [`StoreError::Corrupt`]. Tables are unqualified: the context's schema is first on the role's search path.

pub mod contact;
pub mod customer;
pub mod org_unit;
pub mod standing;

use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;

/// The path of an org unit as it is stored in `column`.
fn path(column: &str, text: &str) -> Result<OrgUnit, StoreError> {
    text.parse().map_err(|error| StoreError::corrupt(column, error))
}

/// A word of an enum as it is stored in `column`.
fn word<T>(column: &str, value: Option<T>) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::corrupt(column, "unknown word"))
}

/// The same for a column that may be null.
fn optional_word<T>(
    column: &str,
    text: Option<&str>,
    from_word: fn(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| word(column, from_word(text))).transpose()
}
