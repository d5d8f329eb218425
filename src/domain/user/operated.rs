//! What operators may do to a person, and what they may know.

use super::{Change, User};
use crate::domain::device::{KnownBrowser, Tries};
use crate::domain::factor::totp::{Skew, Totp};
use crate::domain::lockout::Failures;
use crate::domain::name::Email;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;

/// What operators do.
impl User {
    /// Lets nobody in any longer who says to be this user: sessions end, links of every kind are
    /// dead, no device is trusted. Says whether that is news.
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

    /// Lets this user sign in again, with the password and the factors of before. Says whether that
    /// is news.
    pub fn enable(&mut self) -> bool {
        self.disabled.take().is_some()
    }

    /// Since when this user is disabled.
    pub fn disabled(&self) -> Option<Timestamp> {
        self.disabled
    }

    /// Turns two-factor off for somebody who lost everything: authenticators, recovery codes and
    /// trusted devices go, with whatever was guessed at them; sessions end.
    pub fn reset_second_factor(&mut self) {
        self.authenticators.clear();
        self.recovery_codes = None;
        self.devices.clear();
        self.frozen = None;
        self.link_only = Some(true);
        self.epoch += 1;
        self.wrong_codes = None;
        for tries in self.all_tries() {
            tries.second_factor.clear();
        }
    }

    /// The record is older than what was done since, and nobody knows what that was: sessions end,
    /// no device is trusted, and no code counts that may have been used by `now`.
    pub fn void_what_may_have_been_used(&mut self, skew: Skew, now: Timestamp) {
        self.epoch += 1;
        self.next_link();
        self.void_mailed_links();
        self.devices.clear();
        if let Some(codes) = &mut self.recovery_codes {
            codes.void(now);
        }
        for authenticator in &mut self.authenticators {
            authenticator.void(skew, now);
        }
    }

    /// Forgets all failures, of both factors and all browsers.
    pub fn unlock(&mut self) {
        self.wrong_codes = None;
        for tries in self.all_tries() {
            *tries = Tries::default();
        }
    }

    /// Changes what is known of this user; sessions live, and their next requests are judged anew.
    /// Says whether anything is different now.
    pub fn change(&mut self, change: &Change) -> bool {
        // Two addresses are equal if they are found alike; how they are written counts, too.
        let written = |email: &Option<Email>| email.as_ref().map(ToString::to_string);
        let before = (self.full_name.clone(), self.email.clone(), self.groups.clone());
        if let Some(full_name) = &change.full_name {
            self.full_name = full_name.as_ref().map(|name| name.as_str().to_owned());
        }
        if let Some(email) = &change.email {
            self.email.clone_from(email);
            // What an operator says of an address counts as verified.
            self.email_since = None;
            self.new_email = None;
            if written(&before.1) != written(&self.email) {
                self.void_mailed_links();
            }
        }
        if let Some(groups) = &change.groups {
            self.groups.clone_from(groups);
        }
        self.groups.extend(change.add_groups.iter().cloned());
        self.groups.retain(|group| !change.remove_groups.contains(group));
        written(&before.1) != written(&self.email)
            || (before.0, before.2) != (self.full_name.clone(), self.groups.clone())
    }

    /// Sets the hash of the password of somebody new, as it was found elsewhere.
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

/// What operators may know.
impl User {
    /// The authenticators.
    pub fn authenticators(&self) -> &[Totp] {
        &self.authenticators
    }

    /// The known browsers.
    pub fn known_browsers(&self) -> &[KnownBrowser] {
        &self.known
    }

    /// The failures of browsers that are not known ones.
    pub fn strangers(&self) -> &Tries {
        &self.strangers
    }

    /// The most failures in a row that any class of browser has: of the password, of the second
    /// factor.
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
    use crate::domain::factor::totp;
    use crate::domain::name::{FullName, Group, Name};
    use crate::domain::user::{Profile, Trust, TurnOn, UserId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn group(name: &str) -> Group {
        name.parse().unwrap()
    }

    /// Somebody with everything that can be lost.
    fn ada() -> User {
        let profile = Profile {
            name: Name::parse("ada").unwrap(),
            full_name: Some("Ada".to_owned()),
            email: Some(Email::parse("ada@example.com").unwrap()),
            groups: [group("staff")].into(),
        };
        let mut ada = User::new(UserId::from([1; 16]), profile, NOW);
        let key = totp::Key::from_bytes(&[5; 20]).unwrap();
        let how = TurnOn { skew: totp::Skew::default(), recovery_codes: 2 };
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(7);
        ada.turn_on(key.clone(), &key.code_at(NOW), how, &mut rng, NOW);
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
