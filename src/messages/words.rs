//! The text of e-mail messages, the same in plain text and in HTML.

use askama::Template;

use crate::config::Config;
use crate::domain::event::{Event, What};
use crate::domain::message::{About as Matter, Message, WhatFor};
use crate::domain::secret::Token;
use crate::domain::time::Timestamp;

/// What every message says about the site.
#[derive(Clone, Debug)]
pub struct About {
    /// The name of the site.
    pub site: String,
    /// The portal's origin, with which links begin.
    pub portal: String,
    /// Where to ask for help.
    pub support: Option<String>,
}

impl About {
    /// Takes the values from `config`.
    pub fn of(config: &Config) -> Self {
        Self {
            site: config.issuer.clone(),
            portal: config.portal.to_string(),
            support: config.support.clone(),
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}/.doorward/{path}", self.portal)
    }

    fn link(&self, token: &Token) -> String {
        self.page(&format!("link/{}", token.expose_text()))
    }
}

/// The text of one message. It contains the message's secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct Words {
    /// The subject.
    pub subject: String,
    site: String,
    name: String,
    /// The first paragraphs.
    paragraphs: Vec<String>,
    /// When and where something happened.
    facts: Vec<(&'static str, String)>,
    /// A code to type.
    code: Option<String>,
    /// What to do next: link texts and URLs.
    steps: Vec<(String, String)>,
    /// The last paragraphs.
    after: Vec<String>,
    support: Option<String>,
}

#[derive(Template)]
#[template(path = "mail/message.txt", escape = "none")]
struct Text<'a> {
    words: &'a Words,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct Html<'a> {
    words: &'a Words,
}

impl Words {
    /// As plain text. Text that other people chose is isolated if it may be written from right to
    /// left.
    pub fn text(&self) -> String {
        let mut words = self.clone();
        apart(&mut words.name);
        apart(&mut words.site);
        words.facts.iter_mut().for_each(|(_, fact)| apart(fact));
        words.support.iter_mut().for_each(apart);
        Text { words: &words }.render().unwrap_or_default()
    }

    /// The parts between greeting and end, each followed by an empty line.
    fn blocks(&self) -> Vec<String> {
        let facts: Vec<String> =
            self.facts.iter().map(|(name, fact)| format!("{name}: {fact}")).collect();
        let steps = || self.steps.iter().map(|(what, url)| format!("{what}:\n{url}"));
        let code = self.code.iter().map(|code| format!("    {code}"));
        let mut blocks = self.paragraphs.clone();
        blocks.extend((!facts.is_empty()).then(|| facts.join("\n")));
        blocks.extend(code);
        // A notice first says what to do if it was somebody else.
        if facts.is_empty() {
            blocks.extend(steps());
            blocks.extend(self.after.clone());
        } else {
            blocks.extend(self.after.clone());
            blocks.extend(steps());
        }
        blocks.extend(self.support.iter().map(|support| format!("Need help? {support}")));
        blocks
    }

    /// As HTML.
    pub fn html(&self) -> String {
        Html { words: self }.render().unwrap_or_default()
    }
}

/// Isolates the direction of `text` from the text around it (Unicode Annex 9, §2.4), like `<bdi>`
/// in HTML.
fn apart(text: &mut String) {
    if !text.is_ascii() {
        *text = format!("\u{2068}{text}\u{2069}");
    }
}

/// The text of `message`.
pub fn words(message: &Message, about: &About) -> Words {
    let site = &about.site;
    let words = Words {
        subject: String::new(),
        site: site.clone(),
        name: message.name.clone(),
        paragraphs: Vec::new(),
        facts: Vec::new(),
        code: None,
        steps: Vec::new(),
        after: Vec::new(),
        support: about.support.clone(),
    };
    let nothing = || "If you did not ask for this, ignore this e-mail.".to_owned();
    match &message.about {
        Matter::Happened { event, not_me } => happened(words, event, not_me.as_ref(), about),
        Matter::Code { code, what_for } => {
            let what = match what_for {
                WhatFor::SetUp => "set up two-factor",
                WhatFor::ChangeEmail => "change your e-mail address",
                WhatFor::AddKey => "set up a security key",
                WhatFor::BackUp => "turn on codes by e-mail",
                WhatFor::SignIn => "sign in, instead of a code by text message",
            };
            Words {
                subject: format!("Your code for {site}"),
                paragraphs: vec![format!("This code lets you {what}:")],
                code: Some(code.expose_str().to_owned()),
                after: vec![
                    "The code works for ten minutes. Nobody from support will ever ask you for it."
                        .to_owned(),
                    format!(
                        "If you did not ask for it, somebody else can sign in as you. Please change \
                         your password: {}",
                        about.page("security/password")
                    ),
                ],
                ..words
            }
        }
        Matter::ResetPassword { token } => Words {
            subject: format!("Set a new password for {site}"),
            paragraphs: vec![
                "Somebody, probably you, asked for a new password. Use this link to set it. The \
                 link works once, within a day."
                    .to_owned(),
            ],
            steps: vec![("Set a new password".to_owned(), about.link(token))],
            after: vec![nothing()],
            ..words
        },
        Matter::VerifyEmail { token } => Words {
            subject: format!("Is this your address for {site}?"),
            paragraphs: vec![
                "Somebody, probably you, entered this e-mail address. To confirm that it is \
                 yours, open this link within a day."
                    .to_owned(),
            ],
            steps: vec![("This is my address".to_owned(), about.link(token))],
            after: vec![nothing()],
            ..words
        },
        Matter::Trial => Words {
            subject: format!("Test e-mail from {site}"),
            paragraphs: vec!["Your e-mail works. There is nothing to do.".to_owned()],
            ..words
        },
    }
}

fn happened(words: Words, event: &Event, not_me: Option<&Token>, about: &About) -> Words {
    let (what, sentence) = news(event.what);
    let from = event.from.map(|address| address.to_string());
    let place = match (from, &event.agent) {
        (Some(from), Some(agent)) => Some(format!("{agent}, {from}")),
        (Some(from), None) => Some(from),
        (None, Some(agent)) => Some(agent.to_string()),
        (None, None) => None,
    };
    let by = event.by.as_ref().map(|_| ("By", "an administrator".to_owned()));
    let site = Some(("Site", about.site.clone()));
    let when = Some(("When", moment(event.at)));
    let facts = [site, when, place.map(|place| ("From", place)), by];
    let (security, password) = (about.page("security"), about.page("security/password"));
    let steps = match (event.what, not_me) {
        (_, Some(token)) => vec![("This was not me".to_owned(), about.link(token))],
        (What::PasswordChanged | What::PasswordReset | What::PasswordSet, None) => {
            vec![("Ask for a new password".to_owned(), about.page("forgot"))]
        }
        (What::Frozen | What::TwoFactorReset, None) => Vec::new(),
        (What::KeyDoubted, None) => vec![("Open your security page".to_owned(), security)],
        (What::KeyTrusted, None) => vec![
            ("Open your security page".to_owned(), security),
            ("Change your password".to_owned(), password),
        ],
        _ => vec![
            ("Change your password".to_owned(), password),
            ("See recent activity".to_owned(), security),
        ],
    };
    let if_not = match event.what {
        _ if steps.is_empty() => Some("If you did not expect this, please ask for help."),
        What::KeyDoubted => None,
        What::KeyTrusted => Some("If the key is not yours, act now:"),
        What::DeviceCopied => {
            Some("If you did not move or copy your browser's data yourself, act now:")
        }
        _ => Some("If this was you, there is nothing to do. If it was not, act now:"),
    };
    Words {
        subject: format!("{}: {what}", about.site),
        paragraphs: vec![sentence.to_owned()],
        facts: facts.into_iter().flatten().collect(),
        after: if_not.map(str::to_owned).into_iter().collect(),
        steps,
        ..words
    }
}

/// The subject and the first sentence of a notice.
fn news(what: What) -> (&'static str, &'static str) {
    if let Some(mailed) = what.news().and_then(|news| news.mailed) {
        return mailed;
    }
    match what {
        What::PasswordSet => ("your password was set", "Your password was set with a link."),
        What::PasswordChanged => ("your password was changed", "Your password was changed."),
        What::PasswordReset => (
            "your password was changed",
            "Your password was changed with a link that was sent by e-mail.",
        ),
        What::TwoFactorOn => ("two-factor is on", "Two-factor is now on."),
        What::TwoFactorOff => ("two-factor is off", "Two-factor is now off."),
        What::TwoFactorReset => {
            ("two-factor was turned off", "An administrator turned two-factor off for you.")
        }
        What::DeviceTrusted => (
            "a device is now trusted",
            "A device is now trusted: signing in on it no longer asks for your second factor.",
        ),
        What::DeviceCopied => (
            "a trusted device was copied",
            "The cookie of one of your trusted devices was used in two browsers. Somebody may have \
             copied it. The device is no longer trusted.",
        ),
        What::EmailAsked => {
            ("a new e-mail address", "A new e-mail address was entered. It is not confirmed yet.")
        }
        What::EmailChanged => {
            ("your e-mail address was changed", "Your e-mail address was changed.")
        }
        What::NewBrowser => ("a new sign-in", "You signed in with a new browser."),
        What::ProviderDisconnected => (
            "an account was disconnected",
            "An account at an identity provider was disconnected from you. You cannot sign in with \
             it any more.",
        ),
        What::ProviderConnected => (
            "a new way to sign in",
            "An account at an identity provider was connected to you. You can sign in with it from \
             now on.",
        ),
        What::Frozen => (
            "two-factor is frozen",
            "You reported that a second factor was set up by somebody else. Nobody can sign in \
             with it. An administrator can give you a link to start again.",
        ),
        What::KeyTrusted => (
            "your security key was confirmed",
            "An administrator confirmed that one of your security keys is yours. You can now open \
             pages that require a security key.",
        ),
        What::KeyDoubted => (
            "a security key may have been copied",
            "One of your security keys behaved as if there were a copy of it, so it is no longer \
             accepted. If you are sure that nobody has a copy, allow the key again on your \
             security page. Otherwise remove it there.",
        ),
        What::KeyKept => (
            "a security key is accepted again",
            "A security key that may have been copied is accepted again. It was allowed again on \
             your security page.",
        ),
        What::CodesGuessed => (
            "somebody may know your password",
            "Somebody passed the first step of signing in as you, with your password or your account \
             at an identity provider, and then typed three or more wrong codes. Nobody signed in \
             with them.",
        ),
        What::Locked => (
            "too many wrong codes",
            "Too many wrong codes were typed after the first step of signing in. Codes from an app, by text \
             message and by e-mail are not accepted in browsers that you have not used before. Use \
             your usual browser. In any other, use a recovery code or a security key.",
        ),
        // There is no notice for these events. If there were, this text would be correct.
        other => ("news", other.sentence()),
    }
}

/// A date and time as people write it, in UTC.
fn moment(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::agent::Agent;
    use crate::domain::event::Whom;
    use crate::domain::name::Email;
    use crate::domain::secret::Secret;
    use crate::domain::user::UserId;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn about(site: &str) -> About {
        About {
            site: site.to_owned(),
            portal: "https://id.example.com".to_owned(),
            support: Some("help@example.com".to_owned()),
        }
    }

    fn message(name: &str, about: Matter) -> Message {
        let to = Email::parse("ada@example.com").unwrap();
        Message { user: UserId::from([1; 16]), to, name: name.to_owned(), about, written: NOW }
    }

    fn event(what: What) -> Event {
        Event {
            at: NOW,
            whom: Whom::User(UserId::from([1; 16])),
            what,
            from: Some([192, 0, 2, 1].into()),
            by: None,
            agent: Agent::read("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Firefox/140.0"),
            request: None,
        }
    }

    fn token() -> Token {
        Token::from_bytes(&[7; 16]).unwrap()
    }

    /// One message of every kind, by name.
    fn messages(name: &str) -> Vec<(String, Message)> {
        let mut all: Vec<_> = What::all()
            .filter(|what| what.is_told_by_mail())
            .map(|what| Matter::Happened { event: event(what), not_me: None })
            .collect();
        all.push(Matter::Happened { event: event(What::TwoFactorOn), not_me: Some(token()) });
        let code = || Secret::from("012345".to_owned());
        all.push(Matter::Code { code: code(), what_for: WhatFor::SetUp });
        all.push(Matter::Code { code: code(), what_for: WhatFor::ChangeEmail });
        all.push(Matter::Code { code: code(), what_for: WhatFor::AddKey });
        all.push(Matter::Code { code: code(), what_for: WhatFor::BackUp });
        all.push(Matter::Code { code: code(), what_for: WhatFor::SignIn });
        all.push(Matter::ResetPassword { token: token() });
        all.push(Matter::VerifyEmail { token: token() });
        all.push(Matter::Trial);
        let messages = all.into_iter().map(|about| message(name, about));
        messages.map(|message| (message.kind().to_owned(), message)).collect()
    }

    #[test]
    fn every_message_says_what_it_did() {
        let told: Vec<String> = messages("ada")
            .iter()
            .map(|(_, message)| {
                let words = words(message, &about("Example Inc."));
                format!("Subject: {}\n\n{}", words.subject, words.text())
            })
            .collect();
        insta::assert_snapshot!("messages", told.join("\n=====\n"));
        let html = words(&messages("ada")[0].1, &about("Example Inc.")).html();
        insta::assert_snapshot!("message_html", html);
    }

    #[test]
    fn names_of_every_kind_stay_text() {
        for name in ["\"><script>alert(1)</script>", "دانيال", &"long".repeat(16)] {
            for (kind, message) in messages(name) {
                let words = words(&message, &about(name));
                assert!(!words.html().contains("<script"), "{kind}");
                assert!(words.html().contains("<bdi>"), "{kind}: it keeps its own direction");
                assert!(words.text().contains(name), "{kind}");
            }
        }
    }

    #[test]
    fn a_message_loads_nothing_and_leads_to_the_portal_alone() {
        for (kind, message) in messages("ada") {
            let words = words(&message, &about("Example Inc."));
            let html = words.html();
            assert!(!html.contains("src=") && !html.contains("url("), "{kind}");
            for link in html.split("href=\"").skip(1) {
                assert!(link.starts_with("https://id.example.com/.doorward/"), "{kind}: {link}");
            }
            for url in words.text().split_whitespace().filter(|word| word.contains("://")) {
                assert!(url.starts_with("https://id.example.com/.doorward/"), "{kind}: {url}");
            }
        }
    }

    #[test]
    fn every_thing_that_is_told_has_words_of_its_own() {
        let all = messages("ada");
        let news = all.iter().filter_map(|(_, message)| message.happened());
        let said: Vec<_> = news.map(|event| news_of(event.what)).collect();
        assert!(said.iter().all(|sentence| *sentence != "news"));
        let distinct: BTreeSet<_> = said.iter().collect();
        assert!(distinct.len() > 14, "{distinct:?}");
    }

    fn news_of(what: What) -> &'static str {
        super::news(what).0
    }
}
