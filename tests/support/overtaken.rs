//! A store in which somebody else writes first.
//!
//! `Overtaken` is the race between two gateways over one store, staged: what is handed to it runs
//! to its end between our read and our commit.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use doorward::store::{Batch, Records};
use doorward::unavailable::Unavailable;

use super::before_commit::{Before, BeforeCommit};

type Other = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Records over other records. Whoever overtakes writes to those directly, perhaps through a
/// façade of its own.
pub(crate) type Overtaken = BeforeCommit<Overtakers>;

/// Who overtakes, and when.
#[derive(Default)]
pub(crate) struct Overtakers {
    staged: Mutex<Staged>,
}

#[derive(Default)]
struct Staged {
    commits: usize,
    before: BTreeMap<usize, Vec<Other>>,
}

impl Overtaken {
    /// Nobody overtakes until told to.
    pub(crate) fn over(inner: Arc<dyn Records>) -> Self {
        Self::new(Overtakers::default(), inner)
    }

    /// Lets `other` run right before our next commit.
    pub(crate) fn by(&self, other: impl Future<Output = ()> + Send + 'static) {
        self.by_after(0, other);
    }

    /// Lets `other` run right before a later commit of ours, `commits` further on.
    pub(crate) fn by_after(
        &self,
        commits: usize,
        other: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut staged = self.before.staged.lock().unwrap();
        let turn = staged.commits + commits;
        staged.before.entry(turn).or_default().push(Box::pin(other));
    }

    /// Whether everybody who was to overtake us has had a turn.
    pub(crate) fn is_played_out(&self) -> bool {
        self.before.staged.lock().unwrap().before.is_empty()
    }
}

impl Overtakers {
    fn whose_turn_it_is(&self) -> Vec<Other> {
        let mut staged = self.staged.lock().unwrap();
        let turn = staged.commits;
        staged.commits += 1;
        staged.before.remove(&turn).unwrap_or_default()
    }
}

#[async_trait]
impl Before for Overtakers {
    async fn before(&self, _: &Batch) -> Result<(), Unavailable> {
        for other in self.whose_turn_it_is() {
            other.await;
        }
        Ok(())
    }
}
