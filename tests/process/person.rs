//! A person who keeps a record of what was acknowledged: what must be so after a crash, and what
//! must not.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use doorward::domain::factor::totp;
use doorward::domain::time::Timestamp;
use doorward::os;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::setup::{HOST, PASSWORD};
use crate::support::window::Window;

const SESSION: &str = "doorward-session";
const DEVICE: &str = "doorward-device";

/// Whether something is so, as far as the person was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sure {
    No,
    /// It was asked for, and the answer got lost.
    Perhaps,
    Yes,
}

/// What a session still owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owes {
    Nothing,
    Challenge,
}

/// Why a person does no more.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The gateway is gone, with their last request.
    Lost,
    /// They have no code left that they have not tried.
    Idle,
}

/// One life of a gateway, as people see it.
pub(crate) struct Life<'k> {
    pub gateway: SocketAddr,
    /// Whether it has been killed, or its disk filled: from then on requests may get lost.
    pub disturbed: &'k AtomicBool,
    /// Is told of every request that begins.
    pub begun: Sender<()>,
}

impl Life<'_> {
    /// Does something with the gateway, which may be killed meanwhile. Whoever is told that the store
    /// is unavailable knows no more of what became of it than whoever is told nothing.
    fn tries(&self, operation: impl FnOnce() -> u16) -> Result<(), Stop> {
        // Whoever kills has heard enough.
        self.begun.send(()).ok();
        let lost = |why: Box<dyn Any + Send>| {
            if self.disturbed.load(Ordering::SeqCst) { Stop::Lost } else { resume_unwind(why) }
        };
        let status = catch_unwind(AssertUnwindSafe(operation)).map_err(lost)?;
        let refused = status == 503 && self.disturbed.load(Ordering::SeqCst);
        if refused { Err(Stop::Lost) } else { Ok(()) }
    }
}

pub(crate) struct Person {
    pub name: String,
    link: String,
    rng: StdRng,
    /// The cookies of their browser.
    cookies: BTreeMap<String, String>,
    password: Sure,
    /// A session that goes on for sure; its cookie is in the browser.
    session: Option<Owes>,
    /// Cookies of visits that are over for sure.
    over: Vec<String>,
    /// The secret that was shown last, and whether it waits for its first code in this session.
    secret: Vec<u8>,
    secret_waits: bool,
    two_factor: Sure,
    saved: Sure,
    /// Recovery codes that were seen and never tried.
    codes: Vec<String>,
    /// Recovery codes that were accepted.
    spent: Vec<String>,
    /// How many were tried without an answer.
    lost: usize,
    /// The last step of the authenticator that was tried, and those that were accepted.
    last_step: u64,
    spent_steps: Vec<u64>,
    trusts: bool,
}

impl Person {
    /// Somebody who was handed `link`.
    pub(crate) fn new(name: &str, link: String, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            link,
            rng: StdRng::seed_from_u64(seed),
            cookies: BTreeMap::new(),
            password: Sure::No,
            session: None,
            over: Vec::new(),
            secret: Vec::new(),
            secret_waits: false,
            two_factor: Sure::No,
            saved: Sure::No,
            codes: Vec::new(),
            spent: Vec::new(),
            lost: 0,
            last_step: 0,
            spent_steps: Vec::new(),
            trusts: seed.is_multiple_of(3),
        }
    }

    /// Goes in and out, and looks after themselves, until the gateway is gone.
    pub(crate) fn lives(&mut self, life: &Life) -> Stop {
        loop {
            let step = if self.password != Sure::Yes {
                self.sets_password(life)
            } else if self.session.is_none() {
                self.signs_in(life)
            } else if self.session == Some(Owes::Challenge) {
                self.answers(life)
            } else if self.two_factor != Sure::Yes {
                self.sets_up(life)
            } else if self.saved != Sure::Yes {
                self.saves(life)
            } else {
                self.signs_out(life)
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }

    fn sets_password(&mut self, life: &Life) -> Result<(), Stop> {
        let mut window = self.window(life);
        life.tries(|| window.opens(&self.link).answer.status)?;
        if window.answer.status == 410 {
            assert_eq!(self.password, Sure::Perhaps, "{} has a dead link", self.name);
            self.password = Sure::Yes;
            return Ok(());
        }
        let before = self.password;
        self.password = Sure::Perhaps;
        life.tries(|| window.sends(&[("password", PASSWORD)]).answer.status)?;
        if window.answer.status == 303 {
            self.password = Sure::Yes;
            self.goes_on(window, Owes::Nothing);
        } else {
            self.password = before;
            self.was_busy(&window);
        }
        Ok(())
    }

    fn signs_in(&mut self, life: &Life) -> Result<(), Stop> {
        let mut window = self.window(life);
        life.tries(|| signs_in(&mut window, &self.name))?;
        if window.answer.status != 303 {
            self.was_busy(&window);
            return Ok(());
        }
        let owes = what_is_owed(&window);
        match (self.two_factor, owes) {
            (Sure::Perhaps, Owes::Challenge) => self.two_factor = Sure::Yes,
            (Sure::Perhaps, Owes::Nothing) => self.two_factor = Sure::No,
            (Sure::No, owes) => assert_eq!(owes, Owes::Nothing, "{} has no factor", self.name),
            (Sure::Yes, owes) => {
                let trusted = self.cookies.contains_key(DEVICE);
                assert_eq!(owes == Owes::Nothing, trusted, "{}: trusted {trusted}", self.name);
            }
        }
        self.goes_on(window, owes);
        Ok(())
    }

    fn answers(&mut self, life: &Life) -> Result<(), Stop> {
        let step = self.next_step();
        let by_totp = step.is_some() && (self.codes.is_empty() || self.rng.random());
        let mut window = self.window(life);
        let kind = if by_totp { "totp" } else { "recovery-code" };
        life.tries(|| window.opens(&format!("/.doorward/challenge?kind={kind}")).answer.status)?;
        let code = match step.filter(|_| by_totp) {
            Some(step) => code(&self.secret, step),
            None => self.codes.pop().ok_or(Stop::Idle)?,
        };
        // From here on nobody knows what became of the session, until the answer is there.
        self.session = None;
        self.last_step = step.filter(|_| by_totp).unwrap_or(self.last_step);
        self.lost += usize::from(!by_totp);
        let mut fields = vec![("code", code.as_str())];
        fields.extend(self.trusts.then_some(("trust_device", "yes")));
        life.tries(|| window.sends(&fields).answer.status)?;
        let (name, answer) = (&self.name, &window.answer);
        assert_eq!(answer.status, 303, "{name} by {kind}: {}", answer.body);
        if by_totp {
            self.spent_steps.push(self.last_step);
        } else {
            self.lost -= 1;
            self.spent.push(code);
        }
        self.goes_on(window, Owes::Nothing);
        Ok(())
    }

    fn sets_up(&mut self, life: &Life) -> Result<(), Stop> {
        let mut window = self.window(life);
        life.tries(|| window.opens("/.doorward/set-up").answer.status)?;
        let secret = window.secret();
        assert!(!self.secret_waits || self.secret == secret, "{} is shown another", self.name);
        self.secret = secret;
        self.secret_waits = true;
        let step = now();
        let code = code(&self.secret, step);
        let mut fields = vec![("code", code.as_str())];
        fields.extend(self.trusts.then_some(("trust_device", "yes")));
        (self.two_factor, self.session, self.secret_waits) = (Sure::Perhaps, None, false);
        self.last_step = step;
        life.tries(|| window.sends(&fields).answer.status)?;
        let (name, answer) = (&self.name, &window.answer);
        assert_eq!(answer.status, 303, "{name} sets up: {}", answer.body);
        self.two_factor = Sure::Yes;
        self.spent_steps.push(step);
        self.goes_on(window, Owes::Nothing);
        Ok(())
    }

    fn saves(&mut self, life: &Life) -> Result<(), Stop> {
        let mut window = self.window(life);
        life.tries(|| window.visits("/").answer.status)?;
        let shown: Vec<_> = window.recovery_codes().into_iter().map(str::to_owned).collect();
        if shown.is_empty() {
            assert_eq!(self.saved, Sure::Perhaps, "{} was never shown codes", self.name);
            self.saved = Sure::Yes;
            return Ok(());
        }
        self.knows_codes(shown);
        self.saved = Sure::Perhaps;
        life.tries(|| window.sends(&[("saved", "yes")]).answer.status)?;
        assert_eq!(window.answer.status, 303, "{}", window.answer.body);
        self.saved = Sure::Yes;
        Ok(())
    }

    fn signs_out(&mut self, life: &Life) -> Result<(), Stop> {
        let mut window = self.window(life);
        life.tries(|| window.opens("/.doorward/sign-out").answer.status)?;
        self.session = None;
        life.tries(|| window.sends(&[]).answer.status)?;
        assert_eq!(window.answer.status, 303, "{}", window.answer.body);
        self.over.extend(self.cookies.remove(SESSION));
        Ok(())
    }

    /// The cookies that a step gave; what they replace is over.
    fn goes_on(&mut self, window: Window, owes: Owes) {
        let before = self.cookies.remove(SESSION);
        self.cookies = window.cookies;
        assert!(before.as_ref() != self.cookies.get(SESSION), "{} keeps a session", self.name);
        self.over.extend(before);
        self.session = Some(owes);
    }

    /// Codes that were seen before are the same, and none that was spent is among them.
    fn knows_codes(&mut self, shown: Vec<String>) {
        let (name, none) = (&self.name, self.codes.is_empty());
        assert!(self.codes.iter().all(|code| shown.contains(code)), "{name} sees other codes");
        assert!(!self.spent.iter().any(|code| shown.contains(code)), "{name} sees a used code");
        if none && self.spent.is_empty() && self.lost == 0 {
            self.codes = shown;
        }
    }

    fn was_busy(&self, window: &Window) {
        let (name, answer) = (&self.name, &window.answer);
        assert!([429, 503].contains(&answer.status), "{name}: {answer:?}");
    }

    /// A step of the authenticator that is accepted now and was never tried.
    fn next_step(&self) -> Option<u64> {
        let step = now().max(self.last_step + 1);
        (step <= now() + 1).then_some(step)
    }

    /// Their browser. A session that may be over is not in it.
    fn window(&mut self, life: &Life) -> Window {
        if self.session.is_none() {
            self.cookies.remove(SESSION);
        }
        let mut window = Window::new(life.gateway, HOST);
        window.cookies = self.cookies.clone();
        window
    }
}

/// After a crash.
impl Person {
    /// Asserts that everything that was acknowledged is so. `listed` is what operators are told.
    pub(crate) fn finds_everything(&mut self, life: &Life, listed: &Value) {
        let listed = listed.as_array().unwrap();
        let me = listed.iter().find(|person| person["name"] == self.name.as_str()).unwrap();
        for (sure, what) in [(self.password, "password"), (self.two_factor, "second_factor")] {
            let is = me[format!("has_{what}")].as_bool().unwrap();
            assert!(sure == Sure::Perhaps || is == (sure == Sure::Yes), "{what}: {me}");
        }
        if self.two_factor == Sure::Yes {
            let left = usize::try_from(me["recovery_codes_left"].as_u64().unwrap()).unwrap();
            let at_most = 12 - self.spent.len();
            assert!((at_most - self.lost..=at_most).contains(&left), "{at_most}: {me}");
        }
        if self.password == Sure::Yes {
            assert_eq!(Window::new(life.gateway, HOST).opens(&self.link).answer.status, 410);
        }
        self.still_has_a_session(life);
        for cookie in &self.over {
            let mut window = Window::new(life.gateway, HOST);
            window.cookies.insert(SESSION.to_owned(), cookie.clone());
            assert_eq!(window.opens("/").answer.status, 303, "{} came back", self.name);
        }
    }

    fn still_has_a_session(&mut self, life: &Life) {
        let Some(owes) = self.session else { return };
        let mut window = self.window(life);
        let name = &self.name;
        if owes == Owes::Challenge {
            window.opens("/.doorward/challenge");
            assert!(window.answer.body.contains("name=\"code\""), "{name}: {:?}", window.answer);
            return;
        }
        window.visits("/");
        let codes: Vec<_> = window.recovery_codes().into_iter().map(str::to_owned).collect();
        let may_owe_codes = self.two_factor == Sure::Yes && self.saved != Sure::Yes;
        if may_owe_codes && !codes.is_empty() {
            self.knows_codes(codes);
            return;
        }
        assert!(!may_owe_codes || self.saved == Sure::Perhaps, "{name} saved nothing");
        let passed = window.answer.received()["headers"].to_string();
        assert!(passed.contains(&format!("[\"remote-user\",\"{name}\"]")), "{name}: {passed}");
    }

    /// Asserts that on a strange browser no code works that was accepted before. Says how many
    /// were tried.
    pub(crate) fn cannot_use_again(&mut self, life: &Life) -> usize {
        // Older steps are refused for their age.
        let steps = self.spent_steps.drain(..).filter(|step| now() <= step + 1);
        let steps: Vec<_> = steps.map(|step| code(&self.secret, step)).collect();
        let spent = self.spent.iter().map(|code| ("recovery-code", code));
        let spent: Vec<_> = spent.chain(steps.iter().map(|code| ("totp", code))).collect();
        if spent.is_empty() {
            return 0;
        }
        let mut window = Window::new(life.gateway, HOST);
        signs_in(&mut window, &self.name);
        assert_eq!(what_is_owed(&window), Owes::Challenge, "{}", self.name);
        for (kind, code) in &spent {
            window.opens(&format!("/.doorward/challenge?kind={kind}"));
            window.sends(&[("code", code)]);
            let (name, answer) = (&self.name, &window.answer);
            assert_eq!(answer.status, 422, "{name} used a {kind} again: {}", answer.body);
            let told = answer.body.contains("already used");
            assert!(told || *kind == "totp", "{name}: {}", answer.body);
        }
        spent.len()
    }

    /// Asserts that a browser that was trusted is trusted still.
    pub(crate) fn is_still_trusted(&mut self, life: &Life) {
        if !self.cookies.contains_key(DEVICE) {
            return;
        }
        let mut window = self.window(life);
        window.cookies.remove(SESSION);
        signs_in(&mut window, &self.name);
        assert_eq!(what_is_owed(&window), Owes::Nothing, "{} is asked again", self.name);
        let device = window.cookies[DEVICE].clone();
        self.cookies.insert(DEVICE.to_owned(), device);
    }
}

fn signs_in(window: &mut Window, name: &str) -> u16 {
    window.opens("/.doorward/sign-in");
    window.sends(&[("username", name), ("password", PASSWORD)]).answer.status
}

fn what_is_owed(window: &Window) -> Owes {
    assert_eq!(window.answer.status, 303, "{:?}", window.answer);
    let challenged = window.answer.header("location").starts_with("/.doorward/challenge");
    if challenged { Owes::Challenge } else { Owes::Nothing }
}

/// The step of RFC 6238 that the real clock shows.
pub(crate) fn now() -> u64 {
    os::system_time().seconds() / 30
}

/// What an authenticator with this secret shows in `step`.
pub(crate) fn code(secret: &[u8], step: u64) -> String {
    let at = Timestamp::from_secs(step * 30);
    totp::Key::from_bytes(secret).unwrap().code_at(at).expose().to_owned()
}
