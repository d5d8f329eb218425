//! The metrics of each application. Their series end when a reload removes the application.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::timed::Timed;
use super::{Word, add, add_this};
use crate::domain::assurance::Verdict;

/// The metrics of all applications.
pub(super) struct Apps {
    requests: Family<Decided, Counter>,
    observed: Family<Decided, Counter>,
    durations: Family<Answered, Timed, fn() -> Timed>,
    upstream_failures: Family<Failed, Counter>,
    /// The names of those that have series.
    known: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    app: String,
    verdict: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    app: String,
    status: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    app: String,
    reason: Word,
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
            family.get_or_create_owned(&labels)
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

/// How long the requests to one application took, by the class of the status.
#[derive(Clone, Debug)]
pub struct Durations([Timed; STATUSES.len()]);

impl Durations {
    /// Counts a request that was answered with `status` and took so long, from the first byte of
    /// its head that was read to the last byte of the response.
    pub fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(timed) = class.and_then(|class| self.0.get(class)) {
            timed.count(took);
        }
    }
}

impl Apps {
    pub(super) fn in_registry(registry: &mut Registry) -> Self {
        Self {
            requests: add(registry, "requests", "Requests to applications, by decision"),
            observed: add(
                registry,
                "requests_observed",
                "Requests let through in observe mode, by the decision that was not enforced",
            ),
            durations: add_this(
                registry,
                "request_duration_seconds",
                "Time from a request to the end of its response, by the class of the status; also \
                 of responses that Doorward gives itself",
                Family::new_with_constructor(|| Timed::new(REQUEST_BUCKETS)),
            ),
            upstream_failures: add(
                registry,
                "upstream_failures",
                "Requests that failed at the upstream",
            ),
            known: Mutex::default(),
        }
    }

    pub(super) fn decided(&self, app: &str) -> Verdicts {
        for reason in REASONS {
            let labels = Failed { app: app.to_owned(), reason: Word(reason) };
            drop(self.upstream_failures.get_or_create(&labels));
        }
        self.knows(app);
        Verdicts::of(&self.requests, app)
    }

    pub(super) fn observed(&self, app: &str) -> Verdicts {
        self.knows(app);
        Verdicts::of(&self.observed, app)
    }

    pub(super) fn durations(&self, app: &str) -> Durations {
        self.knows(app);
        Durations(STATUSES.map(|status| {
            let labels = Answered { app: app.to_owned(), status: Word(status) };
            self.durations.get_or_create_owned(&labels)
        }))
    }

    /// Counts a failure, unless a reload has removed `app` meanwhile.
    pub(super) fn upstream_failed(&self, app: &str, reason: &'static str) {
        let labels = Failed { app: app.to_owned(), reason: Word(reason) };
        if let Some(failures) = self.upstream_failures.get(&labels) {
            failures.inc();
        }
    }

    fn knows(&self, app: &str) {
        self.known.lock().insert(app.to_owned());
    }

    /// Forgets the series of all applications but these, and but those of hosts without one.
    pub(super) fn keep<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let kept: BTreeSet<String> = names.chain([""]).map(str::to_owned).collect();
        let mut known = self.known.lock();
        for gone in known.difference(&kept) {
            for verdict in VERDICTS {
                let labels = Decided { app: gone.clone(), verdict: Word(verdict) };
                self.requests.remove(&labels);
                self.observed.remove(&labels);
            }
            for status in STATUSES {
                self.durations.remove(&Answered { app: gone.clone(), status: Word(status) });
            }
            for reason in REASONS {
                self.upstream_failures.remove(&Failed { app: gone.clone(), reason: Word(reason) });
            }
        }
        known.retain(|app| kept.contains(app));
    }
}

const VERDICTS: [&str; 7] =
    ["pass", "sign-in", "confirm", "challenge", "set-up", "save-codes", "refused"];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Why a request failed at the upstream; see `proxy::failure`.
const REASONS: [&str; 3] = ["unreachable", "unreadable", "late"];
/// In microseconds: from a cached file to a long report.
const REQUEST_BUCKETS: &[u64] = &[
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
