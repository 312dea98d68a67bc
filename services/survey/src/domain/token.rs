//! The token of an invitation (S-04): who holds it may answer.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

const BYTES: usize = 32;
/// Of the text: base64url without padding.
const CHARS: usize = 43;

/// An unguessable token. It is given out once and stored nowhere; its debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; BYTES]);

/// SHA-256 of a token: what is stored. The token is random and long, so that no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; BYTES]);

impl Token {
    /// A token of these bytes, which come from a source fit for secrets.
    pub fn new(random: [u8; BYTES]) -> Self {
        Self(random)
    }

    /// Reads the text that [`reveal`](Self::reveal) gave; `None` for what cannot be a token.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() != CHARS {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The text for the link.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored in its place.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl TokenHash {
    /// A hash as it was stored; `None` if it has another length.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s04_what_is_stored_is_not_the_token() {
        let token = Token::new([7; BYTES]);
        assert_ne!(token.hash().as_bytes(), token.0);
        assert_ne!(token.hash(), Token::new([8; BYTES]).hash());
        assert_eq!(TokenHash::from_stored(token.hash().as_bytes()), Some(token.hash()));
        assert_eq!(TokenHash::from_stored(&[1, 2, 3]), None);
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token TokenHash");
    }

    proptest! {
        #[test]
        fn s04_a_token_is_read_as_it_was_given_out(random: [u8; BYTES]) {
            let token = Token::new(random);
            prop_assert_eq!(token.reveal().len(), CHARS);
            prop_assert_eq!(Token::read(&token.reveal()), Some(token));
        }

        #[test]
        fn s04_no_text_makes_the_reader_panic(text in any::<String>()) {
            prop_assert_eq!(Token::read(&text).map(|token| token.reveal()), None);
        }

        /// One token, one text: the last character carries four bits of which two are none of the token's.
        #[test]
        fn s04_no_two_texts_are_the_same_token(text in "[A-Za-z0-9_-]{43}") {
            prop_assert!(Token::read(&text).is_none_or(|token| token.reveal() == text));
        }
    }
}
