//! The queue of lines, and the thread that writes it.
//!
//! Lines wait in one buffer, which is written as a whole: within a quarter of a second, or as soon as
//! it is large. What cannot be written is kept and tried again every second, while new lines wait
//! behind it, up to the limit of the queue.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::time::Instant;

use crate::config::Destination;

/// Lines that wait to be written.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    due: Condvar,
    /// Tells whoever waits for it that the writer has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Where lines are to go from now on, if that has changed.
    next: Option<Target>,
    is_ending: bool,
    has_ended: bool,
    /// Lines dropped and writes failed since they were asked for.
    dropped: u64,
    failed: u64,
}

/// A sink, or none, and how many bytes of the queue still belong to the one of before.
struct Target {
    sink: Option<Sink>,
    before: usize,
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    is_stdout: bool,
}

impl Sink {
    /// Opens what is named; `None` for nowhere.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(to: &Destination) -> io::Result<Option<Self>> {
        Ok(match to {
            Destination::Nowhere => None,
            Destination::Stdout => {
                let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Some(Self { file, is_stdout: true })
            }
            Destination::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o640);
                // Reading tells whether the last line is complete; some targets cannot be read.
                let file = options.clone().read(true).open(path).or_else(|_| options.open(path))?;
                Some(Self { file, is_stdout: false })
            }
        })
    }

    /// Writes `lines` from byte `from` on. Gives how far it came, and the error if that is not the
    /// end.
    fn write(&self, lines: &[u8], mut from: usize) -> (usize, io::Result<()>) {
        // The event log may go there, too, and a line must not begin within another.
        let _turn = self.is_stdout.then(|| io::stdout().lock());
        while from < lines.len() {
            match (&self.file).write(&lines[from..]) {
                Ok(0) => return (from, Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => from += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (from, Err(error)),
            }
        }
        (from, Ok(()))
    }

    /// Whether it ends within a line, as after a crash or on a full disk.
    fn ends_within_a_line(&self) -> bool {
        let mut last = [0; 1];
        let mut file = &self.file;
        !self.is_stdout
            && file.metadata().is_ok_and(|about| about.is_file() && about.len() > 0)
            && file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).is_ok()
            && last != *b"\n"
    }
}

impl Queue {
    /// Adds a line, with its end. Gives false if there is no room for it.
    pub(super) fn add(&self, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.is_ending || state.lines.len() + line.len() > LONGEST {
            state.dropped += 1;
            return false;
        }
        let before = state.lines.len();
        state.lines.extend_from_slice(line);
        let is_due = before == 0 || (before < LARGE && state.lines.len() >= LARGE);
        drop(state);
        if is_due {
            self.due.notify_one();
        }
        true
    }

    /// Lines added from now on go to `sink`.
    pub(super) fn turn_to(&self, sink: Option<Sink>) {
        let mut state = self.state.lock();
        let before = state.next.as_ref().map_or(state.lines.len(), |pending| pending.before);
        state.next = Some(Target { sink, before });
        drop(state);
        self.due.notify_one();
    }

    /// How many lines were dropped, and how many writes failed, since the last call.
    pub(super) fn losses(&self) -> (u64, u64) {
        let mut state = self.state.lock();
        (std::mem::take(&mut state.dropped), std::mem::take(&mut state.failed))
    }

    /// Ends the writer, and waits for it at most for `patience`.
    pub(super) fn end(&self, patience: Duration) {
        let mut state = self.state.lock();
        state.is_ending = true;
        self.due.notify_one();
        if !patience.is_zero() {
            self.ended.wait_while_for(&mut state, |state| !state.has_ended, patience);
        }
    }

    /// Writes lines until [`Queue::end`].
    pub(super) fn write_out(&self) {
        let mut writer = Writer::default();
        loop {
            let mut state = self.state.lock();
            let is_urgent = |state: &mut State| {
                state.is_ending || state.next.is_some() || state.lines.len() >= LARGE
            };
            if writer.is_stuck() {
                let waits = |state: &mut State| !state.is_ending && state.next.is_none();
                self.due.wait_while_for(&mut state, waits, TRY_AGAIN);
            } else {
                self.due
                    .wait_while(&mut state, |state| state.lines.is_empty() && !is_urgent(state));
                self.due.wait_while_for(&mut state, |state| !is_urgent(state), COLLECT);
            }
            let (next, is_ending) = (state.next.take(), state.is_ending);
            // What is stuck is written first; more is added to it only at the end of a file.
            let is_last = (next.is_some() || is_ending) && writer.lines.len() <= LONGEST;
            let mut newer = next.as_ref().map_or_else(Vec::new, |next| {
                let before = next.before.min(state.lines.len());
                state.lines.split_off(before)
            });
            if is_last || !writer.is_stuck() {
                writer.take(&mut state.lines);
            }
            drop(state);
            let mut failed = u64::from(!writer.write());
            if let Some(Target { sink, .. }) = next {
                writer.turn_to(sink);
                writer.take(&mut newer);
                failed += u64::from(!writer.write());
            }
            if is_ending {
                writer.give_up("the gateway stops");
            }
            let mut state = self.state.lock();
            state.failed += failed;
            state.dropped += std::mem::take(&mut writer.given_up);
            if is_ending {
                state.has_ended = true;
                self.ended.notify_all();
                return;
            }
        }
    }
}

/// What the thread holds.
#[derive(Default)]
struct Writer {
    sink: Option<Sink>,
    /// What is being written, and how much of it was.
    lines: Vec<u8>,
    done: usize,
    /// Lines that will never be written.
    given_up: u64,
    /// When the last error was logged; `None` if all is well.
    told: Option<Instant>,
}

impl Writer {
    fn is_stuck(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Takes what waits in the queue, and leaves room there.
    fn take(&mut self, waiting: &mut Vec<u8>) {
        if self.lines.is_empty() {
            std::mem::swap(&mut self.lines, waiting);
        } else {
            self.lines.append(waiting);
        }
    }

    /// Writes what it has. Gives false if that failed; the rest is kept then.
    fn write(&mut self) -> bool {
        if self.lines.is_empty() {
            return true;
        }
        let Some(sink) = &self.sink else {
            self.given_up += count(&self.lines);
            self.forget();
            return true;
        };
        let (done, written) = sink.write(&self.lines, self.done);
        self.done = done;
        match written {
            Ok(()) => {
                self.forget();
                if self.told.take().is_some() {
                    tracing::info!("access log: writing works again");
                }
                true
            }
            Err(error) => {
                self.tell(&error);
                false
            }
        }
    }

    fn forget(&mut self) {
        self.lines.clear();
        self.lines.shrink_to(LARGE);
        self.done = 0;
    }

    fn tell(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= TOLD_EVERY) {
            self.told = Some(now);
            tracing::error!(%error, "cannot write to the access log; trying again every second");
        }
    }

    /// Continues in another file, or in the same one that was opened again. A line of which only a
    /// part was written is written again, as a whole.
    fn turn_to(&mut self, next: Option<Sink>) {
        let whole = memchr::memrchr(b'\n', &self.lines[..self.done]).map_or(0, |end| end + 1);
        self.lines.drain(..whole);
        self.done = 0;
        if next.as_ref().is_some_and(Sink::ends_within_a_line) {
            self.lines.insert(0, b'\n');
        }
        self.told = None;
        self.sink = next;
    }

    fn give_up(&mut self, why: &str) {
        let lines = count(&self.lines[self.done..]);
        if lines > 0 {
            self.given_up += lines;
            self.forget();
            tracing::warn!(lines, "access log: lines lost: {why}");
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// How many bytes may wait; beyond that, lines are dropped.
const LONGEST: usize = 4 * 1024 * 1024;
/// As soon as so many bytes wait, they are written.
const LARGE: usize = 64 * 1024;
/// How long lines are collected before they are written.
const COLLECT: Duration = Duration::from_millis(250);
/// When writing is tried again after it failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How often a failure is logged while it lasts.
const TOLD_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_where_they_were_to_go_when_they_were_added() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let sink = |name: &str| Sink::open(&Destination::File(file(name))).unwrap();
        // The writer is slow: it begins after all of this.
        let queue = Queue::default();
        queue.turn_to(sink("one.log"));
        assert!(queue.add(b"first\n"));
        queue.end(Duration::ZERO);
        queue.write_out();
        assert_eq!(std::fs::read(file("one.log")).unwrap(), b"first\n");
    }
}
