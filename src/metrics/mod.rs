//! Metrics for Prometheus (`OpenMetrics` text).
//!
//! Counters on the request path are held by the code that counts, so no request looks one up. No
//! label contains anything that a visitor sent. What can be read at any time, such as free space, is
//! read when somebody asks for the metrics.

mod app;
mod timed;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, LabelValueEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use self::app::Apps;
pub use self::app::{Durations, Verdicts};
use self::timed::Timed;
use crate::domain::event::What;
use crate::domain::texts::Withheld;
use crate::histogram::Histogram;
use crate::unavailable;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    /// What every program has, under the names that all Prometheus clients use.
    process_registry: Registry,
    apps: Apps,
    events: Family<Happened, Counter>,
    unavailable: Family<Broken, Counter>,
    panics: Counter,
    log_lines_dropped: Family<Dropped, Counter>,
    access_log_write_failures: Counter,
    limit_rejections: Family<Limit, Counter>,
    sign_ins_rejected: Family<Limit, Counter>,
    requests_revoked: Counter,
    requests_reauthorized: Counter,
    connections: Family<Phase, Gauge>,
    http2_streams: Gauge,
    hashing_threads: Gauge,
    hashing_jobs: Family<Work, Gauge>,
    hashing_duration: Timed,
    hashing_by_floor: Counter,
    messages: Family<Outcome, Counter>,
    texts: Family<Texted, Counter>,
    outbox_messages: Gauge,
    outbox_oldest_age: Seconds,
    outbox_texts: Gauge,
    outbox_oldest_text_age: Seconds,
    store_duration: Family<Operation, Timed, fn() -> Timed>,
    store_writable: Gauge,
    state_disk_free: Gauge,
    state_disk_size: Gauge,
    certificates: Listed<Host>,
    endpoints: Listed<Endpoint>,
    reloads: Family<Outcome, Counter>,
    last_reload_successful: Gauge,
    loaded: Seconds,
    process: ProcessMetrics,
}

/// A number of seconds: an age, or a time since 1970.
type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    event: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Texted {
    outcome: Word,
    country: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broken {
    kind: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    log: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    phase: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Work {
    state: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Host {
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    app: String,
    state: Word,
}

/// A fixed label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

/// What visitors' connections are doing at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// In the TLS handshake.
    pub handshake: u64,
    /// Waiting for the next request.
    pub idle: u64,
    /// Sending the head of a request.
    pub head: u64,
    /// With a request in progress.
    pub request: u64,
    /// With a request in progress that does not end by itself: a WebSocket, or a stream of events.
    pub endless: u64,
    /// Requests in progress on HTTP/2 connections.
    pub streams: u64,
}

/// How busy password hashing is at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashingLoad {
    /// How many threads there are.
    pub threads: usize,
    /// How many jobs run.
    pub running: usize,
    /// How many jobs wait.
    pub waiting: usize,
    /// How many were done so far with the fifth of a processor that is reserved for them.
    pub by_floor: u64,
}

/// What the system says about this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Memory in use, in bytes.
    pub resident_memory: u64,
    /// Processor time so far.
    pub cpu: Duration,
    /// Open files and sockets.
    pub open_files: u64,
    /// How many of them there may be; `None` if there is no limit.
    pub most_files: Option<u64>,
    /// Threads.
    pub threads: u64,
}

/// A log that may lose lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// The log on standard error: too many lines of one kind.
    StandardError,
    /// The event log: it cannot be written.
    Events,
    /// The access log: it cannot be written, or not fast enough.
    Access,
}

impl Log {
    const ALL: [Self; 3] = [Self::StandardError, Self::Events, Self::Access];

    const fn name(self) -> &'static str {
        match self {
            Self::StandardError => "standard-error",
            Self::Events => "events",
            Self::Access => "access",
        }
    }
}

/// The series of a gauge, all replaced at once.
#[derive(Debug)]
struct Listed<L> {
    name: &'static str,
    help: &'static str,
    series: Arc<Mutex<Vec<(L, i64)>>>,
}

impl<L> Clone for Listed<L> {
    fn clone(&self) -> Self {
        Self { series: Arc::clone(&self.series), ..*self }
    }
}

impl<L: EncodeLabelSet + fmt::Debug + Send + 'static> Collector for Listed<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let series = self.series.lock();
        let mut gauge = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (labels, value) in &*series {
            gauge.encode_family(labels)?.encode_gauge(value)?;
        }
        Ok(())
    }
}

/// What every program tells about its process.
struct ProcessMetrics {
    resident_memory: Gauge,
    cpu: Counter<f64, AtomicU64>,
    open_files: Gauge,
    most_files: Gauge,
    threads: Gauge,
    started: Seconds,
}

/// Adds a metric to `registry`, at zero.
fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    add_this(registry, name, help, M::default())
}

fn add_this<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn add_listed<L>(registry: &mut Registry, name: &'static str, help: &'static str) -> Listed<L>
where
    L: EncodeLabelSet + fmt::Debug + Send + 'static,
{
    let listed = Listed { name, help, series: Arc::default() };
    registry.register_collector(Box::new(listed.clone()));
    listed
}

impl Metrics {
    /// All metrics, set to zero.
    #[expect(clippy::too_many_lines, reason = "each metric is registered once, with its help text")]
    pub fn new(version: &str) -> Self {
        let (mut all, mut processes) = (Registry::with_prefix("doorward"), Registry::default());
        let registry = &mut all;
        let build = Info::new(vec![("version".to_owned(), version.to_owned())]);
        registry.register("build", "Version of this build", build);
        let metrics = Self {
            apps: Apps::in_registry(registry),
            events: add(registry, "events", "Security events by kind"),
            unavailable: add(
                registry,
                "unavailable",
                "Requests and background work that failed because a part of Doorward failed",
            ),
            panics: add(registry, "panics", "Panics in this process; each is a bug"),
            log_lines_dropped: add(
                registry,
                "log_lines_dropped",
                "Lines missing in a log: suppressed because there were too many of one kind \
                 (standard-error), or not written",
            ),
            access_log_write_failures: add(
                registry,
                "access_log_write_failures",
                "Failed attempts to write to the access log",
            ),
            limit_rejections: add(
                registry,
                "limit_rejections",
                "Connections and requests rejected or closed, by the limit they reached",
            ),
            sign_ins_rejected: add(
                registry,
                "sign_ins_rejected",
                "Sign-ins rejected before the password check: too many failures of one address \
                 or of one known browser (sign_in_posts), or too many at the same time (busy)",
            ),
            requests_revoked: add(
                registry,
                "requests_revoked",
                "Requests in progress ended because they were no longer allowed",
            ),
            requests_reauthorized: add(
                registry,
                "requests_reauthorized",
                "Requests in progress authorized again after a change",
            ),
            connections: add(
                registry,
                "connections",
                "Open connections from visitors, by what they do",
            ),
            http2_streams: add(
                registry,
                "http2_streams",
                "Requests in progress on HTTP/2 connections",
            ),
            hashing_threads: add(registry, "hashing_threads", "Threads that hash passwords"),
            hashing_jobs: add(
                registry,
                "hashing_jobs",
                "Passwords that are being hashed (running) or wait for a thread (waiting)",
            ),
            hashing_duration: add_this(
                registry,
                "hashing_duration_seconds",
                "Time to hash a password, without waiting",
                Timed::new(HASHING_BUCKETS),
            ),
            hashing_by_floor: add(
                registry,
                "hashing_floor_jobs",
                "Passwords hashed with the reserved fifth of a processor because no processor was \
                 idle",
            ),
            messages: add(registry, "messages", "Attempts to send a message, by outcome"),
            texts: add(registry, "texts", "Text messages, by outcome and country"),
            outbox_messages: add(registry, "outbox_messages", "Messages in the outbox"),
            outbox_oldest_age: add(
                registry,
                "outbox_oldest_age_seconds",
                "Age of the oldest message in the outbox",
            ),
            outbox_texts: add(registry, "outbox_texts", "Text messages in the outbox"),
            outbox_oldest_text_age: add(
                registry,
                "outbox_oldest_text_age_seconds",
                "Age of the oldest text message in the outbox",
            ),
            store_duration: add_this(
                registry,
                "store_duration_seconds",
                "Time of one operation of the store; what is in memory is not counted",
                Family::new_with_constructor(|| Timed::new(STORE_BUCKETS)),
            ),
            store_writable: add(
                registry,
                "store_writable",
                "1 while the store can be written, 0 while it cannot (for example, the disk is \
                 full)",
            ),
            state_disk_free: add(
                registry,
                "state_disk_free_bytes",
                "Free space on the disk of the state folder",
            ),
            state_disk_size: add(
                registry,
                "state_disk_size_bytes",
                "Size of the disk of the state folder",
            ),
            certificates: add_listed(
                registry,
                "certificate_expiry_timestamp_seconds",
                "Time when the certificate for a host expires",
            ),
            endpoints: add_listed(
                registry,
                "upstream_endpoints",
                "Endpoints of an application that answer (up) or do not (down)",
            ),
            reloads: add(registry, "reloads", "Attempts to reload the configuration, by outcome"),
            last_reload_successful: add(
                registry,
                "configuration_last_reload_successful",
                "1 if the configuration was read without problems the last time, else 0",
            ),
            loaded: add(
                registry,
                "configuration_loaded_timestamp_seconds",
                "Time when the current configuration was loaded",
            ),
            process: ProcessMetrics::in_registry(&mut processes),
            registry: Registry::default(),
            process_registry: Registry::default(),
        };
        metrics.last_reload_successful.set(1);
        metrics.connected(Connections::default());
        metrics.hashing(HashingLoad::default());
        // At zero from the start, so that the first one is an increase.
        for kind in unavailable::Kind::ALL {
            drop(metrics.unavailable.get_or_create(&Broken { kind: Word(kind.name()) }));
        }
        for log in Log::ALL {
            metrics.log_lines_dropped(log, 0);
        }
        for what in What::all() {
            drop(metrics.events.get_or_create(&Happened { event: Word(what.name()) }));
        }
        for limit in LIMITS {
            metrics.limit_rejected_many(limit, 0);
        }
        for limit in SIGN_IN_LIMITS {
            drop(metrics.sign_ins_rejected.get_or_create(&Limit { limit: Word(limit) }));
        }
        for outcome in MESSAGE_OUTCOMES {
            drop(metrics.messages.get_or_create(&Outcome { outcome: Word(outcome) }));
        }
        for outcome in [APPLIED, REJECTED] {
            drop(metrics.reloads.get_or_create(&Outcome { outcome: Word(outcome) }));
        }
        for operation in [READ, COMMIT] {
            drop(metrics.store_duration.get_or_create(&Operation { operation: Word(operation) }));
        }
        Self { registry: all, process_registry: processes, ..metrics }
    }

    /// The counters of verdicts on requests to `app`.
    pub fn decided(&self, app: &str) -> Verdicts {
        self.apps.decided(app)
    }

    /// The counters of verdicts that observe mode did not enforce on requests to `app`.
    pub fn observed(&self, app: &str) -> Verdicts {
        self.apps.observed(app)
    }

    /// The durations of requests to `app`, by the class of the status.
    pub fn durations(&self, app: &str) -> Durations {
        self.apps.durations(app)
    }

    /// Counts a request that `app` did not answer.
    pub fn upstream_failed(&self, app: &str, reason: &'static str) {
        self.apps.upstream_failed(app, reason);
    }

    /// Forgets the series of all other applications.
    pub fn keep_apps<'a>(&self, names: impl Iterator<Item = &'a str>) {
        self.apps.keep(names);
    }

    /// Records for each application how many endpoints answer, and how many do not.
    pub fn endpoints(&self, of_apps: impl Iterator<Item = (String, usize, usize)>) {
        *self.endpoints.series.lock() = of_apps
            .flat_map(|(app, up, down)| {
                [("up", up), ("down", down)].map(|(state, count)| {
                    (Endpoint { app: app.clone(), state: Word(state) }, signed(count as u64))
                })
            })
            .collect();
    }

    /// Counts an event by name.
    pub fn happened(&self, event: &'static str) {
        self.events.get_or_create(&Happened { event: Word(event) }).inc();
    }

    /// Counts what failed because something of ours was broken or away.
    pub fn unavailable(&self, kind: unavailable::Kind) {
        self.unavailable.get_or_create(&Broken { kind: Word(kind.name()) }).inc();
    }

    /// Records how many panics there were so far.
    pub fn panicked(&self, so_far: u64) {
        self.panics.inner().fetch_max(so_far, Ordering::Relaxed);
    }

    /// Counts lines that are missing in `log`.
    pub fn log_lines_dropped(&self, log: Log, lines: u64) {
        self.log_lines_dropped.get_or_create(&Dropped { log: Word(log.name()) }).inc_by(lines);
    }

    /// Counts attempts to write to the access log that failed.
    pub fn access_log_failed(&self, attempts: u64) {
        self.access_log_write_failures.inc_by(attempts);
    }

    /// Counts a connection or request that was rejected because of a limit, by the limit's
    /// configuration key.
    pub fn limit_rejected(&self, limit: &'static str) {
        self.limit_rejected_many(limit, 1);
    }

    /// Counts connections or requests that were rejected or closed because of a limit, by that
    /// limit.
    pub fn limit_rejected_many(&self, limit: &'static str, many: u64) {
        self.limit_rejections.get_or_create(&Limit { limit: Word(limit) }).inc_by(many);
    }

    /// Counts a password that was rejected without checking it: `sign_in_posts` or `busy`.
    pub fn sign_in_rejected(&self, limit: &'static str) {
        self.sign_ins_rejected.get_or_create(&Limit { limit: Word(limit) }).inc();
    }

    /// Counts requests in progress that were ended because re-authorization refused them.
    pub fn revoked(&self, requests: u64) {
        self.requests_revoked.inc_by(requests);
    }

    /// Counts requests in progress that were authorized again.
    pub fn reauthorized(&self, requests: u64) {
        self.requests_reauthorized.inc_by(requests);
    }

    /// Records how many connections are open, and what they do.
    pub fn connected(&self, connections: Connections) {
        let Connections { handshake, idle, head, request, endless, streams } = connections;
        for (phase, count) in [
            ("handshake", handshake),
            ("idle", idle),
            ("head", head),
            ("request", request),
            ("endless", endless),
        ] {
            self.connections.get_or_create(&Phase { phase: Word(phase) }).set(signed(count));
        }
        self.http2_streams.set(signed(streams));
    }

    /// Records how busy password hashing is.
    pub fn hashing(&self, load: HashingLoad) {
        let HashingLoad { threads, running, waiting, by_floor } = load;
        self.hashing_threads.set(signed(threads as u64));
        for (state, count) in [("running", running), ("waiting", waiting)] {
            let jobs = self.hashing_jobs.get_or_create(&Work { state: Word(state) });
            jobs.set(signed(count as u64));
        }
        self.hashing_by_floor.inner().fetch_max(by_floor, Ordering::Relaxed);
    }

    /// Where the time to hash a password is counted.
    pub fn hashing_duration(&self) -> Arc<Histogram> {
        self.hashing_duration.histogram()
    }

    /// Counts an attempt to send a message: `sent`, `put-off`, `refused` or `given-up`. Also counts
    /// `withheld` if no message was written, because the hourly limit was reached.
    pub fn mailed(&self, outcome: &'static str) {
        self.messages.get_or_create(&Outcome { outcome: Word(outcome) }).inc();
    }

    /// Shows the counts of text messages to these countries from the start, so that the first one is
    /// an increase.
    pub fn texts_to(&self, countries: impl Iterator<Item = String>) {
        let outcomes = TEXT_OUTCOMES.into_iter().chain(Withheld::ALL.map(Withheld::word));
        for (country, outcome) in
            countries.flat_map(|to| outcomes.clone().map(move |of| (to.clone(), of)))
        {
            drop(self.texts.get_or_create(&Texted { outcome: Word(outcome), country }));
        }
    }

    /// Counts a text message to a country of these two letters: `sent`, `refused` by the provider,
    /// `given-up`, or the limit that withheld it.
    pub fn texted(&self, outcome: &'static str, country: String) {
        self.texts.get_or_create(&Texted { outcome: Word(outcome), country }).inc();
    }

    /// Records how many messages wait to be sent, and how old the oldest is.
    pub fn outbox(&self, messages: usize, oldest: Duration) {
        self.outbox_messages.set(signed(messages as u64));
        self.outbox_oldest_age.set(oldest.as_secs_f64());
    }

    /// The same of text messages.
    pub fn texts_outbox(&self, texts: usize, oldest: Duration) {
        self.outbox_texts.set(signed(texts as u64));
        self.outbox_oldest_text_age.set(oldest.as_secs_f64());
    }

    /// Where the time to read something from the store is counted.
    pub fn store_reads(&self) -> Arc<Histogram> {
        self.store_duration.get_or_create(&Operation { operation: Word(READ) }).histogram()
    }

    /// Where the time to commit something to the store is counted.
    pub fn store_commits(&self) -> Arc<Histogram> {
        self.store_duration.get_or_create(&Operation { operation: Word(COMMIT) }).histogram()
    }

    /// Records whether the store can be written.
    pub fn store(&self, writable: bool) {
        self.store_writable.set(i64::from(writable));
    }

    /// Records how many bytes are free on the disk of the state folder, and how many it has.
    pub fn disk(&self, free: u64, size: u64) {
        self.state_disk_free.set(signed(free));
        self.state_disk_size.set(signed(size));
    }

    /// Records when the certificate for each host expires, in seconds since 1970.
    pub fn certificates(&self, ends: impl Iterator<Item = (String, i64)>) {
        *self.certificates.series.lock() = ends.map(|(host, end)| (Host { host }, end)).collect();
    }

    /// Counts a reload: of a configuration that took effect at this time (seconds since 1970) or,
    /// if `None`, of one that was rejected.
    pub fn reloaded(&self, at: Option<u64>) {
        let outcome = Word(if at.is_some() { APPLIED } else { REJECTED });
        self.reloads.get_or_create(&Outcome { outcome }).inc();
        self.last_reload_successful.set(i64::from(at.is_some()));
        if let Some(at) = at {
            self.loaded(at);
        }
    }

    /// Records when the current configuration was loaded, in seconds since 1970.
    pub fn loaded(&self, at: u64) {
        self.loaded.set(seconds(at));
    }

    /// Records when this process started, in seconds since 1970.
    pub fn started(&self, at: u64) {
        self.process.started.set(seconds(at));
    }

    /// Records what the system says about this process.
    pub fn process(&self, now: Process) {
        let Process { resident_memory, cpu, open_files, most_files, threads } = now;
        let process = &self.process;
        process.resident_memory.set(signed(resident_memory));
        process.cpu.inner().store(cpu.as_secs_f64().to_bits(), Ordering::Relaxed);
        process.open_files.set(signed(open_files));
        process.most_files.set(most_files.map_or(i64::MAX, signed));
        process.threads.set(signed(threads));
    }

    /// All metrics as `OpenMetrics` text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        encode_registry(&mut text, &self.registry).ok();
        encode_registry(&mut text, &self.process_registry).ok();
        encode_eof(&mut text).ok();
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

impl ProcessMetrics {
    fn in_registry(registry: &mut Registry) -> Self {
        Self {
            resident_memory: add(registry, "process_resident_memory_bytes", "Memory in use"),
            cpu: add(registry, "process_cpu_seconds", "Processor time used, user and system"),
            open_files: add(registry, "process_open_fds", "Open files and sockets"),
            most_files: add(registry, "process_max_fds", "Files and sockets that may be open"),
            threads: add(registry, "process_threads", "Threads"),
            started: add(registry, "process_start_time_seconds", "Time when the process started"),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds fit for millions of years")]
fn seconds(at: u64) -> f64 {
    at as f64
}

const APPLIED: &str = "applied";
const REJECTED: &str = "rejected";
const READ: &str = "read";
const COMMIT: &str = "commit";

/// The limits that connections and requests may reach.
const LIMITS: [&str; 9] = [
    "limits.connections",
    "limits.connections_per_address",
    "limits.requests_per_address",
    "limits.requests_per_application",
    "limits.body_rate",
    "limits.unsent_mib_per_connection",
    "limits.unsent_mib_per_address",
    "limits.unsent_mib",
    "unread-response",
];
const SIGN_IN_LIMITS: [&str; 2] = ["sign_in_posts", "busy"];
const MESSAGE_OUTCOMES: [&str; 5] = ["sent", "put-off", "refused", "given-up", "withheld"];
/// What becomes of a text message that no limit withholds.
const TEXT_OUTCOMES: [&str; 3] = ["sent", "refused", "given-up"];

/// In microseconds. A hash takes about twenty milliseconds, on a busy machine much longer.
const HASHING_BUCKETS: &[u64] =
    &[5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];
/// In microseconds. A read finds its page in memory; a commit waits for the disk.
const STORE_BUCKETS: &[u64] =
    &[10, 100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::assurance::Verdict;

    #[test]
    fn numbers_are_named_as_prometheus_names_them() {
        let metrics = Metrics::new("1.2.3");
        metrics.decided("crm").count(&Verdict::SignIn);
        metrics.observed("crm").count(&Verdict::Challenge);
        metrics.durations("crm").count(404, Duration::from_millis(3));
        metrics.happened("signed-in");
        metrics.upstream_failed("crm", "unreachable");
        metrics.reloaded(Some(1_800_000_000));
        metrics.reloaded(None);
        metrics.mailed("sent");
        metrics.outbox(3, Duration::from_secs(90));
        metrics.texts_outbox(2, Duration::from_secs(30));
        metrics.store(false);
        metrics.disk(4096, 8192);
        metrics.sign_in_rejected("busy");
        metrics.certificates([("crm.example.com".to_owned(), 1_900_000_000)].into_iter());
        metrics.endpoints([("crm".to_owned(), 2, 1)].into_iter());
        metrics.log_lines_dropped(Log::Events, 2);
        metrics.store_commits().count(Duration::from_micros(400));
        metrics.process(Process { cpu: Duration::from_millis(1_500), ..Process::default() });
        let text = metrics.text();
        for line in [
            "doorward_requests_total{app=\"crm\",verdict=\"sign-in\"} 1",
            "doorward_requests_total{app=\"crm\",verdict=\"pass\"} 0",
            "doorward_requests_observed_total{app=\"crm\",verdict=\"challenge\"} 1",
            "doorward_request_duration_seconds_bucket{le=\"0.005\",app=\"crm\",status=\"4xx\"} 1",
            "doorward_request_duration_seconds_count{app=\"crm\",status=\"4xx\"} 1",
            "doorward_events_total{event=\"signed-in\"} 1",
            "doorward_upstream_failures_total{app=\"crm\",reason=\"unreachable\"} 1",
            "doorward_upstream_endpoints{app=\"crm\",state=\"down\"} 1",
            "doorward_messages_total{outcome=\"sent\"} 1",
            "doorward_outbox_messages 3",
            "doorward_outbox_oldest_age_seconds 90.0",
            "doorward_outbox_texts 2",
            "doorward_outbox_oldest_text_age_seconds 30.0",
            "doorward_store_writable 0",
            "doorward_store_duration_seconds_sum{operation=\"commit\"} 0.0004",
            "doorward_state_disk_free_bytes 4096",
            "doorward_state_disk_size_bytes 8192",
            "doorward_sign_ins_rejected_total{limit=\"busy\"} 1",
            "doorward_reloads_total{outcome=\"rejected\"} 1",
            "doorward_configuration_last_reload_successful 0",
            "doorward_configuration_loaded_timestamp_seconds 1800000000",
            "doorward_certificate_expiry_timestamp_seconds{host=\"crm.example.com\"} 1900000000",
            "doorward_log_lines_dropped_total{log=\"events\"} 2",
            "doorward_unavailable_total{kind=\"clock\"} 0",
            "doorward_build_info{version=\"1.2.3\"} 1",
            "process_cpu_seconds_total 1.5",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn what_has_not_happened_yet_is_shown_as_zero_so_that_the_first_time_is_an_increase() {
        let text = Metrics::new("0").text();
        for line in [
            "doorward_events_total{event=\"device-copied\"} 0",
            "doorward_limit_rejections_total{limit=\"limits.connections\"} 0",
            "doorward_sign_ins_rejected_total{limit=\"busy\"} 0",
            "doorward_messages_total{outcome=\"given-up\"} 0",
            "doorward_panics_total 0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn an_application_that_a_reload_removes_is_no_longer_shown() {
        let metrics = Metrics::new("0");
        for app in ["crm", "wiki"] {
            metrics.decided(app).count(&Verdict::SignIn);
            metrics.observed(app).count(&Verdict::SignIn);
            metrics.durations(app).count(200, Duration::ZERO);
            metrics.upstream_failed(app, "late");
        }
        metrics.keep_apps(["crm"].into_iter());
        // A request that began before.
        metrics.upstream_failed("wiki", "late");
        let text = metrics.text();
        assert!(text.contains("app=\"crm\"") && !text.contains("wiki"), "{text}");
    }
}
