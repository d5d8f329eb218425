//! Signing in, and confirming, at an identity provider: the way there and the way back.
//!
//! On the way there nothing is written: the browser carries a sealed [`Detour`]. On the way back the
//! provider is asked who came, and one commit uses the state up and begins the session.

use std::collections::BTreeSet;
use std::time::Duration;

use super::admit::AuthenticatedRequest;
use super::caller::{Caller, Given};
use super::connect::{Connecting, connect};
use super::env::{Env, Line, NoTurn};
use super::host_session::{Fresh, live_session, replace};
use super::sign_in::begin_session;
use super::take_over::take_over;
use crate::domain::assurance::{FirstFactor, Proof, Proofs};
use crate::domain::device::BrowserId;
use crate::domain::event::{What, Whom};
use crate::domain::host_session::HostSession;
use crate::domain::name::{Login, Name};
use crate::domain::provider::{Account, Barred, Detour, Purpose, SpentState, StateKey, Told};
use crate::domain::secret::{Secret, Token, TokenHash};
use crate::domain::time::Timestamp;
use crate::domain::user::{Profile, User, UserId};
use crate::domain::user_session::{AtProvider, NamedAtProvider, Renewal, UserSessionId};
use crate::identity::provider::{Fault, Lie, SignedOut, Spoken};
use crate::identity::{Full, Provider, Try};
use crate::store::{Added, Changed, Reads, Transaction};
use crate::unavailable::Unavailable;

/// The way to a provider.
#[derive(Debug)]
pub enum Going {
    /// The browser is sent to this URL, and carries the detour.
    There {
        /// The URL.
        url: String,
        /// The state in it.
        state: Token,
        /// What is the same on the way back.
        detour: Detour,
    },
    /// It is not sent anywhere.
    Stays(Stop),
}

/// The way back.
#[derive(Debug)]
pub enum Back {
    /// A session has begun.
    SignedIn(Given),
    /// The first factor was shown again.
    Confirmed(Given),
    /// The account was connected.
    Connected,
    /// Nothing was done.
    Stays(Stop),
}

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The state was used before, has expired, or is of another browser.
    Spent,
    /// The provider, or the person there, refused.
    Denied,
    /// The provider does not answer.
    Unavailable,
    /// What it says cannot be accepted.
    Refused,
    /// The person may not come in.
    NotAdmitted,
    /// The name or the address is somebody else's here.
    NameTaken,
    /// The provider states no name and no verified address.
    NoName,
    /// Somebody else came back to confirm.
    SomebodyElse,
    /// The provider did not ask for the first factor again.
    NotAgain,
    /// The provider cannot ask for it again.
    CannotConfirm,
    /// The account to be connected is somebody else's here.
    AccountTaken,
    /// The user has the most accounts that are allowed.
    TooMany,
    /// Too many attempts of this address.
    Waiting {
        /// How long until the next attempt is accepted.
        wait: Duration,
    },
}

/// What comes back in the URL (RFC 6749 §4.1.2, RFC 9207 §2).
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// The code.
    pub code: Option<Secret>,
    /// The error instead.
    pub error: Option<String>,
    /// The issuer.
    pub issuer: Option<String>,
}

/// Where the provider sends the browser back to.
fn redirect_uri(env: &Env, provider: &Provider) -> String {
    let name = &provider.settings().name;
    format!("{}/.doorward/sign-in/provider/{name}/callback", env.config.portal)
}

/// Sends a browser to `provider`, to come back to `return_to`.
pub async fn go(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    purpose: Purpose,
    return_to: &str,
    method: Option<&str>,
) -> Going {
    if matches!(purpose, Purpose::Confirm { .. }) && !provider.can_confirm() {
        return Going::Stays(Stop::CannotConfirm);
    }
    let (state, nonce, verifier) = env
        .rng
        .draw(|rng| (Token::random(rng), Token::random(rng), Secret::random(rng, VERIFIER_LENGTH)));
    let kept = return_to.len() <= Detour::RETURN_TO_AT_MOST;
    let detour = Detour {
        provider: provider.settings().name.clone(),
        purpose,
        began: caller.now,
        nonce,
        verifier,
        return_to: if kept { return_to.to_owned() } else { "/".to_owned() },
        method: method.map(str::to_owned).filter(|_| kept),
    };
    let (uri, again) = (redirect_uri(env, provider), purpose != Purpose::SignIn);
    let text = state.expose_text();
    let url = provider.authorization_url(&detour, &text, &uri, again, caller.now).await;
    match url {
        Ok(url) => Going::There { url, state, detour },
        Err(fault) => Going::Stays(explain(env, caller, provider, &fault)),
    }
}

/// A browser comes back from `provider` with `returned`, on the way that `detour` describes. The
/// caller has checked that the detour belongs to `state` and to this browser.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The state may have been used up or not.
pub async fn come_back(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    state: &Token,
    detour: &Detour,
    returned: Returned,
    authenticated: Option<&AuthenticatedRequest>,
) -> Result<Back, Unavailable> {
    let now = caller.now;
    // Another provider's answer at our URL of this one would be a mix-up (RFC 9700 §4.4).
    if detour.provider != provider.settings().name || !detour.lives(now) {
        tell(
            env,
            caller,
            provider,
            What::ProviderRefused,
            "the parameter `state` belongs to another sign-in",
        );
        return Ok(Back::Stays(Stop::Spent));
    }
    let known = known_browser(env, caller, provider).await?;
    let tried = match env.turn_without_hashing(caller, known).await {
        Ok(tried) => tried,
        Err(NoTurn::Waiting(until)) => {
            return Ok(Back::Stays(Stop::Waiting { wait: now.until(until) }));
        }
        Err(NoTurn::Busy) => return Ok(Back::Stays(Stop::Waiting { wait: Full::RETRY_AFTER })),
    };
    if let Err(fault) = provider.is_response_of(returned.issuer.as_deref(), now).await {
        return Ok(Back::Stays(blame(env, caller, provider, &fault, tried)));
    }
    let Some(code) = returned.code.filter(|_| returned.error.is_none()) else {
        let error = returned.error.unwrap_or_default();
        return Ok(Back::Stays(denied(env, caller, provider, &error)));
    };
    let uri = redirect_uri(env, provider);
    let once = env.rng.draw(Token::random);
    let spoken = match provider.redeem(code.expose_str(), detour, &uri, &once, now).await {
        Ok(spoken) => spoken,
        Err(fault) => return Ok(Back::Stays(blame(env, caller, provider, &fault, tried))),
    };
    let back = match detour.purpose {
        Purpose::SignIn => signs_in(env, caller, provider, state, detour, &spoken).await?,
        Purpose::Confirm { user, user_session } => {
            let mine = authenticated.filter(|mine| is_of(mine, user, user_session));
            confirms(env, caller, provider, state, detour, &spoken, mine).await?
        }
        Purpose::Connect { user, user_session } => {
            let mine = authenticated.filter(|mine| is_of(mine, user, user_session));
            connects(env, caller, provider, state, detour, &spoken, mine).await?
        }
    };
    if !matches!(back, Back::Stays(_)) {
        tried.give_back();
    }
    Ok(back)
}

/// The known browser that comes back, if it is one of a user for whom an account at `provider` may
/// speak. It is counted by itself, as at [`sign_in`](super::sign_in::sign_in).
async fn known_browser(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
) -> Result<Option<BrowserId>, Unavailable> {
    let Some(cookie) = caller.carried.known else { return Ok(None) };
    let Some(found) = env.store.user(cookie.user).await? else { return Ok(None) };
    let issuer = &provider.settings().issuer;
    let comes_from = found.user.accounts().any(|account| account.issuer() == issuer);
    Ok(caller.known_to(&found.user).filter(|_| comes_from))
}

/// A browser comes back with a state that it does not carry: used, expired, made up, or of another
/// browser.
pub fn unknown_state(env: &Env, caller: &Caller, provider: &Provider) -> Stop {
    let why = "the parameter `state` was used, has expired, or belongs to another browser";
    tell(env, caller, provider, What::ProviderRefused, why);
    Stop::Spent
}

async fn signs_in(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    state: &Token,
    detour: &Detour,
    spoken: &Spoken,
) -> Result<Back, Unavailable> {
    let told = &spoken.told;
    let people = &provider.settings().people;
    if let Err(barred) = people.admit(told) {
        return Ok(Back::Stays(bar(env, caller, provider, told, barred)));
    }
    let user = match env.store.user_of_account(&told.account).await? {
        Some(user) => user,
        None => match newcomer(env, caller, provider, told).await? {
            Ok(user) => user,
            Err(barred) => return Ok(Back::Stays(bar(env, caller, provider, told, barred))),
        },
    };
    let event = |what| caller.event(user, what);
    take_over(env, provider, user, told, caller.now, event).await?;
    let fresh = Fresh::draw(env);
    let key = state.hash();
    let reads = Reads::user(user)
        .in_session(caller.carried.session.as_ref().map(Token::hash))
        .and::<SpentState>(&key);
    let refresh = provider.settings().refresh;
    let there = There::of(spoken);
    let reads = there.read_with(reads);
    let done = env
        .store
        .update(reads, |tx| {
            if !uses_up(tx, &key, detour) {
                return Back::Stays(Stop::Spent);
            }
            if there.has_ended(tx, spoken) {
                tx.tell(caller.event(user, What::ProviderDenied));
                return Back::Stays(Stop::Denied);
            }
            tx.user.spoken_for(&told.account, refresh, caller.now);
            if tx.user.disabled().is_some() || !counts(&tx.user, &told.account, caller.now) {
                tx.tell(caller.event(user, What::ProviderBarred));
                return Back::Stays(Stop::NotAdmitted);
            }
            let proofs = shown(&tx.user, spoken, Proofs::default(), caller.now);
            let given = begin_session(env, caller, tx, proofs, &fresh);
            let expires = caller.now.plus(env.config.sessions.at_most);
            there.name_in(tx, expires);
            let (account, session) = (told.account.clone(), spoken.session.clone());
            let id = tx.began_at(AtProvider::new(account.clone(), session));
            if let (Some(user_session), Some(token)) = (id, spoken.refresh.clone()) {
                let now = caller.now;
                let (tried, answered) = (now, now);
                let renewal =
                    Renewal { user, user_session, account, token, tried, answered, expires };
                tx.put(&renewal.key(), renewal);
            }
            Back::SignedIn(given)
        })
        .await?;
    Ok(done.unwrap_or(Back::Stays(Stop::NotAdmitted)))
}

/// The user whom an account that is new here belongs to: one with the verified address, where the
/// operator says so, or a new one.
async fn newcomer(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    told: &Told,
) -> Result<Result<UserId, Barred>, Unavailable> {
    let people = &provider.settings().people;
    if let Some(email) = people.matching(told)
        && let Some(user) = env.store.user_named(&Login::typed(email.as_str())).await?
    {
        let connected = connect_blank(env, caller, user, &told.account, email.key()).await?;
        return Ok(if connected { Ok(user) } else { Err(Barred::NameTaken) });
    }
    let mentioned = |name: &Name| env.config.mentioned_users.contains(name.as_str());
    let name = match people.new_name(told, mentioned) {
        Ok(name) => name,
        Err(barred) => return Ok(Err(barred)),
    };
    // Applications may keep something under the name of somebody who was removed.
    if env.store.was_somebodys(&name).await? {
        return Ok(Err(Barred::NameTaken));
    }
    let profile = Profile {
        name,
        full_name: told.full_name.as_ref().map(|name| name.as_str().to_owned()),
        email: told.email.clone(),
        groups: BTreeSet::new(),
    };
    let id = env.rng.draw(UserId::random);
    let mut user = User::new(id, profile, caller.now).of_provider(told.account.clone());
    user.take_told(told, people, caller.now);
    let brought = caller.event(id, What::UserBrought);
    match env.store.add_user(&user, None, &[brought]).await? {
        Added::Now => Ok(Ok(id)),
        Added::NameTaken | Added::EmailTaken | Added::AccountTaken => {
            // Another tab was quicker: the name is their own.
            let found = env.store.user_of_account(&told.account).await?;
            Ok(found.ok_or(Barred::NameTaken))
        }
    }
}

fn is_of(mine: &AuthenticatedRequest, user: UserId, user_session: UserSessionId) -> bool {
    (mine.session.user, mine.user_session) == (user, user_session)
}

/// Connects the account to the user who went there for that, in the same user session.
async fn connects(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    state: &Token,
    detour: &Detour,
    spoken: &Spoken,
    mine: Option<&AuthenticatedRequest>,
) -> Result<Back, Unavailable> {
    let Some(mine) = mine else { return Ok(Back::Stays(Stop::Spent)) };
    let told = &spoken.told;
    // Whoever sits at this browser must have the account: perhaps somebody else is signed in there.
    let is_again = detour.is_again(spoken.auth_time, spoken.issued, env.now()?);
    if provider.can_confirm() && !is_again {
        tell(env, caller, provider, What::ProviderRefused, &Lie::AuthTime.to_string());
        return Ok(Back::Stays(Stop::NotAgain));
    }
    if let Err(barred) = provider.settings().people.admit(told) {
        return Ok(Back::Stays(bar(env, caller, provider, told, barred)));
    }
    let key = state.hash();
    let reads = mine.reads().and::<SpentState>(&key);
    let goes_on = env
        .store
        .update(reads, |tx| uses_up(tx, &key, detour) && live_session(env, caller, tx).is_some());
    if goes_on.await? != Some(true) {
        return Ok(Back::Stays(Stop::Spent));
    }
    Ok(match connect(env, caller, mine.session.user, &told.account).await? {
        Connecting::Now => Back::Connected,
        Connecting::Taken => {
            let why = "the account to be connected is another user's";
            tell(env, caller, provider, What::ProviderBarred, why);
            Back::Stays(Stop::AccountTaken)
        }
        Connecting::Not => Back::Stays(Stop::TooMany),
    })
}

/// Connects an account to a user who has nothing yet, found by their address. Says whether it did.
async fn connect_blank(
    env: &Env,
    caller: &Caller,
    user: UserId,
    account: &Account,
    address: &str,
) -> Result<bool, Unavailable> {
    let changed = env.store.change_user(user, |user| {
        // Another tab was quicker.
        if user.has_account(account) {
            return (true, Vec::new());
        }
        // Found by a user name that looks like the address is not found by the address.
        let is_theirs = user.email().is_some_and(|email| email.key() == address);
        if !is_theirs || !user.is_blank() {
            return (false, Vec::new());
        }
        user.connect_found(account.clone());
        (true, vec![caller.event(user.id(), What::ProviderConnected)])
    });
    Ok(matches!(changed.await?, Some(Changed::Now(true))))
}

async fn confirms(
    env: &Env,
    caller: &Caller,
    provider: &Provider,
    state: &Token,
    detour: &Detour,
    spoken: &Spoken,
    mine: Option<&AuthenticatedRequest>,
) -> Result<Back, Unavailable> {
    let Some(mine) = mine else { return Ok(Back::Stays(Stop::Spent)) };
    if let Err(barred) = provider.settings().people.admit(&spoken.told) {
        return Ok(Back::Stays(bar(env, caller, provider, &spoken.told, barred)));
    }
    let (user, refresh) = (mine.session.user, provider.settings().refresh);
    // The provider may have answered long after the request came.
    let is_again = detour.is_again(spoken.auth_time, spoken.issued, env.now()?);
    let account = &spoken.told.account;
    let (fresh, key) = (Fresh::draw(env), state.hash());
    let there = There::of(spoken);
    let reads = there.read_with(mine.reads().and::<SpentState>(&key));
    let done = env
        .store
        .update(reads, |tx| {
            if !uses_up(tx, &key, detour) {
                return Back::Stays(Stop::Spent);
            }
            let Some(session) = live_session(env, caller, tx) else {
                return Back::Stays(Stop::Spent);
            };
            let at = tx.user_session.as_ref().and_then(|one| one.at_provider.as_ref());
            if !tx.user.has_account(account) || !may_confirm(env, at, account) {
                tx.tell(caller.event(user, What::ProviderRefused));
                return Back::Stays(Stop::SomebodyElse);
            }
            if !is_again {
                tx.tell(caller.event(user, What::ProviderRefused));
                return Back::Stays(Stop::NotAgain);
            }
            if there.has_ended(tx, spoken) {
                tx.tell(caller.event(user, What::ProviderDenied));
                return Back::Stays(Stop::Denied);
            }
            tx.user.spoken_for(account, refresh, caller.now);
            if !counts(&tx.user, account, caller.now) {
                tx.tell(caller.event(user, What::ProviderBarred));
                return Back::Stays(Stop::NotAdmitted);
            }
            tx.tell(caller.event(user, What::Confirmed));
            if let Some(user_session) = &mut tx.user_session {
                user_session.confirmed_at(account, spoken.session.clone());
            }
            there.name_in(tx, caller.now.plus(env.config.sessions.at_most));
            let proofs = shown(&tx.user, spoken, session.proofs.clone(), caller.now);
            let session = HostSession { proofs, ..session };
            Back::Confirmed(replace(env, caller, tx, session, &fresh))
        })
        .await?
        .unwrap_or(Back::Stays(Stop::Spent));
    match &done {
        Back::Stays(Stop::NotAgain) => log(env, caller, provider, &Lie::AuthTime.to_string()),
        Back::Stays(Stop::SomebodyElse) => {
            log(env, caller, provider, "somebody else came back to confirm");
        }
        _ => {}
    }
    Ok(done)
}

/// Whether the user of a user session that began, or was confirmed, at the provider `at` confirms with
/// `account`: if another account can confirm there, only with that.
pub fn may_confirm(env: &Env, at: Option<&AtProvider>, account: &Account) -> bool {
    let confirms = |at: &&AtProvider| {
        let provider = env.providers.of_issuer(at.account.issuer());
        provider.is_some_and(|provider| provider.can_confirm())
    };
    at.filter(confirms).is_none_or(|at| at.account == *account)
}

/// The records about the session at a provider in which somebody came: whose it is, and whether it, or
/// all of the subject, have ended.
struct There {
    named: Option<TokenHash>,
    ended: Option<TokenHash>,
    all_ended: TokenHash,
}

impl There {
    fn of(spoken: &Spoken) -> Self {
        let account = &spoken.told.account;
        let (issuer, session) = (account.issuer(), spoken.session.as_deref());
        Self {
            named: session.map(|session| AtProvider::key(issuer, session)),
            ended: session.map(|session| AtProvider::ended_session(issuer, session)),
            all_ended: AtProvider::ended_subject(issuer, account.subject()),
        }
    }

    fn read_with(&self, reads: Reads) -> Reads {
        let reads = reads.and::<SpentState>(&self.all_ended);
        let reads = self.ended.iter().fold(reads, Reads::and::<SpentState>);
        self.named.iter().fold(reads, Reads::and::<NamedAtProvider>)
    }

    /// Whether the provider has said meanwhile that what was `spoken` is over: the logout token was
    /// quicker than the browser.
    fn has_ended(&self, tx: &Transaction, spoken: &Spoken) -> bool {
        let has_ended = self.ended.as_ref().is_some_and(|key| tx.get::<SpentState>(key).is_some());
        let all_ended = tx.get::<SpentState>(&self.all_ended);
        has_ended
            || all_ended.is_some_and(|all| spoken.issued.plus(SignedOut::LASTS) <= all.expires)
    }

    /// Says whose the session is.
    fn name_in(&self, tx: &mut Transaction, expires: Timestamp) {
        let user = tx.user.id();
        if let Some(named) = &self.named {
            tx.put(named, NamedAtProvider { user, expires });
        }
    }
}

/// Whether this account is a first factor of the user now. One that does not answer for them ends with
/// the word of the provider that does.
fn counts(user: &User, account: &Account, now: Timestamp) -> bool {
    user.has_account(account) && user.stands(user.first_factor_of(account), now)
}

/// `proofs` with what the provider says was shown. A second factor counts only at the provider that
/// answers for the user: another account was perhaps connected by somebody who had the password alone.
fn shown(user: &User, spoken: &Spoken, proofs: Proofs, now: Timestamp) -> Proofs {
    let by = user.first_factor_of(&spoken.told.account);
    let proofs = proofs.with(Proof::First(by), now);
    let counts = spoken.second_factor && by == FirstFactor::Provider;
    if counts { proofs.with(Proof::ProvidersFactor, now) } else { proofs }
}

/// Uses the state with this key up. Returns whether it was not used before.
fn uses_up(tx: &mut Transaction, key: &StateKey, detour: &Detour) -> bool {
    let is_new = tx.get::<SpentState>(key).is_none();
    if is_new {
        tx.put(key, SpentState { expires: detour.began.plus(Detour::LASTS) });
    }
    is_new
}

/// What an error in the URL means (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
fn denied(env: &Env, caller: &Caller, provider: &Provider, error: &str) -> Stop {
    let shown: String = error.chars().take(80).flat_map(char::escape_default).collect();
    match error {
        "server_error" | "temporarily_unavailable" => {
            tell(env, caller, provider, What::ProviderUnavailable, &shown);
            Stop::Unavailable
        }
        "access_denied"
        | "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => {
            tell(env, caller, provider, What::ProviderDenied, &shown);
            Stop::Denied
        }
        // The client is configured wrongly there, or nothing came back.
        _ => {
            tell(env, caller, provider, What::ProviderRefused, &shown);
            Stop::Refused
        }
    }
}

/// An attempt that came to nothing because of this `fault`. It is given back if the provider is away:
/// then nothing was checked.
fn blame(env: &Env, caller: &Caller, provider: &Provider, fault: &Fault, tried: Try) -> Stop {
    if matches!(fault, Fault::Unavailable(_)) {
        tried.give_back();
    }
    explain(env, caller, provider, fault)
}

fn explain(env: &Env, caller: &Caller, provider: &Provider, fault: &Fault) -> Stop {
    match fault {
        Fault::Unavailable(why) => {
            tell(env, caller, provider, What::ProviderUnavailable, why);
            Stop::Unavailable
        }
        Fault::Refused(lie) => {
            tell(env, caller, provider, What::ProviderRefused, &lie.to_string());
            Stop::Refused
        }
    }
}

fn bar(env: &Env, caller: &Caller, provider: &Provider, told: &Told, barred: Barred) -> Stop {
    let subject = told.account.subject();
    let (what, why, stop) = match barred {
        Barred::NotAMember => {
            let why = "is in none of the domains or organisations of `people.only`";
            (What::ProviderBarred, why, Stop::NotAdmitted)
        }
        Barred::Unknown => {
            let why = "is not known here, and `people.create` is not set; add the user: \
                       `doorward user add NAME --provider PROVIDER:SUBJECT`";
            (What::ProviderBarred, why, Stop::NotAdmitted)
        }
        Barred::NoName => {
            let why = "has neither a `preferred_username` nor a verified address";
            (What::ProviderNameMissing, why, Stop::NoName)
        }
        Barred::NameTaken => {
            let why = "has a name or an address of somebody else here, the name of a removed user, or a name \
                       that rules mention";
            (What::ProviderNameTaken, why, Stop::NameTaken)
        }
    };
    tell(env, caller, provider, what, &format!("the subject {subject} {why}"));
    stop
}

fn tell(env: &Env, caller: &Caller, provider: &Provider, what: What, why: &str) {
    let whom = Whom::Provider(provider.settings().name.clone());
    env.store.note_stranger(&caller.event_about(whom, what));
    log(env, caller, provider, why);
}

fn log(env: &Env, caller: &Caller, provider: &Provider, why: &str) {
    let Some(left_out) = env.log_throttle.due(Line::Provider, caller.now) else { return };
    let (provider, address) = (&provider.settings().name, caller.address);
    tracing::warn!(provider, %address, left_out, "sign-in with an identity provider failed: {why}");
}

/// In bytes: 43 characters as text (RFC 7636 §4.1).
const VERIFIER_LENGTH: usize = 32;
