//! Page tokens: where the next page begins, good for the query that made them and for no other.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{Fault, Violations};

/// Bytes of the digest that are kept: enough that no two queries share a token by chance.
const DIGEST: usize = 12;
/// A token is never longer, so a longer one is not looked at.
const MAX_TOKEN: usize = 1024;

/// What a query asks for, apart from where to begin: the method and every field that changes the result set or its
/// order. `page_size` and `page_token` do not belong to it.
#[derive(Clone, Debug)]
pub struct PageQuery(Sha256);

impl PageQuery {
    /// A query by `method`, such as `ticket.ListTickets`.
    pub fn new(method: &str) -> Self {
        Self(Sha256::new()).field(method)
    }

    /// Adds the next field's value. The order of the calls matters.
    pub fn field(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        // The length first: "ab" + "c" is another query than "a" + "bc".
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    fn digest(&self, cursor: &[u8]) -> [u8; DIGEST] {
        let full = self.0.clone().chain_update(cursor).finalize();
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&full[..DIGEST]);
        digest
    }

    /// The token that continues this query after `cursor`.
    ///
    /// Tokens end up in logs and browser histories, and base64 hides nothing: a cursor holds ids, revisions and times,
    /// never personal data.
    pub fn token(&self, cursor: &impl Serialize) -> String {
        // Serialising plain values cannot fail; if it did, an empty token would end the list early, so say so.
        let cursor = match serde_json::to_vec(cursor) {
            Ok(cursor) => cursor,
            Err(error) => {
                tracing::error!(%error, "a page cursor cannot be serialised");
                return String::new();
            }
        };
        let mut token = self.digest(&cursor).to_vec();
        token.extend(cursor);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// [`Fault`] if this query did not make it.
    pub fn cursor<C: DeserializeOwned>(&self, token: &str) -> Result<C, Fault> {
        let foreign = Fault::foreign_page_token;
        if token.len() > MAX_TOKEN {
            return Err(foreign());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let (digest, cursor) = bytes.split_at_checked(DIGEST).ok_or_else(foreign)?;
        if digest != self.digest(cursor) {
            return Err(foreign());
        }
        serde_json::from_slice(cursor).map_err(|_| foreign())
    }
}

impl Violations {
    /// Where the page begins: `None` at the beginning, or if the token is not of this query.
    pub fn page_token<C: DeserializeOwned>(
        &mut self,
        field: &str,
        token: &str,
        query: &PageQuery,
    ) -> Option<C> {
        if token.is_empty() {
            return None;
        }
        self.take(field, query.cursor(token))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(org_unit: &str) -> PageQuery {
        PageQuery::new("ticket.ListTickets").field(org_unit).field("OPEN")
    }

    #[test]
    fn x08_a_page_token_continues_its_own_query() {
        let token = query("group/north").token(&("2024-02-09", 7_u64));
        let cursor: (String, u64) = query("group/north").cursor(&token).unwrap();
        assert_eq!(cursor, ("2024-02-09".to_owned(), 7));
    }

    #[test]
    fn x08_a_page_token_of_another_query_is_refused() {
        let token = query("group/north").token(&7_u64);
        let mut violations = Violations::new();
        let cursor = violations.page_token::<u64>("page_token", &token, &query("group/south"));
        assert_eq!(cursor, None);
        let status = violations.check().unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(violations.fields().collect::<Vec<_>>(), ["page_token"]);

        let shifted = PageQuery::new("ticket.ListTickets").field("group/nort").field("hOPEN");
        assert!(shifted.cursor::<u64>(&token).is_err());
    }

    proptest! {
        #[test]
        fn x08_no_token_makes_the_reader_panic(token in "[A-Za-z0-9_=-]{0,80}|.{0,40}") {
            prop_assert!(query("group").cursor::<u64>(&token).is_err());
        }
    }
}
