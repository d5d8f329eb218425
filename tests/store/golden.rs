//! Records as they lie on disk, beneath the seal: what a released doorward wrote is read for ever.
//!
//! Before the first release there is one generation. Afterwards a file here never changes: when a
//! type gains a field, write a new record beside the old.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use doorward::domain::agent::Agent;
use doorward::domain::assurance::{FirstFactor, Proof, Proofs};
use doorward::domain::ceremony::{self, Ceremony};
use doorward::domain::device::{BrowserId, DeviceId, Seen};
use doorward::domain::digest::{Imported, Scheme};
use doorward::domain::event::{Event, What, Whom};
use doorward::domain::factor::aaguid::Aaguid;
use doorward::domain::factor::code::{Emailed, Texted};
use doorward::domain::factor::security_key::{CredentialId, New, PublicKey, Shown, Transport};
use doorward::domain::factor::totp::{Key, Skew};
use doorward::domain::factor::{Answer, Begun, FactorId, FactorName, Kind, Rejection, Settings};
use doorward::domain::host_session::HostSession;
use doorward::domain::link::{Link, Purpose};
use doorward::domain::lockout::Failures;
use doorward::domain::mailed::MailedCode;
use doorward::domain::message::{About, Message, WhatFor};
use doorward::domain::name::{Email, Group, Name};
use doorward::domain::password::PasswordHash;
use doorward::domain::phone::Number;
use doorward::domain::request_id::RequestId;
use doorward::domain::secret::{Secret, Token};
use doorward::domain::texts::{About as TextAbout, Fate, Ledger, Limits, Text, Wanted, WantedFor};
use doorward::domain::ticket::Ticket;
use doorward::domain::time::Timestamp;
use doorward::domain::user::{Profile, Trust, TurnedOn, User, UserId};
use doorward::domain::user_session::{UserSession, UserSessionId};
use doorward::store::QueuedMessage;
use minicbor::{Decode, Encode};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

fn key() -> Key {
    Key::from_bytes(&[5; 20]).unwrap()
}

const SETTINGS: Settings = Settings { skew: Skew::new(1).unwrap(), recovery_codes: 2 };

fn begun() -> Begun {
    Begun::Totp(key())
}

fn right(key: &Key) -> Answer {
    Answer::Totp(key.code_at(NOW))
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
    // The codes are not what is looked at here; they only have to be the same ones each time.
    let turned_on = ada.turn_on(begun(), &right(&key()), SETTINGS, &mut Counting(0), NOW);
    assert!(matches!(turned_on, TurnedOn::Now(_)));
    ada.save_recovery_codes(NOW);
    let code = ada.recovery_codes().unwrap().unused().next().unwrap().clone();
    ada.answer(&Answer::RecoveryCode(code), None, SETTINGS, NOW).unwrap();
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
    let first = ada.factors()[0].id();
    ada.rename_factor(first, FactorName::parse("Phone").unwrap());
    let other = Key::from_bytes(&[6; 20]).unwrap();
    ada.add_factor(Begun::Totp(other.clone()), &right(&other), SETTINGS, &mut Counting(99), NOW);
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
        assert_eq!(ada.answer(&wrong, None, SETTINGS, NOW), Err(Rejection::Wrong));
    }
    assert!(ada.is_to_hear_of_wrong_codes(None, NOW));
    ada
}

/// Ada with a security key that was used, one whose counter went back, and one without a counter.
fn ada_with_keys() -> User {
    let mut ada = ada();
    for (n, counter) in [(1, 5), (2, 5), (3, 0)] {
        let new = New {
            credential: CredentialId::new(vec![n; 16]).unwrap(),
            public_key: PublicKey::new(vec![n; 77]).unwrap(),
            counter,
            user_verified: true,
            can_be_copied: counter == 0,
            is_copied: counter == 0,
            is_discoverable: (n != 1).then_some(n == 3),
            transports: [Transport::Usb, Transport::Hybrid].into_iter().collect(),
            aaguid: Aaguid([n; 16]),
            rp_id: "login.example.com".to_owned(),
        };
        let (begun, answer) = (Begun::SecurityKey([n; 32].into()), Answer::NewSecurityKey(new));
        ada.add_factor(begun, &answer, SETTINGS, &mut Counting(100 + 20 * n), NOW);
        let (factor, used) = (ada.factors().last().unwrap().id(), if n == 1 { 6 } else { counter });
        let shown = Shown { factor, counter: used, user_verified: true, is_copied: counter == 0 };
        let answered = ada.answer(&Answer::SecurityKey(shown), None, SETTINGS, NOW);
        assert_eq!(answered.is_ok(), n != 2);
    }
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
        .with(Proof::First(FirstFactor::Link), NOW)
        .with(Proof::First(FirstFactor::Password), NOW)
        .with(Proof::Factor(Kind::Totp, FactorId::from([6; 16])), NOW)
        .with(Proof::Factor(Kind::RecoveryCode, FactorId::from([7; 16])), NOW)
        .with(Proof::TrustedDevice(DeviceId::from([3; 16])), NOW);
    let mut session =
        HostSession::begin(UserId::from([1; 16]), UserSessionId::from([4; 16]), proofs);
    session.ceremony = Some(Ceremony::begin(ceremony::Purpose::First, begun(), NOW));
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
    let factor = ada.factors()[0].id();
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
    Event {
        at: NOW,
        whom,
        what: What::DeviceCopied,
        from,
        by: by.map(str::to_owned),
        agent: None,
        request: None,
    }
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

fn number() -> Number {
    Number::parse("+41 79 123 45 67", None).unwrap()
}

/// Ada with a phone.
fn ada_with_phone() -> User {
    let mut ada = ada();
    let (_, code) = MailedCode::random(&mut Counting(1), NOW);
    let (begun, answer) = (Begun::Sms(Texted::sent(number(), code)), Answer::Sms(Some(number())));
    ada.add_factor(begun, &answer, SETTINGS, &mut Counting(100), NOW);
    ada
}

/// The same who has turned codes by e-mail on, to which one was sent.
fn ada_with_mailbox() -> User {
    let mut ada = ada_with_phone();
    let address = Email::parse("Ada@example.com").unwrap();
    let (_, code) = MailedCode::random(&mut Counting(1), NOW);
    let begun = Begun::Email(Emailed::sent(address.clone(), code));
    ada.add_factor(begun, &Answer::Email(Some(address)), SETTINGS, &mut Counting(120), NOW);
    assert!(ada.may_be_mailed_a_code(true, NOW));
    ada
}

/// The messages that came later.
fn posted_later() -> Vec<QueuedMessage> {
    let code = |what_for| About::Code { code: Secret::from("012345".to_owned()), what_for };
    let kinds = [code(WhatFor::AddKey), code(WhatFor::BackUp), code(WhatFor::SignIn)];
    let first = posted().swap_remove(0);
    let message = |about| Message { about, ..first.message.clone() };
    kinds.map(|about| QueuedMessage { message: message(about), ..first.clone() }).into()
}

fn text(about: TextAbout) -> Text {
    Text { user: UserId::from([1; 16]), to: number(), about, written: NOW }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    for (user, address) in [(1, Some("192.0.2.1")), (2, Some("2001:db8::1")), (3, None)] {
        let number = Number::parse(&format!("+41 79 123 45 6{user}"), None).unwrap();
        let wanted = Wanted {
            user: UserId::from([user; 16]),
            number: &number,
            address: address.map(|address| address.parse().unwrap()),
            what_for: if address.is_some() { WantedFor::SetUp } else { WantedFor::Notice },
        };
        ledger.enter(wanted, Limits::default(), NOW).unwrap();
    }
    let first = Number::parse("+41 79 123 45 61", None).unwrap();
    ledger.note(UserId::from([1; 16]), &first, Fate::Entered);
    ledger
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

/// A record: how it is written, and whether bytes are read as it.
trait Golden {
    fn written(&self) -> Vec<u8>;
    fn is_read_from(&self, bytes: &[u8]) -> bool;
}

impl<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq> Golden for T {
    fn written(&self) -> Vec<u8> {
        minicbor::to_vec(self).unwrap()
    }

    fn is_read_from(&self, bytes: &[u8]) -> bool {
        minicbor::decode::<T>(bytes).is_ok_and(|read| read == *self)
    }
}

/// A record of each kind, in each of its states, by the name of its file.
fn records() -> Vec<(&'static str, Box<dyn Golden>)> {
    let (_, mailed) = MailedCode::random(&mut Counting(1), NOW);
    let proofs = session().proofs.with(Proof::MailedCode, NOW);
    let with_mailed_code = HostSession { mailed: Some(mailed), proofs, ..session() };
    let mut another = session();
    another.ceremony = Some(Ceremony::begin(ceremony::Purpose::Another, begun(), NOW));
    let mut asked = session();
    let begun = Begun::SecurityKey([9; 32].into());
    asked.ceremony = Some(Ceremony::begin(ceremony::Purpose::Challenge, begun, NOW));
    let mut texted = session();
    let (_, code) = MailedCode::random(&mut Counting(1), NOW);
    let begun = Begun::Sms(Texted::sent(number(), code));
    texted.begin_ceremony(Ceremony::begin(ceremony::Purpose::First, begun, NOW));
    let mut emailed = session();
    let (_, code) = MailedCode::random(&mut Counting(1), NOW);
    let begun = Begun::Email(Emailed::sent(Email::parse("Ada@example.com").unwrap(), code));
    emailed.begin_ceremony(Ceremony::begin(ceremony::Purpose::Challenge, begun, NOW));
    let later = UserSession::begin(UserId::from([1; 16]), 7, seen(), NOW);
    let mut elsewhere = later.clone();
    elsewhere.reach("wiki.example.com");
    let user = event(Whom::User(UserId::from([1; 16])), Some("192.0.2.1"), None);
    let request = RequestId::parse(b"aaaqeayep36p37x7");
    let of_a_kind = Event { what: What::FactorShown(Kind::Totp), ..user.clone() };
    let nobody = event(Whom::Nobody(9), Some("2001:db8::1"), Some("root"));
    vec![
        ("user", Box::new(ada_later())),
        ("user-security-keys", Box::new(ada_with_keys())),
        ("user-reset", Box::new(bob_later())),
        ("user-guessed-at", Box::new(ada_guessed_at())),
        ("user-kept-out", Box::new(bob())),
        ("passwords", Box::new(taken_over())),
        ("session", Box::new(session())),
        ("session-mailed-code", Box::new(with_mailed_code)),
        ("session-another", Box::new(another)),
        ("session-asked", Box::new(asked)),
        ("user-session", Box::new(user_session())),
        ("user-session-seen", Box::new(later)),
        ("user-session-elsewhere", Box::new(elsewhere)),
        ("ticket", Box::new(ticket())),
        ("link", Box::new(link())),
        ("links-mailed", Box::new(links_later())),
        ("event-user", Box::new(user.clone())),
        ("event-agent", Box::new(Event { agent: seen().agent, ..user.clone() })),
        ("event-request", Box::new(Event { agent: seen().agent, request, ..user })),
        ("event-factor", Box::new(of_a_kind)),
        ("event-strangers", Box::new(event(Whom::Strangers(70_000), None, None))),
        ("event-nobody", Box::new(nobody)),
        ("posted", Box::new(posted())),
        ("imported", Box::new(imported())),
        ("failures", Box::new(failures())),
        ("user-phone", Box::new(ada_with_phone())),
        ("session-texted", Box::new(texted)),
        ("user-mailbox", Box::new(ada_with_mailbox())),
        ("session-emailed", Box::new(emailed)),
        ("posted-later", Box::new(posted_later())),
        ("text", Box::new(text(TextAbout::Code(Secret::from("012345".to_owned()))))),
        ("text-removed", Box::new(text(TextAbout::Removed))),
        ("text-ledger", Box::new(ledger())),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/golden")
}

#[test]
fn every_record_is_read_as_it_was_written_and_written_so() {
    for (name, record) in records() {
        let golden = fs::read_to_string(folder().join(format!("{name}.hex")));
        let golden: String = golden.expect(name).split_whitespace().collect();
        let bytes = HEXLOWER.decode(golden.as_bytes()).unwrap();
        assert!(record.is_read_from(&bytes), "{name} is read");
        assert_eq!(HEXLOWER.encode(&record.written()), golden, "{name} is written");
    }
    let names: BTreeSet<_> = records().iter().map(|(name, _)| format!("{name}.hex")).collect();
    let files = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, files, "no file is left out");
}

#[test]
fn every_event_has_a_name_and_a_number_of_its_own() {
    let plain = |number: u8| minicbor::to_vec((number, ())).unwrap();
    let of_kind = |number: u8| minicbor::to_vec((number, (Kind::Totp,))).unwrap();
    let read = |number: u8| {
        let read = minicbor::decode::<What>(&plain(number));
        read.or_else(|_| minicbor::decode::<What>(&of_kind(number)))
    };
    let names: Vec<_> = (0..).map_while(|number| Some(read(number).ok()?.name())).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!((distinct.len(), names.len()), (48, 48));
    assert_eq!((names[0], names[41]), ("user-added", "codes-guessed"));
    assert_eq!((names[42], names[43]), ("key-rotated", "security-key-doubted"));
}

/// Writes the records that have no file yet.
#[test]
#[ignore = "a tool: run it to write new golden records, then look at them"]
fn write_new_records() {
    for (name, record) in records() {
        let file = folder().join(format!("{name}.hex"));
        if !file.exists() {
            let hex = HEXLOWER.encode(&record.written());
            let lines: Vec<&str> =
                hex.as_bytes().chunks(96).map(|line| str::from_utf8(line).unwrap()).collect();
            fs::write(file, lines.join("\n") + "\n").unwrap();
        }
    }
}
