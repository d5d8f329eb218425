//! A whole gateway without sockets: real flows and pages over a store in memory, a clock moved by
//! hand, seeded random numbers, and browsers that keep cookies and read forms.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use doorward::config::Config;
use doorward::domain::device::BrowserId;
use doorward::domain::digest::Effort;
use doorward::domain::event::{What, Whom};
use doorward::domain::factor::totp;
use doorward::domain::link::{Link, Purpose};
use doorward::domain::message::Message;
use doorward::domain::name::{Email, Login, Name};
use doorward::domain::rng::SharedRng;
use doorward::domain::secret::Token;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Profile, User, UserId};
use doorward::flow::administer::{self, Linking};
use doorward::flow::{ClientAddress, Clock, Env, Still};
use doorward::identity::local::{Cost, Pool, Room};
use doorward::identity::{
    Full, Hashing, Place, Providers, SignInLimit, Source, Sources, Work, Worker, webauthn,
};
use doorward::messages::{About, words};
use doorward::metrics::Metrics;
use doorward::policy::{OwnPage, Request, Sent};
use doorward::store::memory::Memory;
use doorward::store::{Added, Keyring, Keys, Records, Store};
use doorward::web::{Admitted, Allowed, Asked, Web};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// When every story begins: a moment at which a step of RFC 6238 begins.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The configuration of every story that says nothing else.
pub(crate) const CONFIG: &str = "
listen: [{ address: 127.0.0.1:0 }]
state: /nowhere
apps:
  - name: crm
    hosts: [https://crm.example.com]
    upstream: http://127.0.0.1:9
    rules:
      - { paths: [/public/], require: nothing }
      - { paths: [/strict/], require: second-factor }
      - { paths: [/untrusting/], require: { second_factor: { trusted_device: false } } }
      - { paths: [/bank/], require: { second_factor: { within: 5m } } }
      - { paths: [/closed/], require: nobody }
    otherwise: sign-in
";

/// The cheapest hashing there is, that counts what it does.
struct Counting {
    pool: Pool,
    hashed: Arc<AtomicUsize>,
    took: Took,
}

/// What was done for each password that was verified, besides hashing it.
type Took = Arc<Mutex<Vec<Vec<Effort>>>>;

struct CountingWorker {
    place: Place,
    hashed: Arc<AtomicUsize>,
    took: Took,
}

impl Counting {
    fn start(cost: Cost, rng: SharedRng, hashed: Arc<AtomicUsize>, took: Took) -> Self {
        let room = Room {
            threads: 1.try_into().unwrap(),
            places: 1_000,
            places_of_one: 1_000,
            places_of_known: 16,
            idle: Duration::from_secs(1),
        };
        Self { pool: Pool::start(cost, room, rng).unwrap(), hashed, took }
    }
}

impl Hashing for Counting {
    fn place(&self, address: IpAddr, known: Option<BrowserId>) -> Result<Place, Full> {
        let place = self.pool.place(address, known)?;
        let (hashed, took) = (Arc::clone(&self.hashed), Arc::clone(&self.took));
        Ok(Place::new(CountingWorker { place, hashed, took }))
    }
}

impl Worker for CountingWorker {
    fn begin(self: Box<Self>, work: Work) {
        self.hashed.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            match work {
                Work::Verify { password, stored, alike, answer } => {
                    self.took.lock().unwrap().push(alike.clone());
                    answer.send(self.place.verify(password, stored, alike).await).ok();
                }
                Work::Hash { password, answer } => {
                    answer.send(self.place.hash(password).await).ok();
                }
                Work::TakeOver { digest, answer } => {
                    answer.send(self.place.take_over(digest).await).ok();
                }
            }
        });
    }
}

/// A gateway and its clock.
pub(crate) struct Gate {
    pub(crate) env: Arc<Env>,
    /// How many passwords were hashed.
    pub(crate) hashed: Arc<AtomicUsize>,
    /// What was done besides, for each that was verified.
    pub(crate) took: Took,
    pub(crate) web: Web,
    clock: Arc<AtomicU64>,
    addresses: AtomicU64,
}

impl Gate {
    /// A gateway over a store of its own.
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(Memory::new()))
    }

    /// A gateway over `records`.
    pub(crate) fn over(records: Arc<dyn Records>) -> Self {
        Self::configured(CONFIG, records)
    }

    /// A gateway that follows `config`.
    pub(crate) fn configured(config: &str, records: Arc<dyn Records>) -> Self {
        Self::furnished(config, records, 10_000, Cost::LEAST)
    }

    /// A gateway that takes so many passwords a minute from one address.
    pub(crate) fn taking(posts: u32) -> Self {
        Self::furnished(CONFIG, Arc::new(Memory::new()), posts, Cost::LEAST)
    }

    /// A gateway that sends messages, and takes so many requests for them a minute from one address.
    pub(crate) fn mailing_and_taking(posts: u32) -> Self {
        Self::furnished(&mailing(), Arc::new(Memory::new()), posts, Cost::LEAST)
    }

    /// A gateway where nobody waits for a place to be hashed in.
    pub(crate) fn impatient() -> Self {
        let limit = SignInLimit::a_minute(10_000.try_into().unwrap());
        let limit = limit.waiting_for(Duration::ZERO);
        Self::furnished_with(CONFIG, Arc::new(Memory::new()), limit, Cost::LEAST, |store| store)
    }

    /// A gateway that remembers no more failures of passwords than this.
    pub(crate) fn remembering(failures: usize) -> Self {
        Self::remembering_in(failures, Arc::new(Memory::new()))
    }

    /// The same over `records`.
    pub(crate) fn remembering_in(failures: usize, records: Arc<dyn Records>) -> Self {
        Self::flooded(CONFIG, failures, records)
    }

    /// The same that follows `config`.
    pub(crate) fn flooded(config: &str, failures: usize, records: Arc<dyn Records>) -> Self {
        let limit = SignInLimit::a_minute(10_000.try_into().unwrap());
        Self::furnished_with(config, records, limit, Cost::LEAST, |store| {
            store.remembering_failures(failures)
        })
    }

    /// A gateway over `records` that hashes at this cost.
    pub(crate) fn hashing_at(cost: Cost, records: Arc<dyn Records>) -> Self {
        Self::furnished(CONFIG, records, 10_000, cost)
    }

    fn furnished(config: &str, records: Arc<dyn Records>, posts: u32, cost: Cost) -> Self {
        let limit = SignInLimit::a_minute(posts.try_into().unwrap());
        Self::furnished_with(config, records, limit, cost, |store| store)
    }

    fn furnished_with(
        config: &str,
        records: Arc<dyn Records>,
        limit: SignInLimit,
        cost: Cost,
        with: impl FnOnce(Store) -> Store,
    ) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(2);
        // Gateways over one store share their keys, as nodes do.
        let keys = Keys::random(&mut StdRng::seed_from_u64(1), START);
        let seed = SEED.fetch_add(1, Ordering::Relaxed);
        let rng = SharedRng::new(StdRng::seed_from_u64(seed));
        let clock = Arc::new(AtomicU64::new(START.millis()));
        let told = Arc::clone(&clock);
        let hashed = Arc::new(AtomicUsize::new(0));
        let took = Took::default();
        let counting = Counting::start(cost, rng.clone(), Arc::clone(&hashed), Arc::clone(&took));
        // Where a story does not say what a first second factor takes, the password will do.
        let says = ["set_up:", "mail:"].iter().any(|key| config.contains(key));
        let proof = if says { "" } else { "set_up: { proof: none }\n" };
        let config = Config::read("test.yaml", &format!("{config}{proof}")).unwrap();
        let keyring = Arc::new(Keyring::in_memory(keys));
        let store = with(Store::over(records, Arc::clone(&keyring), rng.clone()));
        store.set_mails(config.mail.is_some());
        store.set_texts(config.sms.is_some());
        let providers = Providers::of(&config.providers, &Providers::default()).unwrap();
        let security_keys = webauthn::Verifier::of(&config, START).unwrap();
        let env = Arc::new(Env {
            config: Arc::new(config),
            since: Arc::default(),
            store: Arc::new(store),
            hashing: Arc::new(counting),
            sources: Arc::new(Sources::local()),
            security_keys: Arc::new(security_keys),
            providers: Arc::new(providers),
            limit: Arc::new(limit),
            log_throttle: Arc::default(),
            decision_log: Arc::default(),
            metrics: Arc::new(Metrics::new("0")),
            access_log: Arc::default(),
            request_ids: Arc::default(),
            texts: Arc::default(),
            signer: keyring,
            clock: Arc::new(Clock::new(move || {
                Timestamp::from_millis(told.load(Ordering::SeqCst))
            })),
            rng,
        });
        let web = Web::new(Arc::clone(&env), env.config.portal_host());
        Self { web, env, hashed, took, clock, addresses: AtomicU64::new(1) }
    }

    /// The same gate, whose local users' passwords `source` answers for.
    pub(crate) fn asking(self, source: impl Source + 'static) -> Self {
        let sources = Arc::new(Sources::with_local(source));
        let env = Arc::new(Env { sources, ..Env::clone(&self.env) });
        Self { web: Web::new(Arc::clone(&env), env.config.portal_host()), env, ..self }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    /// Time passes.
    pub(crate) fn waits(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// It is so many hours, and a whole step of every authenticator, after [`START`] and a day.
    pub(crate) fn waits_until(&self, hour: u64) {
        let then = START.plus(Duration::from_hours(24 + hour));
        self.clock.fetch_max(then.millis(), Ordering::SeqCst);
    }

    /// The clock is put back.
    pub(crate) fn is_put_back(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.clock.fetch_sub(millis, Ordering::SeqCst);
    }

    /// The next step of every authenticator begins.
    pub(crate) fn waits_for_the_next_code(&self) {
        self.waits(Duration::from_secs(30));
    }

    /// An operator adds somebody; the one-time link's path.
    pub(crate) async fn adds(&self, name: &str) -> String {
        let (id, token) = self.env.rng.draw(|rng| (UserId::random(rng), Token::random(rng)));
        let profile = Profile {
            name: Name::parse(name).unwrap(),
            full_name: Some(format!("{name} Example")),
            email: Some(Email::parse(&format!("{name}@example.com")).unwrap()),
            groups: std::iter::once("staff".parse().unwrap()).collect(),
        };
        let user = User::new(id, profile, self.now());
        let link = Link::new(Purpose::SetPassword, id, user.last_link(), self.now());
        let added = self.env.store.add_user(&user, Some((token.hash(), link)), &[]).await;
        assert_eq!(added.unwrap(), Added::Now);
        format!("/.doorward/link/{}", token.expose_text())
    }

    /// An operator makes a link for somebody who is there already; its path.
    pub(crate) async fn makes_a_link(&self, name: &str) -> String {
        let made = administer::password_link(&self.env, "root", &Login::typed(name)).await;
        let Some(Linking::Made(link)) = made.unwrap() else { panic!("no link for {name}") };
        format!("/.doorward/link/{}", link.token.expose_text())
    }

    /// Whatever follows an answer is done: nothing else runs here.
    pub(crate) async fn settles(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// The messages that wait to be sent, in the order in which they were written.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        let waiting = self.env.store.messages(1_000).await.unwrap();
        waiting.into_iter().map(|waiting| waiting.posted.message).collect()
    }

    /// The last message to somebody that holds `mark`, in words. Those of one moment are in no order.
    pub(crate) async fn mail_to(&self, address: &str, mark: &str) -> String {
        let messages = self.messages().await;
        let to = messages.iter().rev().filter(|message| message.to.as_str() == address);
        let mut texts = to.map(|message| words(message, &About::of(&self.env.config)).text());
        let found = texts.find(|text| text.contains(mark));
        found.unwrap_or_else(|| panic!("no such message to {address}"))
    }

    /// The path of the link in the last message to somebody.
    pub(crate) async fn link_mailed_to(&self, address: &str) -> String {
        let text = self.mail_to(address, "/.doorward/link/").await;
        let (_, link) = text.split_once("/.doorward/link/").unwrap();
        format!("/.doorward/link/{}", link.split_whitespace().next().unwrap())
    }

    /// The code in the last message to somebody.
    pub(crate) async fn code_mailed_to(&self, address: &str) -> String {
        let text = self.mail_to(address, "This code lets you").await;
        let six = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        text.split_whitespace().find(six).unwrap().to_owned()
    }

    /// What has happened so far; events of one moment are in the order of their kinds.
    pub(crate) async fn events(&self) -> Vec<What> {
        self.env.store.note_time(self.now()).await.unwrap();
        let mut events = self.env.store.events(10_000).await.unwrap();
        events.sort_by_key(|event| (event.at, minicbor::to_vec(event.what).unwrap()));
        let times = |whom: &Whom| match whom {
            Whom::Strangers(times) => usize::try_from(*times).unwrap(),
            Whom::User(_) | Whom::Nobody(_) | Whom::Key(..) | Whom::Provider(_) => 1,
        };
        events.iter().flat_map(|event| vec![event.what; times(&event.whom)]).collect()
    }

    /// Somebody who has set a password, [`PASSWORD`], and wants no second factor for now.
    pub(crate) async fn knows(&self, name: &str) {
        let link = self.adds(name).await;
        let mut browser = self.browser();
        browser.opens(&link).await;
        browser.sends(&[("password", PASSWORD)]).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
        browser.follows().await.declines().await;
    }

    /// Somebody who has two-factor on and their codes saved: their authenticator's key, and the
    /// recovery codes.
    pub(crate) async fn protects(&self, name: &str) -> Protected {
        self.knows(name).await;
        let mut browser = self.browser();
        browser.signs_in(name).await;
        let protected = browser.sets_up(self, "/").await;
        browser.sends(&[("saved", "yes")]).await;
        self.waits_for_the_next_code();
        protected
    }

    /// Something that it works with is replaced.
    pub(crate) fn changes(&mut self, with: impl FnOnce(Env) -> Env) {
        self.env = Arc::new(with(Env::clone(&self.env)));
        self.web = Web::new(Arc::clone(&self.env), self.env.config.portal_host());
    }

    /// The pages of one host.
    pub(crate) fn at(&self, origin: &str) -> Web {
        let host = self.env.config.hosts().find(|host| host.origin.to_string() == origin);
        Web::new(Arc::clone(&self.env), host.unwrap())
    }

    /// A browser that has never been here, somewhere else than all others.
    pub(crate) fn browser(&self) -> Browser {
        let n = self.addresses.fetch_add(1, Ordering::SeqCst);
        let [.., a, b] = n.to_be_bytes();
        Browser {
            web: self.web.clone(),
            address: IpAddr::from([198, 51, a, b]),
            proxy: None,
            agent: None,
            cookies: BTreeMap::new(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            page: String::new(),
            at: "/".to_owned(),
            passed: None,
        }
    }
}

/// A gateway that sends messages; they wait where [`Gate::messages`] finds them.
pub(crate) fn mails() -> Gate {
    Gate::configured(&mailing(), Arc::new(Memory::new()))
}

/// The configuration of [`mails`].
pub(crate) fn mailing() -> String {
    format!("{CONFIG}{MAILS}\nset_up: {{ proof: none }}\n")
}

/// What is added to [`CONFIG`] where messages are sent.
pub(crate) const MAILS: &str = "mail: { server: '127.0.0.1:9', tls: none, from: door@example.com }";

/// The password of everybody in these stories.
pub(crate) const PASSWORD: &str = "three wet umbrellas";

/// What a protected person has.
pub(crate) struct Protected {
    pub(crate) key: totp::Key,
    pub(crate) recovery_codes: Vec<String>,
}

impl Protected {
    /// What the authenticator shows now.
    pub(crate) fn code(&self, gate: &Gate) -> String {
        self.key.code_at(gate.now()).expose().to_owned()
    }

    /// Six digits that it does not show in this minute.
    pub(crate) fn wrong_code(&self, gate: &Gate) -> String {
        let near: Vec<String> = [0_u64, 30, 60]
            .iter()
            .map(|s| Timestamp::from_secs(gate.now().seconds() + s - 30))
            .map(|at| self.key.code_at(at).expose().to_owned())
            .collect();
        let all = (0..1_000_000).map(|n| format!("{n:06}"));
        all.into_iter().find(|code| !near.contains(code)).unwrap()
    }
}

/// A browser: it keeps cookies, follows nothing on its own, and reads the forms it is shown.
#[derive(Clone)]
pub(crate) struct Browser {
    web: Web,
    pub(crate) address: IpAddr,
    /// Behind which trusted proxy, and whether that says for whom it asks.
    pub(crate) proxy: Option<(IpAddr, bool)>,
    /// What it says that it is.
    pub(crate) agent: Option<&'static str>,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Of the last answer.
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) page: String,
    /// Where it is.
    pub(crate) at: String,
    /// Whether the application got the last request, and in whose name.
    #[expect(clippy::option_option, reason = "not passed on, passed on as nobody, as somebody")]
    pub(crate) passed: Option<Option<String>>,
}

impl Browser {
    /// The same browser at another host: it has other cookies there.
    pub(crate) fn elsewhere(&self, web: Web) -> Self {
        Self { web, cookies: BTreeMap::new(), ..self.clone() }
    }

    /// From now on, this gateway answers it.
    pub(crate) fn goes_to(&mut self, gate: &Gate) {
        self.web = gate.web.clone();
    }

    /// Types an address, and goes where it is sent until there is a page or the application.
    pub(crate) async fn visits(&mut self, target: &str) -> &mut Self {
        self.opens(target).await;
        self.follows().await
    }

    /// Goes where it is sent.
    pub(crate) async fn follows(&mut self) -> &mut Self {
        for _ in 0..10 {
            let Some(next) = self.location() else { return self };
            self.opens(&next).await;
        }
        panic!("sent round in circles, at last to {}", self.at);
    }

    /// Types an address.
    pub(crate) async fn opens(&mut self, target: &str) -> &mut Self {
        self.requests(Method::GET, target, &[], Bytes::new()).await
    }

    /// Sends the form on the page, with these fields filled in.
    pub(crate) async fn sends(&mut self, fields: &[(&str, &str)]) -> &mut Self {
        let hidden = ["csrf", "return_to", "method", "kind"];
        let mut all: Vec<(String, String)> = hidden
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.field(name)?)))
            .collect();
        for (name, value) in fields {
            all.retain(|(known, _)| known != name);
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
        let target = self.action().unwrap_or_else(|| self.at.clone());
        self.posts(&target, &all).await
    }

    /// Posts these fields as a form of this origin.
    pub(crate) async fn posts<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        target: &str,
        fields: &[(K, V)],
    ) -> &mut Self {
        let body = encoded(fields);
        let form = [
            (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.requests(Method::POST, target, &form, body.into()).await
    }

    /// Posts these fields as a script of this origin does.
    pub(crate) async fn posts_as_a_script(
        &mut self,
        target: &str,
        fields: &[(&str, &str)],
    ) -> &mut Self {
        let script = [
            (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            (ACCEPT.as_str(), "application/json"),
        ];
        self.requests(Method::POST, target, &script, encoded(fields).into()).await
    }

    /// Sends any request.
    pub(crate) async fn requests(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> &mut Self {
        let mut request = http::Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == ACCEPT.as_str()) {
            request = request.header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(agent) = self.agent {
            request = request.header(USER_AGENT, agent);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let request = request.body(body).unwrap();
        target.clone_into(&mut self.at);
        self.passed = None;
        let method = request.method().as_str();
        let sent = Sent { target: target.as_bytes(), method, overrides: &[] };
        let read = Request::read_sent(&sent).unwrap();
        let source = self.source();
        let response = if matches!(read.own_page(), OwnPage::Page(_)) {
            self.web.answer(request, source).await
        } else {
            let (head, _) = request.into_parts();
            let session = self.web.session(&head.headers);
            match self.web.admit(read, &Asked::of(&head, source), session).await {
                Ok(Admitted { permit, .. }) => {
                    self.passed = Some(permit.identity().map(|who| who.name.clone()));
                    let amr = permit.amr().methods().collect::<Vec<_>>().join(",");
                    http::Response::new(Bytes::from(amr))
                }
                Err(response) => response,
            }
        };
        self.takes(response);
        self
    }

    fn source(&self) -> ClientAddress {
        match self.proxy {
            None => ClientAddress { peer: self.address, visitor: Some(self.address) },
            Some((peer, says)) => ClientAddress { peer, visitor: says.then_some(self.address) },
        }
    }

    fn takes(&mut self, response: http::Response<Bytes>) {
        let (head, body) = response.into_parts();
        for line in head.headers.get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if line.to_str().unwrap().contains("; Max-Age=0") {
                self.cookies.remove(name);
                continue;
            }
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        self.status = head.status;
        self.headers = head.headers;
        self.page = String::from_utf8(body.to_vec()).unwrap();
    }

    /// Signs in with the password, from the sign-in page.
    pub(crate) async fn signs_in(&mut self, name: &str) -> &mut Self {
        self.signs_in_with(name, PASSWORD).await
    }

    /// Tries a password, from the sign-in page.
    pub(crate) async fn signs_in_with(&mut self, name: &str, password: &str) -> &mut Self {
        self.opens("/.doorward/sign-in").await;
        self.sends(&[("username", name), ("password", password)]).await
    }

    /// Signs in and answers the challenge.
    pub(crate) async fn signs_in_fully(
        &mut self,
        gate: &Gate,
        name: &str,
        with: &Protected,
    ) -> &mut Self {
        self.signs_in(name).await;
        self.follows().await;
        let code = with.code(gate);
        self.sends(&[("code", &code)]).await;
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        self
    }

    /// Says "not now", where something is offered.
    pub(crate) async fn declines(&mut self) -> &mut Self {
        if self.page.contains("name=\"not_now\"") {
            self.sends(&[("not_now", "yes")]).await;
            assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        }
        self
    }

    /// Sets up an authenticator, up to the page with the recovery codes.
    pub(crate) async fn sets_up(&mut self, gate: &Gate, return_to: &str) -> Protected {
        self.opens(&format!("/.doorward/set-up?return_to={return_to}")).await;
        let key = self.secret();
        let code = key.code_at(gate.now()).expose().to_owned();
        self.sends(&[("code", &code)]).await;
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        self.follows().await;
        Protected { key, recovery_codes: self.recovery_codes() }
    }

    /// Does this action of the security page, by its button there.
    pub(crate) async fn does(&mut self, operation: &str) -> &mut Self {
        self.opens("/.doorward/security").await;
        let csrf = self.field("csrf").unwrap();
        self.posts(&format!("/.doorward/security/{operation}"), &[("csrf", &csrf)]).await
    }

    /// The ids of what is listed on the security page, by the first word of its action: `devices` or
    /// `sessions`.
    pub(crate) fn listed(&self, kind: &str) -> Vec<String> {
        let mark = format!("action=\"/.doorward/security/{kind}/");
        let actions = self.page.split(&mark).skip(1);
        let ids = actions.filter_map(|rest| rest.split('"').next()?.split_once('/'));
        ids.map(|(id, _)| id.to_owned()).collect()
    }

    /// Begins something that stays open at the application.
    pub(crate) async fn keeps_open(&self, target: &str) -> Allowed {
        let pairs: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = http::Request::builder().uri(target).header(COOKIE, pairs.join("; "));
        let (head, ()) = request.body(()).unwrap().into_parts();
        let asked = Asked::of(&head, self.source());
        let read = Request::read(target.as_bytes()).unwrap();
        let session = self.web.session(&head.headers);
        self.web.admit(read, &asked, session).await.unwrap().allowed.unwrap()
    }

    /// Whether that may go on, as it is asked when something has changed.
    pub(crate) async fn may_go_on(&self, open: &Allowed) -> bool {
        matches!(self.web.still_allows(open, false).await, Still::Holds { .. })
    }

    /// Signs out.
    pub(crate) async fn signs_out(&mut self) -> &mut Self {
        self.opens("/.doorward/sign-out").await;
        self.sends(&[]).await;
        self.follows().await
    }

    /// Where the last answer leads.
    pub(crate) fn location(&self) -> Option<String> {
        Some(self.headers.get(LOCATION)?.to_str().unwrap().to_owned())
    }

    /// The heading of the page.
    pub(crate) fn heading(&self) -> String {
        between(&self.page, "<h1>", "</h1>").unwrap_or_default().to_owned()
    }

    /// The key on the set-up page.
    pub(crate) fn secret(&self) -> totp::Key {
        let marked = between(&self.page, "<code id=\"secret\">", "</code>").unwrap();
        let symbols = marked.replace("<span>", "").replace("</span>", "");
        totp::Key::from_bytes(&data_encoding::BASE32_NOPAD.decode(symbols.as_bytes()).unwrap())
            .unwrap()
    }

    /// The codes on the page of recovery codes.
    pub(crate) fn recovery_codes(&self) -> Vec<String> {
        let mark = "class=\"recovery-code\">";
        let codes = self.page.split(mark).skip(1);
        codes.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }

    /// What is in a hidden field of the form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mark = format!("name=\"{name}\" value=\"");
        between(&self.page, &mark, "\"").map(|value| value.replace("&#38;", "&"))
    }

    /// The page without the typed `name` and without what is random on it: all that can tell
    /// somebody who typed two names about them.
    pub(crate) fn page_about(&self, name: &str) -> String {
        let typed = format!("value=\"{name}\"");
        let mut page = self.page.replace(&typed, "value=\"NAME\"");
        let fields = ["csrf", "passkey"].into_iter().filter_map(|field| self.field(field));
        let challenge = between(&self.page, "challenge&#34;:&#34;", "&#34;").map(str::to_owned);
        for random in fields.chain(challenge).filter(|random| !random.is_empty()) {
            page = page.replace(&random, "");
        }
        page
    }

    fn action(&self) -> Option<String> {
        between(&self.page, "<form method=\"post\" action=\"", "\"").map(str::to_owned)
    }

    /// The session cookie.
    pub(crate) fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-doorward-session")
    }
}

fn encoded<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish()
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(to)?])
}
