//! What operators can change and read of a user.

use super::{Change, User};
use crate::domain::device::KnownBrowser;
use crate::domain::factor::Settings;
use crate::domain::lockout::{Failures, Tries, WrongCodes};
use crate::domain::name::Email;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;

/// Operations by operators.
impl User {
    /// Disables this user: ends sessions, voids links of every kind, revokes trusted devices.
    /// Returns whether this changed anything.
    pub fn disable(&mut self, now: Timestamp) -> bool {
        if self.disabled.is_some() {
            return false;
        }
        self.disabled = Some(now);
        self.epoch += 1;
        self.next_link();
        self.void_mailed_links();
        self.devices.clear();
        true
    }

    /// Lets this user sign in again, with the same password and factors as before. Returns whether
    /// this changed anything.
    pub fn enable(&mut self) -> bool {
        self.disabled.take().is_some()
    }

    /// When this user was disabled.
    pub fn disabled(&self) -> Option<Timestamp> {
        self.disabled
    }

    /// Turns two-factor off for a user who lost their factors. Removes authenticators, recovery
    /// codes, trusted devices and failed codes, and ends all sessions.
    pub fn reset_second_factor(&mut self) {
        self.factors.clear();
        self.recovery_codes = None;
        self.devices.clear();
        self.frozen = None;
        self.link_only = true;
        self.weakened = None;
        self.epoch += 1;
        self.wrong_codes = WrongCodes::default();
        for tries in self.all_tries() {
            tries.second_factor.clear();
        }
    }

    /// Handles a record from a backup: what was used since is unknown. Ends sessions, revokes
    /// trusted devices and voids every code that may have been used by `now`.
    pub fn void_what_may_have_been_used(&mut self, settings: Settings, now: Timestamp) {
        self.epoch += 1;
        self.next_link();
        self.void_mailed_links();
        self.devices.clear();
        if let Some(codes) = &mut self.recovery_codes {
            codes.void(now);
        }
        for factor in &mut self.factors {
            factor.void(settings, now);
        }
    }

    /// Clears all failures, for both factors and all browsers.
    pub fn unlock(&mut self) {
        self.wrong_codes = WrongCodes::default();
        for tries in self.all_tries() {
            *tries = Tries::default();
        }
    }

    /// Changes the user's data. Sessions stay, and their next requests are judged with the new
    /// data. Returns whether this changed anything. A group that a provider gives is taken away only
    /// until its next word.
    pub fn change(&mut self, change: &Change) -> bool {
        // Addresses are equal if their keys are equal; a change of spelling counts as a change
        // here.
        let written = |email: &Option<Email>| email.as_ref().map(ToString::to_string);
        let groups = |user: &Self| (user.groups.clone(), user.given.clone());
        let before = (self.full_name.clone(), self.email.clone(), groups(self));
        if let Some(full_name) = &change.full_name {
            self.full_name = full_name.as_ref().map(|name| name.as_str().to_owned());
        }
        if let Some(email) = &change.email {
            if self.email != *email {
                // An address set by an operator counts as verified, and at once.
                self.email_since = None;
            }
            self.email.clone_from(email);
            self.new_email = None;
            if written(&before.1) != written(&self.email) {
                self.void_mailed_links();
            }
            self.remove_stale_backups();
        }
        if let Some(groups) = &change.groups {
            self.groups.clone_from(groups);
            self.given.retain(|group| groups.contains(group));
        }
        let origin = change.origin.as_ref().filter(|origin| **origin != self.origin);
        if let Some(origin) = origin {
            self.move_to(origin.clone());
        }
        self.groups.extend(change.add_groups.iter().cloned());
        self.groups.retain(|group| !change.remove_groups.contains(group));
        self.given.retain(|group| !change.remove_groups.contains(group));
        origin.is_some()
            || written(&before.1) != written(&self.email)
            || (before.0, before.2) != (self.full_name.clone(), groups(self))
    }

    /// Sets the imported password hash of a new user.
    #[must_use]
    pub fn with_password(mut self, hash: PasswordHash) -> Self {
        self.password = Some(hash);
        self
    }

    fn all_tries(&mut self) -> impl Iterator<Item = &mut Tries> {
        let known = self.known.iter_mut().map(|known| &mut known.tries);
        known.chain(std::iter::once(&mut self.strangers))
    }
}

/// What operators can read.
impl User {
    /// The known browsers.
    pub fn known_browsers(&self) -> &[KnownBrowser] {
        &self.known
    }

    /// Failed attempts from unknown browsers.
    pub fn strangers(&self) -> &Tries {
        &self.strangers
    }

    /// The highest number of failures in a row in any class of browser: of the password, and of the
    /// second factor.
    pub fn most_failures(&self) -> (u32, u32) {
        let all = || self.known.iter().map(|known| &known.tries).chain([&self.strangers]);
        let most =
            |of: fn(&Tries) -> &Failures| all().map(|tries| of(tries).count()).max().unwrap_or(0);
        (most(|tries| &tries.password), most(|tries| &tries.second_factor))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::device::{DeviceId, Seen};
    use crate::domain::factor::{Answer, Begun, totp};
    use crate::domain::name::{FullName, Group, Name};
    use crate::domain::user::{Profile, Trust, UserId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn group(name: &str) -> Group {
        name.parse().unwrap()
    }

    /// A user with everything that a reset removes.
    fn ada() -> User {
        let profile = Profile {
            name: Name::parse("ada").unwrap(),
            full_name: Some("Ada".to_owned()),
            email: Some(Email::parse("ada@example.com").unwrap()),
            groups: [group("staff")].into(),
        };
        let mut ada = User::new(UserId::from([1; 16]), profile, NOW);
        let key = totp::Key::from_bytes(&[5; 20]).unwrap();
        let settings = Settings { skew: totp::Skew::default(), recovery_codes: 2 };
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(7);
        let code = Answer::Totp(key.code_at(NOW));
        ada.turn_on(Begun::Totp(key), &code, settings, &mut rng, NOW);
        let lasting = std::time::Duration::from_hours(1);
        ada.trust(
            DeviceId::from([4; 16]),
            None,
            Trust { lasting, at_most: 10 },
            &Seen::default(),
            NOW,
        );
        ada.strangers.password.fail(NOW);
        ada.strangers.second_factor.fail(NOW);
        ada
    }

    #[test]
    fn disabling_ends_everything_and_enabling_brings_none_of_it_back() {
        let mut ada = ada();
        let before = ada.clone();
        assert!(ada.disable(NOW));
        assert!(!ada.disable(Timestamp::from_secs(2_000_000)), "it is no news");
        assert_eq!(ada.disabled(), Some(NOW));
        assert!(ada.enable());
        assert!(!ada.enable());
        assert_eq!(ada.disabled(), None);
        assert_ne!(ada.epoch(), before.epoch(), "sessions");
        assert_ne!(ada.last_link(), before.last_link(), "links");
        assert!(ada.devices().is_empty(), "trusted devices");
        assert!(ada.has_second_factor());
    }

    #[test]
    fn a_reset_leaves_nothing_of_the_second_factor_and_the_password_as_it_was() {
        let mut ada = ada();
        let epoch = ada.epoch();
        ada.reset_second_factor();
        assert!(!ada.has_second_factor());
        assert_eq!(ada.recovery_codes(), None);
        assert!(ada.devices().is_empty());
        assert_ne!(ada.epoch(), epoch);
        assert_eq!(ada.most_failures(), (1, 0));
    }

    #[test]
    fn what_is_not_named_is_not_changed() {
        let mut ada = ada();
        let before = ada.clone();
        assert!(!ada.change(&Change::default()));
        assert!(!ada.change(&Change { add_groups: vec![group("staff")], ..Change::default() }));
        assert_eq!(ada, before);
        let change = Change {
            full_name: Some(Some(FullName::parse("Ada Lovelace").unwrap())),
            email: Some(None),
            add_groups: vec![group("engine"), group("crm")],
            remove_groups: vec![group("staff"), group("crm")],
            groups: None,
            origin: None,
        };
        assert!(ada.change(&change));
        let told = ada.identity();
        assert_eq!(told.full_name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(told.email, None);
        assert_eq!(told.groups, ["engine".to_owned()].into());
        assert_eq!(ada.epoch(), before.epoch(), "sessions live");
    }

    #[test]
    fn another_spelling_of_an_address_is_a_change() {
        let mut ada = ada();
        let email = Some(Some(Email::parse("Ada@Example.com").unwrap()));
        assert!(ada.change(&Change { email, ..Change::default() }));
        assert_eq!(ada.email().unwrap().as_str(), "Ada@Example.com");
    }
}
