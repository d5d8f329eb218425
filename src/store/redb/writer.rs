//! The single writer thread. It first verifies the file.
//!
//! Tasks that arrive while a transaction waits for the disk are carried out together in the next
//! one. Each task sees the writes of the tasks before it; one whose conditions do not hold has no
//! effect. Callers get their result only after the transaction is on disk. If that fails, nothing
//! is announced.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use redb::{Database, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::database::Options;
use super::health::Health;
use super::picture::Picture;
use super::recovery::{recover, verify};
use super::tables::{COMMITS, Due, EXPIRIES, FACTS, Place, RECORDS, Stored, begin};
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Expect, Then};
use crate::store::record::{Change, Kind, SWEEP_AT_MOST, Version};
use crate::unavailable::Unavailable;

/// How many tasks share one transaction at most.
const GROUP_AT_MOST: usize = 256;
/// How many tasks may be queued; further callers wait for a free slot.
const WAITING_AT_MOST: usize = 1024;

/// A task for the writer.
#[derive(Debug)]
pub(super) enum Task {
    /// Carries out a batch if its conditions hold.
    Commit(Batch),
    /// Deletes records that have expired by this time.
    Sweep(Timestamp),
    /// Continues counting commits above this one.
    Advance(u64),
    /// Checks the file, because an operation outside of this thread has failed.
    Recover,
}

/// What a task changed; `None` if its conditions did not hold or there was nothing to sweep.
type Changed = Option<Arc<Change>>;

struct Job {
    task: Task,
    answer: oneshot::Sender<Result<Changed, Unavailable>>,
}

/// A handle of the thread. Dropping it waits for the thread to end.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    health: Arc<Health>,
    /// Aborts the verification; then nothing is written at all.
    called_off: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `unverified` is verified first; until that is done, writes wait.
    pub(super) fn start(
        health: Arc<Health>,
        options: Options,
        unverified: Option<Picture>,
        called_off: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_AT_MOST);
        let (until, file) = (Arc::clone(&called_off), Arc::clone(&health));
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            if let Some(picture) = unverified {
                // The result was recorded in `health`.
                verify(picture, &health, &until).ok();
            }
            yield_to_requests();
            if !until.load(Ordering::Relaxed) {
                work_off(&health, options, waiting, &until);
            }
        })?;
        Ok(Self { jobs: Some(jobs), health: file, called_off, thread: Some(thread) })
    }

    pub(super) async fn carry_out(&self, task: Task) -> Result<Changed, Unavailable> {
        const STOPPED: Unavailable = Unavailable::store("its writer thread has stopped");
        if let Some(trouble) = self.health.trouble() {
            return Err(trouble);
        }
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(STOPPED)?;
        jobs.send(Job { task, answer }).await.map_err(|_| STOPPED)?;
        answered.await.map_err(|_| STOPPED)?
    }

    /// Wakes the thread to recover the file, if the store is in trouble.
    pub(super) fn wake(&self) {
        if self.health.trouble().is_some() {
            let (answer, _) = oneshot::channel();
            // If the queue is full, the thread is awake already.
            self.jobs.as_ref().map(|jobs| jobs.try_send(Job { task: Task::Recover, answer }));
        }
    }
}

/// Lowers the priority of the writer, so that password guessing, which writes with every guess,
/// does not slow down requests that write nothing. If the processor is busy, the writer gets a
/// tenth of the share of a serving thread, which is many times what it needs.
#[cfg(target_os = "linux")]
fn yield_to_requests() {
    let me = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(me), NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of the store's writer thread");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_requests() {}

/// See setpriority(2): on Linux it applies to one thread.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

impl Drop for Writer {
    fn drop(&mut self) {
        self.called_off.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, its callers got errors, and the next open checks the file.
            let _ = thread.join();
        }
    }
}

fn work_off(
    health: &Health,
    options: Options,
    mut waiting: mpsc::Receiver<Job>,
    called_off: &Arc<AtomicBool>,
) {
    loop {
        if let Some(trouble) = health.trouble().filter(|_| !health.is_known_to_be_damaged()) {
            let refuse = || {
                while let Ok(job) = waiting.try_recv() {
                    let _ = job.answer.send(Err(trouble.clone()));
                }
            };
            recover(health, options, called_off, refuse);
        }
        let Some(first) = waiting.blocking_recv() else { return };
        let mut group = vec![first];
        while group.len() < GROUP_AT_MOST {
            let Ok(next) = waiting.try_recv() else { break };
            group.push(next);
        }
        let (tasks, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.task, job.answer)).unzip();
        match health.careful("its file cannot be written", |database| carry_out(database, &tasks)) {
            Ok(done) => {
                for change in done.iter().flatten() {
                    health.is_committed(change.version.commit());
                    health.announce(change);
                }
                for (answer, change) in answers.into_iter().zip(done) {
                    let _ = answer.send(Ok(change));
                }
            }
            Err(unavailable) => {
                in_doubt(health, &tasks);
                for answer in answers {
                    let _ = answer.send(Err(unavailable.clone()));
                }
            }
        }
    }
}

/// Handles a failed transaction: whether it reached the disk is unknown until the file is reopened.
/// Until then nothing is read, and everything that the tasks would change is announced as changed,
/// so that caches drop it.
fn in_doubt(health: &Health, tasks: &[Task]) {
    if health.trouble().is_none() || health.is_known_to_be_damaged() {
        return;
    }
    health.close_database();
    for task in tasks {
        if let Task::Commit(batch) = task {
            health.announce(&Arc::new(batch.change(Version::of_commit(0))));
        }
    }
}

/// Carries out all tasks in one transaction, which is on disk when this returns.
fn carry_out(database: &Database, tasks: &[Task]) -> Result<Vec<Changed>, redb::Error> {
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    let changed: Vec<Changed> = tasks
        .iter()
        .map(|task| {
            let change = match task {
                Task::Commit(batch) => tables.commit(batch),
                Task::Sweep(now) => tables.sweep(*now),
                Task::Advance(to) => tables.advance(*to),
                Task::Recover => Ok(None),
            };
            Ok(change?.map(Arc::new))
        })
        .collect::<Result<_, redb::Error>>()?;
    drop(tables);
    if changed.iter().any(Option::is_some) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(changed)
}

struct Tables<'txn> {
    records: Table<'txn, Place, Stored>,
    expiries: Table<'txn, Due, ()>,
    facts: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            facts: transaction.open_table(FACTS)?,
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Option<Change>, redb::Error> {
        for step in batch.steps() {
            if !self.meets(step.kind, &step.key, step.expect)? {
                return Ok(None);
            }
        }
        let version = self.next_version()?;
        for step in batch.steps() {
            match &step.then {
                Then::Keep => {}
                Then::Put { expires, body } => {
                    self.put(step.kind.tag(), &step.key, version, *expires, body)?;
                }
                Then::Delete => self.delete(step.kind.tag(), &step.key)?,
            }
        }
        Ok(Some(batch.change(version)))
    }

    fn sweep(&mut self, now: Timestamp) -> Result<Option<Change>, redb::Error> {
        let mut touched = Vec::new();
        for due in self.expiries.range(..=(now.millis(), u8::MAX, [].as_slice()))? {
            let (due, ()) = due.map(|(place, _)| (place, ()))?;
            let (_, tag, key) = due.value();
            if let Some(kind) = Kind::from_tag(tag) {
                touched.push((kind, key.to_vec()));
            }
            if touched.len() == SWEEP_AT_MOST {
                break;
            }
        }
        if touched.is_empty() {
            return Ok(None);
        }
        for (kind, key) in &touched {
            self.delete(kind.tag(), key)?;
        }
        Ok(Some(Change { version: self.next_version()?, touched }))
    }

    fn meets(&self, kind: Kind, key: &[u8], expect: Expect) -> Result<bool, redb::Error> {
        let found = self.records.get((kind.tag(), key))?;
        Ok(expect.met_by(found.map(|found| Version::of_commit(found.value().0))))
    }

    fn put(
        &mut self,
        tag: u8,
        key: &[u8],
        version: Version,
        expires: Option<Timestamp>,
        body: &[u8],
    ) -> Result<(), redb::Error> {
        let expires = expires.map(Timestamp::millis);
        let before = self
            .records
            .insert((tag, key), (version.commit(), expires, body))?
            .and_then(|before| before.value().1);
        self.expires_no_more(tag, key, before)?;
        if let Some(expires) = expires {
            self.expiries.insert((expires, tag, key), ())?;
        }
        Ok(())
    }

    fn delete(&mut self, tag: u8, key: &[u8]) -> Result<(), redb::Error> {
        let before = self.records.remove((tag, key))?.and_then(|before| before.value().1);
        self.expires_no_more(tag, key, before)
    }

    fn expires_no_more(
        &mut self,
        tag: u8,
        key: &[u8],
        before: Option<u64>,
    ) -> Result<(), redb::Error> {
        if let Some(before) = before {
            self.expiries.remove((before, tag, key))?;
        }
        Ok(())
    }

    fn advance(&mut self, to: u64) -> Result<Option<Change>, redb::Error> {
        let number = self.facts.get(COMMITS)?.map_or(0, |found| found.value()).max(to);
        self.facts.insert(COMMITS, number)?;
        Ok(Some(Change { version: self.next_version()?, touched: Vec::new() }))
    }

    fn next_version(&mut self) -> Result<Version, redb::Error> {
        let number = self.facts.get(COMMITS)?.map_or(0, |found| found.value()) + 1;
        self.facts.insert(COMMITS, number)?;
        Ok(Version::of_commit(number))
    }
}
