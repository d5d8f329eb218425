//! `doorward serve`: puts the parts together and runs them until it is stopped.
//!
//! The only place that chooses the store, the clock and the random generator. Sockets are bound
//! before anything else is started, so that a port that is in use is a plain error.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::admin::Admin;
use super::outbox_workers::OutboxWorkers;
use super::reload::Live;
use super::{disk, log, socket};
use crate::config::{Config, Problems};
use crate::domain::rng::SharedRng;
use crate::domain::signed::Signer;
use crate::domain::time::Timestamp;
use crate::flow::{Clock, Env};
use crate::identity::SignInLimit;
use crate::identity::local::{Cost, Pool, Room};
use crate::metrics::Metrics;
use crate::os;
use crate::proxy;
use crate::store::mark::Progress;
use crate::store::redb::{self, Redb};
use crate::store::state_folder::StateError;
use crate::store::{Keys, StateFolder, Store, Unavailable};

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
            rng: os::rng(),
            cost: Cost::OWASP,
        }
    }
}

/// Why a gateway did not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The port is in use or not permitted.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The state folder or its keys cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store cannot be opened.
    #[error("cannot use {}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// The cause.
        source: redb::OpenError,
    },
    /// The store was opened, but its records cannot be read.
    #[error("cannot read the store; was its keys file replaced?")]
    Unreadable(#[source] Unavailable),
    /// The store is damaged, which showed only when it was read.
    #[error("the store is damaged; restore it from a backup")]
    Damaged(#[source] Unavailable),
    /// An older store was restored: what was used up since then would be valid again.
    #[error(
        "this store is older than the one used before: it ends at commit {commit}, the other one \
         was at commit {noted} at {at}; codes, links and devices that were used or revoked since \
         then would work again"
    )]
    OlderStore {
        /// The commit at which the store ends.
        commit: u64,
        /// The commit at which the previous store was.
        noted: u64,
        /// When that was saved.
        at: jiff::Timestamp,
    },
    /// The clock is far behind an earlier run: waits and one-time codes depend on it.
    #[error(
        "the system clock is more than five minutes behind the last run; set the clock, or start \
         once with --accept-clock"
    )]
    ClockPutBack,
    /// The command socket cannot be created.
    #[error("cannot create the command socket in {}", state.display())]
    Socket {
        /// The state folder.
        state: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no key to sign cookies with.
    #[error("the keys file has no cookie key")]
    NoCookieKey,
    /// The system refused a thread, a timer or a signal handler.
    #[error("system error: {0}")]
    System(#[from] io::Error),
}

impl NotStarted {
    /// Whether another process has the store, perhaps only for a moment.
    pub(super) fn is_in_use(&self) -> bool {
        matches!(self, Self::Store { source: redb::OpenError::Locked, .. })
    }

    fn unreadable(why: Unavailable) -> Self {
        if why.is_damage() { Self::Damaged(why) } else { Self::Unreadable(why) }
    }

    /// What to do about it, if the error does not say so itself.
    pub(super) fn cure(&self) -> Option<String> {
        match self {
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "another program listens on port {}: stop it, or choose another port in the \
                     configuration",
                    address.port()
                )),
                io::ErrorKind::PermissionDenied => Some(
                    "ports below 1024 need root: choose another port, or grant CAP_NET_BIND_SERVICE"
                        .to_owned(),
                ),
                io::ErrorKind::AddrNotAvailable => Some(format!(
                    "this machine does not have the address {}: choose an address of this machine",
                    address.ip()
                )),
                _ => None,
            },
            Self::OlderStore { .. } => Some(
                "restore the newest store; if there is none, start once with `doorward serve \
                 --accept-older-store`: it revokes all links, codes, trusted devices, recovery \
                 codes and sessions"
                    .to_owned(),
            ),
            Self::State(StateError::KeysUnreadable { .. }) | Self::Unreadable(_) => {
                Some("restore the store's keys file from a backup".to_owned())
            }
            _ => None,
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
        let huge_pages = os::hold_back_huge_pages();
        let sockets = config
            .listen
            .iter()
            .map(|listener| bind(listener.address))
            .collect::<Result<Vec<_>, _>>()?;
        let desks = config.operators.iter().copied().map(bind).collect::<Result<Vec<_>, _>>()?;
        let (accept_clock, accept_older) = (world.accept_clock, world.accept_older_store);
        let (env, progress) = furnish(config, world, open_once_commands_are_done)?;
        let (env, progress) = (Arc::new(env), Arc::new(progress));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let within = runtime.enter();
        let behind = refuse_older_store(&progress, accept_older)?;
        runtime.block_on(believe_clock(&env, accept_clock))?;
        runtime.block_on(void_what_is_older(&env, &progress, behind))?;
        let env = runtime.block_on(demand(&env))?;
        let live = Arc::new(runtime.block_on(Live::start(Arc::clone(&env)))?);
        // We hold the store lock, so an existing socket file is stale.
        let admin = serve_commands(&live)?;
        let running = proxy::Gateway::new(live.sites()).serve(sockets)?;

        let ready = Arc::new(AtomicBool::new(true));
        let mut background = JoinSet::new();
        background.spawn(sweep(Arc::clone(&env)));
        background.spawn(note_time(Arc::clone(&env)));
        background.spawn(disk::watch(Arc::clone(&live)));
        background.spawn(note_progress(Arc::clone(&progress)));
        let crowd = running.crowd();
        background.spawn(async move {
            crowd.await;
            huge_pages.allow();
        });
        let operators = desks
            .into_iter()
            .map(|socket| answer_operators(&mut background, socket, &live, Arc::clone(&ready)))
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
        self.runtime.shutdown_timeout(LAST_WORDS);
        self.live.end();
        self.progress.note();
        all
    }
}

/// Runs what `config` describes until SIGTERM or SIGINT, then lets requests in progress end.
///
/// # Errors
/// See [`NotStarted`].
pub fn run(config: Config, world: World) -> Result<(), NotStarted> {
    log::start(config.log);
    let Problems { file, problems: warnings, .. } = config.warnings();
    let version = env!("CARGO_PKG_VERSION");
    let state = config.state.display();
    tracing::info!(version, configuration = file, %state, "starting");
    for app in &config.apps {
        let hosts: Vec<String> = app.hosts.iter().map(ToString::to_string).collect();
        let upstreams: Vec<String> = app.upstreams.iter().map(ToString::to_string).collect();
        let (name, upstream, hosts) = (&app.name, upstreams.join(", "), hosts.join(", "));
        tracing::info!(name, hosts, upstream, "application");
    }
    for warning in warnings {
        tracing::warn!("{file}:{warning}");
    }
    take_all_files(config.limits.connections);
    survive_file_limits();
    let gateway = Gateway::start(config, world)?;
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

/// Raises the open file limit as far as allowed: each connection needs one file, and so does its
/// connection to an application.
fn take_all_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the open file limit");
    }
    let needed = 2 * connections as u64 + SPARE_FILES;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        tracing::warn!(
            files,
            needed,
            "the open file limit is too low for `limits.connections`: raise it (LimitNOFILE= with \
             systemd), or lower `limits.connections`"
        );
    }
}

/// Turns reaching the file size limit into an error, like a full disk, instead of the end of the
/// process (setrlimit(2), `RLIMIT_FSIZE`).
fn survive_file_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    // Once a handler is installed, the signal has no default effect, even after the listener is
    // dropped.
    let heard = runtime.and_then(|runtime| {
        let _within = runtime.enter();
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
    });
    if let Err(error) = heard {
        tracing::debug!(
            %error,
            "cannot handle SIGXFSZ: reaching the file size limit ends the process"
        );
    }
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

/// Finds out since when the demands exist, and saves it.
async fn demand(env: &Arc<Env>) -> Result<Arc<Env>, NotStarted> {
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let since = env.store.demands(env.config.demands.names(), now).await;
    let since = Arc::new(since.map_err(NotStarted::unreadable)?);
    let noting = Arc::clone(env);
    let noted = async move {
        noting.store.demands_seen(noting.config.demands.names(), now).await.map(drop)
    };
    written_in_a_moment(env, noted).await?;
    env.metrics.loaded(now.seconds());
    Ok(Arc::new(Env { since, ..Env::clone(env) }))
}

/// Waits for writes at the start. A large store writes only after it has verified itself: then do
/// not wait, the write happens in time. Do not wait for a full disk either: stored data can be
/// read, and `/readyz` reports it.
async fn written_in_a_moment(
    env: &Env,
    writing: impl Future<Output = Result<(), Unavailable>> + Send + 'static,
) -> Result<(), NotStarted> {
    match timeout(A_MOMENT, tokio::spawn(writing)).await {
        Ok(written) => match written.map_err(io::Error::from)? {
            Err(why) if why.is_damage() || env.store.writable().is_ok() => {
                Err(NotStarted::unreadable(why))
            }
            // It was logged already. The file is being reopened.
            Err(_) => timeout(OPENED_AGAIN, is_readable(env)).await.or(Ok(())),
            Ok(()) => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

async fn is_readable(env: &Env) {
    while env.store.probe().await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
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
    let behind = refuse_older_store(&progress, false)?;
    believe_clock(&env, false).await?;
    void_what_is_older(&env, &progress, behind).await?;
    Ok((Env::clone(&env), progress))
}

/// The commit after which the store must continue, with everything void that may have been used up:
/// if the operator says that it is an older one (the whole folder may have been restored, with its
/// mark), and if it is empty, which revives nothing.
fn refuse_older_store(progress: &Progress, accept: bool) -> Result<Option<u64>, NotStarted> {
    let (mark, commit) = (progress.mark()?, progress.commit());
    let Some(mark) = mark.filter(|mark| mark.commit > commit) else {
        return Ok(accept.then_some(commit));
    };
    if accept || commit == 0 {
        return Ok(Some(mark.commit));
    }
    let at = i64::try_from(mark.at.seconds()).unwrap_or_default();
    let at = jiff::Timestamp::from_second(at).unwrap_or_default();
    Err(NotStarted::OlderStore { commit, noted: mark.commit, at })
}

/// Makes a store that may be an older one harmless, and lets it continue `behind` this commit. Only
/// then is its mark saved: if this is interrupted, the next start refuses it again.
async fn void_what_is_older(
    env: &Env,
    progress: &Progress,
    behind: Option<u64>,
) -> Result<(), NotStarted> {
    let Some(behind) = behind else { return Ok(()) };
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let skew = env.config.second_factor.skew;
    let people = env.store.void_what_may_have_been_used(skew, now).await;
    let people = people.map_err(NotStarted::unreadable)?;
    progress.advance_to(behind).await.map_err(NotStarted::unreadable)?;
    progress.note();
    if people > 0 {
        tracing::warn!(
            people,
            "older store accepted: all links, codes, trusted devices, recovery codes and sessions \
             are revoked; passwords and disabled users are as in the backup: check them with \
             `doorward user list`"
        );
    }
    Ok(())
}

/// Saves the store mark every few seconds.
async fn note_progress(progress: Arc<Progress>) {
    loop {
        tokio::time::sleep(NOTE_PROGRESS_EVERY).await;
        let noting = Arc::clone(&progress);
        // It waits for the disk.
        tokio::task::spawn_blocking(move || noting.note()).await.ok();
    }
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
    let keys = world.rng.draw(|rng| Keys::of(&state, rng))?;
    let path = state.store_file();
    let records = open(&path).map_err(|source| NotStarted::Store { path, source })?;
    let records = Arc::new(records);
    let progress = Progress::of(Arc::clone(&records), state, os::system_time);
    let cookie_keys = keys.cookie();
    let signer = Signer::new(cookie_keys.iter().map(|(id, key)| (*id, key)))
        .ok_or(NotStarted::NoCookieKey)?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let pool = Pool::start(world.cost, Room::beside(cores), world.rng.clone())?;
    let store = Store::new(records, &keys, world.rng.clone());
    store.set_mails(config.mail.is_some());
    let env = Env {
        limit: Arc::new(SignInLimit::of(config.limits)),
        log_throttle: Arc::default(),
        decision_log: Arc::default(),
        metrics: Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))),
        store: Arc::new(store),
        hashing: Arc::new(pool),
        signer: Arc::new(signer),
        clock: Arc::new(Clock::new(move || (world.clock)())),
        rng: world.rng,
        config: Arc::new(config),
        since: Arc::default(),
    };
    Ok((env, progress))
}

/// Compares the clock with the latest time that an earlier run saved.
async fn believe_clock(env: &Arc<Env>, accept: bool) -> Result<(), NotStarted> {
    let seen = env.store.time_seen().await.map_err(NotStarted::unreadable)?;
    if let Some(seen) = seen.filter(|_| !accept) {
        env.clock.has_seen(seen);
    }
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let noting = Arc::clone(env);
    written_in_a_moment(env, async move { noting.store.note_time(now).await }).await
}

/// Saves the clock mark every minute.
async fn note_time(env: Arc<Env>) {
    loop {
        tokio::time::sleep(NOTE_TIME_EVERY).await;
        env.metrics.hashed_by_floor(env.hashing.hashed_by_floor());
        let left_out = super::log::left_out();
        if left_out > 0 {
            env.metrics.log_lines_left_out(left_out);
            tracing::warn!(left_out, "log lines suppressed: too many of one kind");
        }
        let noted = match env.now() {
            Ok(now) => env.store.note_time(now).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "cannot write the clock mark");
        }
    }
}

/// Deletes expired records, now and every few minutes.
async fn sweep(env: Arc<Env>) {
    loop {
        let swept = match env.now() {
            Ok(now) => env.store.sweep(now).await,
            Err(error) => Err(error),
        };
        match swept {
            Ok(gone) => tracing::debug!(gone, "expired records deleted"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "sweep failed");
            }
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
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

fn answer_operators(
    background: &mut JoinSet<()>,
    socket: TcpListener,
    live: &Arc<Live>,
    ready: Arc<AtomicBool>,
) -> io::Result<SocketAddr> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let router = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(numbers))
        .with_state((Arc::clone(live), ready));
    background.spawn(async move {
        if let Err(error) = axum::serve(socket, router).await {
            tracing::error!(%error, "operators listener failed");
        }
    });
    Ok(address)
}

/// Metrics for Prometheus.
async fn numbers(State((live, _)): State<(Arc<Live>, Arc<AtomicBool>)>) -> impl IntoResponse {
    let env = live.env();
    env.metrics.store(env.store.writable().is_ok(), disk::free(&env.config.state).ok());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], env.metrics.text())
}

/// Whether to send requests here: not during shutdown, and not while the store cannot be read or
/// written. Also reports low disk space.
async fn readiness(
    State((live, ready)): State<(Arc<Live>, Arc<AtomicBool>)>,
) -> (StatusCode, String) {
    let unready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why + "\n");
    if !ready.load(Ordering::Relaxed) {
        return unready("stopping".to_owned());
    }
    let env = live.env();
    if env.now().is_err() {
        return unready("the system clock went back".to_owned());
    }
    if let Err(why) = env.store.writable() {
        let source = std::error::Error::source(&why)
            .map_or_else(String::new, |source| format!(": {source}"));
        return unready(format!("{why}{source}"));
    }
    if env.store.probe().await.is_err() {
        return unready("the store is unavailable".to_owned());
    }
    let short = disk::short_of_space(&live).map_or_else(String::new, |free| {
        format!("low disk space for the state folder: {} MiB free\n", free >> 20)
    });
    (StatusCode::OK, format!("ready\n{short}"))
}

/// How often, and at what interval, a store in use by a command is tried: for five seconds.
const PATIENCE: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// Far longer than it takes to open a store.
const OPENED_AGAIN: Duration = Duration::from_secs(5);
/// A store of a hundred megabytes verifies itself in this time.
const A_MOMENT: Duration = Duration::from_millis(400);
/// For the store, the log, listeners and commands.
const SPARE_FILES: u64 = 64;
const SWEEP_EVERY: Duration = Duration::from_mins(5);
const NOTE_PROGRESS_EVERY: Duration = Duration::from_secs(5);
const NOTE_TIME_EVERY: Duration = Duration::from_mins(1);
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

    #[test]
    fn a_store_that_is_in_use_is_named() {
        let path = PathBuf::from("/var/lib/doorward/store.redb");
        let error = NotStarted::Store { path, source: redb::OpenError::Locked };
        let told = super::super::Failure::new("no").because_of(&error).to_string();
        let says =
            "doorward: no: cannot use /var/lib/doorward/store.redb: another doorward process";
        assert!(told.starts_with(says), "{told}");
    }
}
