//! What an identity provider says of a person, and what the operator's rules make of it.
//!
//! A person is known by issuer and subject and by nothing else (OpenID Connect Core §5.7). Names and
//! addresses that a provider states can change hands, so they never decide who somebody is; the one
//! exception is a verified address in a domain that the operator names ([`MatchBy`]).

use std::collections::BTreeMap;
use std::time::Duration;

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use super::identity::UserId;
use super::name::{Email, FullName, Group, Name};
use super::secret::{Secret, Token, TokenHash};
use super::time::Timestamp;
use super::user_session::UserSessionId;

/// An account at a provider: its issuer and the subject there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Account {
    #[n(0)]
    issuer: String,
    #[n(1)]
    subject: String,
}

impl Account {
    /// The longest subject, in bytes (OpenID Connect Core §2, `sub`).
    pub const SUBJECT_AT_MOST: usize = 255;

    /// The account of `subject` at `issuer`. `None` if the subject is empty, too long, or has
    /// characters other than visible ASCII.
    pub fn new(issuer: &str, subject: &str) -> Option<Self> {
        let fits = (1..=Self::SUBJECT_AT_MOST).contains(&subject.len());
        let visible = subject.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        (fits && visible).then_some(Self { issuer, subject })
    }

    /// The issuer, as the provider writes it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// A short name for it in forms. It is not a secret.
    pub fn handle(&self) -> String {
        let digest = Sha256::digest(self.key().as_bytes());
        data_encoding::HEXLOWER.encode(&digest[..16])
    }

    /// What it is found by, beside user names. No name can be equal: names have no control
    /// characters.
    pub fn key(&self) -> String {
        format!("\u{1}{}\u{1}{}", self.issuer, self.subject)
    }
}

/// What a provider says of a person who has signed in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who it is.
    pub account: Account,
    /// A name that may become the user name.
    pub username: Option<String>,
    /// The full name.
    pub full_name: Option<FullName>,
    /// The e-mail address, if the provider vouches for it.
    pub email: Option<Email>,
    /// The domain, in lower case, whose member this person is: that of the verified address, or the
    /// one that the provider names instead.
    pub domain: Option<String>,
    /// The groups there, as they are called there.
    pub groups: Vec<String>,
    /// The organisations, out of those that the configuration names, that they belong to.
    pub organisations: Vec<String>,
}

/// Whom a provider may bring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Whether somebody unknown becomes a user.
    pub create: bool,
    /// Only members of these domains; empty: any. In lower case.
    pub domains: Vec<String>,
    /// Only members of one of these organisations; empty: any.
    pub organisations: Vec<String>,
    /// How users who are already here are found.
    pub match_by: MatchBy,
    /// Which group here a group there gives.
    pub groups: BTreeMap<String, Group>,
}

/// How a user who is already here is found for an account that is new here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchBy {
    /// Only by issuer and subject.
    #[default]
    Subject,
    /// Also by the verified address, in the domains that the configuration names.
    VerifiedEmail,
}

/// Why a person may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// They are in none of the domains or organisations.
    NotAMember,
    /// They are not known here, and the provider brings nobody new.
    Unknown,
    /// Their provider states no name that can be one here.
    NoName,
    /// The name is another user's, or one that rules mention.
    NameTaken,
}

impl People {
    /// Whether this person may come in at all. Domains count for verified addresses alone, and are
    /// compared in full: a sub-domain is another domain.
    ///
    /// # Errors
    /// [`Barred::NotAMember`].
    pub fn admit(&self, told: &Told) -> Result<(), Barred> {
        let in_domain = self.domains.is_empty()
            || told.domain.as_ref().is_some_and(|domain| self.domains.contains(domain));
        let in_organisation = self.organisations.is_empty()
            || told.organisations.iter().any(|one| self.organisations.contains(one));
        if in_domain && in_organisation { Ok(()) } else { Err(Barred::NotAMember) }
    }

    /// The name for somebody who becomes a user, unless `is_mentioned` says that rules mention it.
    ///
    /// # Errors
    /// Why they do not become one.
    pub fn new_name(
        &self,
        told: &Told,
        is_mentioned: impl Fn(&Name) -> bool,
    ) -> Result<Name, Barred> {
        if !self.create {
            return Err(Barred::Unknown);
        }
        let stated = told.username.as_ref().map(|said| Name::parse(said));
        let stated = stated.transpose().map_err(|_| Barred::NoName)?;
        // A name that looks like an address would be found by that address, so it must be theirs.
        let theirs =
            |name: &Name| told.email.as_ref().is_some_and(|own| own.key() == name.as_str());
        let stated = stated.filter(|name| !name.as_str().contains('@') || theirs(name));
        let address = || told.email.as_ref().and_then(|own| Name::parse(own.as_str()).ok());
        let name = stated.or_else(address).ok_or(Barred::NoName)?;
        if is_mentioned(&name) { Err(Barred::NameTaken) } else { Ok(name) }
    }

    /// The verified address by which a user who is already here may be found.
    pub fn matching<'t>(&self, told: &'t Told) -> Option<&'t Email> {
        let by_email = self.match_by == MatchBy::VerifiedEmail && !self.domains.is_empty();
        told.email.as_ref().filter(|_| by_email)
    }

    /// The groups here that these groups there give. What is not mapped gives nothing.
    pub fn given(&self, groups: &[String]) -> Vec<Group> {
        groups.iter().filter_map(|group| self.groups.get(group).cloned()).collect()
    }
}

/// A browser's way to a provider and back: what must be the same on its return. The browser keeps
/// it, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Detour {
    /// The name of the provider in the configuration.
    #[n(0)]
    pub provider: String,
    /// What it is for.
    #[n(1)]
    pub purpose: Purpose,
    /// When it began.
    #[n(2)]
    pub began: Timestamp,
    /// The random value that the ID token must contain (OpenID Connect Core §3.1.2.1).
    #[n(3)]
    pub nonce: Token,
    /// The secret with which the code is redeemed (PKCE, RFC 7636 §4.1).
    #[n(4)]
    pub verifier: Secret,
    /// Where the visitor was going.
    #[n(5)]
    pub return_to: String,
    /// The method of that request, if it was not GET.
    #[n(6)]
    pub method: Option<String>,
}

/// What a person goes to a provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// To sign in.
    #[n(0)]
    SignIn,
    /// To show the first factor again.
    #[n(1)]
    Confirm {
        /// The user who confirms.
        #[n(0)]
        user: UserId,
        /// The user session in which they do.
        #[n(1)]
        user_session: UserSessionId,
    },
    /// To connect the account there.
    #[n(2)]
    Connect {
        /// The user for whom it is to speak.
        #[n(0)]
        user: UserId,
        /// The user session in which they ask for that.
        #[n(1)]
        user_session: UserSessionId,
    },
}

impl Detour {
    /// How long it may take.
    pub const LASTS: Duration = Duration::from_mins(10);
    /// The longest URL to return to that is kept, in bytes: a cookie has 4,096 (RFC 6265 §6.1).
    pub const RETURN_TO_AT_MOST: usize = 1_000;

    /// How far the clocks of a provider and ours may differ: as for the time at which an ID token was
    /// issued (OpenID Connect Core §3.1.3.7, 10).
    pub const CLOCKS_DIFFER: Duration = Duration::from_mins(5);

    /// Whether somebody entered something at the provider on this way, and not only before it began:
    /// `auth_time` in an ID token that was `issued` there, both in whole seconds of its clock, and is
    /// here `now`.
    ///
    /// Between entering something and the token no more time may have passed than the way took: a
    /// comparison that needs no clocks that agree. Entra backdates `issued` by five minutes; so
    /// `auth_time` must also be after the beginning, give or take [`Detour::CLOCKS_DIFFER`].
    pub fn is_again(
        &self,
        auth_time: Option<Timestamp>,
        issued: Timestamp,
        now: Timestamp,
    ) -> bool {
        const ROUNDED: Duration = Duration::from_secs(1);
        let (Some(at), Some(took)) = (auth_time, now.since(self.began)) else { return false };
        let is_fresh = at.plus(took).plus(ROUNDED) > issued;
        let is_after = at.plus(Self::CLOCKS_DIFFER).plus(ROUNDED) > self.began;
        is_fresh && is_after && at <= now.plus(Self::CLOCKS_DIFFER)
    }

    /// Whether it is still valid.
    pub fn lives(&self, now: Timestamp) -> bool {
        now.within(Self::LASTS, self.began)
    }
}

/// What came from a provider and counts once: a state, or a logout token. Also a session there, or all
/// sessions of a subject, that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SpentState {
    /// When nothing would accept it any more anyway.
    #[n(0)]
    pub expires: Timestamp,
}

/// The key of a state: the hash of its token.
pub type StateKey = TokenHash;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(email: Option<&str>, domain: Option<&str>) -> Told {
        Told {
            account: Account::new("https://id.example.com", "7").unwrap(),
            username: None,
            full_name: None,
            email: email.map(|email| Email::parse(email).unwrap()),
            domain: domain.map(str::to_owned),
            groups: Vec::new(),
            organisations: Vec::new(),
        }
    }

    fn of_example() -> People {
        People { create: true, domains: vec!["example.com".to_owned()], ..People::default() }
    }

    #[test]
    fn a_domain_is_compared_in_full() {
        assert_eq!(of_example().admit(&told(None, Some("example.com"))), Ok(()));
        for other in [
            None,
            Some("example.com.evil.test"),
            Some("mail.example.com"),
            Some("evilexample.com"),
            Some("EXAMPLE.com"),
            Some("example.com."),
            Some("exаmple.com"),
            Some(""),
        ] {
            assert_eq!(
                of_example().admit(&told(None, other)),
                Err(Barred::NotAMember),
                "{other:?}"
            );
        }
    }

    #[test]
    fn where_domains_and_organisations_are_named_both_must_be_so() {
        let people = People { organisations: vec!["acme".to_owned()], ..of_example() };
        let mut ada = told(None, Some("example.com"));
        assert_eq!(people.admit(&ada), Err(Barred::NotAMember));
        ada.organisations = vec!["acme".to_owned()];
        assert_eq!(people.admit(&ada), Ok(()));
        ada.domain = None;
        assert_eq!(people.admit(&ada), Err(Barred::NotAMember));
    }

    #[test]
    fn a_new_name_is_the_stated_one_or_the_verified_address() {
        let nobody = |_: &Name| false;
        let mut ada = told(Some("ada@example.com"), None);
        let name = |told: &Told| of_example().new_name(told, nobody).map(|name| name.to_string());
        assert_eq!(name(&ada).as_deref(), Ok("ada@example.com"));
        ada.username = Some("Ada".to_owned());
        assert_eq!(name(&ada).as_deref(), Ok("Ada"));
        ada.username = Some("a,b".to_owned());
        assert_eq!(name(&ada), Err(Barred::NoName));
        assert_eq!(name(&told(None, None)), Err(Barred::NoName));
        assert_eq!(People::default().new_name(&ada, nobody), Err(Barred::Unknown));
    }

    #[test]
    fn a_name_that_rules_mention_is_given_to_nobody() {
        let mentioned = |name: &Name| name.as_str() == "ada";
        let ada = Told { username: Some("ADA".to_owned()), ..told(None, None) };
        assert_eq!(of_example().new_name(&ada, mentioned), Err(Barred::NameTaken));
    }

    #[test]
    fn a_group_that_is_not_mapped_gives_nothing() {
        let staff: Group = "staff".parse().unwrap();
        let groups = [("eng".to_owned(), staff.clone())].into();
        let people = People { groups, ..People::default() };
        let there = ["eng", "staff", "admins", "ENG"].map(str::to_owned);
        assert_eq!(people.given(&there), [staff]);
    }

    #[test]
    fn an_address_matches_only_in_named_domains_and_where_the_operator_says_so() {
        let ada = told(Some("ada@example.com"), Some("example.com"));
        let by_email = People { match_by: MatchBy::VerifiedEmail, ..of_example() };
        assert!(by_email.matching(&ada).is_some());
        assert_eq!(of_example().matching(&ada), None);
        let anywhere = People { domains: Vec::new(), ..by_email };
        assert_eq!(anywhere.matching(&ada), None);
    }

    #[test]
    fn again_means_on_this_way_whatever_the_clock_there_says() {
        let at = Timestamp::from_secs;
        let detour = Detour {
            provider: "idp".to_owned(),
            purpose: Purpose::SignIn,
            began: Timestamp::from_millis(1_000_700),
            nonce: Token::from_bytes(&[1; 16]).unwrap(),
            verifier: Secret::new(vec![1; 32]),
            return_to: String::new(),
            method: None,
        };
        // The way took 29.6 seconds.
        let now = Timestamp::from_millis(1_030_300);
        for (auth_time, issued, again) in [
            (Some(at(1_000)), at(1_030), true),
            (Some(at(1_030)), at(1_030), true),
            (Some(at(999)), at(1_030), false),
            (None, at(1_030), false),
            // The clock there is three minutes behind, and three minutes ahead.
            (Some(at(820)), at(850), true),
            (Some(at(819)), at(850), false),
            (Some(at(1_180)), at(1_210), true),
            (Some(at(1_179)), at(1_210), false),
            // Further than clocks may differ.
            (Some(at(690)), at(720), false),
            (Some(at(1_331)), at(1_331), false),
            // Entra backdates what it issues.
            (Some(at(1_010)), at(730), true),
            (Some(at(690)), at(730), false),
        ] {
            assert_eq!(detour.is_again(auth_time, issued, now), again, "{auth_time:?} {issued:?}");
        }
        assert!(!detour.is_again(Some(at(1_000)), at(1_030), at(1_000)), "our clock went back");
    }

    #[test]
    fn a_subject_is_visible_ascii() {
        for subject in ["", "a\u{1}b", "ädä", &"7".repeat(256)] {
            assert_eq!(Account::new("https://id.example.com", subject), None, "{subject:?}");
        }
    }
}
