//! Phone numbers that can get a text message.
//!
//! A number is kept in international form (E.164), so that one number has one spelling. Its country
//! and kind come from the numbering plan (Google's libphonenumber). What the plan cannot tell, as in
//! North America, is accepted; ported numbers keep the kind that the plan gives them. What it does
//! not know is accepted only if it has the length of a mobile number.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
};

/// A complete phone number in international form: `+41791234567`.
///
/// It is personal data: `Debug` shows its last two digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Number(#[n(0)] String);

/// What the numbering plan says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A mobile phone, or a number that may be one.
    MayBeMobile,
    /// A landline.
    Landline,
    /// A service: premium rate, shared cost, toll-free, a company's or a personal number, voicemail.
    /// Texts to them earn their owner money, or reach nobody.
    Service,
    /// A pager.
    Pager,
    /// Voice over IP: whoever knows a password reads its texts, too.
    Voip,
    /// The plan does not know it.
    Unknown,
}

/// Why a number cannot be used for codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// It is not a complete number.
    #[error("not a complete phone number with its country code, such as +41 79 123 45 67")]
    Malformed,
    /// A landline.
    #[error("a landline, which gets no texts")]
    Landline,
    /// A service number.
    #[error("a service number, which gets no texts")]
    Service,
    /// A pager.
    #[error("a pager, which gets no texts")]
    Pager,
    /// Voice over IP.
    #[error("an internet phone (VoIP), whose texts can be read with a password")]
    Voip,
    /// It belongs to the operator.
    #[error("one of our own numbers: only somebody who is signed in could read a text to it")]
    Own,
    /// Its country is not allowed.
    #[error("in a country to which no texts are sent")]
    Country,
}

/// Which numbers are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The country in which a number without a country code is read.
    pub default_country: Option<Country>,
    /// The countries to which texts are sent.
    pub countries: Vec<Country>,
    /// The operator's own numbers.
    pub own: Vec<Number>,
}

impl Accepted {
    /// Reads a number as typed, and judges it.
    ///
    /// # Errors
    /// [`Unsuitable`]: why no code is sent to it.
    pub fn read(&self, typed: &str) -> Result<Number, Unsuitable> {
        let number = Number::parse(typed, self.default_country)?;
        self.judge(&number).map(|()| number)
    }

    /// Judges a number that was accepted before: the configuration may have changed since.
    ///
    /// # Errors
    /// [`Unsuitable`]: why no code is sent to it.
    pub fn judge(&self, number: &Number) -> Result<(), Unsuitable> {
        match number.kind() {
            Kind::MayBeMobile => {}
            Kind::Unknown => number.judge_unknown()?,
            Kind::Landline => return Err(Unsuitable::Landline),
            Kind::Service => return Err(Unsuitable::Service),
            Kind::Pager => return Err(Unsuitable::Pager),
            Kind::Voip => return Err(Unsuitable::Voip),
        }
        if self.own.contains(number) {
            return Err(Unsuitable::Own);
        }
        match number.country() {
            Some(country) if self.countries.contains(&country) => Ok(()),
            Some(_) | None => Err(Unsuitable::Country),
        }
    }
}

impl Number {
    /// Reads a number as people type it, or as a `tel:` URI without parameters (RFC 3966). Without a
    /// country code it is one of `country`.
    ///
    /// # Errors
    /// [`Unsuitable::Malformed`] if no number has this length in its country, it contains anything
    /// besides digits and punctuation, or its international form would be read as another number.
    pub fn parse(typed: &str, country: Option<Country>) -> Result<Self, Unsuitable> {
        // The library's own limit is longer than any number that somebody types. It panics on some
        // parameters of a URI.
        let number = typed.trim_start();
        let number = number.strip_prefix("tel:").unwrap_or(number);
        if typed.chars().count() > LONGEST || !number.chars().all(is_in_numbers) {
            return Err(Unsuitable::Malformed);
        }
        let number = Self(in_e164(number, country)?);
        let is_stable = in_e164(&number.0, None).as_ref() == Ok(&number.0);
        is_stable.then_some(number).ok_or(Unsuitable::Malformed)
    }

    /// The number in international form: a plus sign and digits only.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits, without the plus sign.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// The number as people read it: `+41 79 123 45 67`.
    pub fn grouped(&self) -> String {
        self.read().map_or_else(
            || self.0.clone(),
            |number| number.format_as(PhoneNumberFormat::International).into_owned(),
        )
    }

    /// Its last two digits, by which its owner knows it.
    pub fn ending(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default()
    }

    /// Its country; `None` if the plan does not know it, or it belongs to none.
    pub fn country(&self) -> Option<Country> {
        let region = self.read()?.get_region_code()?;
        Country::of_region(region)
    }

    /// What the numbering plan says of it.
    pub fn kind(&self) -> Kind {
        match self.read().map_or(PhoneNumberType::Unknown, |number| number.get_type()) {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => Kind::MayBeMobile,
            PhoneNumberType::FixedLine => Kind::Landline,
            PhoneNumberType::TollFree
            | PhoneNumberType::PremiumRate
            | PhoneNumberType::SharedCost
            | PhoneNumberType::PersonalNumber
            | PhoneNumberType::UAN
            | PhoneNumberType::VoiceMail => Kind::Service,
            PhoneNumberType::Pager => Kind::Pager,
            PhoneNumberType::VoIP => Kind::Voip,
            PhoneNumberType::Unknown => Kind::Unknown,
        }
    }

    /// Judges a number that the plan does not know. It may belong to a new range of mobile numbers, or
    /// be a service number with more digits than networks look at.
    fn judge_unknown(&self) -> Result<(), Unsuitable> {
        let is_possible = |number: &Self, kind| {
            number.read().is_some_and(|number| {
                PHONE_NUMBER_UTIL.is_possible_number_for_type_with_reason(&number, kind)
                    == Ok(NumberLengthType::IsPossible)
            })
        };
        let mut shorter = self.clone();
        while shorter.0.pop().is_some() && is_possible(&shorter, PhoneNumberType::Unknown) {
            if shorter.kind() == Kind::Service {
                return Err(Unsuitable::Service);
            }
        }
        let may_be_mobile = is_possible(self, PhoneNumberType::Mobile);
        may_be_mobile.then_some(()).ok_or(Unsuitable::Malformed)
    }

    fn read(&self) -> Option<PhoneNumber> {
        PHONE_NUMBER_UTIL.parse(&self.0, None).ok()
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number(…{})", self.ending())
    }
}

/// A country with a numbering plan, by its two letters (ISO 3166-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country(Region);

/// The error for a text that is no country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a country: write its two letters, such as CH or US")]
pub struct NoCountry(String);

impl Country {
    fn of_region(region: Region) -> Option<Self> {
        let has_plan = PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some();
        (has_plan && region.as_region_str().len() == 2).then_some(Self(region))
    }
}

impl FromStr for Country {
    type Err = NoCountry;

    fn from_str(text: &str) -> Result<Self, NoCountry> {
        let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let region = is_code.then(|| Region::from_code(text).ok()).flatten();
        region.and_then(Self::of_region).ok_or_else(|| NoCountry(text.to_owned()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_region_str().as_ref())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The complete number that the library reads in `text`, in international form.
fn in_e164(text: &str, country: Option<Country>) -> Result<String, Unsuitable> {
    let parsed = PHONE_NUMBER_UTIL.parse(text, country.map(|country| country.0));
    let parsed = parsed.map_err(|_| Unsuitable::Malformed)?;
    let length = PHONE_NUMBER_UTIL.is_possible_number_with_reason(&parsed);
    let has_extension = parsed.extension.as_ref().is_some_and(|digits| !digits.is_empty());
    if length != Ok(NumberLengthType::IsPossible) || has_extension {
        return Err(Unsuitable::Malformed);
    }
    Ok(parsed.format_as(PhoneNumberFormat::E164).into_owned())
}

/// Whether `c` is common in phone numbers: a digit of any script, a plus sign, white space, or
/// punctuation as libphonenumber knows it, without its `x`.
fn is_in_numbers(c: char) -> bool {
    c.is_numeric() || c.is_whitespace() || PUNCTUATION.contains(c)
}

const PUNCTUATION: &str = "+\u{ff0b}-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{30fc}\
                           \u{ff0d}\u{ff0e}\u{ff0f}\u{ad}\u{200b}\u{2060}()\u{ff08}\u{ff09}\u{ff3b}\
                           \u{ff3d}.[]/~\u{2053}\u{223c}";
/// The most characters that are read as a number.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn country(text: &str) -> Country {
        text.parse().unwrap()
    }

    fn swiss() -> Accepted {
        Accepted {
            default_country: Some(country("CH")),
            countries: vec![country("CH"), country("US")],
            own: vec![Number::parse("+41 79 555 00 00", None).unwrap()],
        }
    }

    #[test]
    fn a_number_without_a_country_code_is_read_in_the_default_country() {
        let number = swiss().read("079 123 45 67").unwrap();
        assert_eq!(number.as_str(), "+41791234567");
        assert_eq!((number.grouped(), number.ending()), ("+41 79 123 45 67".to_owned(), "67"));
        assert_eq!(number.country(), Some(country("CH")));
        assert_eq!(Number::parse("079 123 45 67", None), Err(Unsuitable::Malformed));
    }

    #[test]
    fn what_gets_no_texts_is_refused_with_the_reason() {
        for (typed, why) in [
            ("044 668 18 00", Unsuitable::Landline),
            ("0900 123 456", Unsuitable::Service),
            ("0800 123 456", Unsuitable::Service),
            ("074 012 34 56", Unsuitable::Pager),
            ("+41 79 555 0000", Unsuitable::Own),
            ("+43 664 123456", Unsuitable::Country),
            ("+44 70 1234 5678", Unsuitable::Service),
            ("+870 301 234 567", Unsuitable::Country),
            ("79", Unsuitable::Malformed),
            ("", Unsuitable::Malformed),
            ("+41 79 123 45 67 ext. 8", Unsuitable::Malformed),
        ] {
            assert_eq!(swiss().read(typed), Err(why), "{typed}");
        }
        let long = format!("+41{}79 123 45 67", " ".repeat(64));
        assert_eq!(swiss().read(&long), Err(Unsuitable::Malformed));
    }

    #[test]
    fn what_the_plan_cannot_tell_is_accepted() {
        assert_eq!(swiss().read("+1 201 555 0123").unwrap().kind(), Kind::MayBeMobile);
        let new_range = swiss().read("+41 70 123 45 67").unwrap();
        assert_eq!(new_range.kind(), Kind::Unknown);
    }

    #[test]
    fn a_text_that_the_library_cannot_stand_is_no_number() {
        let context = ";phone-context=+41;tel:7912345";
        for typed in [context, "tel:+41791234567;ext=1", "+41 79 123 45 67 x8", "call 0791234567"] {
            assert_eq!(swiss().read(typed), Err(Unsuitable::Malformed), "{typed}");
        }
        assert_eq!(swiss().read("tel:+41-79-123-45-67").unwrap().as_str(), "+41791234567");
    }

    #[test]
    fn the_number_that_was_judged_is_the_one_that_is_sent() {
        let german = Accepted {
            countries: vec![country("DE")],
            own: vec![Number::parse("+49 151 12345678", None).unwrap()],
            ..Accepted::default()
        };
        assert_eq!(german.read("+49 (0) 151 12345678"), Err(Unsuitable::Own));
        assert_eq!(german.read("+49 0 0151 12345678"), Err(Unsuitable::Malformed));
    }

    #[test]
    fn what_the_plan_does_not_know_needs_the_length_of_a_mobile_number() {
        let wide = Accepted {
            countries: vec![country("CH"), country("DE"), country("US")],
            ..Accepted::default()
        };
        for (typed, why) in [
            ("+49 900 1123456 7", Unsuitable::Service),
            ("+41 900 123 456 000", Unsuitable::Malformed),
            ("+49 110", Unsuitable::Malformed),
            ("+49 11880", Unsuitable::Malformed),
            ("+1 555 0123", Unsuitable::Malformed),
        ] {
            assert_eq!(wide.read(typed), Err(why), "{typed}");
        }
        assert!(wide.read("+41 70 123 45 67").is_ok());
    }

    #[test]
    fn by_default_no_country_is_allowed() {
        let none = Accepted::default();
        assert_eq!(none.read("+41 79 123 45 67"), Err(Unsuitable::Country));
    }

    #[test]
    fn a_country_is_two_letters_with_a_numbering_plan() {
        for wrong in ["", "ch", "Switzerland", "001", "ZZ", "XX", "C\u{48}\u{301}"] {
            assert!(wrong.parse::<Country>().is_err(), "{wrong}");
        }
        assert_eq!(country("CH").to_string(), "CH");
    }

    #[test]
    fn a_number_does_not_print() {
        let number = Number::parse("+41 79 123 45 67", None).unwrap();
        assert_eq!(format!("{number:?}"), "Number(…67)");
    }

    /// The answers of `phonenumbers` on `PyPI`, which has the same metadata; see `tests/phone`.
    #[test]
    fn kinds_and_countries_of_a_thousand_numbers_agree_with_the_reference() {
        let lines = include_str!("../../tests/phone/kinds.txt").lines().skip(1);
        let mut count = 0;
        for line in lines {
            let parts: Vec<&str> = line.split(' ').collect();
            let [text, country, kind] = parts[..] else { panic!("{line}") };
            let number = Number(text.to_owned());
            let expected = match kind {
                "mobile" | "fixed-line-or-mobile" => Kind::MayBeMobile,
                "fixed-line" => Kind::Landline,
                "pager" => Kind::Pager,
                "voip" => Kind::Voip,
                "invalid" => Kind::Unknown,
                _ => Kind::Service,
            };
            assert_eq!(number.kind(), expected, "{line}");
            if kind != "invalid" {
                let found = number.country().map_or("-".to_owned(), |country| country.to_string());
                assert_eq!(found, country, "{line}");
            }
            count += 1;
        }
        assert_eq!(count, 1_000);
    }

    #[test]
    fn two_hundred_spellings_are_read_as_by_the_reference() {
        let lines = include_str!("../../tests/phone/spellings.txt").lines().skip(1);
        let mut count = 0;
        for line in lines {
            let parts: Vec<&str> = line.split('\t').collect();
            let [typed, region, meant] = parts[..] else { panic!("{line}") };
            let read = Number::parse(typed, Some(country(region)));
            let read = read.map_or("-".to_owned(), |number| number.0);
            assert_eq!(read, meant, "{line}");
            count += 1;
        }
        assert_eq!(count, 200);
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_none(text in "\\PC{0,64}") {
            let _ = swiss().read(&text);
        }

        #[test]
        fn any_text_of_a_uri_is_a_number_or_none(
            text in "(tel:|;phone-context=|;ext=|;isub=|[+0-9;,x#*() -]){0,20}",
        ) {
            let _ = swiss().read(&text);
        }

        #[test]
        fn an_accepted_number_is_read_as_itself(
            text in "[+]?(1|33|39|4[0-9]|5[0-9]|[0-9]{2,3})[0 ()]{0,4}[0-9 ]{4,14}",
            region in prop::sample::select(vec!["CH", "DE", "US", "IT", "AR", "BR", "MX"]),
        ) {
            if let Ok(number) = Number::parse(&text, Some(country(region))) {
                prop_assert_eq!(Number::parse(number.as_str(), None), Ok(number.clone()));
            }
        }
    }
}
