use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::{SharedClock, random_bytes};

/// Bits of a version 7 UUID that are neither time, version nor variant.
const TAIL_BITS: u32 = 74;
/// Bits of chance between an id and the next one of the same millisecond.
const STEP_BITS: u32 = 48;

/// Makes version 7 UUIDs (RFC 9562) from a clock and the system's entropy.
///
/// Ids of one source, over all its clones and threads, are strictly increasing in byte order, also
/// while the clock stands still or was set back. Within a millisecond each id is the last one plus
/// a random step (the RFC's method 2), so an id tells nothing useful about its neighbours: 48 bits
/// of chance lie between them. About 2²⁶ ids fit into a millisecond; should a manual clock stand
/// still for longer than that, the time in the id runs ahead of it.
///
/// The time inside an id is a hint for locality in indexes. Nothing may read it as a fact.
#[derive(Clone, Debug)]
pub struct IdSource {
    clock: SharedClock,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    millis: u64,
    tail: u128,
}

impl IdSource {
    /// A source that takes its time from `clock`. Share one per process by cloning it.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// The next id.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        // Both are system calls; neither belongs under the lock.
        let entropy = u128::from_be_bytes(random_bytes());
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);

        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.step(millis, entropy);
        assemble(last.millis, last.tail)
    }
}

impl Last {
    fn step(&mut self, millis: u64, entropy: u128) {
        let next = self.tail + 1 + low(entropy, STEP_BITS);
        if millis > self.millis {
            self.restart(millis, entropy);
        } else if next >> TAIL_BITS == 0 {
            self.tail = next;
        } else {
            self.restart(self.millis + 1, entropy);
        }
    }

    /// Begins a millisecond in the lower half of the tail, which leaves room to count.
    fn restart(&mut self, millis: u64, entropy: u128) {
        *self = Self { millis, tail: low(entropy, TAIL_BITS - 1) };
    }
}

fn low(value: u128, bits: u32) -> u128 {
    value & ((1 << bits) - 1)
}

fn assemble(millis: u64, tail: u128) -> Uuid {
    const VERSION: u128 = 7 << 76;
    const VARIANT: u128 = 0b10 << 62;
    let time = low(u128::from(millis), 48) << 80;
    Uuid::from_u128(time | VERSION | ((tail >> 62) << 64) | VARIANT | low(tail, 62))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x05_a_millisecond_that_is_full_borrows_from_the_next() {
        let mut last = Last { millis: 7, tail: (1 << TAIL_BITS) - 1 };
        let before = assemble(last.millis, last.tail);
        last.step(7, u128::MAX);
        assert_eq!(last.millis, 8);
        assert!(assemble(last.millis, last.tail) > before);
    }

    #[test]
    fn x05_a_clock_set_back_does_not_set_ids_back() {
        let mut last = Last { millis: 1_000, tail: 5 };
        last.step(3, 0);
        assert_eq!((last.millis, last.tail), (1_000, 6));
    }

    #[test]
    fn x05_ids_keep_version_and_variant_at_the_limits() {
        for tail in [0, (1 << TAIL_BITS) - 1] {
            let id = assemble((1 << 48) - 1, tail);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        }
    }
}
