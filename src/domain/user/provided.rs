//! Users for whom identity providers speak.

use std::time::Duration;

use super::{Origin, User};
use crate::domain::assurance::FirstFactor;
use crate::domain::provider::{Account, People, Told};
use crate::domain::time::Timestamp;

/// Providers.
impl User {
    /// How long other first factors count after the provider that answers for a user last did so: a
    /// provider is not asked in between whether somebody who left is still there.
    pub const PROVIDER_STANDS: Duration = Duration::from_hours(24);
    /// How much later than it should be a provider may be asked again.
    pub const ASKED_LATE: Duration = Duration::from_mins(5);
    /// How many accounts may speak for one user.
    pub const ACCOUNTS_AT_MOST: usize = 10;

    /// This user, for whom from now on the provider of `account` answers.
    #[must_use]
    pub fn of_provider(self, account: Account) -> Self {
        Self { origin: Origin::Provider(account), ..self }
    }

    /// The accounts that may speak for this user; the origin's own comes first.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.origin.account().into_iter().chain(&self.providers)
    }

    /// Whether this account answers for this user: it is their origin.
    pub fn is_answered_for_by(&self, account: &Account) -> bool {
        self.origin.account() == Some(account)
    }

    /// What this account is as a first factor of the user. One that only may speak for them, too, is
    /// worth no more than a password.
    pub fn first_factor_of(&self, account: &Account) -> FirstFactor {
        if self.is_answered_for_by(account) {
            FirstFactor::Provider
        } else {
            FirstFactor::ConnectedAccount
        }
    }

    /// Whether this account may speak for this user.
    pub fn has_account(&self, account: &Account) -> bool {
        self.accounts().any(|one| one == account)
    }

    /// Lets this account speak for this user, too.
    pub fn connect(&mut self, account: Account) {
        if !self.has_account(&account) {
            self.providers.push(account);
        }
    }

    /// Whether this account may be disconnected: another one answers for the user, and they have another
    /// first factor here, a password or an account that `is_usable`.
    pub fn may_disconnect(&self, account: &Account, is_usable: impl Fn(&Account) -> bool) -> bool {
        let mut others = self.accounts().filter(|other| *other != account);
        !self.is_answered_for_by(account) && (self.password.is_some() || others.any(is_usable))
    }

    /// Takes this account away, and ends every session: it may have begun one. That of the origin
    /// stays.
    pub fn disconnect(&mut self, account: &Account) {
        self.providers.retain(|other| other != account);
        self.end_sessions();
    }

    /// Moves this user to another origin, on behalf of an operator. The account of the former one no
    /// longer speaks for the user, and what it gave is gone; every session ends.
    pub fn move_to(&mut self, origin: Origin) {
        if let Origin::Provider(account) = &origin {
            self.providers.retain(|other| other != account);
        }
        self.origin = origin;
        self.given.clear();
        (self.spoken, self.word_lasts) = (None, None);
        self.end_sessions();
    }

    /// Lets an account that was found by the user's verified address speak for this user, who
    /// [`is_blank`](Self::is_blank). Voids every link that was made before: somebody else may hold
    /// one.
    pub fn connect_found(&mut self, account: Account) {
        self.connect(account);
        self.next_link();
        self.void_mailed_links();
    }

    /// Whether the user has nothing yet that an account found by its address could take over: no
    /// password, no factor, no other account, and is not disabled.
    pub fn is_blank(&self) -> bool {
        self.password.is_none()
            && self.factors.is_empty()
            && self.recovery_codes.is_none()
            && self.accounts().next().is_none()
            && self.disabled.is_none()
    }

    /// Records that a provider has spoken for this user. `refresh`: how often it is asked again.
    pub fn spoken_for(&mut self, account: &Account, refresh: Option<Duration>, now: Timestamp) {
        if self.is_answered_for_by(account) {
            self.spoken = Some(now);
            self.word_lasts = refresh.map(|every| (every + Self::ASKED_LATE).as_secs());
        }
    }

    /// Records that a provider says no. If it is the one that answers for this user, no other first
    /// factor counts until it speaks for them again.
    pub fn denied_by(&mut self, account: &Account) {
        if self.is_answered_for_by(account) {
            self.spoken = None;
        }
    }

    /// Until when first factors other than the provider that answers for this user count; `None`:
    /// without limit.
    pub fn stands_until(&self) -> Option<Timestamp> {
        let usual = self.origin.stands_for()?;
        let lasts = self.word_lasts.map_or(usual, Duration::from_secs);
        Some(self.spoken.map_or_else(Timestamp::default, |spoken| spoken.plus(lasts)))
    }

    /// Whether this first factor still counts.
    pub fn stands(&self, by: FirstFactor, now: Timestamp) -> bool {
        by == FirstFactor::Provider || self.stands_until().is_none_or(|until| now < until)
    }

    /// Takes over what the provider that answers for this user tells: full name, verified address,
    /// and the groups that the configuration maps. The groups that operators gave stay. Returns
    /// whether the address is another one than before; like any new address it proves nothing at
    /// first, and what was mailed to the old one is void.
    pub fn take_told(&mut self, told: &Told, people: &People, now: Timestamp) -> bool {
        if !self.is_answered_for_by(&told.account) {
            return false;
        }
        if let Some(name) = &told.full_name {
            self.full_name = Some(name.as_str().to_owned());
        }
        self.given = people.given(&told.groups).into_iter().collect();
        let Some(email) = &told.email else { return false };
        let is_new = self.email.as_ref().is_some_and(|own| own != email);
        // Also where only the spelling is another one.
        self.email = Some(email.clone());
        if is_new {
            self.email_since = Some(now);
            self.void_mailed_links();
        }
        self.remove_stale_backups();
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::{Email, Group, Name};
    use crate::domain::password::PasswordHash;
    use crate::domain::set_up::SetUpProof;
    use crate::domain::user::{Change, FirstFactorAsks, Profile, UserId};

    fn account(subject: &str) -> Account {
        Account::new("https://id.example.com", subject).unwrap()
    }

    fn local() -> User {
        let profile = Profile {
            name: Name::parse("ada").unwrap(),
            full_name: None,
            email: None,
            groups: ["crm".parse().unwrap()].into(),
        };
        User::new(UserId::from([1; 16]), profile, Timestamp::from_secs(0))
    }

    fn told(groups: &[&str]) -> Told {
        Told {
            account: account("7"),
            username: None,
            full_name: None,
            email: Some(Email::parse("ada@example.com").unwrap()),
            domain: None,
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            organisations: Vec::new(),
        }
    }

    #[test]
    fn an_origin_is_read_as_it_was_written_and_in_its_first_form() {
        for origin in [Origin::Local, Origin::Provider(account("7"))] {
            let written = minicbor::to_vec(&origin).unwrap();
            assert_eq!(minicbor::decode::<Origin>(&written).unwrap(), origin);
        }
        assert_eq!(minicbor::decode::<Origin>(&[0]).unwrap(), Origin::Local);
        assert!(minicbor::decode::<Origin>(&[1]).is_err());
    }

    #[test]
    fn other_first_factors_count_for_a_day_after_the_provider_spoke() {
        let now = Timestamp::from_secs(100_000);
        let mut ada = local().of_provider(account("7"));
        assert!(!ada.stands(FirstFactor::Password, now), "it never spoke");
        ada.spoken_for(&account("8"), None, now);
        assert!(!ada.stands(FirstFactor::Password, now), "somebody else spoke");
        ada.spoken_for(&account("7"), None, now);
        let later = now.plus(User::PROVIDER_STANDS);
        for other in [FirstFactor::Password, FirstFactor::Passkey, FirstFactor::ConnectedAccount] {
            assert!(ada.stands(other, now));
            assert!(!ada.stands(other, later));
            assert!(local().stands(other, later));
        }
        assert!(ada.stands(FirstFactor::Provider, later));
    }

    #[test]
    fn only_the_account_of_the_origin_is_the_provider() {
        let mut ada = local().of_provider(account("7"));
        ada.connect(account("8"));
        assert_eq!(ada.first_factor_of(&account("7")), FirstFactor::Provider);
        assert_eq!(ada.first_factor_of(&account("8")), FirstFactor::ConnectedAccount);
        let mut bob = local();
        bob.connect(account("7"));
        assert_eq!(bob.first_factor_of(&account("7")), FirstFactor::ConnectedAccount);
    }

    #[test]
    fn the_word_of_a_provider_that_is_asked_again_lasts_until_then() {
        let (now, every) = (Timestamp::from_secs(100_000), Duration::from_mins(15));
        let mut ada = local().of_provider(account("7"));
        ada.spoken_for(&account("7"), Some(every), now);
        let until = now.plus(every).plus(User::ASKED_LATE);
        assert_eq!(ada.stands_until(), Some(until));
        assert!(!ada.stands(FirstFactor::Password, until));
        let written = minicbor::to_vec(&ada).unwrap();
        assert_eq!(minicbor::decode::<User>(&written).unwrap(), ada);
        ada.denied_by(&account("8"));
        assert!(ada.stands(FirstFactor::Password, now), "it does not answer for her");
        ada.denied_by(&account("7"));
        assert!(!ada.stands(FirstFactor::Password, now));
        assert!(!ada.stands(FirstFactor::ConnectedAccount, now));
    }

    #[test]
    fn a_provider_decides_about_the_groups_that_are_mapped_and_no_others() {
        let map = [("eng", "staff"), ("ops", "operators")];
        let map = map.map(|(there, here)| (there.to_owned(), here.parse().unwrap()));
        let people = People { groups: map.into(), ..People::default() };
        let mut ada = local().of_provider(account("7"));
        let groups = |ada: &User| ada.identity().groups.into_iter().collect::<Vec<_>>();
        let now = Timestamp::from_secs(100_000);
        ada.take_told(&told(&["eng", "crm-admins"]), &people, now);
        assert_eq!(groups(&ada), ["crm", "staff"]);
        ada.take_told(&told(&["ops"]), &people, now);
        assert_eq!(groups(&ada), ["crm", "operators"]);
        ada.take_told(&told(&[]), &people, now);
        assert_eq!(groups(&ada), ["crm"]);
    }

    #[test]
    fn a_group_that_is_mapped_no_longer_goes_and_what_an_operator_gave_stays() {
        let staff: Group = "staff".parse().unwrap();
        let map = [("eng".to_owned(), staff.clone())].into();
        let people = People { groups: map, ..People::default() };
        let now = Timestamp::from_secs(100_000);
        let mut ada = local().of_provider(account("7"));
        let groups = |ada: &User| ada.identity().groups.into_iter().collect::<Vec<_>>();
        ada.take_told(&told(&["eng"]), &people, now);
        assert_eq!(groups(&ada), ["crm", "staff"]);
        ada.take_told(&told(&["eng"]), &People::default(), now);
        assert_eq!(groups(&ada), ["crm"], "the mapping is gone");
        assert!(ada.change(&Change { add_groups: vec![staff.clone()], ..Change::default() }));
        ada.take_told(&told(&[]), &people, now);
        assert_eq!(groups(&ada), ["crm", "staff"], "an operator gave it");
        ada.take_told(&told(&["eng"]), &people, now);
        assert!(ada.change(&Change { remove_groups: vec![staff], ..Change::default() }));
        assert_eq!(groups(&ada), ["crm"], "an operator took it away");
        ada.take_told(&told(&["eng"]), &people, now);
        assert_eq!(groups(&ada), ["crm", "staff"], "until the provider gives it again");
    }

    #[test]
    fn a_new_address_from_a_provider_is_a_change_of_address() {
        let now = Timestamp::from_secs(100_000);
        let at_first = |address| Told { email: Some(Email::parse(address).unwrap()), ..told(&[]) };
        let (people, mail) = (People::default(), SetUpProof::Mail);
        let mut ada = local().of_provider(account("7"));
        assert!(!ada.take_told(&at_first("ada@example.com"), &people, now), "she had none");
        assert_eq!(ada.first_factor_asks(mail, now), FirstFactorAsks::MailedCode);
        let settled = now.plus(User::MAIL_SETTLES);
        let (reset, set) = (ada.reset_link(settled), ada.last_link());
        assert!(!ada.take_told(&at_first("Ada@Example.com"), &people, settled), "as it was");
        assert!(ada.honours(&reset, settled));
        assert!(ada.take_told(&at_first("eve@example.com"), &people, settled));
        assert!(!ada.honours(&reset, settled), "it was mailed to the old address");
        assert_eq!(ada.last_link(), set, "an operator's link was not");
        assert_eq!(ada.first_factor_asks(mail, settled), FirstFactorAsks::Link);
    }

    #[test]
    fn an_account_that_is_found_by_the_address_voids_every_link() {
        let now = Timestamp::from_secs(100_000);
        let mut ada = local();
        let (reset, set) = (ada.reset_link(now), ada.last_link());
        let link = ada.verification_link(Email::parse("eve@example.com").unwrap(), now);
        ada.connect_found(account("7"));
        assert!(ada.has_account(&account("7")) && ada.last_link() > set);
        assert!(!ada.honours(&reset, now) && !ada.honours(&link, now));
        assert_eq!(ada.new_email(), None);
    }

    #[test]
    fn an_account_besides_the_origin_changes_nothing_of_the_user() {
        let mut ada = local();
        ada.connect(account("7"));
        assert!(ada.has_account(&account("7")) && !ada.has_account(&account("8")));
        let before = ada.clone();
        assert!(!ada.take_told(&told(&["eng"]), &People::default(), ada.made()));
        assert_eq!(ada, before);
    }

    #[test]
    fn the_account_of_the_origin_and_the_last_first_factor_stay() {
        let [own, other, third] = ["7", "8", "9"].map(account);
        let all = |_: &Account| true;
        let mut ada = local().of_provider(own.clone());
        ada.connect(other.clone());
        assert!(!ada.may_disconnect(&own, all));
        assert!(ada.may_disconnect(&other, all));
        let epoch = ada.epoch();
        ada.disconnect(&other);
        assert!(!ada.has_account(&other) && ada.epoch() > epoch);
        ada.disconnect(&own);
        assert!(ada.has_account(&own));

        let mut bob = local();
        bob.connect(other.clone());
        assert!(!bob.may_disconnect(&other, all), "the only one");
        bob.connect(third.clone());
        assert!(bob.may_disconnect(&other, all));
        assert!(!bob.may_disconnect(&other, |one| *one != third), "the third cannot be used");
        let bob = bob.with_password(PasswordHash::new("$argon2id$…".to_owned()));
        assert!(bob.may_disconnect(&other, |_| false));
    }

    #[test]
    fn whoever_is_moved_to_another_origin_keeps_nothing_of_the_former_one() {
        let staff: Group = "staff".parse().unwrap();
        let people = People { groups: [("eng".to_owned(), staff)].into(), ..People::default() };
        let now = Timestamp::from_secs(100_000);
        let mut ada = local().of_provider(account("7"));
        ada.take_told(&told(&["eng"]), &people, now);
        ada.spoken_for(&account("7"), None, now);
        ada.connect(account("8"));
        let epoch = ada.epoch();
        ada.move_to(Origin::Provider(account("8")));
        assert!(ada.epoch() > epoch && !ada.stands(FirstFactor::Password, now));
        assert_eq!(ada.accounts().collect::<Vec<_>>(), [&account("8")]);
        assert!(!ada.identity().groups.contains("staff"));
        ada.move_to(Origin::Local);
        assert_eq!(ada.accounts().count(), 0);
        assert!(ada.stands(FirstFactor::Password, now));
    }

    #[test]
    fn whoever_has_anything_is_not_blank() {
        assert!(local().is_blank());
        assert!(!local().with_password(PasswordHash::new("$argon2id$…".to_owned())).is_blank());
        assert!(!local().of_provider(account("8")).is_blank());
        let mut connected = local();
        connected.connect(account("8"));
        assert!(!connected.is_blank());
    }
}
