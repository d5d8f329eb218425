//! Codes that are sent to a phone by text message.
//!
//! Six digits, valid for ten minutes, bound to the user, the session, the purpose and the number; a
//! new code voids the old one, and so do five wrong ones. Only a digest is stored.

use minicbor::{Decode, Encode};

use super::{Kind, News, Row, Told};
use crate::domain::mailed::{Code, MailedCode};
use crate::domain::phone::Number;
use crate::domain::time::Timestamp;

/// Text messages in the table of factors.
pub const SMS: Row = Row {
    kind: Kind::Sms,
    word: "sms",
    also: &["phone", "text", "text-message"],
    name: "text message",
    amr: "sms",
    amr_of_copies: "sms",
    at_most: 1,
    can_be_guessed: true,
    resists_phishing: false,
    told: Told {
        shown: News {
            event: "sms-shown",
            logged: "code from a text message accepted",
            read: "You typed a code from a text message.",
            mailed: None,
        },
        added: News {
            event: "phone-added",
            logged: "phone number added",
            read: "You added a phone number.",
            mailed: Some((
                "a phone number was added",
                "A phone number was added. It gets codes as text messages from now on.",
            )),
        },
        replaced: News {
            event: "phone-replaced",
            logged: "factors replaced with a phone number",
            read: "You replaced your second factor with a phone number.",
            mailed: Some((
                "your second factor was replaced",
                "Your second factor was replaced with a phone number.",
            )),
        },
        removed: News {
            event: "phone-removed",
            logged: "phone number removed",
            read: "You removed a phone number.",
            mailed: Some((
                "a phone number was removed",
                "Your phone number was removed. It gets no codes any more.",
            )),
        },
        renamed: News {
            event: "phone-renamed",
            logged: "phone number renamed",
            read: "You renamed your phone number.",
            mailed: None,
        },
    },
};

/// A phone to which a code was sent that somebody entered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Phone(#[n(0)] Number);

impl Phone {
    /// The phone with this number.
    pub const fn new(number: Number) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(&self) -> &Number {
        &self.0
    }
}

/// A set-up or a challenge by text message: where the code goes, once that is known, and the code,
/// once it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Texted {
    #[n(0)]
    number: Option<Number>,
    #[n(1)]
    code: Option<MailedCode>,
    #[n(2)]
    wrong: u8,
}

impl Texted {
    /// How many wrong codes void the right one.
    pub const WRONG_AT_MOST: u8 = 5;

    /// No code yet; it would go to `number`.
    pub const fn to(number: Number) -> Self {
        Self { number: Some(number), code: None, wrong: 0 }
    }

    /// A code on its way to `number`.
    pub const fn sent(number: Number, code: MailedCode) -> Self {
        Self { number: Some(number), code: Some(code), wrong: 0 }
    }

    /// The number to which the last code was sent.
    pub const fn number(&self) -> Option<&Number> {
        self.number.as_ref()
    }

    /// Whether there is a code to enter.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.wrong < Self::WRONG_AT_MOST && self.code.as_ref().is_some_and(|code| code.is_good(now))
    }

    /// When another code may be sent.
    pub fn again(&self) -> Option<Timestamp> {
        self.code.as_ref().map(MailedCode::again)
    }

    /// The number to which `code` was sent, if it is right and still valid. Constant time in `code`.
    pub fn proves(&self, code: &Code, now: Timestamp) -> Option<&Number> {
        let right = self.code.as_ref().is_some_and(|sent| sent.is(code, now));
        self.number.as_ref().filter(|_| right && self.wrong < Self::WRONG_AT_MOST)
    }

    /// The same after one more wrong code.
    #[must_use]
    pub fn with_one_more_wrong(self) -> Self {
        Self { wrong: self.wrong.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn sent() -> (Code, Texted, Number) {
        let number = Number::parse("+41 79 123 45 67", None).unwrap();
        let (code, mailed) = MailedCode::random(&mut StdRng::seed_from_u64(7), NOW);
        (code, Texted::sent(number.clone(), mailed), number)
    }

    #[test]
    fn a_right_code_proves_the_number_for_ten_minutes() {
        let (code, texted, number) = sent();
        let end = NOW.plus(Duration::from_mins(10));
        assert_eq!(texted.proves(&code, end), Some(&number));
        let late = end.plus(Duration::from_secs(1));
        assert_eq!(texted.proves(&code, late), None);
        assert!(texted.is_waiting(end) && !texted.is_waiting(late));
        assert_eq!(Texted::default().proves(&code, NOW), None);
    }

    #[test]
    fn five_wrong_codes_void_the_right_one() {
        let (code, mut texted, number) = sent();
        for _ in 0..4 {
            texted = texted.with_one_more_wrong();
        }
        assert_eq!(texted.proves(&code, NOW), Some(&number));
        texted = texted.with_one_more_wrong();
        assert_eq!(texted.proves(&code, NOW), None);
        assert!(!texted.is_waiting(NOW));
        assert_eq!(texted.again(), Some(NOW.plus(Duration::from_mins(1))));
    }
}
