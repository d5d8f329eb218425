//! Metrics for Prometheus (`OpenMetrics` text).
//!
//! Counters on the request path are held by the code that counts, so no request looks one up. No
//! label contains anything that a visitor sent.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::assurance::Verdict;
use crate::unavailable;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<Decided, Counter>,
    watched: Family<Decided, Counter>,
    events: Family<Happened, Counter>,
    upstream_failures: Family<Failed, Counter>,
    unavailable: Family<Broken, Counter>,
    reloads: Family<Reloaded, Counter>,
    messages: Family<Message, Counter>,
    turned_away: Family<TurnedAway, Counter>,
    sign_ins_turned_away: Family<TurnedAway, Counter>,
    log_lines_left_out: Counter,
    access_log_lines_dropped: Counter,
    access_log_write_failures: Counter,
    panics: Counter,
    hashed_by_floor: Counter,
    ended: Counter,
    reviewed: Counter,
    connections: Gauge,
    messages_waiting: Gauge,
    loaded: Gauge<f64, AtomicU64>,
    store_writable: Gauge,
    state_free: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    app: String,
    verdict: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    event: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broken {
    kind: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    app: String,
    reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnedAway {
    limit: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reloaded {
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Message {
    outcome: Word,
}

/// A fixed label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

/// The request counters of one application, one for each verdict.
#[derive(Clone, Debug)]
pub struct Verdicts {
    pass: Counter,
    sign_in: Counter,
    confirm: Counter,
    challenge: Counter,
    set_up: Counter,
    save_codes: Counter,
    refused: Counter,
}

impl Verdicts {
    fn of(family: &Family<Decided, Counter>, app: &str) -> Self {
        let counter = |verdict: &'static str| {
            let labels = Decided { app: app.to_owned(), verdict: Word(verdict) };
            family.get_or_create(&labels).clone()
        };
        Self {
            pass: counter("pass"),
            sign_in: counter("sign-in"),
            confirm: counter("confirm"),
            challenge: counter("challenge"),
            set_up: counter("set-up"),
            save_codes: counter("save-codes"),
            refused: counter("refused"),
        }
    }

    /// Counts one verdict.
    pub fn count(&self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Pass(_) => &self.pass,
            Verdict::SignIn => &self.sign_in,
            Verdict::Confirm => &self.confirm,
            Verdict::Challenge => &self.challenge,
            Verdict::SetUp => &self.set_up,
            Verdict::SaveCodes(_) => &self.save_codes,
            Verdict::Refused => &self.refused,
        };
        counter.inc();
    }
}

impl Metrics {
    /// All metrics, set to zero.
    #[expect(clippy::too_many_lines, reason = "each metric is registered once, with its help text")]
    pub fn new(version: &str) -> Self {
        let mut registry = Registry::with_prefix("doorward");
        let (turned_away, ended, connections) =
            (Family::default(), Counter::default(), Gauge::default());
        registry.register(
            "connections_turned_away",
            "Connections and requests rejected, by the limit they reached",
            turned_away.clone(),
        );
        let hashed_by_floor = Counter::default();
        registry.register(
            "passwords_hashed_by_floor",
            "Passwords hashed with the reserved fifth of a processor because no processor was idle",
            hashed_by_floor.clone(),
        );
        let log_lines_left_out = Counter::default();
        registry.register(
            "log_lines_left_out",
            "Log lines suppressed because there were too many of one kind",
            log_lines_left_out.clone(),
        );
        let (access_log_lines_dropped, access_log_write_failures) =
            (Counter::default(), Counter::default());
        registry.register(
            "access_log_lines_dropped",
            "Lines of the access log that were not written, because too many waited for the disk",
            access_log_lines_dropped.clone(),
        );
        registry.register(
            "access_log_write_failures",
            "Failed attempts to write to the access log",
            access_log_write_failures.clone(),
        );
        let panics = Counter::default();
        registry.register("panics", "Panics in this process; each is a bug", panics.clone());
        let sign_ins_turned_away = Family::default();
        registry.register(
            "sign_ins_turned_away",
            "Sign-ins rejected before the password check: too many failures of one address \
             or of one known browser (sign_in_posts), or too many at the same time (busy)",
            sign_ins_turned_away.clone(),
        );
        registry.register(
            "requests_ended",
            "Requests in progress ended because they were no longer allowed",
            ended.clone(),
        );
        registry.register("connections", "Open connections from visitors", connections.clone());
        let reviewed = Counter::default();
        registry.register(
            "requests_reviewed",
            "Requests in progress authorized again after a change",
            reviewed.clone(),
        );
        let messages = Family::<Message, Counter>::default();
        registry.register("letters", "Attempts to send a message, by result", messages.clone());
        let messages_waiting = Gauge::default();
        registry.register("letters_waiting", "Messages in the outbox", messages_waiting.clone());
        let (requests, watched, events, upstream_failures, reloads, loaded) = (
            Family::default(),
            Family::default(),
            Family::default(),
            Family::default(),
            Family::default(),
            Gauge::default(),
        );
        registry.register("requests", "Requests to applications, by decision", requests.clone());
        registry.register(
            "watched",
            "Requests let through in observe mode, by the decision that was not enforced",
            watched.clone(),
        );
        registry.register("events", "Security events by kind", events.clone());
        registry.register(
            "upstream_failures",
            "Requests that failed at the upstream",
            upstream_failures.clone(),
        );
        let unavailable = Family::<Broken, Counter>::default();
        for kind in unavailable::Kind::ALL {
            // At zero from the start, so that the first error is an increase.
            drop(unavailable.get_or_create(&Broken { kind: Word(kind.name()) }));
        }
        registry.register(
            "unavailable",
            "Requests and background work that failed because something of ours was broken or away",
            unavailable.clone(),
        );
        registry.register(
            "reloads",
            "Attempts to reload the configuration, by result",
            reloads.clone(),
        );
        registry.register(
            "configuration_loaded_timestamp_seconds",
            "Time when the current configuration was loaded",
            loaded.clone(),
        );
        let (store_writable, state_free) = (Gauge::default(), Gauge::default());
        registry.register(
            "store_writable",
            "1 while the store can be written, 0 while it cannot (for example, the disk is full)",
            store_writable.clone(),
        );
        registry.register_with_unit(
            "state_disk_free",
            "Free space on the disk of the state folder",
            Unit::Bytes,
            state_free.clone(),
        );
        let build = Info::new(vec![("version".to_owned(), version.to_owned())]);
        registry.register("build", "Version of this build", build);
        Self {
            registry,
            requests,
            watched,
            events,
            upstream_failures,
            unavailable,
            reloads,
            messages,
            turned_away,
            sign_ins_turned_away,
            log_lines_left_out,
            access_log_lines_dropped,
            access_log_write_failures,
            panics,
            hashed_by_floor,
            ended,
            reviewed,
            connections,
            messages_waiting,
            loaded,
            store_writable,
            state_free,
        }
    }

    /// Records whether the store is writable, and how many bytes are free on its disk, if known.
    pub fn store(&self, writable: bool, free: Option<u64>) {
        self.store_writable.set(i64::from(writable));
        if let Some(free) = free {
            self.state_free.set(i64::try_from(free).unwrap_or(i64::MAX));
        }
    }

    /// The counters of verdicts on requests to `app`.
    pub fn decided(&self, app: &str) -> Verdicts {
        Verdicts::of(&self.requests, app)
    }

    /// The counters of verdicts that observe mode did not enforce on requests to `app`.
    pub fn watched(&self, app: &str) -> Verdicts {
        Verdicts::of(&self.watched, app)
    }

    /// Counts an event by name.
    pub fn happened(&self, event: &'static str) {
        self.events.get_or_create(&Happened { event: Word(event) }).inc();
    }

    /// Counts an attempt to send a message: `sent`, `put-off`, `refused` or `given-up`. Also counts
    /// `withheld` if no message was written, because the hourly limit was reached.
    pub fn mailed(&self, outcome: &'static str) {
        self.messages.get_or_create(&Message { outcome: Word(outcome) }).inc();
    }

    /// Records how many messages wait to be sent.
    pub fn messages_waiting(&self, messages: usize) {
        self.messages_waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Counts a request that `app` did not answer.
    pub fn upstream_failed(&self, app: &str, reason: &'static str) {
        let labels = Failed { app: app.to_owned(), reason: Word(reason) };
        self.upstream_failures.get_or_create(&labels).inc();
    }

    /// Counts what failed because something of ours was broken or away.
    pub fn unavailable(&self, kind: unavailable::Kind) {
        self.unavailable.get_or_create(&Broken { kind: Word(kind.name()) }).inc();
    }

    /// Counts a connection that was refused because of a limit, by the limit's configuration key.
    pub fn turned_away(&self, limit: &'static str) {
        self.turned_away_many(limit, 1);
    }

    /// Counts connections or requests that were refused or ended because of a limit, by that limit.
    pub fn turned_away_many(&self, limit: &'static str, many: u64) {
        self.turned_away.get_or_create(&TurnedAway { limit: Word(limit) }).inc_by(many);
    }

    /// Records how many passwords the floor thread has hashed so far (a fifth of one processor is
    /// reserved for it).
    pub fn hashed_by_floor(&self, so_far: u64) {
        self.hashed_by_floor.inner().fetch_max(so_far, std::sync::atomic::Ordering::Relaxed);
    }

    /// Records how many panics there were so far.
    pub fn panicked(&self, so_far: u64) {
        self.panics.inner().fetch_max(so_far, std::sync::atomic::Ordering::Relaxed);
    }

    /// Counts log lines that the throttle dropped.
    pub fn log_lines_left_out(&self, lines: u64) {
        self.log_lines_left_out.inc_by(lines);
    }

    /// Counts lines of the access log that were dropped, and attempts to write that failed.
    pub fn access_log(&self, dropped: u64, failed: u64) {
        self.access_log_lines_dropped.inc_by(dropped);
        self.access_log_write_failures.inc_by(failed);
    }

    /// Counts a password that was refused without checking it: `sign_in_posts` or `busy`.
    pub fn sign_in_turned_away(&self, limit: &'static str) {
        self.sign_ins_turned_away.get_or_create(&TurnedAway { limit: Word(limit) }).inc();
    }

    /// Counts requests under way that were ended because re-authorization refused them.
    pub fn ended(&self, requests: u64) {
        self.ended.inc_by(requests);
    }

    /// Counts requests under way that were re-authorized.
    pub fn reviewed(&self, requests: u64) {
        self.reviewed.inc_by(requests);
    }

    /// Records how many connections are open.
    pub fn connected(&self, connections: usize) {
        self.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    /// Counts a reload: of a configuration that took effect at this time (seconds since 1970) or,
    /// if `None`, of one that was rejected.
    pub fn reloaded(&self, at: Option<u64>) {
        let outcome = Word(if at.is_some() { "swapped" } else { "kept" });
        self.reloads.get_or_create(&Reloaded { outcome }).inc();
        if let Some(at) = at {
            self.loaded(at);
        }
    }

    /// Records when the current configuration was loaded, in seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "seconds fit for millions of years")]
    pub fn loaded(&self, at: u64) {
        self.loaded.set(at as f64);
    }

    /// All metrics as `OpenMetrics` text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_named_as_prometheus_names_them() {
        let metrics = Metrics::new("1.2.3");
        metrics.decided("crm").count(&Verdict::SignIn);
        metrics.watched("crm").count(&Verdict::Challenge);
        metrics.happened("signed-in");
        metrics.upstream_failed("crm", "unreachable");
        metrics.reloaded(Some(1_800_000_000));
        metrics.reloaded(None);
        metrics.mailed("sent");
        metrics.messages_waiting(3);
        metrics.store(false, Some(4096));
        metrics.sign_in_turned_away("busy");
        let text = metrics.text();
        for line in [
            "doorward_requests_total{app=\"crm\",verdict=\"sign-in\"} 1",
            "doorward_requests_total{app=\"crm\",verdict=\"pass\"} 0",
            "doorward_watched_total{app=\"crm\",verdict=\"challenge\"} 1",
            "doorward_events_total{event=\"signed-in\"} 1",
            "doorward_upstream_failures_total{app=\"crm\",reason=\"unreachable\"} 1",
            "doorward_letters_total{outcome=\"sent\"} 1",
            "doorward_letters_waiting 3",
            "doorward_store_writable 0",
            "doorward_state_disk_free_bytes 4096",
            "doorward_sign_ins_turned_away_total{limit=\"busy\"} 1",
            "doorward_reloads_total{outcome=\"kept\"} 1",
            "doorward_configuration_loaded_timestamp_seconds 1800000000",
            "doorward_build_info{version=\"1.2.3\"} 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
