//! The event log: events as JSON lines, to a file or to standard output.
//!
//! A line is written once its event is durable, by a separate thread, so a slow disk or pipe delays
//! nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::json;

use super::api::written;
use crate::config::Destination;
use crate::domain::event::{Event, Whom};
use crate::flow::decision_log::Refusal;
use crate::flow::env::{Line, LogThrottle};

/// Writes events.
#[derive(Debug)]
pub(super) struct EventLog {
    lines: Mutex<Option<Sender<Order>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    throttle: LogThrottle,
    /// How many lines could not be written since somebody asked.
    lost: Arc<AtomicU64>,
}

enum Order {
    Line(String),
    /// The new target. A file is opened again, so that it can be moved away before.
    To(Destination),
}

impl EventLog {
    /// Writes to `to` from now on.
    ///
    /// # Errors
    /// The system's error; a file that cannot be opened is logged, and tried again at a reload.
    pub(super) fn start(to: &Destination) -> io::Result<Self> {
        let (sender, orders) = channel();
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        let writer = thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || write(&orders, &counted))?;
        let (lines, writer) = (Mutex::new(Some(sender)), Mutex::new(Some(writer)));
        let event_log = Self { lines, writer, throttle: LogThrottle::default(), lost };
        event_log.write_to(to);
        Ok(event_log)
    }

    /// Writes to `to` from now on.
    pub(super) fn write_to(&self, to: &Destination) {
        self.order(Order::To(to.clone()));
    }

    /// Writes an event about the user called `name`, if it is about one. Of events about unknown
    /// names, one is written each second, with the number of suppressed ones: strangers can cause
    /// as many as they like.
    pub(super) fn tell(&self, event: &Event, name: Option<&str>) {
        let left_out = match &event.whom {
            Whom::User(_) | Whom::Strangers(_) | Whom::Key(..) => 0,
            Whom::Nobody(_) | Whom::Provider(_) => {
                match self.throttle.due(Line::UnknownName, event.at) {
                    Some(left_out) => left_out.unwrap_or_default(),
                    None => return,
                }
            }
        };
        let mut line = line(event, name);
        if left_out > 0 {
            line["left_out"] = left_out.into();
        }
        self.order(Order::Line(line.to_string()));
    }

    /// How many lines could not be written since the last call.
    pub(super) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Writes an event: a request was refused. `left_out`: how many of the same visitor were not
    /// written since the last one.
    pub(super) fn refused(&self, refusal: &Refusal, left_out: u64) {
        let mut line = refused(refusal);
        if left_out > 0 {
            line["left_out"] = left_out.into();
        }
        self.order(Order::Line(line.to_string()));
    }

    fn order(&self, order: Order) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*lines {
            // The writer ends with us, not before.
            sender.send(order).ok();
        }
    }

    /// Waits until everything is written.
    pub(super) fn end(&self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.join().ok();
        }
    }
}

fn line(event: &Event, name: Option<&str>) -> serde_json::Value {
    let mut line = json!({
        "at": written(event.at),
        "event": event.what.name(),
        "message": event.what.sentence(),
    });
    match &event.whom {
        Whom::User(id) => {
            line["user"] = name.into();
            line["user_id"] = id.to_string().into();
        }
        Whom::Nobody(hash) => line["unknown_name"] = format!("{hash:016x}").into(),
        Whom::Strangers(times) => line["times"] = (*times).into(),
        Whom::Provider(name) => line["provider"] = name.as_str().into(),
        Whom::Key(purpose, id) => {
            line["purpose"] = purpose.as_str().into();
            line["key"] = (*id).into();
        }
    }
    if let Some(from) = event.from {
        line["from"] = from.to_string().into();
    }
    if let Some(request) = event.request {
        line["request_id"] = request.as_str().into();
    }
    if let Some(by) = &event.by {
        line["by"] = by.as_str().into();
    }
    line
}

/// The name of the event in [`EventLog::refused`].
pub(super) const REQUEST_REFUSED: &str = "request-refused";

fn refused(refusal: &Refusal) -> serde_json::Value {
    let mut line = json!({
        "at": written(refusal.at),
        "event": REQUEST_REFUSED,
        "message": format!("request refused: {}", refusal.reason),
        "request_id": refusal.request_id,
        "from": refusal.from.to_string(),
        "host": refusal.host,
        "method": refusal.method,
        "path": refusal.path,
    });
    for (key, value) in [("user", &refusal.user), ("app", &refusal.app), ("rule", &refusal.rule)] {
        if let Some(value) = value {
            line[key] = value.as_str().into();
        }
    }
    line
}

enum Sink {
    Nowhere,
    Stdout,
    File(File),
}

fn write(orders: &Receiver<Order>, lost: &AtomicU64) {
    let mut sink = Sink::Nowhere;
    let mut broken = false;
    while let Ok(order) = orders.recv() {
        let is_line = matches!(order, Order::Line(_));
        let done = match order {
            Order::To(to) => open(&to).map(|opened| sink = opened),
            Order::Line(line) => match &mut sink {
                Sink::Nowhere => Ok(()),
                Sink::Stdout => {
                    let mut out = io::stdout().lock();
                    writeln!(out, "{line}").and_then(|()| out.flush())
                }
                Sink::File(file) => file.write_all(format!("{line}\n").as_bytes()),
            },
        };
        if done.is_err() && is_line {
            lost.fetch_add(1, Ordering::Relaxed);
        }
        match done {
            Ok(()) => broken = false,
            // Logged once, not for every event.
            Err(error) if !broken => {
                broken = true;
                tracing::error!(%error, "cannot write to the event log");
            }
            Err(_) => {}
        }
    }
}

fn open(to: &Destination) -> io::Result<Sink> {
    Ok(match to {
        Destination::Nowhere => Sink::Nowhere,
        Destination::Stdout => Sink::Stdout,
        Destination::File(path) => {
            Sink::File(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::What;
    use crate::domain::time::Timestamp;
    use crate::domain::user::UserId;

    #[test]
    fn what_strangers_cause_is_one_line_in_a_second_and_says_how_many_were_left_out() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("events");
        let event_log = EventLog::start(&Destination::File(file.clone())).unwrap();
        let event = |whom, millis| Event {
            at: Timestamp::from_millis(millis),
            whom,
            what: What::PasswordRefused,
            from: None,
            by: None,
            agent: None,
            request: None,
        };
        for millis in 0..3_000 {
            event_log.tell(&event(Whom::Nobody(millis), 1_000_000 + millis), None);
        }
        for _ in 0..50 {
            let whom = Whom::User(UserId::from([1; 16]));
            event_log.tell(&event(whom, 1_000_000), Some("ada"));
        }
        event_log.end();
        let text = std::fs::read_to_string(file).unwrap();
        let lines = || text.lines().map(|line| serde_json::from_str(line).unwrap());
        let strangers: Vec<serde_json::Value> =
            lines().filter(|line: &serde_json::Value| line["unknown_name"].is_string()).collect();
        assert_eq!(strangers.len(), 3);
        assert_eq!(
            (&strangers[0]["left_out"], &strangers[2]["left_out"]),
            (&().into(), &999.into())
        );
        assert_eq!(lines().filter(|line| line["user"] == "ada").count(), 50, "people's are exact");
    }

    #[test]
    fn every_event_is_a_line_and_a_file_that_was_moved_away_is_made_anew() {
        let home = tempfile::tempdir().unwrap();
        let (file, moved) = (home.path().join("events"), home.path().join("events.1"));
        let to = Destination::File(file.clone());
        let event_log = EventLog::start(&to).unwrap();
        let event = |what| Event {
            at: Timestamp::from_secs(1_800_000_000),
            whom: Whom::User(UserId::from([1; 16])),
            what,
            from: Some([192, 0, 2, 1].into()),
            by: None,
            agent: None,
            request: None,
        };
        event_log.tell(&event(What::SignedIn), Some("ada"));
        // Jobs run in the order in which they were sent.
        event_log.order(Order::To(Destination::Nowhere));
        event_log.end();
        std::fs::rename(&file, &moved).unwrap();
        let event_log = EventLog::start(&to).unwrap();
        event_log.tell(&event(What::SignedOut), Some("ada"));
        event_log.end();
        let read = |path| -> serde_json::Value {
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        assert_eq!(read(&moved)["event"], "signed-in");
        let line = read(&file);
        assert_eq!((&line["event"], &line["user"]), (&"signed-out".into(), &"ada".into()));
        assert_eq!(
            (&line["from"], &line["at"]),
            (&"192.0.2.1".into(), &"2027-01-15T08:00:00Z".into())
        );
    }
}
