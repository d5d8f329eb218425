//! The browser that somebody uses, in words: "Firefox on Windows".
//!
//! Read from the `User-Agent` header, so it may be untrue. It helps people to recognise their own
//! devices; no decision depends on it.

use std::fmt;

use minicbor::{Decode, Encode};

/// A browser and its operating system, as people call them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Agent(#[n(0)] String);

/// Substrings of a `User-Agent` (RFC 9110 §10.1.5) and the browser that each stands for. The first
/// match wins, so the order matters: nearly every browser also claims to be Chrome, Safari or both.
const BROWSERS: [(&str, &str); 17] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("Trident/", "Internet Explorer"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "a Python script"),
];

const SYSTEMS: [(&str, &str); 9] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
];

impl Agent {
    /// Parses a `User-Agent`; `None` if it names neither a browser nor a system that we know.
    pub fn read(user_agent: &str) -> Option<Self> {
        let named = |names: &[(&str, &'static str)]| {
            names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
        };
        let said = match (named(&BROWSERS), named(&SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(browser), None) => browser.to_owned(),
            (None, Some(system)) => format!("A browser on {system}"),
            (None, None) => return None,
        };
        Some(Self(said))
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(user_agent: &str) -> String {
        Agent::read(user_agent).map(|agent| agent.to_string()).unwrap_or_default()
    }

    #[test]
    fn browsers_that_claim_to_be_others_are_called_by_their_own_name() {
        const LIKE_GECKO: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let chrome = format!("Mozilla/5.0 (X11; Linux x86_64) {LIKE_GECKO} Chrome/141.0.0.0");
        assert_eq!(said(&format!("{chrome} Safari/537.36")), "Chrome on Linux");
        assert_eq!(said(&format!("{chrome} Safari/537.36 Edg/141.0.0.0")), "Edge on Linux");
        assert_eq!(said(&format!("{chrome} Safari/537.36 OPR/120.0.0.0")), "Opera on Linux");
        let firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101";
        assert_eq!(said(&format!("{firefox} Firefox/140.0")), "Firefox on Windows");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15";
        assert_eq!(said(&format!("{phone} Version/18.0 Safari/604.1")), "Safari on iPhone");
        let android = "Mozilla/5.0 (Linux; Android 15; Pixel 9)";
        assert_eq!(said(&format!("{android} Chrome/141.0.0.0 Mobile")), "Chrome on Android");
    }

    #[test]
    fn what_says_nothing_that_we_know_is_called_nothing() {
        assert_eq!(said(""), "");
        assert_eq!(said("<script>alert(1)</script>"), "");
        assert_eq!(said("Something/1.0 (Windows)"), "A browser on Windows");
    }
}
