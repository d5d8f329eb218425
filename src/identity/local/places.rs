//! Who has a place in the pool.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::limit::Source;

/// A number of places, of which one address can have a share only.
#[derive(Debug)]
pub(super) struct Places {
    at_most: usize,
    of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Source, usize>,
}

/// One place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Places>,
    source: Source,
}

impl Places {
    pub(super) fn new(at_most: usize, of_one: usize) -> Self {
        Self { at_most, of_one: of_one.max(1), taken: Mutex::default() }
    }

    /// A place for `address`, if one is free and its share is not used up.
    pub(super) fn take(places: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let source = Source::of(address);
        let mut taken = places.taken_now();
        let has = taken.by.get(&source).copied().unwrap_or(0);
        if taken.all >= places.at_most || has >= places.of_one {
            return None;
        }
        taken.all += 1;
        taken.by.insert(source, has + 1);
        Some(Seat { places: Arc::clone(places), source })
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken_now().all
    }

    fn taken_now(&self) -> MutexGuard<'_, Taken> {
        // Nothing that can panic happens under the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.taken_now();
        taken.all = taken.all.saturating_sub(1);
        if let Some(has) = taken.by.get_mut(&self.source) {
            *has = has.saturating_sub(1);
            if *has == 0 {
                taken.by.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = Arc::new(Places::new(4, 2));
        let from = |address: &str| Places::take(&places, address.parse().unwrap());
        let flood: Vec<_> = (0..10).filter_map(|_| from("192.0.2.1")).collect();
        assert_eq!(flood.len(), 2);
        let _another = from("192.0.2.2").expect("a place is left for others");
        let _third = from("192.0.2.3").expect("and one more");
        assert!(from("192.0.2.4").is_none(), "but no more than there are");
        drop(flood);
        assert!(from("192.0.2.4").is_some());
        assert_eq!(places.taken_now().by.len(), 2, "who has no place is forgotten");
    }
}
