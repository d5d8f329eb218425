//! What runs now, and how a reload replaces it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::disk::{self, Space};
use super::event_log::{EventLog, REQUEST_REFUSED};
use super::keeper::Keeper;
use super::load_config::Loaded;
use super::own_thread::on_own_thread;
use super::{load_config, log};
use crate::access_log::{AccessLog, Opened};
use crate::config::{App, Config, Destination, Problem, Problems};
use crate::domain::assurance::Evidence;
use crate::domain::time::Timestamp;
use crate::flow::Env;
use crate::flow::admit::{Admission, decide, demand_behind};
use crate::flow::rp_id::{self, Moved};
use crate::flow::trial;
use crate::identity::{Load, Providers, SignInLimit, webauthn};
use crate::metrics::{HashingLoad, Log};
use crate::os;
use crate::policy::{Asks, Governor, Request, Sent};
use crate::proxy::Sites;
use crate::unavailable::Unavailable;

/// Everything that a reload replaces.
pub struct Live {
    env: ArcSwap<Env>,
    sites: Arc<ArcSwap<Sites>>,
    event_log: Arc<EventLog>,
    /// The thread that frees the configuration.
    keeper: Mutex<Option<Keeper<Config>>>,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
}

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reloaded {
    /// The file that was read.
    pub(super) file: String,
    /// How many warnings it has.
    pub(super) warnings: usize,
    /// The warnings, as `check` shows them.
    pub(super) warning_text: String,
    /// Decisions that changed, most frequent first.
    pub(super) changes: Vec<Change>,
    /// How many of the last requests were decided again.
    pub(super) requests: usize,
}

/// Decisions that changed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Change {
    /// The application.
    pub(super) app: String,
    /// The old decision, and its rule; what the rule requires, if only that has changed.
    pub(super) before: String,
    /// The same of the new decision.
    pub(super) after: String,
    /// How many decisions.
    pub(super) count: usize,
    /// An example: the method, the path or its beginning, and the user.
    pub(super) example: String,
}

/// Why nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum Kept {
    /// The new file is not valid, or its own tests fail.
    #[error(
        "configuration not reloaded, the old one stays in force: the new one is not valid\n{0}"
    )]
    Problems(crate::config::Problems),
    /// This key needs a restart.
    #[error(
        "configuration not reloaded: `{0}` cannot change while the gateway runs; restart the \
         gateway, or change it back"
    )]
    NeedsRestart(&'static str),
    /// The portal has moved away from the security keys that people have.
    #[error("configuration not reloaded: {0}\n  {cure}", cure = .0.cure())]
    OtherRpId(Moved),
    /// Something on our side is broken.
    #[error("configuration not reloaded: {}", .0.told())]
    Unavailable(#[from] Unavailable),
}

impl Live {
    /// Starts what `env` describes, and writes and counts its events from now on. Call it within a
    /// runtime.
    ///
    /// # Errors
    /// The system's error.
    pub async fn start(env: Arc<Env>) -> io::Result<Self> {
        let sites = Sites::build(&env, None).await;
        let sites = sites.map_err(|problems| io::Error::other(told(&env, problems).to_string()))?;
        let sites = Arc::new(ArcSwap::from_pointee(sites));
        let opened = open_access_log(&env.config);
        let opened = opened.map_err(|why| io::Error::other(told(&env, vec![why]).to_string()))?;
        env.access_log.write_to(opened)?;
        let event_log = Arc::new(EventLog::start(&env.config.events)?);
        let (told, metrics) = (Arc::clone(&event_log), Arc::clone(&env.metrics));
        env.store.tell(move |event, name| {
            metrics.happened(event.what.name());
            told.tell(event, name);
        });
        let (told, metrics) = (Arc::clone(&event_log), Arc::clone(&env.metrics));
        env.decision_log.tell(move |refusal, left_out| {
            metrics.happened(REQUEST_REFUSED);
            told.refused(refusal, left_out);
        });
        shows_countries(&env);
        let turn = tokio::sync::Mutex::default();
        Ok(Self { env: ArcSwap::from(env), sites, event_log, keeper: Mutex::default(), turn })
    }

    /// Sets which thread frees the current configuration when it is replaced.
    pub(super) fn is_kept_by(&self, keeper: Option<Keeper<Config>>) {
        *self.keeper.lock() = keeper;
    }

    /// The current sites.
    pub(super) fn sites(&self) -> Arc<ArcSwap<Sites>> {
        Arc::clone(&self.sites)
    }

    /// Brings the metrics up to date that are read only when somebody asks for them.
    pub(super) fn measure(&self) {
        let (env, sites) = (self.env(), self.sites.load());
        let metrics = &env.metrics;
        metrics.store(env.store.writable().is_ok());
        if let Ok(Space { free, size }) = disk::space(&env.config.state) {
            metrics.disk(free, size);
        }
        let Load { threads, running, waiting, by_floor } = env.hashing.load();
        metrics.hashing(HashingLoad { threads, running, waiting, by_floor });
        metrics.certificates(sites.certificates().ends(&env.config));
        metrics.endpoints(sites.endpoints());
        metrics.log_lines_dropped(Log::Events, self.event_log.lost());
        let (dropped, failed) = env.access_log.losses();
        metrics.log_lines_dropped(Log::Access, dropped);
        metrics.access_log_failed(failed);
        metrics.panicked(log::panics());
        if let Some(process) = os::process() {
            metrics.process(process);
        }
    }

    /// Writes what is left to write.
    pub(super) fn end(&self) {
        self.event_log.end();
        self.env().access_log.end();
    }

    /// The current environment of flows.
    pub(super) fn env(&self) -> Arc<Env> {
        self.env.load_full()
    }

    /// Reloads the configuration. Everything is replaced, or nothing.
    pub(super) async fn reload(&self) -> Result<Reloaded, Kept> {
        let _turn = self.turn.lock().await;
        let before = self.env();
        let reloaded = self.exchange(&before).await;
        let loaded = reloaded.is_ok().then(|| before.now().ok()).flatten();
        before.metrics.reloaded(loaded.map(Timestamp::seconds));
        match &reloaded {
            Ok(Reloaded { file, warnings, changes, .. }) => {
                let changes = changes.iter().map(|change| change.count).sum::<usize>();
                for warning in self.env().config.warnings().to_string().lines() {
                    tracing::warn!("{warning}");
                }
                tracing::info!(file, warnings, changes, "configuration reloaded");
            }
            Err(kept) => {
                tracing::warn!("{kept}");
                self.reopen_logs(&before);
            }
        }
        reloaded
    }

    /// Opens the files of logs again, which may have been moved away: `logrotate` does not know
    /// whether a new configuration was accepted.
    fn reopen_logs(&self, env: &Env) {
        self.event_log.write_to(&env.config.events);
        let reopened = AccessLog::open(&env.config.access_log);
        if let Err(error) = reopened.and_then(|opened| env.access_log.write_to(opened)) {
            tracing::error!(%error, "cannot open the access log again; still writing to the old file");
        }
    }

    async fn exchange(&self, before: &Env) -> Result<Reloaded, Kept> {
        let file = before.config.warnings().file.clone();
        let Loaded { config, keeper } =
            load_config::load(Path::new(&file)).map_err(Kept::Problems)?;
        if let Some(key) = needs_restart(&before.config, &config) {
            return Err(Kept::NeedsRestart(key));
        }
        if let Some(moved) = rp_id::moved(&before.store, &config).await? {
            return Err(Kept::OtherRpId(moved));
        }
        let now = before.now()?;
        let since = before.store.demands_seen(config.demands.names(), now).await?;
        let limit = if config.limits == before.config.limits {
            Arc::clone(&before.limit)
        } else {
            Arc::new(SignInLimit::of(config.limits))
        };
        let providers = Providers::of(&config.providers, &before.providers);
        let providers = providers.map_err(|not| {
            Kept::Problems(told(before, vec![load_config::provider_problem(&not)]))
        })?;
        let security_keys = webauthn::Verifier::of(&config, now).map_err(|why| {
            let problems = load_config::keys_problem(&config, &why).into_iter().collect();
            Kept::Problems(told(before, problems))
        })?;
        let security_keys = Arc::new(security_keys);
        let (config, since, providers) = (Arc::new(config), Arc::new(since), Arc::new(providers));
        let env =
            Arc::new(Env { config, since, security_keys, providers, limit, ..before.clone() });
        let sites = Sites::build(&env, Some(&self.sites.load_full())).await;
        let sites = sites.map_err(|problems| Kept::Problems(told(&env, problems)))?;
        let access_log = open_access_log(&env.config);
        let access_log = access_log.map_err(|why| Kept::Problems(told(&env, vec![why])))?;
        rp_id::note(&env.store, &env.config).await?;
        let requests = before.decision_log.recent();
        let reloaded = Reloaded {
            file,
            warnings: env.config.warnings().problems.len(),
            warning_text: env.config.warnings().shown_as_warnings(),
            // The examples of many rules need memory.
            changes: on_own_thread("comparing", || changes(before, &env, now)),
            requests: requests.len(),
        };
        if env.config.log != before.config.log {
            log::change(env.config.log);
        }
        env.store.set_mails(env.config.mail.is_some());
        env.store.set_texts(env.config.sms.is_some());
        env.texts.breaker.reset();
        self.event_log.write_to(&env.config.events);
        if let Err(error) = env.access_log.write_to(access_log) {
            tracing::error!(%error, "cannot start the access log");
        }
        self.sites.store(Arc::new(sites));
        env.metrics.keep_apps(env.config.apps.iter().map(|app| app.name.as_str()));
        shows_countries(&env);
        self.env.store(env);
        let last = std::mem::replace(&mut *self.keeper.lock(), keeper);
        if let Some(keeper) = last {
            tokio::spawn(keeper.frees(Arc::clone(&before.config)));
        }
        Ok(reloaded)
    }
}

/// Shows the metrics of each country to which texts are sent.
fn shows_countries(env: &Env) {
    let accepted = env.config.sms.iter().flat_map(|sms| &sms.accepted.countries);
    env.metrics.texts_to(accepted.map(ToString::to_string));
}

/// Opens the access log that `config` names.
fn open_access_log(config: &Config) -> Result<Opened, Problem> {
    AccessLog::open(&config.access_log).map_err(|error| {
        let file = match &config.access_log.to {
            Destination::File(path) => path.display().to_string(),
            Destination::Stdout | Destination::Nowhere => "standard output".to_owned(),
        };
        let cure = "let the system user of the gateway write there, or name another file";
        Problem {
            place: None,
            key: "access_log.to".to_owned(),
            what: format!("cannot open {file}: {error}"),
            cure: Some(cure.to_owned()),
        }
    })
}

fn addresses(config: &Config) -> impl Iterator<Item = std::net::SocketAddr> {
    config.listen.iter().map(|listener| listener.address)
}

/// Problems found after the file was read.
fn told(env: &Env, problems: Vec<Problem>) -> Problems {
    Problems { problems, ..env.config.warnings().clone() }
}

/// The first changed key that needs a restart.
fn needs_restart(before: &Config, after: &Config) -> Option<&'static str> {
    [
        ("listen", addresses(before).eq(addresses(after))),
        ("state", before.state == after.state),
        ("operators", before.operators == after.operators),
    ]
    .into_iter()
    .find_map(|(key, same)| (!same).then_some(key))
}

/// The decisions that change: of the policy tests, of an example of each rule, for the user that it
/// is made for and for a stranger, and of the last requests.
///
/// The examples of the configuration come first: only their paths and queries are shown as a whole.
fn changes(before: &Env, after: &Env, now: Timestamp) -> Vec<Change> {
    let mut found: BTreeMap<(String, String, String, bool), (usize, String)> = BTreeMap::new();
    let mut compare = |name: &str,
                       request: &Request,
                       shown: &str,
                       address,
                       judged: &dyn Fn(&Env, &App) -> Evidence| {
        let of = |env: &Env| {
            let app = env.config.apps.iter().find(|app| app.name == name)?;
            let evidence = judged(env, app);
            let who = evidence.as_ref().map(|visitor| trial::named(&visitor.identity));
            let admission = decide(app, request, address, evidence, now);
            Some((Decision::of(&admission, env, app, now), who))
        };
        let (was, is) = (of(before), of(after));
        let who = was.as_ref().and_then(|(_, who)| who.clone());
        let (was, is) = (was.map(|(was, _)| was), is.map(|(is, _)| is));
        if let Some((was, is)) = differing(was.as_ref(), is.as_ref()) {
            let by = who.as_deref().unwrap_or("a stranger");
            let example = || format!("{shown} by {by}");
            // What changes for strangers has a row of its own.
            let key = (name.to_owned(), was, is, who.is_none());
            let entry = found.entry(key).or_insert_with(|| (0, example()));
            entry.0 += 1;
        }
    };
    for config in [&before.config, &after.config] {
        for test in &config.tests {
            let Some(app) = config.apps.get(test.app) else { continue };
            let sent =
                Sent { target: test.target.as_bytes(), method: &test.method, overrides: &[] };
            let Ok(request) = Request::read_sent(&sent) else { continue };
            compare(&app.name, &request, &request.whole_example(), Some(test.from), &|env, app| {
                trial::evidence(&env.config, app, test.visitor.as_ref(), now)
            });
        }
        for app in &config.apps {
            for rule in app.policy.rules() {
                let Some((request, address, visitor)) = trial::example_of(rule) else { continue };
                for visitor in [Some(&visitor), None] {
                    compare(
                        &app.name,
                        &request,
                        &request.whole_example(),
                        Some(address),
                        &|env, app| trial::evidence(&env.config, app, visitor, now),
                    );
                }
            }
        }
    }
    for recent in before.decision_log.recent() {
        let shown = recent.request.example();
        compare(&recent.app, &recent.request, &shown, recent.address, &|env, app| {
            recent.evidence.clone().map(|visitor| {
                let due = env.config.demands.due(
                    &visitor.identity,
                    Timestamp::default(),
                    Some(&app.name),
                    &env.since,
                );
                let demanded = !visitor.has_second_factor && due.is_some_and(|due| due <= now);
                crate::domain::assurance::Visitor { demanded, ..visitor }
            })
        });
    }
    let mut all: Vec<Change> = found
        .into_iter()
        .map(|((app, before, after, _), (count, example))| Change {
            app,
            before,
            after,
            count,
            example,
        })
        .collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cmp(b)));
    all
}

/// What was decided about a request.
struct Decision {
    verdict: &'static str,
    /// What all readings of the request require together.
    asks: Asks,
    /// The rule that decided.
    by: Governor,
    /// The demand, if that asks for more than the rule.
    demand: Option<String>,
}

impl Decision {
    fn of(admission: &Admission, env: &Env, app: &App, now: Timestamp) -> Self {
        let Admission { verdict, ruling, evidence, .. } = admission;
        let decided = (verdict, ruling);
        let demand = demand_behind(&env.config, &env.since, app, decided, evidence.as_ref(), now);
        let mut asks = Asks::of(&ruling.requirement);
        // The order in which rules were joined means nothing.
        asks.only.sort();
        Self { verdict: verdict.name(), asks, by: ruling.raised_by, demand }
    }

    fn shown(&self) -> String {
        let demand = self.demand.as_ref().map(|demand| format!(" and {demand}"));
        format!("{} by {}{}", self.verdict, self.by, demand.unwrap_or_default())
    }
}

/// Both decisions in words, if they differ in what they mean: in the verdict, or in what is
/// required. A rule that only has another number or another place does not count.
fn differing(was: Option<&Decision>, is: Option<&Decision>) -> Option<(String, String)> {
    let gone = || "no such application".to_owned();
    let (was, is) = match (was, is) {
        (None, None) => return None,
        (Some(was), None) => return Some((was.shown(), gone())),
        (None, Some(is)) => return Some((gone(), is.shown())),
        (Some(was), Some(is)) => (was, is),
    };
    if was.verdict != is.verdict {
        return Some((was.shown(), is.shown()));
    }
    let with_asks = |decision: &Decision| format!("{} ({})", decision.shown(), decision.asks);
    (was.asks != is.asks).then(|| (with_asks(was), with_asks(is)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::assurance::Requirement;

    fn decision(verdict: &'static str, requirement: &Requirement, rule: usize) -> Decision {
        let (asks, by) = (Asks::of(requirement), Governor::Rule(rule));
        Decision { verdict, asks, by, demand: None }
    }

    #[test]
    fn a_rule_that_only_moved_changes_nothing() {
        let (was, is) = (
            decision("sign-in", &Requirement::sign_in(), 0),
            decision("sign-in", &Requirement::sign_in(), 1),
        );
        assert_eq!(differing(Some(&was), Some(&is)), None);
    }

    #[test]
    fn another_verdict_is_a_change_and_so_is_another_requirement_with_the_same_verdict() {
        let told = |was: &str, is: &str| Some((was.to_owned(), is.to_owned()));
        let was = decision("sign-in", &Requirement::sign_in(), 0);
        let opened = decision("pass", &Requirement::nothing(), 0);
        assert_eq!(
            differing(Some(&was), Some(&opened)),
            told("sign-in by rule 1", "pass by rule 1")
        );
        let raised = decision("sign-in", &Requirement::second_factor(), 0);
        assert_eq!(
            differing(Some(&was), Some(&raised)),
            told("sign-in by rule 1 (sign-in)", "sign-in by rule 1 (second-factor)")
        );
        assert_eq!(differing(Some(&was), None), told("sign-in by rule 1", "no such application"));
        let demand = Some("second_factor.demanded_of (everyone)".to_owned());
        let demanded = Decision { demand, ..decision("set-up", &Requirement::sign_in(), 0) };
        assert_eq!(
            differing(Some(&opened), Some(&demanded)),
            told("pass by rule 1", "set-up by rule 1 and second_factor.demanded_of (everyone)")
        );
    }
}
