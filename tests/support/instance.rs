//! A whole gateway on a socket, with a clock moved by hand and a state directory of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use doorward::cli::serve::{Gateway, World};
use doorward::config::Config;
use doorward::domain::factor::totp;
use doorward::domain::link::{Link, Purpose};
use doorward::domain::name::{Email, Login, Name};
use doorward::domain::rng::SharedRng;
use doorward::domain::secret::Token;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Change, Profile, User, UserId};
use doorward::flow::{administer, request_id};
use doorward::identity::local::Cost;
use doorward::messages::{About, words};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::window::Window;

/// What visitors have in their address line.
pub(crate) const HOST: &str = "crm.localhost:8080";
/// The password of everybody here.
pub(crate) const PASSWORD: &str = "three wet umbrellas";

/// When every story begins: a moment at which a step of RFC 6238 begins.
const START: u64 = 1_800_000_000;

pub(crate) struct Instance {
    pub address: SocketAddr,
    pub operators: SocketAddr,
    gateway: Option<Gateway>,
    config: Config,
    clock: Arc<AtomicU64>,
    /// Whether a bug is met by the next request.
    has_a_bug: Arc<AtomicBool>,
    state: TempDir,
}

impl Instance {
    /// A gateway before the application at `upstream`, that lets requests end for ten seconds.
    pub(crate) fn before(upstream: SocketAddr) -> Self {
        Self::that_stops_within(upstream, "10s")
    }

    /// A gateway before the application at `upstream`, with `more` in its configuration.
    pub(crate) fn with_more(upstream: SocketAddr, more: &str) -> Self {
        Self::opens(|state| config("127.0.0.1:0", &upstream.to_string(), state, "10s") + more)
    }

    /// The same, on a clock four minutes behind that of the system: for what looks at the system's, and
    /// so that time can pass here while it does not there.
    pub(crate) fn today(upstream: SocketAddr, more: &str) -> Self {
        let start = doorward::os::system_time().seconds() - 4 * 60;
        Self::opens_at(start, |state| {
            config("127.0.0.1:0", &upstream.to_string(), state, "10s") + more
        })
    }

    /// A gateway before an application at `upstream`, which is a name.
    pub(crate) fn before_name(upstream: &str) -> Self {
        Self::opens(|state| config("127.0.0.1:0", upstream, state, "10s"))
    }

    /// A gateway that lets requests end for `within`.
    pub(crate) fn that_stops_within(upstream: SocketAddr, within: &str) -> Self {
        Self::opens(|state| config("127.0.0.1:0", &upstream.to_string(), state, within))
    }

    /// Why a gateway at `address` does not start.
    pub(crate) fn refused(address: SocketAddr) -> String {
        let state = tempfile::tempdir().unwrap();
        let config = config(&address.to_string(), "127.0.0.1:9", &state, "10s");
        let world = world(Arc::new(AtomicU64::new(START)), Arc::default());
        match Gateway::start(Config::read("doorward.yaml", &config).unwrap(), world) {
            Ok(_) => panic!("it started"),
            Err(why) => why.to_string(),
        }
    }

    fn opens(config: impl FnOnce(&TempDir) -> String) -> Self {
        Self::opens_at(START, config)
    }

    fn opens_at(start: u64, config: impl FnOnce(&TempDir) -> String) -> Self {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("doorward.yaml");
        std::fs::write(&file, config(&state)).unwrap();
        let config = Config::load(&|_| None, &file).unwrap();
        let clock = Arc::new(AtomicU64::new(start));
        let has_a_bug = Arc::new(AtomicBool::new(false));
        let world = world(Arc::clone(&clock), Arc::clone(&has_a_bug));
        let gateway = Gateway::start(config.clone(), world).unwrap();
        Self {
            address: gateway.addresses()[0],
            operators: gateway.operators()[0],
            gateway: Some(gateway),
            config,
            clock,
            has_a_bug,
            state,
        }
    }

    /// Changes the configuration's file, and has it read again.
    pub(crate) fn reloads_with(&self, change: impl FnOnce(String) -> String) -> Result<(), String> {
        let file = self.state.path().join("doorward.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, change(text)).unwrap();
        self.gateway.as_ref().unwrap().reload()
    }

    /// A gateway with the configuration that `config` writes, whose files lie in that folder.
    pub(crate) fn with(config: impl FnOnce(&Path) -> String) -> Self {
        Self::opens(|state| config(state.path()))
    }

    /// Where else it listens, by the number of the listener.
    pub(crate) fn listener(&self, number: usize) -> SocketAddr {
        self.gateway.as_ref().unwrap().addresses()[number]
    }

    /// The folder of its configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.state.path()
    }

    /// Ends everything that anybody has open, as an operator does with `user disable`.
    pub(crate) fn disables(&self, name: &str) {
        let env = self.gateway.as_ref().unwrap().env();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whom = Login::typed(name);
            administer::disable(&env, "root", &whom).await.unwrap().unwrap();
        });
    }

    /// Takes somebody out of `staff`, as an operator does with `user change`.
    pub(crate) fn takes_out_of_staff(&self, name: &str) {
        let env = self.gateway.as_ref().unwrap().env();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whom = Login::typed(name);
            let change =
                Change { remove_groups: vec!["staff".parse().unwrap()], ..Change::default() };
            administer::change(&env, "root", &whom, &change).await.unwrap().unwrap();
        });
    }

    /// A gateway before two applications on hosts of their own, with a portal.
    pub(crate) fn before_two(crm: SocketAddr, wiki: SocketAddr) -> Self {
        Self::opens(|state| {
            let one = config("127.0.0.1:0", &crm.to_string(), state, "10s");
            one.replace("apps:\n", "portal: http://id.localhost:8080\napps:\n")
                + &format!(
                    "  - name: wiki
    hosts: ['http://wiki.localhost:8080']
    upstream: http://{wiki}
    rules:
      - {{ paths: [/untrusting/], require: {{ second_factor: {{ trusted_device: false }} }} }}
      - {{ paths: [/plain/, /favicon.ico], require: sign-in }}
    otherwise: second-factor
"
                )
        })
    }

    /// Before an application that is open but for these paths. `more`: a line about the application.
    pub(crate) fn protecting(application: SocketAddr, paths: &str, more: &str) -> Self {
        Self::with(|folder| {
            format!(
                "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 1s }}
limits: {{ sign_in_posts: 10000/m }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{application}
    {more}
    rules:
      - {{ paths: [{paths}], require: sign-in }}
    otherwise: nothing
",
                folder.join("state").display(),
            )
        })
    }

    /// Starts again over the same state.
    pub(crate) fn starts_again(&mut self) {
        let world = world(Arc::clone(&self.clock), Arc::clone(&self.has_a_bug));
        let gateway = Gateway::start(self.config.clone(), world).unwrap();
        self.address = gateway.addresses()[0];
        self.gateway = Some(gateway);
    }

    /// Stops it. Says whether all requests were answered.
    pub(crate) fn stops(&mut self) -> bool {
        self.gateway.take().unwrap().stop()
    }

    pub(crate) fn waits(&self, span: Duration) {
        self.clock.fetch_add(span.as_secs(), Ordering::SeqCst);
    }

    /// The next request meets a bug: reading the clock panics there, once.
    pub(crate) fn has_a_bug(&self) {
        self.has_a_bug.store(true, Ordering::SeqCst);
    }

    /// The clock is put back.
    pub(crate) fn is_put_back(&self, span: Duration) {
        self.clock.fetch_sub(span.as_secs(), Ordering::SeqCst);
    }

    /// What an authenticator with this secret shows now.
    pub(crate) fn code(&self, secret: &[u8]) -> String {
        totp::Key::from_bytes(secret).unwrap().code_at(self.now()).expose().to_owned()
    }

    /// What the gateway's clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn window(&self) -> Window {
        Window::new(self.address, HOST)
    }

    /// An operator adds somebody; the one-time link's path.
    pub(crate) fn adds(&self, name: &str) -> String {
        self.adds_at(name, None)
    }

    /// An operator adds somebody with an address.
    pub(crate) fn adds_with_address(&self, name: &str, address: &str) -> String {
        self.adds_at(name, Some(address))
    }

    fn adds_at(&self, name: &str, address: Option<&str>) -> String {
        let env = self.gateway.as_ref().unwrap().env();
        let (id, token) = env.rng.draw(|rng| (UserId::random(rng), Token::random(rng)));
        let profile = Profile {
            name: Name::parse(name).unwrap(),
            full_name: None,
            email: address.map(|address| Email::parse(address).unwrap()),
            groups: std::iter::once("staff".parse().unwrap()).collect(),
        };
        let now = env.now().unwrap();
        let user = User::new(id, profile, now);
        let link = Link::new(Purpose::SetPassword, id, user.last_link(), now);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let link = Some((token.hash(), link));
        runtime.block_on(env.store.add_user(&user, link, &[])).unwrap();
        format!("/.doorward/link/{}", token.expose_text())
    }

    /// What the last message to this address says that holds `mark`, once it is written.
    pub(crate) fn mail_to(&self, address: &str, mark: &str) -> String {
        let env = self.gateway.as_ref().unwrap().env();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let about = About::of(&env.config);
        for _ in 0..1_000 {
            let waiting = runtime.block_on(env.store.messages(1_000)).unwrap();
            let messages = waiting.into_iter().map(|waiting| waiting.posted.message);
            let to = messages.filter(|message| message.to.as_str() == address);
            let mut texts: Vec<_> =
                to.map(|message| (message.written, words(&message, &about).text())).collect();
            texts.retain(|(_, text)| text.contains(mark));
            if let Some((_, text)) = texts.into_iter().max_by_key(|(written, _)| *written) {
                return text;
            }
            std::thread::yield_now();
        }
        panic!("no such message to {address}")
    }

    /// The path of the link in that message.
    pub(crate) fn link_mailed_to(&self, address: &str) -> String {
        let text = self.mail_to(address, "/.doorward/link/");
        let (_, link) = text.split_once("/.doorward/link/").unwrap();
        format!("/.doorward/link/{}", link.split_whitespace().next().unwrap())
    }

    /// The cookie of somebody who has just signed in.
    pub(crate) fn session(&self) -> String {
        self.session_of("ada")
    }

    /// The cookie of a person who has just been added and signed in.
    pub(crate) fn session_of(&self, name: &str) -> String {
        let mut window = self.window();
        let link = self.adds(name);
        window.visits(&link).posts(&[("password", PASSWORD)]);
        let session = &window.cookies["doorward-session"];
        format!("doorward-session={session}")
    }
}

fn world(clock: Arc<AtomicU64>, has_a_bug: Arc<AtomicBool>) -> World {
    World {
        clock: Arc::new(move || {
            let is_asked = request_id::current().is_some();
            assert!(
                !is_asked || !has_a_bug.swap(false, Ordering::SeqCst),
                "a bug, as the test says"
            );
            Timestamp::from_secs(clock.load(Ordering::SeqCst))
        }),
        accept_clock: false,
        accept_older_store: false,
        accept_new_rp_id: false,
        rng: SharedRng::new(StdRng::seed_from_u64(1)),
        cost: Cost::LEAST,
    }
}

fn config(listen: &str, upstream: &str, state: &TempDir, within: &str) -> String {
    format!(
        "
listen: [{{ address: '{listen}' }}]
operators: {{ address: 127.0.0.1:0 }}
state: {}
shutdown: {{ within: {within} }}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{upstream}
    rules:
      - {{ paths: [/open/, /marked, /held, /parts, /back], require: nothing }}
      - {{ paths: [/strict/], require: second-factor }}
      - {{ paths: [/bank/], require: {{ second_factor: {{ trusted_device: false }} }} }}
    otherwise: sign-in
",
        state.path().join("state").display(),
    )
}
