//! The places in the pool: who may have a job running or waiting.
//!
//! Most places are first come, first served, and one client address can have only a share of them.
//! That does not help against many addresses, so some places are reserved for known browsers. A
//! flood of strangers cannot take these, from however many addresses. A known browser can have one
//! at a time, so a stolen cookie takes no more than one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::device::BrowserId;
use crate::identity::limit::Client;

/// A number of shared places and a number of places reserved for known browsers.
#[derive(Debug)]
pub(super) struct Places {
    at_most: usize,
    of_one: usize,
    kept: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The number of shared places that are taken.
    all: usize,
    by: HashMap<Client, usize>,
    /// The browsers that have a reserved place.
    known: HashSet<BrowserId>,
}

/// One taken place, freed when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Places>,
    whose: Whose,
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Anybody(Client),
    Known(BrowserId),
}

impl Places {
    pub(super) fn new(at_most: usize, of_one: usize, kept: usize) -> Self {
        Self { at_most, of_one: of_one.max(1), kept, taken: Mutex::default() }
    }

    /// Takes a place for a visitor from `address`. A known browser gets a reserved place, unless it
    /// has one already or all are taken. Otherwise a shared place, if one is free and the address
    /// has not used up its share.
    pub(super) fn take(
        places: &Arc<Self>,
        address: IpAddr,
        known: Option<BrowserId>,
    ) -> Option<Seat> {
        let mut taken = places.taken_now();
        let known = known.filter(|_| taken.known.len() < places.kept);
        let whose = match known.filter(|browser| taken.known.insert(*browser)) {
            Some(browser) => Whose::Known(browser),
            None => Whose::Anybody(taken.share(Client::of(address), places)?),
        };
        Some(Seat { places: Arc::clone(places), whose })
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        let taken = self.taken_now();
        taken.all + taken.known.len()
    }

    fn taken_now(&self) -> MutexGuard<'_, Taken> {
        // No code that can panic runs under this lock, so a poisoned lock is safe to use.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes a shared place, if one is free and this client has not used up its share.
    fn share(&mut self, client: Client, places: &Places) -> Option<Client> {
        let has = self.by.get(&client).copied().unwrap_or(0);
        if self.all >= places.at_most || has >= places.of_one {
            return None;
        }
        self.all += 1;
        self.by.insert(client, has + 1);
        Some(client)
    }
}

impl Seat {
    /// Whether it is a place reserved for known browsers.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.whose, Whose::Known(_))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.taken_now();
        match self.whose {
            Whose::Known(browser) => {
                taken.known.remove(&browser);
            }
            Whose::Anybody(client) => {
                taken.all = taken.all.saturating_sub(1);
                if let Some(has) = taken.by.get_mut(&client) {
                    *has = has.saturating_sub(1);
                    if *has == 0 {
                        taken.by.remove(&client);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a place for a visitor with the address `192.0.2.last`.
    fn take(places: &Arc<Places>, last: u8, known: Option<BrowserId>) -> Option<Seat> {
        Places::take(places, IpAddr::from([192, 0, 2, last]), known)
    }

    fn browser(number: u8) -> BrowserId {
        BrowserId::from([number; 16])
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = Arc::new(Places::new(4, 2, 0));
        let flood: Vec<_> = (0..10).filter_map(|_| take(&places, 1, None)).collect();
        assert_eq!(flood.len(), 2);
        let _another = take(&places, 2, None).expect("a place is left for others");
        let _third = take(&places, 3, None).expect("and one more");
        assert!(take(&places, 4, None).is_none(), "but no more than there are");
        drop(flood);
        assert!(take(&places, 4, None).is_some());
        assert_eq!(places.taken_now().by.len(), 2, "who has no place is forgotten");
    }

    #[test]
    fn strangers_from_everywhere_leave_known_browsers_their_places() {
        let places = Arc::new(Places::new(4, 2, 2));
        let flood: Vec<_> = (0..=255).filter_map(|from| take(&places, from, None)).collect();
        assert_eq!(flood.len(), 4);
        let ada = take(&places, 1, Some(browser(1))).expect("even from the address of a stranger");
        let _bob = take(&places, 1, Some(browser(2))).expect("and another");
        assert!(take(&places, 9, Some(browser(3))).is_none(), "but no more than are kept");
        drop(ada);
        assert!(take(&places, 9, None).is_none(), "and none of them is for a stranger");
        assert!(take(&places, 9, Some(browser(3))).is_some());
    }

    #[test]
    fn a_stolen_cookie_takes_one_kept_place_and_no_more() {
        let places = Arc::new(Places::new(4, 2, 3));
        let thieves: Vec<_> =
            (0..=255).filter_map(|from| take(&places, from, Some(browser(1)))).collect();
        assert_eq!(thieves.len(), 1 + 4, "its own, and what anybody could have");
        assert_eq!(thieves.iter().filter(|seat| seat.is_kept()).count(), 1);
        assert!(take(&places, 9, Some(browser(2))).is_some());
        drop(thieves);
        assert_eq!(places.taken(), 0);
        assert!(take(&places, 9, Some(browser(1))).is_some_and(|seat| seat.is_kept()));
    }

    #[test]
    fn a_known_browser_gets_what_anybody_gets_where_none_is_kept_for_it() {
        let places = Arc::new(Places::new(4, 2, 1));
        let _bob = take(&places, 1, Some(browser(2)));
        let ada = take(&places, 2, Some(browser(1))).expect("there is room for anybody");
        assert!(!ada.is_kept());
    }
}
