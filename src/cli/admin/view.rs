//! Users as operators see them.

use crate::cli::api::{Codes, Details, Device, Factor, Failed, Happened, Person, Tally, written};
use crate::domain::digest::Scheme;
use crate::domain::event::Event;
use crate::domain::factor::security_key::SecurityKey;
use crate::domain::lockout::{Failures, Tries, WrongCodes};
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;
use crate::domain::user::{Origin, User};
use crate::flow::administer::Shown;

/// One line of the list.
pub(super) fn person(user: &User) -> Person {
    let identity = user.identity();
    let (password_failures, second_factor_failures) = user.most_failures();
    Person {
        name: identity.written,
        full_name: identity.full_name,
        email: identity.email,
        groups: identity.groups,
        added: written(user.made()),
        disabled_since: user.disabled().map(written),
        has_password: user.password().is_some(),
        has_second_factor: user.has_second_factor(),
        recovery_codes_left: user.recovery_codes().map_or(0, |codes| codes.unused().count()),
        trusted_devices: user.devices().len(),
        password_failures,
        second_factor_failures,
    }
}

/// All details. `due`: when the user must have a second factor.
pub(super) fn details(Shown { user, events, now }: &Shown, due: Option<Timestamp>) -> Details {
    let devices = user.devices().iter().filter(|device| device.is_trusted(*now));
    let devices: Vec<Device> = devices
        .map(|device| Device {
            first_used: written(device.made()),
            last_used: written(device.last_used()),
            expires: written(device.expires()),
        })
        .collect();
    let factors = user.factors().iter().map(|factor| Factor {
        kind: factor.kind().word().to_owned(),
        name: factor.name().map(ToString::to_string),
        added: written(factor.added()),
        last_used: written(factor.last_used()),
        id: factor.id().to_string(),
        notes: factor.security_key().map(|key| notes(key, *now)).unwrap_or_default(),
    });
    let known = user.known_browsers().iter();
    let classes = std::iter::once((None, user.strangers()))
        .chain(known.map(|known| (Some(written(known.last_seen())), known.tries())));
    Details {
        person: Person { trusted_devices: devices.len(), ..person(user) },
        imported_password: user
            .password()
            .and_then(PasswordHash::scheme)
            .map(|scheme| Scheme::name(scheme).to_owned()),
        frozen_since: user.frozen().map(written),
        awaits_a_link: user.awaits_a_link(),
        second_factor_due: due.filter(|_| !user.has_second_factor()).map(written),
        accounts: user
            .accounts()
            .map(|account| format!("{} {}", account.issuer(), account.subject()))
            .collect(),
        is_of_provider: *user.origin() != Origin::Local,
        factors: factors.collect(),
        recovery_codes: user.recovery_codes().map(|codes| Codes {
            left: codes.unused().count(),
            of: codes.count(),
            made: written(codes.made()),
            saved: codes.are_saved(),
        }),
        devices,
        known_browsers: user.known_browsers().len(),
        failures: classes
            .map(|(known, tries)| {
                let wrong_codes = known.is_none().then(|| user.wrong_codes(*now));
                (known, tries, wrong_codes.filter(|wrong| *wrong > 0))
            })
            .filter(|(_, tries, wrong_codes)| {
                tries.password.count() + tries.second_factor.count() > 0 || wrong_codes.is_some()
            })
            .map(|(known, tries, wrong_codes)| failed(known, tries, wrong_codes, *now))
            .collect(),
        events: events.iter().map(happened).collect(),
    }
}

fn notes(key: &SecurityKey, now: Timestamp) -> Vec<String> {
    let mut notes = vec![if key.can_be_copied() { "can be copied" } else { "cannot be copied" }];
    notes.extend((!key.verifies_user()).then_some("does not verify its user"));
    notes.extend(key.doubted().map(|_| "refused: its counter went back"));
    let mut notes: Vec<String> = notes.into_iter().map(str::to_owned).collect();
    let other = key.is_for_other_rp_id().then(|| key.rp_id());
    notes.extend(other.map(|id| format!("cannot be used: it is for the former RP ID `{id}`")));
    let waits = Some(key.counts_from()).filter(|from| *from > now);
    notes.extend(waits.map(|from| format!("phishing-resistant from {}", written(from))));
    notes
}

fn failed(
    known_browser: Option<String>,
    tries: &Tries,
    wrong_codes: Option<usize>,
    now: Timestamp,
) -> Failed {
    let tally = |failures: &Failures, locked: bool| Tally {
        failures: failures.count(),
        waits_until: failures.closed_until(now).filter(|_| !locked).map(written),
        locked,
        in_thirty_days: None,
    };
    let used_up = wrong_codes.is_some_and(|wrong| wrong >= WrongCodes::AT_MOST);
    let locked = tries.second_factor.are_locking() || used_up;
    Failed {
        known_browser,
        // Passwords are never locked.
        password: tally(&tries.password, false),
        second_factor: Tally { in_thirty_days: wrong_codes, ..tally(&tries.second_factor, locked) },
    }
}

fn happened(event: &Event) -> Happened {
    Happened {
        at: written(event.at),
        what: event.what.name().to_owned(),
        in_words: event.what.sentence().to_owned(),
        from: event.from.map(|address| address.to_string()),
        by: event.by.clone(),
    }
}
