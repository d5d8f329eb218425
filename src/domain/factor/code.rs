//! Codes that are sent to a phone by text message, or to a mailbox.
//!
//! Six digits, valid for ten minutes, bound to the user, the session, the purpose, the kind and the
//! recipient; a new code voids the old one, and so do five wrong ones. Only a digest is stored.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::{Kind, News, Row, Told};
use crate::domain::mailed::{Code, MailedCode};
use crate::domain::name::Email;
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
    backs_up: None,
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
            read: "You replaced your second factors with a phone number.",
            mailed: Some((
                "your second factors were replaced",
                "Your second factors were replaced with a phone number.",
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

/// Codes by e-mail in the table of factors. They only stand beside text messages: a mailbox often opens
/// with the password that they are to protect (NIST SP 800-63B-4 §3.1.3.1 accepts none).
pub const EMAIL: Row = Row {
    kind: Kind::Email,
    word: "email",
    also: &["mail", "e-mail", "email-code"],
    name: "e-mail code",
    amr: "email",
    amr_of_copies: "email",
    at_most: 1,
    backs_up: Some(Kind::Sms),
    can_be_guessed: true,
    resists_phishing: false,
    told: Told {
        shown: News {
            event: "email-code-shown",
            logged: "code from an e-mail accepted",
            read: "You signed in with a code from an e-mail instead of a text message.",
            mailed: Some((
                "a code from an e-mail was used to sign in",
                "A code from an e-mail was used to sign in, instead of a text message.",
            )),
        },
        added: News {
            event: "email-codes-added",
            logged: "e-mail codes turned on",
            read: "You turned on codes by e-mail.",
            mailed: Some((
                "codes by e-mail were turned on",
                "Codes by e-mail were turned on. If a text message does not arrive, a code can be sent \
                 to this address.",
            )),
        },
        replaced: News {
            event: "email-codes-replaced",
            logged: "factors replaced with e-mail codes",
            read: "You replaced your second factors with codes by e-mail.",
            mailed: Some((
                "your second factors were replaced",
                "Your second factors were replaced with codes by e-mail.",
            )),
        },
        removed: News {
            event: "email-codes-removed",
            logged: "e-mail codes turned off",
            read: "You turned off codes by e-mail.",
            mailed: Some((
                "codes by e-mail were turned off",
                "Codes by e-mail were turned off. Only the phone gets codes now.",
            )),
        },
        renamed: News {
            event: "email-codes-renamed",
            logged: "e-mail codes renamed",
            read: "You renamed the mailbox that gets codes.",
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

/// A mailbox to which a code was sent that somebody entered, and the times of the codes of the last day.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mailbox {
    #[n(0)]
    address: Email,
    #[n(1)]
    sent: Vec<Timestamp>,
}

impl Mailbox {
    /// How many codes are sent in an hour and in a day: to any browser, and to known ones, for which
    /// some are kept. Whoever stole the password must not use up those of the owner.
    pub const AT_MOST: [[usize; 2]; 2] = [[4, 7], [5, 10]];

    /// The mailbox with this address.
    pub const fn new(address: Email) -> Self {
        Self { address, sent: Vec::new() }
    }

    /// Its address.
    pub const fn address(&self) -> &Email {
        &self.address
    }

    /// Counts one more code. Returns whether it may be sent.
    pub fn may_be_sent(&mut self, is_known: bool, now: Timestamp) -> bool {
        let lately = |hours, at: &Timestamp| now.within(Duration::from_hours(hours), *at);
        self.sent.retain(|at| lately(24, at));
        let [hour, day] = Self::AT_MOST[usize::from(is_known)];
        let this_hour = self.sent.iter().filter(|at| lately(1, at)).count();
        let may = this_hour < hour && self.sent.len() < day;
        if may {
            self.sent.push(now);
        }
        may
    }
}

/// A set-up or a challenge by text message.
pub type Texted = SentCode<Number>;

/// A set-up or a challenge by e-mail.
pub type Emailed = SentCode<Email>;

/// A set-up or a challenge by a code: where it goes, once that is known, and the code, once it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SentCode<To> {
    #[n(0)]
    to: Option<To>,
    #[n(1)]
    code: Option<MailedCode>,
    #[n(2)]
    wrong: u8,
}

impl<To> Default for SentCode<To> {
    fn default() -> Self {
        Self { to: None, code: None, wrong: 0 }
    }
}

impl<To> SentCode<To> {
    /// How many wrong codes void the right one.
    pub const WRONG_AT_MOST: u8 = 5;

    /// No code yet; it would go to this recipient.
    pub const fn to(to: To) -> Self {
        Self { to: Some(to), code: None, wrong: 0 }
    }

    /// A code on its way to this recipient.
    pub const fn sent(to: To, code: MailedCode) -> Self {
        Self { to: Some(to), code: Some(code), wrong: 0 }
    }

    /// The recipient of the last code.
    pub const fn recipient(&self) -> Option<&To> {
        self.to.as_ref()
    }

    /// Whether there is a code to enter.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.wrong < Self::WRONG_AT_MOST && self.code.as_ref().is_some_and(|code| code.is_good(now))
    }

    /// When another code may be sent.
    pub fn again(&self) -> Option<Timestamp> {
        self.code.as_ref().map(MailedCode::again)
    }

    /// Whether one was sent a moment ago, so that another one must wait.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        self.again().is_some_and(|again| now < again)
    }

    /// The recipient to whom `code` was sent, if it is right and still valid. Constant time in `code`.
    pub fn proves(&self, code: &Code, now: Timestamp) -> Option<&To> {
        let right = self.code.as_ref().is_some_and(|sent| sent.is(code, now));
        self.to.as_ref().filter(|_| right && self.wrong < Self::WRONG_AT_MOST)
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
        let again = NOW.plus(Duration::from_mins(1));
        assert_eq!(texted.again(), Some(again));
        assert!(texted.is_recent(NOW) && !texted.is_recent(again), "five wrong ones or not");
    }

    #[test]
    fn a_mailbox_gets_five_codes_an_hour_and_ten_a_day_some_of_them_for_known_browsers_only() {
        let minute = |minutes| NOW.plus(Duration::from_mins(minutes));
        let mut mailbox = Mailbox::new(Email::parse("ada@example.com").unwrap());
        let mut times = |is_known, minutes: std::ops::Range<u64>| {
            minutes.filter(|at| mailbox.may_be_sent(is_known, minute(*at))).count()
        };
        assert_eq!(times(false, 0..50), 4);
        assert_eq!(times(true, 50..60), 1);
        assert_eq!(times(false, 62..1_400), 2, "seven a day are for any browser");
        assert_eq!(times(true, 1_400..1_430), 3);
        assert_eq!(times(false, 1_430..1_440), 0);
    }
}
