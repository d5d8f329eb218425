//! The operations, one for each path.

use axum::body::Bytes;
use axum::extract::State;

use super::view;
use super::{Answer, AppState, Operator, Refused, json, read};
use crate::cli::api::{
    Changes, Done, Filter, Import, Imported, Names, NewAccount, NewUser, Newcomer, Standing,
    WhichKey, Whom,
};
use crate::domain::digest::Digest;
use crate::domain::name::{Group, Login, Name};
use crate::domain::provider::Account;
use crate::domain::user::{Change, Origin, Profile};
use crate::flow::Env;
use crate::flow::administer::{self, Adding, AddingAccount, Changing, Counting, Linking, Switched};
use crate::flow::import::{self, Known, TakenOver};
use crate::store::Added;

pub(super) async fn add(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let new: NewUser = read(&body)?;
    let (name, email) = (new.name.clone(), new.email.clone());
    match administer::add(&state.env(), &by, profile(new)).await? {
        Adding::Added(link) => Ok(json(&state.link_made(&link))),
        Adding::NameTaken => Err(Refused::conflict(format!(
            "{name} is already the name or e-mail address of a user; \
                                           nobody was added"
        ))),
        Adding::EmailTaken => Err(Refused::conflict(format!(
            "{} is already the name or e-mail address of a user; nobody was added",
            email.map_or_else(String::new, String::from)
        ))),
    }
}

pub(super) async fn add_account(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let NewAccount { who, provider, subject } = read(&body)?;
    let env = state.env();
    let added = administer::add_account(&env, &by, profile(who), &provider, &subject).await?;
    let taken = |what: &str| {
        Refused::conflict(format!("{what} is already that of a user; nobody was added"))
    };
    match added {
        AddingAccount::Added(name) => done(name.as_str(), Some(name.clone())),
        AddingAccount::Taken(Added::AccountTaken) => Err(taken("the account at the provider")),
        AddingAccount::Taken(Added::EmailTaken) => Err(taken("the e-mail address")),
        AddingAccount::Taken(Added::NameTaken | Added::Now) => Err(taken("the name")),
        AddingAccount::NoProvider => Err(no_provider(&env, &provider, "nobody was added")),
        AddingAccount::NoSubject => Err(no_subject("nobody was added")),
    }
}

fn no_provider(env: &Env, named: &str, result: &str) -> Refused {
    let all: Vec<&str> = env.config.providers.iter().map(|one| one.name.as_str()).collect();
    let known = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Refused::conflict(format!("no provider is called `{named}` (configured: {known}); {result}"))
}

fn no_subject(result: &str) -> Refused {
    Refused::conflict(format!(
        "the subject is empty, longer than 255 characters, or has characters other than visible \
         ASCII; {result}"
    ))
}

/// The origin that an operator writes: `local`, or `PROVIDER:SUBJECT`.
fn origin(env: &Env, written: &str) -> Result<Origin, Refused> {
    const UNCHANGED: &str = "nothing was changed";
    if written == "local" {
        return Ok(Origin::Local);
    }
    let Some((name, subject)) = written.split_once(':') else {
        return Err(Refused::conflict(format!(
            "`{written}` is not a valid origin: write `local` or PROVIDER:SUBJECT, such as \
             `google:110169484474386276334`; {UNCHANGED}"
        )));
    };
    let provider = env.providers.named(name).ok_or_else(|| no_provider(env, name, UNCHANGED))?;
    let account = Account::new(&provider.settings().issuer, subject);
    account.map(Origin::Provider).ok_or_else(|| no_subject(UNCHANGED))
}

pub(super) async fn list(State(state): State<AppState>, _: Operator, body: Bytes) -> Answer {
    let filter: Filter = read(&body)?;
    let groups: Vec<&str> = filter.groups.iter().map(Group::as_str).collect();
    let mut everybody = administer::list(&state.env()).await?;
    everybody.retain(|user| {
        let is_in = |group: &&str| user.identity().groups.contains(*group);
        (groups.is_empty() || groups.iter().any(is_in))
            && !(filter.without_second_factor && user.has_second_factor())
    });
    Ok(json(&everybody.iter().map(view::person).collect::<Vec<_>>()))
}

pub(super) async fn show(State(state): State<AppState>, _: Operator, body: Bytes) -> Answer {
    let Whom { name } = read(&body)?;
    let shown = administer::show(&state.env(), &Login::typed(&name), EVENTS).await?;
    let shown = shown.ok_or_else(|| Refused::nobody(&name))?;
    // Since when it is demanded, only a running gateway knows.
    let due = state.live().ok().and_then(|live| {
        let (env, user) = (live.env(), &shown.user);
        env.config.demands.due(&user.identity(), user.made(), None, &env.since)
    });
    Ok(json(&view::details(&shown, due)))
}

pub(super) async fn unlock(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    let unlocked = administer::unlock(&state.env(), &by, &Login::typed(&name)).await?;
    done(&name, unlocked)
}

pub(super) async fn trust_key(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let WhichKey { name, key } = read(&body)?;
    match administer::trust_key(&state.env(), &by, &Login::typed(&name), &key).await? {
        Some(Counting::Now(name)) => switch("", Some(Switched::Now(name))),
        Some(Counting::Already(name)) => switch("", Some(Switched::Already(name))),
        Some(Counting::NoSuchKey(name)) => Err(Refused::conflict(format!(
            "the name or id `{key}` does not match exactly one security key of {name}; \
             `doorward user show {name}` lists them"
        ))),
        None => Err(Refused::nobody(&name)),
    }
}

pub(super) async fn password_link(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    match administer::password_link(&state.env(), &by, &Login::typed(&name)).await? {
        Some(Linking::Made(link)) => Ok(json(&state.link_made(&link))),
        Some(Linking::Disabled(name)) => Err(Refused::conflict(format!(
            "{name} is disabled, so a link would not work; first run: doorward user enable {name}"
        ))),
        None => Err(Refused::nobody(&name)),
    }
}

pub(super) async fn disable(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    let switched = administer::disable(&state.env(), &by, &Login::typed(&name)).await?;
    switch(&name, switched)
}

pub(super) async fn enable(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    let switched = administer::enable(&state.env(), &by, &Login::typed(&name)).await?;
    switch(&name, switched)
}

pub(super) async fn reset_2fa(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    let switched = administer::reset_second_factor(&state.env(), &by, &Login::typed(&name)).await?;
    switch(&name, switched)
}

pub(super) async fn set(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let changes: Changes = read(&body)?;
    let env = state.env();
    let moves = changes.origin.as_deref().map(|written| origin(&env, written)).transpose()?;
    let change = Change {
        full_name: changes.full_name.map(Some).or(changes.no_full_name.then_some(None)),
        email: changes.email.clone().map(Some).or(changes.no_email.then_some(None)),
        groups: changes.groups,
        add_groups: changes.add_groups,
        remove_groups: changes.remove_groups,
        origin: moves,
    };
    let whom = Login::typed(&changes.name);
    match administer::change(&env, &by, &whom, &change).await? {
        Some(Changing::Changed(user)) => Ok(json(&view::person(&user))),
        Some(Changing::EmailTaken) => Err(Refused::conflict(format!(
            "{} is already the name or e-mail address of another user; nothing was changed",
            changes.email.map_or_else(String::new, String::from)
        ))),
        Some(Changing::AccountTaken) => Err(Refused::conflict(format!(
            "the account {} already belongs to another user; nothing was changed. \
             `doorward user show NAME` lists a user's accounts",
            changes.origin.unwrap_or_default()
        ))),
        None => Err(Refused::nobody(&changes.name)),
    }
}

pub(super) async fn remove(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Whom { name } = read(&body)?;
    let removed = administer::remove(&state.env(), &by, &Login::typed(&name)).await?;
    done(&name, removed)
}

pub(super) async fn known(State(state): State<AppState>, _: Operator, body: Bytes) -> Answer {
    let asked: Vec<Names> = read(&body)?;
    let mut all = Vec::with_capacity(asked.len());
    for Names { name, email } in &asked {
        all.push(match import::known(&state.env(), name, email.as_ref()).await? {
            Known::New => Standing::New,
            Known::There => Standing::There,
            Known::NameIsEmail => Standing::NameIsEmail,
            Known::EmailTaken => Standing::EmailTaken,
        });
    }
    Ok(json(&all))
}

pub(super) async fn import(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let Import { people, links } = read(&body)?;
    let newcomers = people.into_iter().map(newcomer).collect::<Result<Vec<_>, _>>()?;
    let made = import::take_over(&state.env(), &by, newcomers, links).await?;
    let each = made.into_iter().map(|one| match one {
        TakenOver::Added(link) => Imported::Added(link.map(|link| state.link_made(&link))),
        TakenOver::NameTaken | TakenOver::EmailTaken => Imported::Taken,
    });
    Ok(json(&each.collect::<Vec<_>>()))
}

fn newcomer(Newcomer { who, digest }: Newcomer) -> Result<import::Newcomer, Refused> {
    let name = who.name.clone();
    let password = digest.as_deref().map(Digest::parse).transpose();
    let password = password
        .map_err(|why| Refused::misunderstood(&format!("the password hash of {name}: {why}")))?;
    Ok(import::Newcomer { profile: profile(who), password })
}

fn profile(new: NewUser) -> Profile {
    let NewUser { name, full_name, email, groups } = new;
    Profile { name, full_name: full_name.map(String::from), email, groups }
}

fn done(asked: &str, name: Option<Name>) -> Answer {
    switch(asked, name.map(Switched::Now))
}

fn switch(asked: &str, switched: Option<Switched>) -> Answer {
    let (name, changed) = match switched {
        Some(Switched::Now(name)) => (name.into(), true),
        Some(Switched::Already(name)) => (name.into(), false),
        None => return Err(Refused::nobody(asked)),
    };
    Ok(json(&Done { name, changed }))
}

/// How many of the latest events are shown.
const EVENTS: usize = 10;
