//! Records in memory only, for tests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::batch::{Batch, Outcome, Then};
use super::record::{CHANGES_KEPT, Change, Entry, KeyRange, Kind, Record, SWEEP_AT_MOST, Version};
use super::records::Records;
use crate::domain::time::Timestamp;
use crate::unavailable::Unavailable;

/// Keeps records as long as it exists; nothing survives a restart.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<Change>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<(Kind, Vec<u8>), Record>,
    commits: u64,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self { state: Mutex::default(), changes: broadcast::Sender::new(CHANGES_KEPT) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, change: Change) {
        // Sending fails if nobody listens, which is fine.
        let _ = self.changes.send(Arc::new(change));
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Records for Memory {
    async fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Record>, Unavailable> {
        Ok(self.state().records.get(&(kind, key.to_vec())).cloned())
    }

    async fn scan(
        &self,
        kind: Kind,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let from = match range.from {
            Bound::Unbounded => Bound::Included((kind, Vec::new())),
            bound => bound.map(|key| (kind, key)),
        };
        let to = range.to.map(|key| (kind, key));
        let state = self.state();
        let entries = state.records.range((from, to)).take_while(|((found, _), _)| *found == kind);
        Ok(entries
            .take(limit)
            .map(|((_, key), record)| Entry { key: key.clone(), record: record.clone() })
            .collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, Unavailable> {
        let mut state = self.state();
        let Some(version) = state.carry_out(&batch) else {
            return Ok(Outcome::Overtaken);
        };
        // Announce while holding the lock, so that changes are received in commit order.
        self.announce(batch.change(version));
        Ok(Outcome::Committed(version))
    }

    fn watch(&self) -> broadcast::Receiver<Arc<Change>> {
        self.changes.subscribe()
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, Unavailable> {
        let mut state = self.state();
        let touched = state.expired(now);
        if touched.is_empty() {
            return Ok(0);
        }
        let version = state.next_version();
        for place in &touched {
            state.records.remove(place);
        }
        let count = touched.len();
        self.announce(Change { version, touched });
        Ok(count)
    }
}

impl State {
    fn carry_out(&mut self, batch: &Batch) -> Option<Version> {
        let all_met = batch.steps().iter().all(|step| {
            let found = self.records.get(&(step.kind, step.key.clone()));
            step.expect.met_by(found.map(|record| record.version))
        });
        if !all_met {
            return None;
        }
        let version = self.next_version();
        for step in batch.steps() {
            let place = (step.kind, step.key.clone());
            match &step.then {
                Then::Keep => {}
                Then::Put { expires, body } => {
                    let record = Record { version, expires: *expires, body: body.clone() };
                    self.records.insert(place, record);
                }
                Then::Delete => {
                    self.records.remove(&place);
                }
            }
        }
        Some(version)
    }

    fn next_version(&mut self) -> Version {
        self.commits += 1;
        Version::of_commit(self.commits)
    }

    fn expired(&self, now: Timestamp) -> Vec<(Kind, Vec<u8>)> {
        let mut expired: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| !record.counts(now))
            .map(|(place, record)| (record.expires, place.clone()))
            .collect();
        expired.sort();
        expired.truncate(SWEEP_AT_MOST);
        expired.into_iter().map(|(_, place)| place).collect()
    }
}
