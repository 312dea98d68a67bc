//! The newest events of the journal, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Position, Recorded};

/// The most events kept.
const MAX_EVENTS: usize = 2_048;
/// The most payload bytes kept.
const MAX_BYTES: usize = 4 << 20;

/// A gapless stretch of the feed: every event after `floor`, up to `head`.
#[derive(Debug)]
pub(crate) struct Ring {
    floor: Position,
    head: Position,
    events: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

/// What the ring holds after a position.
#[derive(Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) events: Vec<Arc<Recorded>>,
    pub(crate) end: Position,
    /// Whether `end` is where the feed ends at present.
    pub(crate) at_head: bool,
}

impl Ring {
    /// Knows nothing before `position`, and nothing after it yet.
    pub(crate) fn starting_at(position: Position) -> Self {
        Self { floor: position, head: position, events: VecDeque::new(), bytes: 0 }
    }

    pub(crate) fn head(&self) -> Position {
        self.head
    }

    /// Adds what was read after `head`, up to `end`; forgets the oldest beyond the limits.
    pub(crate) fn extend(&mut self, events: Vec<Recorded>, end: Position) {
        for event in events {
            self.bytes += event.payload.len();
            self.events.push_back(Arc::new(event));
        }
        self.head = end;
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(forgotten) = self.events.pop_front() else { break };
            self.bytes -= forgotten.payload.len();
            self.floor = forgotten.position;
        }
    }

    /// At most `limit` events after `position`, or `None` when the ring no longer reaches back so far.
    pub(crate) fn after(&self, position: Position, limit: usize) -> Option<Slice> {
        if position < self.floor {
            return None;
        }
        let first = self.events.partition_point(|event| event.position <= position);
        let events: Vec<_> = self.events.range(first..).take(limit).cloned().collect();
        let rest = self.events.len() - first - events.len();
        let end = match events.last() {
            Some(last) if rest > 0 => last.position,
            // A cursor that another replica gave out may be ahead of this one; it must not go back.
            _ => self.head.max(position),
        };
        Some(Slice { events, end, at_head: rest == 0 })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(seq: i64, bytes: usize) -> Recorded {
        Recorded {
            position: at(seq),
            event_id: Uuid::nil(),
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            actor: String::new(),
            traceparent: String::new(),
            aggregate_type: String::new(),
            aggregate_id: Uuid::nil(),
            revision: 1,
            org_unit: String::new(),
            customer_id: None,
            event_type: String::new(),
            payload: vec![0; bytes].into(),
        }
    }

    fn at(seq: i64) -> Position {
        Position { xid: 1, seq }
    }

    fn seqs(slice: &Slice) -> Vec<i64> {
        slice.events.iter().map(|event| event.position.seq).collect()
    }

    #[test]
    fn x01_a_slice_goes_to_its_last_event_and_the_last_slice_to_the_head() {
        let mut ring = Ring::starting_at(at(10));
        ring.extend((11..=14).map(|seq| event(seq, 1)).collect(), at(20));
        let first = ring.after(at(10), 3).unwrap();
        assert_eq!((seqs(&first), first.end, first.at_head), (vec![11, 12, 13], at(13), false));
        let last = ring.after(first.end, 3).unwrap();
        assert_eq!((seqs(&last), last.end, last.at_head), (vec![14], at(20), true));
        assert_eq!(ring.after(at(9), 3), None);
        let ahead = ring.after(at(30), 3).unwrap();
        assert_eq!((seqs(&ahead), ahead.end), (vec![], at(30)));
    }

    #[test]
    fn x08_the_ring_is_bounded_by_count_and_by_bytes() {
        let count = i64::try_from(MAX_EVENTS).unwrap();
        let mut ring = Ring::starting_at(at(0));
        ring.extend((1..=count + 5).map(|seq| event(seq, 1)).collect(), at(count + 5));
        assert_eq!(ring.after(at(4), 1), None);
        assert_eq!(seqs(&ring.after(at(5), 1).unwrap()), [6]);

        let mut ring = Ring::starting_at(at(0));
        ring.extend((1..=3).map(|seq| event(seq, MAX_BYTES / 2)).collect(), at(3));
        assert_eq!(ring.after(at(0), 1), None);
        assert_eq!(seqs(&ring.after(at(1), 9).unwrap()), [2, 3]);
        ring.extend(vec![event(4, MAX_BYTES + 1)], at(4));
        assert_eq!(ring.after(at(3), 9), None);
        assert_eq!(seqs(&ring.after(at(4), 9).unwrap()), Vec::<i64>::new());
    }
}
