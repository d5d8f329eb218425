//! The users of the demo, their states, and what Alan's phone shows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::cli::failure::Failure;
use crate::domain::factor::totp::Key;
use crate::domain::factor::{Answer, Begun};
use crate::domain::name::{Email, FullName, Group, Login, Name};
use crate::domain::password::Password;
use crate::domain::time::Timestamp;
use crate::domain::user::{Profile, User};
use crate::flow::Env;
use crate::flow::administer::{self, Adding};
use crate::store::Reads;

/// A user of the demo.
pub(super) struct Person {
    pub(super) name: &'static str,
    full_name: &'static str,
    group: &'static str,
    pub(super) password: &'static str,
    /// The state of the user, for the reader.
    pub(super) story: &'static str,
}

/// One who must set up two-factor, one who has it, and one who does not need it.
pub(super) const EVERYBODY: [Person; 3] = [
    Person {
        name: "ada",
        full_name: "Ada Lovelace",
        group: "payroll",
        password: "teapot orbit lantern",
        story: "can open Payroll, and must set up two-factor there",
    },
    Person {
        name: ALAN,
        full_name: "Alan Turing",
        group: "board",
        password: "marble canoe thunder",
        story: "has two-factor on: needs a code everywhere",
    },
    Person {
        name: "grace",
        full_name: "Grace Hopper",
        group: "harbour",
        password: "pepper velvet signpost",
        story: "does not need two-factor: it is offered, and can be skipped",
    },
];

const ALAN: &str = "alan";

/// The least number of seconds that it takes to type a code.
const IN_TIME: u64 = 5;

/// Alan's phone.
pub(super) struct Alan(Key);

impl Alan {
    /// The code at `now` and for how long it is shown; also the next code if there is too little
    /// time to type the first.
    pub(super) fn shows(&self, now: Timestamp) -> String {
        let left = 30 - now.seconds() % 30;
        let code = self.0.code_at(now);
        let (code, seconds) = (code.expose(), if left == 1 { "second" } else { "seconds" });
        let shown = format!("Alan's code: {code}  (for {left} more {seconds})");
        if left >= IN_TIME {
            return shown;
        }
        let next = self.0.code_at(Timestamp::from_secs(now.seconds() + left));
        format!("{shown}, then: {}", next.expose())
    }
}

/// Adds the users, each with a password, and Alan with an authenticator.
///
/// # Errors
/// If the store or hashing fails.
pub(super) async fn move_in(env: &Env) -> Result<Alan, Failure> {
    let alan = Alan(env.rng.draw(Key::random));
    for person in &EVERYBODY {
        add(env, person, &alan).await?;
    }
    Ok(alan)
}

async fn add(env: &Env, person: &Person, alan: &Alan) -> Result<(), Failure> {
    let stuck = || Failure::new(format!("cannot add {} to the demo", person.full_name));
    let broken = |error: &dyn std::error::Error| stuck().because(error);

    let profile = profile(person).map_err(|error| broken(&error))?;
    let added = administer::add(env, "demo", profile).await.map_err(|error| broken(&error))?;
    let Adding::Added(_) = added else { return Err(stuck()) };
    let login = Login::typed(person.name);
    let id = env.store.user_named(&login).await.map_err(|error| broken(&error))?;
    let id = id.ok_or_else(stuck)?;

    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let place = env.hashing.place(here, None).map_err(|error| broken(&error))?;
    let hash = place.hash(Password::typed(person.password)).await;
    let hash = hash.map_err(|error| broken(&error))?;
    let now = env.now().map_err(|error| broken(&error))?;
    let settled = env.store.update(Reads::user(id), |held| {
        held.user.set_password(hash.clone());
        if person.name == ALAN {
            set_up(env, &mut held.user, alan, now);
        }
    });
    settled.await.map_err(|error| broken(&error))?.ok_or_else(stuck)
}

/// Turns two-factor on with the previous code, so that the present one is still unused.
fn set_up(env: &Env, user: &mut User, Alan(key): &Alan, now: Timestamp) {
    let step = Duration::from_secs(30);
    let before = Timestamp::from_millis(
        now.millis().saturating_sub(u64::try_from(step.as_millis()).unwrap_or_default()),
    );
    let code = Answer::Totp(key.code_at(before));
    let (begun, settings) = (Begun::Totp(key.clone()), env.config.second_factor);
    env.rng.draw(|rng| user.turn_on(begun, &code, settings, rng, now));
    user.save_recovery_codes(now);
}

fn profile(person: &Person) -> Result<Profile, crate::domain::name::NameError> {
    Ok(Profile {
        name: Name::parse(person.name)?,
        full_name: Some(FullName::parse(person.full_name)?.into()),
        email: Some(Email::parse(&format!("{}@harbour.example", person.name))?),
        groups: BTreeSet::from([Group::parse(person.group)?]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_password_that_could_be_chosen() {
        for person in &EVERYBODY {
            let known = [person.name, person.full_name, "localhost"];
            assert!(Password::chosen(person.password, &known).is_ok(), "{}", person.name);
            assert!(profile(person).is_ok());
        }
    }

    #[test]
    fn the_code_comes_with_the_time_it_has_left() {
        let alan = Alan(Key::from_bytes(b"12345678901234567890").unwrap());
        // RFC 6238 appendix B, six digits of the first vector.
        let at = |seconds| alan.shows(Timestamp::from_secs(seconds));
        assert_eq!(at(55), "Alan's code: 287082  (for 5 more seconds)");
        assert!(at(56).starts_with("Alan's code: 287082  (for 4 more seconds), then: "));
        let next: String = at(60).chars().filter(char::is_ascii_digit).take(6).collect();
        let last = "Alan's code: 287082  (for 1 more second), then: ";
        assert_eq!(at(59), format!("{last}{next}"));
    }
}
