//! A store that holds commits back.
//!
//! `Held` counts commits and, while told to, holds back those that end an attempt, until the test
//! lets them through. So a test sees which commits wait at the same moment, without a clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use doorward::store::{Batch, Kind, Records};
use doorward::unavailable::Unavailable;
use tokio::sync::watch;

use super::before_commit::{Before, BeforeCommit};

/// Records over other records.
pub(crate) type Held = BeforeCommit<Holding>;

/// What is held back.
pub(crate) struct Holding {
    holds: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    commits: usize,
    /// The records of failed passwords that were written while commits were held back.
    charged: BTreeSet<Vec<u8>>,
}

impl Held {
    /// Nothing is held back until told to.
    pub(crate) fn over(inner: Arc<dyn Records>) -> Self {
        let (holds, waiting) = (watch::Sender::new(false), watch::Sender::new(0));
        Self::new(Holding { holds, waiting, seen: Mutex::default() }, inner)
    }

    /// How often anybody has tried to commit.
    pub(crate) fn commits(&self) -> usize {
        self.before.seen.lock().unwrap().commits
    }

    /// Holds back every commit from now on, but not the first that writes the failed passwords of a
    /// name: that is the one by which an attempt is charged.
    pub(crate) fn holds_back_all_but_charges(&self) {
        self.before.seen.lock().unwrap().charged.clear();
        self.before.holds.send_replace(true);
    }

    /// Lets everything through.
    pub(crate) fn lets_through(&self) {
        self.before.holds.send_replace(false);
    }

    /// Waits until so many commits are held back at the same moment. Only a failure takes a minute.
    pub(crate) async fn holds(&self, commits: usize) {
        let mut waiting = self.before.waiting.subscribe();
        let met = waiting.wait_for(|waiting| *waiting == commits);
        let met = tokio::time::timeout(Duration::from_mins(1), met).await.is_ok();
        assert!(met, "{} commits wait, not {commits}", *self.before.waiting.borrow());
    }
}

impl Holding {
    fn counts(&self, batch: &Batch) -> bool {
        let mut seen = self.seen.lock().unwrap();
        seen.commits += 1;
        let mut failures = batch.steps().iter().filter(|step| step.kind == Kind::Attempts);
        *self.holds.borrow() && !failures.any(|step| seen.charged.insert(step.key.clone()))
    }
}

#[async_trait]
impl Before for Holding {
    async fn before(&self, batch: &Batch) -> Result<(), Unavailable> {
        if self.counts(batch) {
            self.waiting.send_modify(|waiting| *waiting += 1);
            self.holds.subscribe().wait_for(|holds| !holds).await.unwrap();
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
        Ok(())
    }
}
