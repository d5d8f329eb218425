//! Passwords: how typed ones are prepared, and which new ones are accepted.
//!
//! Every password is prepared by RFC 8265 §4.2 (`OpaqueString`: one kind of space, one composition,
//! case kept), so that it is the same on every keyboard. A new one must be long enough and not
//! among the first that attackers try. Nothing else is required (NIST SP 800-63B-4 §3.1.1.2: no
//! composition rules, a blocklist).

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use minicbor::{Decode, Encode};
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use zeroize::Zeroizing;

use super::digest::Scheme;
use super::secret::Secret;

/// A prepared password. Its `Debug` output hides it; it is wiped from memory when dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password(Secret);

impl Password {
    /// The minimum number of code points in a new password. NIST SP 800-63B-4 §3.1.1.2 allows 8 if
    /// the password is one of two factors.
    pub const AT_LEAST: usize = 8;

    /// The maximum number of code points in a new password (the same section requires at least 64).
    pub const AT_MOST: usize = 256;

    /// A password typed to sign in: prepared, but not checked.
    ///
    /// A text that cannot be prepared is nobody's password. It is used unchanged, so that verifying
    /// it takes as long as for any other.
    pub fn typed(text: &str) -> Self {
        Self(prepared(text).unwrap_or_else(|| Secret::from(text.to_owned())))
    }

    /// Checks a new password.
    ///
    /// `known` are words that an attacker would try for this user on this site: the user name, the
    /// e-mail address, the full name, the host.
    ///
    /// # Errors
    /// Tells the visitor why they must choose another.
    pub fn chosen(text: &str, known: &[&str]) -> Result<Self, WeakPassword> {
        // Preparing takes time in proportion to the length. A code point has at most four bytes,
        // and composition joins at most three into one.
        if text.len() > Self::AT_MOST * 4 * 3 {
            return Err(WeakPassword::TooLong);
        }
        if text.is_empty() {
            return Err(WeakPassword::TooShort);
        }
        let secret = prepared(text).ok_or(WeakPassword::Unusable)?;
        let plain = secret.expose_str();
        match plain.chars().count() {
            ..Self::AT_LEAST => return Err(WeakPassword::TooShort),
            Self::AT_LEAST..=Self::AT_MOST => {}
            _ => return Err(WeakPassword::TooLong),
        }
        let folded = folded(plain);
        if is_personal(&folded, known) {
            return Err(WeakPassword::Personal);
        }
        if is_run(&folded) || is_repetition(&folded) || is_common(&folded) {
            return Err(WeakPassword::Common);
        }
        Ok(Self(secret))
    }

    /// The prepared bytes. The name makes uses easy to find in a review.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Why a new password is refused; a sentence for the visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than [`Password::AT_LEAST`] code points.
    #[error("Please choose a password of at least {} characters.", Password::AT_LEAST)]
    TooShort,
    /// More than [`Password::AT_MOST`] code points.
    #[error("Please choose a password of at most {} characters.", Password::AT_MOST)]
    TooLong,
    /// It contains characters that RFC 8265 does not allow in a password, such as control
    /// characters.
    #[error(
        "That password contains a character that cannot be typed everywhere. Please choose another."
    )]
    Unusable,
    /// It is on the blocklist, a keyboard run or a repetition.
    #[error(
        "That password is among the first that a guesser tries. Please choose another: three or \
         four words that have nothing to do with each other are good."
    )]
    Common,
    /// It is made of what is known about this user and this site.
    #[error(
        "That password is made of your name, your address or the name of this site. Please choose \
         another: three or four words that have nothing to do with each other are good."
    )]
    Personal,
}

/// A stored password hash: a string in the PHC format, which names algorithm and parameters. The
/// hashed input may be an imported digest. Its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    phc: String,
    over: Option<Scheme>,
}

impl PasswordHash {
    /// Wraps the PHC string of a hashed password.
    pub fn new(phc: String) -> Self {
        Self { phc, over: None }
    }

    /// Wraps the PHC string of a hashed digest of this scheme.
    pub fn over(scheme: Scheme, phc: String) -> Self {
        Self { phc, over: Some(scheme) }
    }

    /// The scheme of the digest that was hashed; `None` if the password itself was hashed.
    pub fn scheme(&self) -> Option<&Scheme> {
        self.over.as_ref()
    }

    /// A hash with the same parameters that matches no password. Verifying against it takes the
    /// same work and always fails.
    #[must_use]
    pub fn that_nothing_matches(&self) -> Self {
        let mut phc = self.phc.clone();
        if let Some(output) = phc.rfind('$').map(|last| last + 1) {
            let other =
                if phc.get(output..).is_some_and(|o| o.starts_with('A')) { "B" } else { "A" };
            if phc.is_char_boundary(output + 1) {
                phc.replace_range(output..=output, other);
            }
        }
        Self { phc, over: self.over.clone() }
    }

    /// The PHC string. The name makes uses easy to find in a review.
    pub fn expose(&self) -> &str {
        &self.phc
    }
}

/// Encoded as the PHC string alone, or as scheme and PHC string.
impl<C> Encode<C> for PasswordHash {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match &self.over {
            None => e.str(&self.phc)?.ok(),
            Some(scheme) => {
                e.array(2)?;
                scheme.encode(e, context)?;
                e.str(&self.phc)?.ok()
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for PasswordHash {
    fn decode(
        d: &mut minicbor::Decoder<'b>,
        context: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        if d.datatype()? == minicbor::data::Type::String {
            return d.str().map(|phc| Self::new(phc.to_owned()));
        }
        match d.array()? {
            Some(2) => {
                let scheme = Scheme::decode(d, context)?;
                d.str().map(|phc| Self::over(scheme, phc.to_owned()))
            }
            _ => Err(minicbor::decode::Error::message("no password hash")),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

fn prepared(text: &str) -> Option<Secret> {
    OpaqueString::enforce(text).ok().map(|mapped| Secret::from(mapped.into_owned()))
}

type Folded = Zeroizing<Vec<char>>;

/// Lower case, without the characters that people put between words.
fn folded(text: &str) -> Folded {
    let small = Zeroizing::new(text.to_lowercase());
    Zeroizing::new(small.chars().filter(|c| !matches!(c, ' ' | '-' | '_' | '.')).collect())
}

/// Whether it is a listed word, as typed or with digits replaced by letters. Digits and punctuation
/// around the word are ignored: up to six on each side (a date), or a run of any length.
fn is_common(folded: &[char]) -> bool {
    listed(folded) || core(folded).is_some_and(listed)
}

fn listed(word: &[char]) -> bool {
    static LIST: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        include_str!("common-passwords.txt").lines().filter(|l| !l.starts_with('#')).collect()
    });
    let plain: Zeroizing<String> = Zeroizing::new(word.iter().collect());
    let spelled = |one: char| {
        let messages = word.iter().map(|c| message_for(*c, one)).collect();
        Zeroizing::new(messages)
    };
    [plain, spelled('i'), spelled('l')]
        .iter()
        .any(|word: &Zeroizing<String>| LIST.contains(word.as_str()))
}

/// The letter that `c` often replaces. A `1` can replace two different letters.
fn message_for(c: char, one: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    }
}

/// The text without the digits and punctuation at both ends, if these add little strength.
fn core(folded: &[char]) -> Option<&[char]> {
    let start = folded.iter().position(|c| c.is_alphabetic())?;
    let end = folded.iter().rposition(|c| c.is_alphabetic())? + 1;
    let little = |ends: &[char]| ends.len() <= 6 || is_run(ends);
    (little(&folded[..start]) && little(&folded[end..])).then(|| &folded[start..end])
}

/// Whether almost nothing is left after the known words are removed.
fn is_personal(folded_password: &[char], known: &[&str]) -> bool {
    let messages: Zeroizing<String> =
        Zeroizing::new(core(folded_password).unwrap_or(folded_password).iter().collect());
    let mut words: Vec<String> = known
        .iter()
        .flat_map(|text| {
            let whole = folded(text).iter().collect::<String>();
            let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            parts.chain([whole]).collect::<Vec<_>>()
        })
        .filter(|word| word.chars().count() >= 3)
        .collect();
    // Long words first, so that removing `ada` does not break up `adalovelace`.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = messages.clone();
    for word in &words {
        rest = Zeroizing::new(rest.replace(word.as_str(), ""));
    }
    rest.len() < messages.len() && rest.chars().count() <= 3
}

/// Whether it is only a repetition of one short or listed word.
fn is_repetition(folded: &[char]) -> bool {
    let length = folded.len();
    (1..=length / 2).filter(|unit| length.is_multiple_of(*unit)).any(|unit| {
        let (first, rest) = folded.split_at(unit);
        rest.chunks(unit).all(|chunk| chunk == first) && (unit <= 4 || listed(first))
    })
}

/// Whether it consists of runs, or of two alternating runs (`1q2w3e4r`).
fn is_run(folded: &[char]) -> bool {
    let every_second = |from: usize| -> Folded {
        folded.iter().skip(from).step_by(2).copied().collect::<Vec<_>>().into()
    };
    runs_make(folded) || (runs_make(&every_second(0)) && runs_make(&every_second(1)))
}

/// Whether `text` consists of runs that are at least four characters long on average.
fn runs_make(text: &[char]) -> bool {
    let (mut rest, mut runs) = (text, 0);
    while !rest.is_empty() {
        rest = &rest[longest_run(rest)..];
        runs += 1;
    }
    runs > 0 && runs * 4 <= text.len()
}

fn longest_run(text: &[char]) -> usize {
    let same = text.iter().take_while(|c| **c == text[0]).count();
    let along = |row: &[char]| {
        let matching =
            |from: usize| row[from..].iter().zip(text).take_while(|(a, b)| a == b).count();
        row.iter().position(|c| *c == text[0]).map_or(0, matching)
    };
    ROWS.iter().fold(same, |longest, row| {
        let forth: Vec<char> = row.chars().collect();
        let back: Vec<char> = row.chars().rev().collect();
        longest.max(along(&forth)).max(along(&back))
    })
}

/// The sequences that count as runs: the alphabet, the digits, the rows of three keyboard layouts,
/// and the columns of one.
const ROWS: [&str; 13] = [
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890",
    "0123456789",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "!@#$%^&*()",
];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KNOWN: &[&str] = &["ada.lovelace", "Ada Lovelace", "ada@example.org", "crm.example.com"];

    #[rstest]
    #[case("password")]
    #[case("PassWord1!")]
    #[case("p@55w0rd")]
    #[case("passw0rd2024")]
    #[case("passwordpassword")]
    #[case("Summer2024!")]
    #[case("i love you")]
    #[case("1234567890")]
    #[case("87654321")]
    #[case("qwertyuiop")]
    #[case("qwerty123456")]
    #[case("1q2w3e4r")]
    #[case("1qaz2wsx3edc")]
    #[case("aaaaaaaaaaaa")]
    #[case("abcabcabc")]
    #[case("12121212")]
    #[case("password123456789")]
    #[case("DragonDragon")]
    #[case("anna290585")]
    fn what_guessers_try_first_is_refused(#[case] password: &str) {
        assert_eq!(Password::chosen(password, KNOWN), Err(WeakPassword::Common));
    }

    #[rstest]
    #[case("Lovelace1815")]
    #[case("ada.lovelace")]
    #[case("adaadaada")]
    #[case("AdaExample1")]
    #[case("crm.example.com")]
    #[case("ada@example.org")]
    fn what_is_known_about_a_person_and_the_site_is_refused(#[case] password: &str) {
        assert_eq!(Password::chosen(password, KNOWN), Err(WeakPassword::Personal));
    }

    #[rstest]
    #[case("correct horse battery staple")]
    #[case("kiwi rosetta plinth")]
    #[case("xk7wq2pz")]
    #[case("lovelace was no cook")]
    #[case("contraseña del vecino")]
    #[case("пароль-соседа-кота")]
    #[case("Look behind you, a three-headed monkey!🐒")]
    fn nothing_else_is_asked_of_a_password(#[case] password: &str) {
        assert!(Password::chosen(password, KNOWN).is_ok());
    }

    #[rstest]
    #[case("", Err(WeakPassword::TooShort))]
    #[case("xk7wq2p", Err(WeakPassword::TooShort))]
    #[case("äöüßéèêë", Ok(()))]
    #[case("xk7wq2pz\u{7}", Err(WeakPassword::Unusable))]
    fn length_is_counted_in_code_points(
        #[case] password: &str,
        #[case] answer: Result<(), WeakPassword>,
    ) {
        assert_eq!(Password::chosen(password, &[]).map(drop), answer);
    }

    #[test]
    fn a_password_has_at_most_256_code_points() {
        let long: String = ('a'..='z').cycle().step_by(7).take(256).collect();
        assert!(Password::chosen(&long, &[]).is_ok());
        assert_eq!(Password::chosen(&format!("{long}x"), &[]), Err(WeakPassword::TooLong));
        assert_eq!(Password::chosen(&"x".repeat(100_000), &[]), Err(WeakPassword::TooLong));
    }

    #[test]
    fn a_password_is_the_same_on_every_keyboard() {
        let composed = Password::typed("Zo\u{eb} se\u{f1}or");
        let decomposed = Password::typed("Zoe\u{308}\u{a0}sen\u{303}or");
        assert_eq!(composed, decomposed);
        assert_ne!(composed, Password::typed("zo\u{eb} se\u{f1}or"));
    }

    #[test]
    fn what_cannot_be_prepared_is_still_typed() {
        assert_eq!(Password::typed("a\u{0}b").expose(), b"a\0b");
        assert_eq!(Password::typed("").expose(), b"");
    }

    #[test]
    fn neither_a_password_nor_its_hash_is_printed() {
        let hash = PasswordHash::new("$argon2id$…".to_owned());
        assert_eq!(
            format!("{:?} {hash:?}", Password::typed("hunter42")),
            "Password(Secret(…)) PasswordHash(…)"
        );
    }

    #[test]
    fn the_list_is_spelled_as_it_is_looked_up() {
        let list = include_str!("common-passwords.txt");
        let words = || list.lines().filter(|line| !line.starts_with('#'));
        assert!(words().count() > 2_000);
        for word in words() {
            assert_eq!(folded(word).iter().collect::<String>(), word);
        }
        assert!(words().is_sorted(), "sorted, so that changes read well");
    }
}
