//! Places: how much is under way at once, in all and for one person, who leaves some for the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much there is.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    of_one: u32,
    taken: Arc<Mutex<HashMap<Arc<str>, u32>>>,
}

/// Some of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    taken: Arc<Mutex<HashMap<Arc<str>, u32>>>,
    who: Arc<str>,
    share: u32,
}

impl Places {
    /// So much for all together, of which one person may have so much.
    pub(crate) fn new(all: usize, of_one: u32) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_one, taken: Arc::default() }
    }

    /// A share for somebody; none where that were more than there is, or than one person may have.
    pub(crate) fn take(&self, who: &str, share: u32) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let more = taken.get(who).copied().unwrap_or_default().saturating_add(share);
        if more > self.of_one {
            return None;
        }
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(share).ok()?;
        let who: Arc<str> = who.into();
        taken.insert(Arc::clone(&who), more);
        Some(Place { _of_all: of_all, taken: Arc::clone(&self.taken), who, share })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut has) = taken.entry(Arc::clone(&self.who)) {
            *has.get_mut() = has.get().saturating_sub(self.share);
            if *has.get() == 0 {
                has.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x08_one_person_leaves_places_for_the_others_and_gets_its_own_back() {
        let places = Places::new(10, 4);
        let of_li = [places.take("li", 3).unwrap(), places.take("li", 1).unwrap()];
        assert!(places.take("li", 1).is_none());
        let of_wang = places.take("wang", 4).unwrap();
        // No more than there is for all.
        assert!(places.take("zhao", 3).is_none());
        let of_zhao = places.take("zhao", 2).unwrap();
        drop(of_li);
        assert!(places.take("li", 5).is_none());
        drop(places.take("li", 4).unwrap());
        drop((of_wang, of_zhao));
        assert!(places.taken.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
