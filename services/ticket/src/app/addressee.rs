//! Lists of what is addressed to somebody by name: orders (T-16), suggestions (T-21).

use jiff::Timestamp;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::StoreError;
use sqlx::PgConnection;

use super::{App, Error};
use crate::store;

/// To whom something is addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// Whoever.
    Anybody,
    /// This person.
    Staff(String),
    /// Whoever asks, and everybody for whom he stands in (T-25).
    Me,
}

impl Addressee {
    /// What a request calls whoever asks.
    const ME: &str = "me";

    /// As a request names it: empty, `me` or a subject.
    #[must_use]
    pub fn named(name: String) -> Self {
        match name.as_str() {
            "" => Self::Anybody,
            Self::ME => Self::Me,
            _ => Self::Staff(name),
        }
    }

    /// Their names; none for whoever.
    pub(crate) async fn names(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Vec<String>>, StoreError> {
        Ok(match self {
            Self::Anybody => None,
            Self::Staff(name) => Some(vec![name.clone()]),
            Self::Me => {
                let mut names = store::duty::stands_in_for(conn, caller.subject(), now).await?;
                names.push(caller.subject().to_owned());
                Some(names)
            }
        })
    }
}

impl App {
    /// Passes if the caller may list this: in the org unit; or where he works, what is addressed to him by name, wherever it
    /// comes from.
    pub(crate) fn allow_addressed(
        &self,
        caller: &Caller,
        action: &'static str,
        org_unit: &OrgUnit,
        whose: &Addressee,
    ) -> Result<(), Error> {
        let own = match whose {
            Addressee::Me => true,
            Addressee::Staff(name) => name == caller.subject(),
            Addressee::Anybody => false,
        };
        self.allow(caller, action, caller.org_unit().filter(|_| own).unwrap_or(org_unit))
    }
}
