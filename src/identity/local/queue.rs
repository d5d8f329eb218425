//! The order in which jobs run.

use std::collections::VecDeque;

use super::places::Seat;
use crate::identity::Work;

/// The waiting jobs. Known browsers go before strangers, so that strangers cannot make them wait.
/// Within each group the order is first come, first served.
///
/// Strangers do not wait for ever: only a limited number of known browsers have a place at the same
/// time, and their attempts are counted like everybody's.
#[derive(Debug, Default)]
pub(super) struct Queue {
    known: VecDeque<(Work, Seat)>,
    others: VecDeque<(Work, Seat)>,
    /// Whether the pool is closed.
    pub(super) closed: bool,
}

impl Queue {
    /// Adds `work` to the queue that its place belongs to.
    pub(super) fn push(&mut self, work: Work, seat: Seat) {
        let line = if seat.is_kept() { &mut self.known } else { &mut self.others };
        line.push_back((work, seat));
    }

    /// Takes the next job.
    pub(super) fn next(&mut self) -> Option<(Work, Seat)> {
        self.known.pop_front().or_else(|| self.others.pop_front())
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.others.len()
    }

    /// Whether no job waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::device::BrowserId;
    use crate::domain::password::Password;
    use crate::identity::local::places::Places;

    #[test]
    fn known_browsers_are_served_before_strangers_and_each_in_their_order() {
        let places = Arc::new(Places::new(9, 9, 9));
        let mut queue = Queue::default();
        for (typed, known) in [("1", None), ("2", Some(2)), ("3", None), ("4", Some(4))] {
            let known = known.map(|number| BrowserId::from([number; 16]));
            let seat = Places::take(&places, IpAddr::from([192, 0, 2, 1]), known).unwrap();
            let (answer, _) = oneshot::channel();
            queue.push(Work::Hash { password: Password::typed(typed), answer }, seat);
        }
        let served = std::iter::from_fn(|| match queue.next()?.0 {
            Work::Hash { password, .. } => {
                Some(String::from_utf8(password.expose().to_vec()).unwrap())
            }
            Work::Verify { .. } | Work::TakeOver { .. } => None,
        });
        assert_eq!(served.collect::<Vec<_>>(), ["2", "4", "1", "3"]);
        assert!(queue.is_empty());
    }
}
