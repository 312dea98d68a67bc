//! Where a reader stands.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A place in one journal: after the row with this transaction and sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The 64-bit transaction id.
    pub xid: i64,
    /// The sequence number within the journal.
    pub seq: i64,
}

impl Position {
    /// Before the oldest row.
    pub const START: Self = Self { xid: 0, seq: 0 };
}

/// A position together with the identity of the feed that it counts in: what clients hold, as an opaque text.
///
/// ```
/// # use kefu_journal::{Cursor, Position};
/// let cursor = Cursor { feed: uuid::Uuid::from_u128(7), position: Position { xid: 731, seq: 12 } };
/// assert_eq!(cursor.to_string().parse(), Ok(cursor));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The feed's identity; it changes when a dump is restored elsewhere.
    pub feed: Uuid,
    /// The place in that feed.
    pub position: Position,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this service")]
pub struct InvalidCursor;

/// First byte of an encoded cursor, so that another encoding can be told apart later.
const VERSION: u8 = 1;
const ENCODED_LENGTH: usize = 33;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(ENCODED_LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.feed.as_bytes());
        bytes.extend_from_slice(&self.position.xid.to_be_bytes());
        bytes.extend_from_slice(&self.position.seq.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() != ENCODED_LENGTH.div_ceil(3) * 4 {
            return Err(InvalidCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (&version, rest) = bytes.split_first().ok_or(InvalidCursor)?;
        let (feed, rest) = rest.split_first_chunk::<16>().ok_or(InvalidCursor)?;
        let (xid, rest) = rest.split_first_chunk::<8>().ok_or(InvalidCursor)?;
        let (seq, rest) = rest.split_first_chunk::<8>().ok_or(InvalidCursor)?;
        let position = Position { xid: i64::from_be_bytes(*xid), seq: i64::from_be_bytes(*seq) };
        if version != VERSION || !rest.is_empty() || position < Position::START {
            return Err(InvalidCursor);
        }
        Ok(Self { feed: Uuid::from_bytes(*feed), position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x06_texts_that_are_no_cursors_are_refused() {
        let good = Cursor { feed: Uuid::from_u128(1), position: Position::START }.to_string();
        for bad in ["", "x", "é", &good[1..], &format!("{good}A"), &good.replace('A', "!")] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
        let mut negative = Cursor { feed: Uuid::from_u128(1), position: Position::START };
        negative.position.xid = -1;
        assert_eq!(negative.to_string().parse::<Cursor>(), Err(InvalidCursor));
    }

    #[test]
    fn x02_positions_order_by_transaction_before_sequence() {
        let early_seq_late_commit = Position { xid: 9, seq: 1 };
        assert!(Position { xid: 8, seq: 5 } < early_seq_late_commit);
        assert!(early_seq_late_commit < Position { xid: 9, seq: 2 });
    }
}
