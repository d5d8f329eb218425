//! What text messages say, in the letters of GSM 7-bit (3GPP TS 23.038 §6.2.1): with any other letter
//! a text has 70 characters instead of 160.

use crate::config::Config;
use crate::domain::secret::Secret;

/// What every text says about the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsWords {
    /// The name of the site, in letters of GSM 7-bit.
    site: String,
    /// The host of the portal.
    host: String,
}

impl SmsWords {
    /// Takes the values from `config`.
    pub fn of(config: &Config) -> Self {
        Self { site: in_gsm(&config.issuer), host: config.portal.host().to_owned() }
    }

    /// A text with a code. Its last line lets the browser fill the code in, on this host only (W3C
    /// "Origin-bound one-time codes delivered via SMS").
    pub fn code(&self, code: &Secret) -> String {
        let code = code.expose_str();
        let last = format!("\n\n@{} #{code}", self.host);
        one_text(
            format!("{code} is your code for {} - do not share it.{last}", self.site),
            format!("{code} is your code - do not share it.{last}"),
        )
    }

    /// A text to a number that no longer counts.
    pub fn removed(&self) -> String {
        one_text(
            format!(
                "{}: this phone number no longer gets your codes. If this was not you, ask for help.",
                self.site
            ),
            format!(
                "This phone number no longer gets codes from {}. If this was not you, ask for help.",
                self.host
            ),
        )
    }

    /// A test text from an operator.
    pub fn trial(&self) -> String {
        format!("Test text from {}. There is nothing to do.", self.site)
    }
}

/// `whole` if it is one text, or else `short`: each further one costs as much again.
fn one_text(whole: String, short: String) -> String {
    let fits = septets(&whole).is_some_and(|count| count <= ONE_TEXT);
    if fits { whole } else { short }
}

/// How many septets `text` needs in GSM 7-bit; `None` if a letter is not in it.
pub fn septets(text: &str) -> Option<usize> {
    text.chars()
        .map(|c| if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) })
        .sum()
}

/// `text` with a question mark in place of every letter that is not in GSM 7-bit.
fn in_gsm(text: &str) -> String {
    let known =
        |c: &char| *c != '\n' && *c != '\r' && (BASIC.contains(*c) || EXTENDED.contains(*c));
    text.chars().map(|c| if known(&c) { c } else { '?' }).collect()
}

/// The letters that need one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQR\
                     STUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The letters that need two.
const EXTENDED: &str = "^{}\\[~]|€";
/// The septets of one text.
const ONE_TEXT: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(site: &str) -> SmsWords {
        SmsWords { site: in_gsm(site), host: "id.example.com".to_owned() }
    }

    fn code() -> Secret {
        Secret::from("012345".to_owned())
    }

    #[test]
    fn a_code_comes_with_the_site_and_a_line_for_the_browser() {
        assert_eq!(
            words("Example Inc.").code(&code()),
            "012345 is your code for Example Inc. - do not share it.\n\n@id.example.com #012345"
        );
    }

    #[test]
    fn every_text_is_one_text_in_gsm_letters() {
        for site in ["Example Inc.", "Ünïcödé 株式会社", "€€€", &"long name ".repeat(20)]
        {
            let text = words(site).code(&code());
            assert!(septets(&text).unwrap() <= ONE_TEXT, "{text}");
            assert!(text.ends_with("\n\n@id.example.com #012345"), "{text}");
            let text = words(site).removed();
            assert!(septets(&text).unwrap() <= ONE_TEXT, "{text}");
        }
        assert!(septets("株").is_none());
        assert_eq!(septets("a€"), Some(3));
    }

    #[test]
    fn a_name_cannot_add_a_line_of_its_own() {
        let text = words("x\n\n@evil.example #999999").code(&code());
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.lines().last(), Some("@id.example.com #012345"));
    }
}
