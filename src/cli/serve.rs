//! `doorward serve`: puts the parts together and runs them until it is stopped.
//!
//! The only place that chooses the store, the clock and the random generator. Sockets are bound
//! before anything else is started, so that a port that is in use is a plain error.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::admin::Admin;
use super::keeper::Keeper;
pub use super::not_started::NotStarted;
use super::outbox_workers::OutboxWorkers;
use super::reload::Live;
use super::{
    disk, file_limits, first_writes, log, older_store, operators_listener, socket, upkeep,
};
use crate::config::{Config, Problems};
use crate::domain::rng::SharedRng;
use crate::domain::time::Timestamp;
use crate::flow::{Clock, Env};
use crate::identity::local::{Cost, Pool, Room};
use crate::identity::{Providers, SignInLimit, Sources, webauthn};
use crate::metrics::Metrics;
use crate::os::{self, HugePages};
use crate::proxy;
use crate::store::progress::Progress;
use crate::store::redb::{self, Redb};
use crate::store::{Keyring, StateFolder, Store, Timed};

/// What comes from outside the process besides requests. A test passes its own.
#[derive(Clone)]
pub struct World {
    /// Reads the clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Whether to accept the clock even if an earlier run saw a much later time.
    pub accept_clock: bool,
    /// Whether to accept a store that is older than the one used before. What may have been used up
    /// since then becomes void.
    pub accept_older_store: bool,
    /// Whether to accept an RP ID that is not that of the security keys that people have.
    pub accept_new_rp_id: bool,
    /// The random generator.
    pub rng: SharedRng,
    /// The cost of hashing a password.
    pub cost: Cost,
}

impl World {
    /// The real one: the system's clock and random generator, and the cost that OWASP recommends.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(os::system_time),
            accept_clock: false,
            accept_older_store: false,
            accept_new_rp_id: false,
            rng: os::rng(),
            cost: Cost::OWASP,
        }
    }
}

/// A gateway that runs in this process.
pub struct Gateway {
    runtime: Runtime,
    running: proxy::Running,
    operators: Vec<SocketAddr>,
    live: Arc<Live>,
    ready: Arc<AtomicBool>,
    admin: (oneshot::Sender<()>, JoinHandle<()>),
    outbox: OutboxWorkers,
    progress: Arc<Progress>,
    _background: JoinSet<()>,
}

impl Gateway {
    /// Starts what `config` describes. Returns once visitors are served.
    ///
    /// # Errors
    /// See [`NotStarted`]; nothing is left running then.
    pub fn start(config: Config, world: World) -> Result<Self, NotStarted> {
        Self::start_without(os::hold_back_huge_pages(), config, world)
    }

    /// The same without huge pages until many are connected.
    fn start_without(
        huge_pages: HugePages,
        config: Config,
        world: World,
    ) -> Result<Self, NotStarted> {
        let sockets = config
            .listen
            .iter()
            .map(|listener| bind(listener.address))
            .collect::<Result<Vec<_>, _>>()?;
        let operators =
            config.operators.iter().copied().map(bind).collect::<Result<Vec<_>, _>>()?;
        let (accept_clock, accept_older) = (world.accept_clock, world.accept_older_store);
        let accept_rp_id = world.accept_new_rp_id;
        let (env, progress) = furnish(config, world, open_once_commands_are_done)?;
        let (env, progress) = (Arc::new(env), Arc::new(progress));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let within = runtime.enter();
        let behind = older_store::refuse_older_store(&progress, accept_older)?;
        runtime.block_on(first_writes::has_its_keys(&env))?;
        runtime.block_on(first_writes::believe_clock(&env, accept_clock))?;
        runtime.block_on(older_store::void_what_is_older(&env, &progress, behind))?;
        runtime.block_on(first_writes::keep_rp_id(&env, accept_rp_id))?;
        let env = runtime.block_on(first_writes::demand(&env))?;
        let live = Arc::new(runtime.block_on(Live::start(env))?);
        // We hold the store lock, so an existing socket file is stale.
        let admin = serve_commands(&live)?;
        let running = proxy::Gateway::new(live.sites()).serve(sockets)?;

        live.env().metrics.started(os::system_time().seconds());
        let ready = Arc::new(AtomicBool::new(true));
        let mut background = JoinSet::new();
        background.spawn(upkeep::without_end(Arc::clone(&live), upkeep::sweep));
        background.spawn(upkeep::without_end(Arc::clone(&live), upkeep::note_time));
        background.spawn(upkeep::without_end(Arc::clone(&live), upkeep::renew));
        background.spawn(upkeep::without_end(Arc::clone(&live), upkeep::rotate_keys));
        background.spawn(upkeep::without_end(Arc::clone(&live), disk::watch));
        background.spawn(upkeep::give_memory_back());
        background.spawn(upkeep::note_progress(Arc::clone(&progress)));
        let crowd = running.crowd();
        background.spawn(async move {
            crowd.await;
            huge_pages.allow();
        });
        let operators = operators
            .into_iter()
            .map(|socket| {
                operators_listener::listen(&mut background, socket, &live, Arc::clone(&ready))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let outbox = OutboxWorkers::open(&live);
        drop(within);
        Ok(Self {
            runtime,
            running,
            operators,
            live,
            ready,
            admin,
            outbox,
            progress,
            _background: background,
        })
    }

    /// The addresses for visitors, with the real port where any was allowed.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.addresses()
    }

    /// The addresses for operators.
    pub fn operators(&self) -> &[SocketAddr] {
        &self.operators
    }

    /// The current environment of flows.
    pub fn env(&self) -> Arc<Env> {
        self.live.env()
    }

    /// Reloads the configuration: everything is replaced, or nothing.
    ///
    /// # Errors
    /// Why nothing was replaced, for the operator.
    pub fn reload(&self) -> Result<(), String> {
        let reloaded = self.runtime.block_on(self.live.reload());
        reloaded.map(drop).map_err(|kept| kept.to_string())
    }

    /// Accepts no more requests, waits up to `shutdown.within` for those in progress, and ends.
    /// Returns whether all were answered.
    pub fn stop(self) -> bool {
        self.ready.store(false, Ordering::Relaxed);
        let within = self.live.env().config.shutdown_within;
        self.outbox.close();
        let all = self.runtime.block_on(self.running.drain(within));
        self.runtime.block_on(self.outbox.end());
        let (end, serving) = self.admin;
        end.send(()).ok();
        self.runtime.block_on(async { timeout(LAST_WORDS, serving).await.ok() });
        let env = self.live.env();
        self.runtime
            .block_on(async { timeout(LAST_WORDS, upkeep::note_last_time(&env)).await.ok() });
        self.runtime.shutdown_timeout(LAST_WORDS);
        self.live.end();
        self.progress.note();
        all
    }
}

/// Runs what `config` describes until SIGTERM or SIGINT, then lets requests in progress end. Allows
/// `huge_pages` again once many visitors are connected. `keeper` frees the configuration once it is
/// replaced.
///
/// # Errors
/// See [`NotStarted`].
pub(super) fn run(
    config: Config,
    keeper: Option<Keeper<Config>>,
    world: World,
    huge_pages: HugePages,
) -> Result<(), NotStarted> {
    log::start(config.log);
    let Problems { file, .. } = config.warnings();
    let version = env!("CARGO_PKG_VERSION");
    let state = config.state.display();
    tracing::info!(version, configuration = file, %state, "starting");
    for app in &config.apps {
        let hosts: Vec<String> = app.hosts.iter().map(ToString::to_string).collect();
        let upstreams: Vec<String> = app.upstreams.iter().map(ToString::to_string).collect();
        let (name, upstream, hosts) = (&app.name, upstreams.join(", "), hosts.join(", "));
        tracing::info!(name, hosts, upstream, "application");
    }
    for warning in config.warnings().to_string().lines() {
        tracing::warn!("{warning}");
    }
    file_limits::take_all_files(config.limits.connections);
    file_limits::survive_file_limits();
    let gateway = Gateway::start_without(huge_pages, config, world)?;
    gateway.live.is_kept_by(keeper);
    // Install signal handlers before announcing readiness.
    let told = gateway.runtime.block_on(async { told_to_stop() })?;
    gateway.runtime.block_on(async { reload_when_told(&gateway.live) })?;
    let origin = gateway.env().config.portal.to_string();
    for address in gateway.addresses() {
        tracing::info!(%address, origin, "listening");
    }
    for address in gateway.operators() {
        tracing::info!(%address, "listening for health checks and metrics");
    }
    gateway.runtime.block_on(told);
    tracing::info!("shutting down: waiting for requests in progress");
    if !gateway.stop() {
        tracing::warn!("shutdown timeout: some requests were aborted");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Ends with SIGTERM or SIGINT, which no longer end the process by themselves.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Reloads the configuration at every SIGHUP from now on.
fn reload_when_told(live: &Arc<Live>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let live = Arc::clone(live);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // The result is logged.
            live.reload().await.ok();
        }
    });
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener, NotStarted> {
    TcpListener::bind(address).map_err(|source| NotStarted::Listen { address, source })
}

/// The environment of a command when no gateway runs; this process holds the store's lock.
///
/// # Errors
/// See [`NotStarted`].
pub(super) async fn furnish_a_command(config: Config) -> Result<(Env, Progress), NotStarted> {
    let (env, progress) = furnish(config, World::real(), open)?;
    let env = Arc::new(env);
    let behind = older_store::refuse_older_store(&progress, false)?;
    first_writes::has_its_keys(&env).await?;
    first_writes::believe_clock(&env, false).await?;
    older_store::void_what_is_older(&env, &progress, behind).await?;
    Ok((Env::clone(&env), progress))
}

fn open(path: &Path) -> Result<Redb, redb::OpenError> {
    Redb::open(path, redb::Options::default())
}

/// Waits for a command that uses the store directly: most end in a moment. A gateway that has the
/// store answers at its socket and will not end, so do not wait for it.
fn open_once_commands_are_done(path: &Path) -> Result<Redb, redb::OpenError> {
    for _ in 0..PATIENCE {
        match open(path) {
            Err(redb::OpenError::Locked) if !socket::is_answered(path.parent()) => {
                #[expect(clippy::disallowed_methods, reason = "nobody is served yet")]
                std::thread::sleep(PAUSE);
            }
            ended => return ended,
        }
    }
    open(path)
}

fn furnish(
    config: Config,
    world: World,
    open: impl Fn(&Path) -> Result<Redb, redb::OpenError>,
) -> Result<(Env, Progress), NotStarted> {
    let state = StateFolder::open(&config.state)?;
    let now = (world.clock)();
    let keys = || world.rng.draw(|rng| Keyring::of(state.clone(), rng, now));
    // There are keys before there is a store.
    keys()?;
    let path = state.store_file();
    let records = open(&path).map_err(|source| NotStarted::Store { path, source })?;
    let records = Arc::new(records);
    // While we waited for the store, a command may have rotated a key. Now none can.
    let keyring = Arc::new(keys()?);
    let progress = Progress::of(Arc::clone(&records), state, os::system_time);
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let rng = world.rng.clone();
    let pool = Pool::measured(world.cost, Room::beside(cores), rng, metrics.hashing_duration())?;
    let records = Timed::over(records, metrics.store_reads(), metrics.store_commits());
    let store = Store::over(Arc::new(records), Arc::clone(&keyring), world.rng.clone());
    store.set_mails(config.mail.is_some());
    store.set_texts(config.sms.is_some());
    let providers = Providers::of(&config.providers, &Providers::default());
    let providers = providers.map_err(|not| not.source)?;
    let security_keys = webauthn::Verifier::of(&config, os::system_time())?;
    let env = Env {
        limit: Arc::new(SignInLimit::of(config.limits)),
        log_throttle: Arc::default(),
        decision_log: Arc::default(),
        metrics: Arc::new(metrics),
        access_log: Arc::default(),
        request_ids: Arc::default(),
        texts: Arc::default(),
        store: Arc::new(store),
        hashing: Arc::new(pool),
        sources: Arc::new(Sources::local()),
        security_keys: Arc::new(security_keys),
        providers: Arc::new(providers),
        signer: keyring,
        clock: Arc::new(Clock::new(move || (world.clock)())),
        rng: world.rng,
        config: Arc::new(config),
        since: Arc::default(),
    };
    Ok((env, progress))
}

/// Answers operators' commands until the sender sends or is dropped.
fn serve_commands(live: &Arc<Live>) -> Result<(oneshot::Sender<()>, JoinHandle<()>), NotStarted> {
    let state = &live.env().config.state;
    let admin =
        Admin::bind(state).map_err(|source| NotStarted::Socket { state: state.clone(), source })?;
    let (end, ended) = oneshot::channel();
    let live = Arc::clone(live);
    let serving = tokio::spawn(async move {
        if let Err(error) = admin.serve(live, async { drop(ended.await) }).await {
            tracing::error!(%error, "command socket failed");
        }
    });
    Ok((end, serving))
}

/// How often, and at what interval, a store in use by a command is tried: for five seconds.
const PATIENCE: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// How long threads get to notice the end, after the requests.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_with_its_cure() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let cure = bind(address).unwrap_err().cure().unwrap();
        let says = format!("another program listens on port {}: stop it", address.port());
        assert!(cure.starts_with(&says), "{cure}");
    }
}
