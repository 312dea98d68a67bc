//! The context's SQL, one file per noun. A row is converted to its domain type here; what no version of this program
//! wrote is [`StoreError::Corrupt`]. Tables are unqualified: the context's schema is first on the role's search path.

pub mod answer;
pub mod contact;
pub mod invitation;

use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;

/// The path of an org unit as it is stored in `column`.
fn path(column: &str, text: &str) -> Result<OrgUnit, StoreError> {
    text.parse().map_err(|error| StoreError::corrupt(column, error))
}

/// An org unit and those above it: whose lists show what belongs to it.
fn scopes(org_unit: &OrgUnit) -> Vec<String> {
    let units = std::iter::once(org_unit.clone()).chain(org_unit.ancestors());
    units.map(|unit| unit.to_string()).collect()
}
