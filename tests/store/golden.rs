//! Records as they lie on disk, beneath the seal: what an older doorward wrote is read for ever.
//!
//! A record here never changes. When a type gains a field, write a new one beside the old.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use doorward::domain::agent::Agent;
use doorward::domain::assurance::{Proof, Proofs};
use doorward::domain::device::{BrowserId, DeviceId, Seen};
use doorward::domain::digest::{Imported, Scheme};
use doorward::domain::event::{Event, What, Whom};
use doorward::domain::factor::totp::{Key, Skew};
use doorward::domain::factor::{Answer, FactorId, FactorName, Rejection};
use doorward::domain::host_session::{Becomes, HostSession};
use doorward::domain::link::{Link, Purpose};
use doorward::domain::lockout::Failures;
use doorward::domain::mailed::MailedCode;
use doorward::domain::message::{About, Message, WhatFor};
use doorward::domain::name::{Email, Group, Name};
use doorward::domain::password::PasswordHash;
use doorward::domain::secret::{Secret, Token};
use doorward::domain::ticket::Ticket;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Profile, Trust, TurnOn, TurnedOn, User, UserId};
use doorward::domain::user_session::{UserSession, UserSessionId};
use doorward::store::QueuedMessage;
use minicbor::{Decode, Encode};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

fn key() -> Key {
    Key::from_bytes(&[5; 20]).unwrap()
}

/// Somebody of whom everything there is to keep is kept.
fn ada() -> User {
    let profile = Profile {
        name: Name::parse("ada").unwrap(),
        full_name: Some("Ada Lovelace".to_owned()),
        email: Some(Email::parse("Ada@example.com").unwrap()),
        groups: BTreeSet::from([Group::parse("staff").unwrap()]),
    };
    let mut ada = User::new(UserId::from([1; 16]), profile, NOW);
    ada.set_password(PasswordHash::new("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned()));
    let how = TurnOn { skew: Skew::default(), recovery_codes: 2 };
    // The codes are not what is looked at here; they only have to be the same ones each time.
    let turned_on = ada.turn_on(key(), &key().code_at(NOW), how, &mut Counting(0), NOW);
    assert_eq!(turned_on, TurnedOn::Now);
    ada.save_recovery_codes(NOW);
    let code = ada.recovery_codes().unwrap().unused().next().unwrap().clone();
    ada.answer(&Answer::RecoveryCode(code), None, Skew::default(), NOW).unwrap();
    ada.succeed(None, BrowserId::from([2; 16]), NOW);
    let trust = Trust { lasting: Duration::from_hours(720), at_most: 10 };
    let seen = Seen::default();
    ada.trust(DeviceId::from([3; 16]), None, trust, &seen, NOW);
    ada.present_device(DeviceId::from([3; 16]), 1, &seen, NOW);
    ada.present_device(DeviceId::from([3; 16]), 2, &seen, NOW);
    ada.note_wrong_password(NOW);
    ada
}

/// Ada with what came later: an authenticator with a name, a second one, a device that says what it
/// is, an address of her own choice and another that waits, links, and that she declined an offer.
fn ada_later() -> User {
    let mut ada = ada();
    let first = ada.authenticators()[0].id();
    ada.rename_authenticator(first, FactorName::parse("Phone").unwrap());
    let (other, skew) = (Key::from_bytes(&[6; 20]).unwrap(), Skew::default());
    ada.add_authenticator(other.clone(), &other.code_at(NOW), skew, &mut Counting(99), NOW);
    let trust = Trust { lasting: Duration::from_hours(720), at_most: 10 };
    ada.trust(DeviceId::from([7; 16]), None, trust, &seen(), NOW);
    ada.freeze(first, NOW);
    ada.verification_link(Email::parse("ada@example.org").unwrap(), NOW);
    ada.take_new_email(NOW);
    ada.verification_link(Email::parse("ada@example.net").unwrap(), NOW);
    ada.reset_link(NOW);
    ada.may_be_mailed(NOW);
    ada.decline(NOW);
    ada
}

/// Ada after somebody who knows her password has guessed codes, of which she was told.
fn ada_guessed_at() -> User {
    let mut ada = ada();
    for _ in 0..3 {
        let wrong = Answer::Totp("000000".parse().unwrap());
        assert_eq!(ada.answer(&wrong, None, Skew::default(), NOW), Err(Rejection::Wrong));
    }
    assert!(ada.is_to_hear_of_wrong_codes(None, NOW));
    ada
}

/// Bob after an operator has helped: only a link leads to a first factor.
fn bob_later() -> User {
    let mut bob = bob();
    bob.reset_second_factor();
    bob
}

fn seen() -> Seen {
    let agent = Agent::read("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    Seen { address: Some([192, 0, 2, 1].into()), agent }
}

fn session() -> HostSession {
    let proofs = Proofs::default()
        .with(Proof::Password, NOW)
        .with(Proof::Totp(FactorId::from([6; 16])), NOW)
        .with(Proof::RecoveryCode(FactorId::from([7; 16])), NOW)
        .with(Proof::TrustedDevice(DeviceId::from([3; 16])), NOW)
        .with(Proof::Link, NOW);
    let mut session =
        HostSession::begin(UserId::from([1; 16]), UserSessionId::from([4; 16]), proofs);
    session.await_first_code(key(), Becomes::First, NOW);
    session
}

fn user_session() -> UserSession {
    UserSession { seen: NOW, ..UserSession::begin(UserId::from([1; 16]), 7, Seen::default(), NOW) }
}

fn ticket() -> Ticket {
    Ticket {
        user: UserId::from([1; 16]),
        user_session: UserSessionId::from([4; 16]),
        host: "crm.example.com".to_owned(),
        browser: [5; 16].into(),
        return_to: "/orders?page=2".to_owned(),
        proofs: session().proofs,
        expires: NOW,
    }
}

fn link() -> Link {
    let (purpose, user) = (Purpose::SetPassword, UserId::from([1; 16]));
    Link { number: 7, expires: NOW, ..Link::new(purpose, user, 7, NOW) }
}

/// The links that people are mailed.
fn links_later() -> Vec<Link> {
    let mut ada = ada();
    let factor = ada.authenticators()[0].id();
    let verification = ada.verification_link(Email::parse("ada@example.org").unwrap(), NOW);
    vec![ada.reset_link(NOW), verification, ada.not_me_link(factor, NOW)]
}

/// A message of each kind, as they wait to be sent.
fn posted() -> Vec<QueuedMessage> {
    let token = || Token::from_bytes(&[7; 16]).unwrap();
    let code = |what_for| About::Code { code: Secret::from("012345".to_owned()), what_for };
    let user = Whom::User(UserId::from([1; 16]));
    let event = Event { agent: seen().agent, ..event(user, Some("192.0.2.1"), Some("root")) };
    let kinds = [
        About::Happened { event: event.clone(), not_me: None },
        About::Happened { event, not_me: Some(token()) },
        code(WhatFor::SetUp),
        code(WhatFor::ChangeEmail),
        About::ResetPassword { token: token() },
        About::VerifyEmail { token: token() },
        About::Trial,
    ];
    let kinds = kinds.into_iter().zip(0..);
    let messages = kinds.map(|(about, tries)| {
        let to = Email::parse("Ada@example.com").unwrap();
        let (user, name) = (UserId::from([1; 16]), "ada".to_owned());
        let message = Message { user, to, name, about, written: NOW };
        QueuedMessage { message, id: [8; 16].into(), tries }
    });
    messages.collect()
}

fn event(whom: Whom, from: Option<&str>, by: Option<&str>) -> Event {
    let from = from.map(|address| address.parse::<IpAddr>().unwrap());
    Event { at: NOW, whom, what: What::DeviceCopied, from, by: by.map(str::to_owned), agent: None }
}

/// Somebody of whom there is what the first records did not have: a password taken over from
/// elsewhere, and that an operator keeps them out.
fn bob() -> User {
    let profile = Profile {
        name: Name::parse("bob").unwrap(),
        full_name: None,
        email: None,
        groups: BTreeSet::new(),
    };
    let phc = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned();
    let scheme = Scheme::Bcrypt { cost: 10, salt: [9; 16].into() };
    let bob = User::new(UserId::from([2; 16]), profile, NOW);
    let mut bob = bob.with_password(PasswordHash::over(scheme, phc));
    bob.disable(NOW);
    bob
}

/// Every other scheme of a password that was taken over.
fn taken_over() -> Vec<PasswordHash> {
    let salt = || "salt".to_owned();
    let schemes = [
        Scheme::Apr1 { salt: salt() },
        Scheme::Sha1,
        Scheme::Sha256Crypt { salt: salt(), rounds: 5_000 },
        Scheme::Sha512Crypt { salt: salt(), rounds: 656_000 },
    ];
    schemes.map(|scheme| PasswordHash::over(scheme, "$argon2id$".to_owned())).into()
}

fn imported() -> Imported {
    let mut imported = Imported::default();
    for hash in taken_over().iter().chain(&taken_over()) {
        imported.change(None, hash.scheme());
    }
    imported
}

fn failures() -> Failures {
    let mut failures = Failures::default();
    failures.fail(NOW);
    failures
}

/// Bytes that count up instead of random ones, the same whatever becomes of generators.
struct Counting(u8);

impl rand::TryRng for Counting {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl rand::TryCryptoRng for Counting {}

fn is_as_it_was<T>(value: &T, golden: &str)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug,
{
    let golden: String = golden.split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: T = minicbor::decode(&bytes).unwrap();
    assert_eq!(read, *value, "an old record is read");
    assert_eq!(HEXLOWER.encode(&minicbor::to_vec(value).unwrap()), golden, "and written so");
}

#[test]
fn a_user_is_read_as_it_was_written() {
    is_as_it_was(&ada_later(), include_str!("golden/user-6.hex"));
    is_as_it_was(&bob_later(), include_str!("golden/user-4.hex"));
    is_as_it_was(&ada_guessed_at(), include_str!("golden/user-7.hex"));
}

#[test]
fn a_user_of_whom_it_is_not_known_what_two_factor_began_with_is_read_and_written_as_before() {
    let golden: String = include_str!("golden/user-3.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: User = minicbor::decode(&bytes).unwrap();
    assert_eq!(HEXLOWER.encode(&minicbor::to_vec(&read).unwrap()), golden);
    assert_eq!(read.began_with(), None);
    assert_eq!(read.authenticators(), ada_later().authenticators());
}

#[test]
fn a_user_from_when_authenticators_had_no_name_is_read_and_written_as_before() {
    let golden: String = include_str!("golden/user-1.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: User = minicbor::decode(&bytes).unwrap();
    assert_eq!(HEXLOWER.encode(&minicbor::to_vec(&read).unwrap()), golden);
    let [authenticator] = read.authenticators() else { panic!("one authenticator") };
    assert_eq!((authenticator.id(), authenticator.name()), (FactorId::from([0; 16]), None));
    let device = &read.devices()[0];
    assert_eq!((device.agent(), device.address()), (None, None));
    let now = ada();
    let codes = |user: &User| user.recovery_codes().map(|codes| (codes.count(), codes.made()));
    assert_eq!(codes(&read), codes(&now));
    assert_eq!((read.devices(), read.epoch()), (now.devices(), now.epoch()));
}

#[test]
fn a_user_from_when_proofs_named_no_factor_is_read_and_written_as_before() {
    let golden: String = include_str!("golden/user-5.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: User = minicbor::decode(&bytes).unwrap();
    assert_eq!(HEXLOWER.encode(&minicbor::to_vec(&read).unwrap()), golden);
    assert_eq!(read.recovery_codes().unwrap().id(), FactorId::unknown());
    assert_eq!(read.authenticators(), ada_later().authenticators());
}

#[test]
fn what_proved_a_second_factor_and_did_not_name_it_is_to_be_shown_again() {
    let golden: String = include_str!("golden/session-2.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: HostSession = minicbor::decode(&bytes).unwrap();
    let proofs = session().proofs;
    let named_none = |proofs| Proofs { totp: None, recovery_code: None, ..proofs };
    assert_eq!(read, HostSession { proofs: named_none(proofs.clone()), ..session() });
    let golden: String = include_str!("golden/ticket-1.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: Ticket = minicbor::decode(&bytes).unwrap();
    assert_eq!(read, Ticket { proofs: named_none(proofs), ..ticket() });
}

#[test]
fn a_user_whom_an_operator_keeps_out_is_read_as_it_was_written() {
    is_as_it_was(&bob(), include_str!("golden/user-2.hex"));
}

#[test]
fn a_password_taken_over_is_read_as_it_was_written() {
    is_as_it_was(&taken_over(), include_str!("golden/passwords-1.hex"));
}

#[test]
fn a_session_is_read_as_it_was_written() {
    is_as_it_was(&session(), include_str!("golden/session-5.hex"));
    let (_, mailed) = MailedCode::random(&mut Counting(1), NOW);
    let proofs = session().proofs.with(Proof::MailedCode, NOW);
    let later = HostSession { mailed: Some(mailed), proofs, ..session() };
    is_as_it_was(&later, include_str!("golden/session-6.hex"));
    let mut another = session();
    another.await_first_code(key(), Becomes::Another, NOW);
    is_as_it_was(&another, include_str!("golden/session-7.hex"));
}

#[test]
fn a_session_from_before_there_were_user_sessions_belongs_to_none() {
    let golden: String = include_str!("golden/session-1.hex").split_whitespace().collect();
    let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let read: HostSession = minicbor::decode(&bytes).unwrap();
    let proofs = Proofs { totp: None, recovery_code: None, ..session().proofs };
    assert_eq!(read, HostSession { user_session: None, proofs, ..session() });
}

#[test]
fn a_user_session_is_read_as_it_was_written() {
    is_as_it_was(&user_session(), include_str!("golden/user-session-1.hex"));
    let later = UserSession::begin(UserId::from([1; 16]), 7, seen(), NOW);
    is_as_it_was(&later, include_str!("golden/user-session-2.hex"));
    let mut elsewhere = later;
    elsewhere.reach("wiki.example.com");
    is_as_it_was(&elsewhere, include_str!("golden/user-session-3.hex"));
}

#[test]
fn a_ticket_is_read_as_it_was_written() {
    is_as_it_was(&ticket(), include_str!("golden/ticket-2.hex"));
}

#[test]
fn a_link_is_read_as_it_was_written() {
    is_as_it_was(&link(), include_str!("golden/link-1.hex"));
    is_as_it_was(&links_later(), include_str!("golden/links-2.hex"));
}

#[test]
fn an_event_is_read_as_it_was_written() {
    let user = event(Whom::User(UserId::from([1; 16])), Some("192.0.2.1"), None);
    is_as_it_was(&user, include_str!("golden/event-user-1.hex"));
    let agent = seen().agent;
    is_as_it_was(&Event { agent, ..user }, include_str!("golden/event-user-2.hex"));
    let strangers = event(Whom::Strangers(70_000), None, None);
    is_as_it_was(&strangers, include_str!("golden/event-strangers-1.hex"));
    let nobody = event(Whom::Nobody(9), Some("2001:db8::1"), Some("root"));
    is_as_it_was(&nobody, include_str!("golden/event-nobody-1.hex"));
}

#[test]
fn a_message_that_waits_is_read_as_it_was_written() {
    is_as_it_was(&posted(), include_str!("golden/posted-1.hex"));
}

#[test]
fn how_many_passwords_come_from_elsewhere_is_read_as_it_was_written() {
    is_as_it_was(&imported(), include_str!("golden/imported-1.hex"));
}

#[test]
fn failures_are_read_as_they_were_written() {
    is_as_it_was(&failures(), include_str!("golden/failures-1.hex"));
}

#[test]
fn every_event_has_a_name_and_a_number_of_its_own() {
    let numbers: Vec<_> = (0..=43_u8)
        .map(|number| minicbor::decode::<What>(&minicbor::to_vec(number).unwrap()).unwrap().name())
        .collect();
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), 44);
    assert_eq!((numbers[0], numbers[15]), ("user-added", "device-copied"));
    assert_eq!((numbers[16], numbers[17]), ("wait-began", "locked"));
    assert_eq!((numbers[18], numbers[22]), ("user-disabled", "user-removed"));
    assert_eq!((numbers[23], numbers[43]), ("two-factor-off", "codes-guessed"));
    assert!(minicbor::decode::<What>(&[24, 44]).is_err());
}

/// Prints every record as it is written today, for a new golden file.
#[test]
#[ignore = "a tool: run it to write a new golden record"]
fn print_records() {
    let user = Whom::User(UserId::from([1; 16]));
    for (name, bytes) in [
        ("user", minicbor::to_vec(ada()).unwrap()),
        ("user-2", minicbor::to_vec(bob()).unwrap()),
        ("user-6", minicbor::to_vec(ada_later()).unwrap()),
        ("user-4", minicbor::to_vec(bob_later()).unwrap()),
        ("user-7", minicbor::to_vec(ada_guessed_at()).unwrap()),
        ("session-6", {
            let (_, mailed) = MailedCode::random(&mut Counting(1), NOW);
            let proofs = session().proofs.with(Proof::MailedCode, NOW);
            minicbor::to_vec(HostSession { mailed: Some(mailed), proofs, ..session() }).unwrap()
        }),
        ("session-7", {
            let mut another = session();
            another.await_first_code(key(), Becomes::Another, NOW);
            minicbor::to_vec(another).unwrap()
        }),
        ("user-session-2", {
            let later = UserSession::begin(UserId::from([1; 16]), 7, seen(), NOW);
            minicbor::to_vec(later).unwrap()
        }),
        ("user-session-3", {
            let mut later = UserSession::begin(UserId::from([1; 16]), 7, seen(), NOW);
            later.reach("wiki.example.com");
            minicbor::to_vec(later).unwrap()
        }),
        ("posted", minicbor::to_vec(posted()).unwrap()),
        ("links-2", minicbor::to_vec(links_later()).unwrap()),
        ("event-user-2", {
            let user = event(Whom::User(UserId::from([1; 16])), Some("192.0.2.1"), None);
            minicbor::to_vec(Event { agent: seen().agent, ..user }).unwrap()
        }),
        ("passwords", minicbor::to_vec(taken_over()).unwrap()),
        ("session-5", minicbor::to_vec(session()).unwrap()),
        ("user-session", minicbor::to_vec(user_session()).unwrap()),
        ("ticket-2", minicbor::to_vec(ticket()).unwrap()),
        ("link", minicbor::to_vec(link()).unwrap()),
        ("event-user", minicbor::to_vec(event(user, Some("192.0.2.1"), None)).unwrap()),
        (
            "event-nobody",
            minicbor::to_vec(event(Whom::Nobody(9), Some("2001:db8::1"), Some("root"))).unwrap(),
        ),
        ("event-strangers", minicbor::to_vec(event(Whom::Strangers(70_000), None, None)).unwrap()),
        ("imported", minicbor::to_vec(imported()).unwrap()),
        ("failures", minicbor::to_vec(failures()).unwrap()),
    ] {
        println!("{name} {}", HEXLOWER.encode(&bytes));
    }
}
