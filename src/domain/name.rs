//! User names, e-mail addresses and group names, and what visitors type into the name field.
//!
//! Every name is normalised when it is parsed (RFC 8265 §3.3, `UsernameCaseMapped`: width, case and
//! composition are folded). So `Ada`, `ADA` and `ａｄａ` are one user with one count of failures. User
//! names and e-mail addresses share one namespace: both can be typed to sign in.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use serde::{Deserialize, Serialize};

/// A user name: 1 to 64 characters, no `:`, `,`, `/` or space. It is stored as it was written.
/// Lookups and comparisons use its normalised form.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name {
    key: String,
    /// The name as it was written, if that differs from the normalised form.
    written: Option<Box<str>>,
}

impl Name {
    /// The maximum number of characters in a name.
    pub const AT_MOST: usize = 64;

    /// Parses and normalises a name (RFC 8265 §3.3).
    ///
    /// # Errors
    /// Tells the operator what is wrong with the name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        can_be_mapped(text, Self::AT_MOST)?;
        if let Some(found) = text.chars().find(|c| matches!(c, ':' | ',' | '/') || blank(*c)) {
            return Err(NameError::Character(found));
        }
        let mapped = one_spelling(text).ok_or(NameError::NotAName)?;
        // Normalising turns full-width forms into the characters that are refused above.
        if let Some(found) = mapped.chars().find(|c| matches!(c, ':' | ',' | '/')) {
            return Err(NameError::Character(found));
        }
        fits(&mapped, Self::AT_MOST)?;
        let written = (mapped != text).then(|| text.into());
        Ok(Self { key: mapped, written })
    }

    /// The normalised name, which is also the key for lookups.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// The name as it was written; applications are told this form.
    pub fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.key)
    }
}

/// Names are equal if their keys are equal.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// Encoded as the text that was written; the normalised form is computed from it.
impl<C> Encode<C> for Name {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(self.written()).map(|_| ())
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        let text = decoder.str()?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // Fast path: most names are already normalised.
        if text.bytes().all(plain) {
            return Ok(Self { key: text.to_owned(), written: None });
        }
        Self::parse(text).map_err(|_| minicbor::decode::Error::message("no user name"))
    }
}

/// An e-mail address. Stored as it was given, looked up by its normalised form.
#[derive(Clone, Debug, Encode, Decode, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    #[n(0)]
    given: String,
    #[n(1)]
    key: String,
}

impl Email {
    /// The maximum number of characters in an address (RFC 5321 §4.5.3.1.3, without the angle
    /// brackets).
    pub const AT_MOST: usize = 254;

    /// The address in a form that its owner recognises and others cannot learn from:
    /// `a…@example.com`.
    pub fn hinted(&self) -> String {
        let (local, domain) = self.given.split_once('@').unwrap_or((&self.given, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}…@{domain}")
    }

    /// Parses an address strictly: one `@`; before it 1 to 64 bytes without double quotes, commas,
    /// brackets, spaces or control characters; after it a domain of letters, digits and hyphens
    /// (RFC 5321 §4.1.2, without the quoted form and address literals).
    ///
    /// # Errors
    /// Tells the operator what is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::AT_MOST {
            return Err(NameError::TooLong { at_most: Self::AT_MOST });
        }
        if let Some(found) = text.chars().find(|c| "\",;:<>()[]\\".contains(*c) || blank(*c)) {
            return Err(NameError::Character(found));
        }
        let (local, domain) = text.split_once('@').ok_or(NameError::NotAnAddress)?;
        if !is_local_part(local) || !is_domain(domain) {
            return Err(NameError::NotAnAddress);
        }
        let key = one_spelling(text).ok_or(NameError::NotAnAddress)?;
        // Normalising may turn a full-width form into a second `@` or into a character that was
        // refused above.
        match key.split_once('@') {
            Some((local, folded)) if is_local_part(local) && is_domain(folded) => {
                Ok(Self { given: text.to_owned(), key })
            }
            _ => Err(NameError::NotAnAddress),
        }
    }

    /// The address as it was given; mail is sent to this form.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The normalised address, in the same namespace as user names.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Addresses are equal if their keys are equal.
impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

/// The name of a group: 1 to 64 characters, no comma, no control characters, no space at its ends.
///
/// Case is significant, as in directories, where groups may come from. Composition and kinds of
/// space are folded (RFC 8265 §4.2, `OpaqueString`).
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(try_from = "String", into = "String")]
pub struct Group(#[n(0)] String);

impl Group {
    /// The maximum number of characters in a group name.
    pub const AT_MOST: usize = 64;

    /// Parses a group name.
    ///
    /// # Errors
    /// Tells the operator what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        can_be_mapped(text, Self::AT_MOST)?;
        if let Some(found) = text.chars().find(|c| *c == ',' || c.is_control()) {
            return Err(NameError::Character(found));
        }
        let mapped = OpaqueString::enforce(text).map_err(|_| NameError::NotAName)?;
        if mapped.trim() != mapped {
            return Err(NameError::Ends);
        }
        fits(&mapped, Self::AT_MOST)?;
        Ok(Self(mapped.into_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The full name of a person, as written: 1 to 128 characters, no control characters.
///
/// It is displayed and sent to applications, never used for lookups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FullName(String);

impl FullName {
    /// The maximum number of characters in a full name.
    pub const AT_MOST: usize = 128;

    /// Parses a full name, without the spaces around it.
    ///
    /// # Errors
    /// Tells the operator what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(found) = text.chars().find(|c| c.is_control()) {
            return Err(NameError::Character(found));
        }
        fits(text, Self::AT_MOST)?;
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a visitor typed as their name: a user name, an e-mail address, or anything else.
///
/// Every text has a key, so unknown names are looked up, charged and refused exactly like known
/// ones. Its `Debug` output hides it, because people type passwords there by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Login(String);

impl Login {
    /// Takes what was typed, without the spaces around it; never fails.
    pub fn typed(text: &str) -> Self {
        let text = text.trim();
        let mapped = if text.len() > MAPPED_AT_MOST {
            None
        } else {
            one_spelling(text).filter(|key| key.len() <= MAPPED_AT_MOST)
        };
        Self(mapped.unwrap_or_else(|| {
            // Real names never start with a space, so this key cannot collide with theirs.
            std::iter::once(' ').chain(text.chars().take(Email::AT_MOST)).collect()
        }))
    }

    /// The lookup key: that of [`Name::as_str`] or [`Email::key`] if the text is one of these. At
    /// most 1,024 bytes.
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// What is wrong with a name, a group or an address; for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is longer than {at_most} characters")]
    TooLong {
        /// The maximum number of characters.
        at_most: usize,
    },
    /// It contains this character, which is not allowed.
    #[error("it may not contain {}", spoken(*.0))]
    Character(char),
    /// It begins or ends with a space.
    #[error("it may not begin or end with a space")]
    Ends,
    /// It breaks another rule of RFC 8265: symbols, unassigned characters, mixed directions.
    #[error(
        "it contains a character or a mix of writing directions that names cannot have (RFC 8265)"
    )]
    NotAName,
    /// It is not of the form `somebody@example.com`.
    #[error("it is not of the form `somebody@example.com`")]
    NotAnAddress,
}

fn spoken(c: char) -> String {
    match c {
        ',' => "a comma".to_owned(),
        ':' => "a colon".to_owned(),
        '/' => "a slash".to_owned(),
        c if c.is_control() => "control characters".to_owned(),
        c if c.is_whitespace() => "spaces".to_owned(),
        c => format!("`{c}`"),
    }
}

/// Normalises by RFC 8265 §3.3, repeated until nothing changes (RFC 8264 §7: at most four times).
fn one_spelling(text: &str) -> Option<String> {
    let mut now = UsernameCaseMapped::enforce(text).ok()?.into_owned();
    for _ in 0..3 {
        let next = UsernameCaseMapped::enforce(now.as_str()).ok()?.into_owned();
        if next == now {
            return Some(now);
        }
        now = next;
    }
    None
}

/// Checks that `text` is not empty, and is short enough to normalise quickly. `at_most` is the
/// limit for the error message.
fn can_be_mapped(text: &str, at_most: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAPPED_AT_MOST { Err(NameError::TooLong { at_most }) } else { Ok(()) }
}

/// Checks that `text` has at most `at_most` characters.
fn fits(text: &str, at_most: usize) -> Result<(), NameError> {
    if text.chars().count() > at_most { Err(NameError::TooLong { at_most }) } else { Ok(()) }
}

fn blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_local_part(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains(['@', '"', ',', ';', ':', '<', '>', '(', ')', '[', ']', '\\'])
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The maximum number of bytes that are normalised, which takes time in proportion to the length.
/// Valid names are far shorter, even when decomposed.
const MAPPED_AT_MOST: usize = 1024;

macro_rules! text {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }
    )*};
}

text!(Email, Group, FullName);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.written().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_name_is_found_in_one_spelling_and_told_as_it_was_written() {
        let name = Name::parse("JSmith").unwrap();
        assert_eq!((name.as_str(), name.written()), ("jsmith", "JSmith"));
        assert_eq!(name, Name::parse("jsmith").unwrap());
        let kept = minicbor::to_vec(&name).unwrap();
        let read: Name = minicbor::decode(&kept).unwrap();
        assert_eq!((read.as_str(), read.written()), ("jsmith", "JSmith"));
        let sent = String::from(name.clone());
        assert_eq!(Name::try_from(sent).unwrap().written(), "JSmith");
        // The encoding of older records.
        let before: Name = minicbor::decode(&minicbor::to_vec("jsmith").unwrap()).unwrap();
        assert_eq!((before.as_str(), before.written()), ("jsmith", "jsmith"));
    }

    #[rstest]
    #[case("Ada", "ada")]
    #[case("ＡＤＡ", "ada")]
    #[case("Zoe\u{308}", "zo\u{eb}")]
    #[case("ada.lovelace-2+x@example", "ada.lovelace-2+x@example")]
    #[case("ΑΔΑ", "αδα")]
    #[case("יוסף", "יוסף")]
    fn a_name_has_one_spelling(#[case] typed: &str, #[case] name: &str) {
        assert_eq!(Name::parse(typed).unwrap().as_str(), name);
        assert_eq!(Login::typed(&format!(" {typed} ")).key(), name);
    }

    #[rstest]
    #[case("")]
    #[case("ada lovelace")]
    #[case("ada\u{3000}lovelace")]
    #[case("ada,root")]
    #[case("ada，root")]
    #[case("ada:x")]
    #[case("../etc/passwd")]
    #[case("ada\r\nRemote-User: root")]
    #[case("ada\u{0}")]
    #[case("ada\u{200b}")]
    #[case("ada\u{202e}")]
    #[case("👩")]
    #[case("aא")]
    fn what_is_no_name_is_refused(#[case] typed: &str) {
        assert!(Name::parse(typed).is_err());
    }

    #[test]
    fn a_name_has_at_most_64_characters() {
        assert!(Name::parse(&"ä".repeat(64)).is_ok());
        assert_eq!(Name::parse(&"a".repeat(65)), Err(NameError::TooLong { at_most: 64 }));
        assert_eq!(Name::parse(&"a".repeat(100_000)), Err(NameError::TooLong { at_most: 64 }));
    }

    #[test]
    fn an_address_is_kept_as_given_and_found_in_any_case() {
        let email = Email::parse("Ada.Lovelace@Example.COM").unwrap();
        assert_eq!(email.as_str(), "Ada.Lovelace@Example.COM");
        assert_eq!(email.key(), "ada.lovelace@example.com");
        assert_eq!(Login::typed("ADA.lovelace@example.com").key(), email.key());
    }

    #[rstest]
    #[case("ada")]
    #[case("@example.com")]
    #[case("ada@")]
    #[case("a@evil@corp.com")]
    #[case("a＠evil@corp.com")]
    #[case("\"a@evil\"@corp.com")]
    #[case("ada@corp.com,eve@evil.com")]
    #[case("ada@corp.com\r\nBcc: eve@evil.com")]
    #[case("ada @corp.com")]
    #[case("Ada <ada@corp.com>")]
    #[case("ada@[127.0.0.1]")]
    #[case("ada@corp..com")]
    #[case("ada@-corp.com")]
    #[case("ada@corp_x.com")]
    #[case("ada@cörp.com")]
    #[case(".ada@corp.com")]
    fn what_is_no_address_is_refused(#[case] typed: &str) {
        assert!(Email::parse(typed).is_err());
    }

    #[test]
    fn a_group_tells_letter_case_apart_and_holds_no_comma() {
        assert_eq!(Group::parse("Staff (Head Office)").unwrap().as_str(), "Staff (Head Office)");
        assert_ne!(Group::parse("Staff").unwrap(), Group::parse("staff").unwrap());
        for text in ["", "a,b", "a\nb", " staff", "staff ", &"g".repeat(65)] {
            assert!(Group::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_full_name_is_written_as_it_is_written() {
        assert_eq!(FullName::parse(" Ada, Countess 👑 ").unwrap().as_str(), "Ada, Countess 👑");
        for text in ["", " ", "Ada\r\nRemote-User: root", &"x".repeat(129)] {
            assert!(FullName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_is_called_has_a_key_that_no_name_has() {
        let typed = Login::typed("my pass phrase");
        assert_eq!(typed, Login::typed("my pass phrase"));
        assert!(typed.key().starts_with(' '));
        assert_eq!(format!("{typed:?}"), "Login(…)");
        assert!(Login::typed(&"x".repeat(100_000)).key().len() <= 1_024);
        assert_eq!(Login::typed("").key(), " ");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let wrong = |text| Name::parse(text).unwrap_err().to_string();
        assert_eq!(wrong("a,b"), "it may not contain a comma");
        assert_eq!(wrong("a b"), "it may not contain spaces");
        assert_eq!(wrong("a\tb"), "it may not contain control characters");
        let ends = Group::parse(" staff").unwrap_err().to_string();
        assert_eq!(ends, "it may not begin or end with a space");
    }

    proptest! {
        #[test]
        fn the_one_spelling_is_its_own(text in "\\PC{0,80}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
                let typed = Login::typed(&text);
                prop_assert_eq!(typed.key(), name.as_str());
            }
            prop_assert!(Login::typed(&text).key().len() <= 1_024);
        }
    }
}
