//! The access log: one line for each request, to a file or to standard output.
//!
//! A request only adds its line to a queue in memory. A thread of its own writes the queue, so a
//! slow disk or pipe delays nobody. If it cannot keep up, lines are dropped and counted.

mod entry;
mod escape;
mod plain;
mod writer;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

pub use entry::{Entry, Rule};

use crate::config::{self, LogFormat};
use writer::{Queue, Sink};

/// Writes the access log; off until it is told where to write.
#[derive(Default)]
pub struct AccessLog {
    /// 0: off; otherwise the format.
    form: AtomicU8,
    queue: Arc<Queue>,
    /// Whether the thread runs; it is started with the first file.
    is_started: Mutex<bool>,
}

/// An opened file, or standard output, with the format for it: see [`AccessLog::open`].
#[derive(Debug)]
pub struct Opened(Option<(Sink, LogFormat)>);

thread_local! {
    /// The line in progress on this thread, so that no line allocates.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl AccessLog {
    /// Opens what `config` names, for [`AccessLog::write_to`]. A file is created with the mode
    /// 0640 (less what the umask forbids), and appended to.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(config: &config::AccessLog) -> io::Result<Opened> {
        Ok(Opened(Sink::open(&config.to)?.map(|sink| (sink, config.format))))
    }

    /// Writes to `opened` from now on. Lines before this call still go to where they went.
    ///
    /// # Errors
    /// The system's error if the thread cannot be started; nothing changes then.
    pub fn write_to(&self, Opened(opened): Opened) -> io::Result<()> {
        let (sink, form) = match opened {
            Some((sink, LogFormat::Text)) => (Some(sink), TEXT),
            Some((sink, LogFormat::Json)) => (Some(sink), JSON),
            None => (None, OFF),
        };
        let mut is_started = self.is_started.lock();
        if !*is_started && sink.is_some() {
            let queue = Arc::clone(&self.queue);
            thread::Builder::new()
                .name("access log".to_owned())
                .spawn(move || queue.write_out())?;
            *is_started = true;
        }
        if *is_started {
            self.queue.turn_to(sink);
        }
        self.form.store(form, Ordering::Relaxed);
        Ok(())
    }

    /// Whether lines are written at all.
    pub fn is_on(&self) -> bool {
        self.form.load(Ordering::Relaxed) != OFF
    }

    /// Adds the line of one request. Never waits for the disk. Gives false if the queue is full: the
    /// line is dropped then, and counted.
    pub fn write(&self, entry: &Entry<'_>) -> bool {
        let put = match self.form.load(Ordering::Relaxed) {
            TEXT => Entry::put_text,
            JSON => Entry::put_json,
            _ => return true,
        };
        LINE.with_borrow_mut(|line| {
            line.clear();
            put(entry, line);
            let is_queued = self.queue.add(line);
            // One long path must not keep its memory on each thread.
            line.shrink_to(LINE_KEPT);
            is_queued
        })
    }

    /// How many lines were dropped, and how many writes failed, since the last call.
    pub fn losses(&self) -> (u64, u64) {
        self.queue.losses()
    }

    /// Waits until everything is written, at most for two seconds. Nothing is written after that.
    pub fn end(&self) {
        self.form.store(OFF, Ordering::Relaxed);
        if *self.is_started.lock() {
            self.queue.end(LAST_WORDS);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.queue.end(Duration::ZERO);
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

const OFF: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;
/// How much memory a thread keeps for its next line, in bytes.
const LINE_KEPT: usize = 4 * 1024;
const LAST_WORDS: Duration = Duration::from_secs(2);
