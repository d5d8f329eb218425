//! How messages look, as text and in HTML; what each says stands beside their words.

use doorward::config::Config;
use doorward::domain::agent::Agent;
use doorward::domain::event::{Event, What, Whom};
use doorward::domain::message::{About as Matter, Message, WhatFor};
use doorward::domain::secret::{Secret, Token};
use doorward::domain::user::UserId;
use doorward::messages::{About, Words, words};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::support::gate::{CONFIG, START};

fn token() -> Token {
    Token::random(&mut StdRng::seed_from_u64(1))
}

fn code(what_for: WhatFor) -> Matter {
    Matter::Code { code: Secret::from("123456".to_owned()), what_for }
}

fn event(what: What) -> Event {
    let whom = Whom::User(UserId::from([1; 16]));
    let agent = Agent::read("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    Event {
        at: START,
        whom,
        what,
        from: Some([192, 0, 2, 1].into()),
        by: None,
        agent,
        request: None,
    }
}

fn news(what: What) -> Matter {
    Matter::Happened { event: event(what), not_me: None }
}

fn written(name: &str, about: Matter) -> Words {
    let to = "ada@example.com".parse().unwrap();
    let user = UserId::from([1; 16]);
    let message = Message { user, to, name: name.to_owned(), about, written: START };
    let support = "support: Write to help@example.com or call 555 0100.\n";
    let config = Config::read("test.yaml", &format!("{CONFIG}{support}")).unwrap();
    words(&message, &About::of(&config))
}

/// The whole message: the subject, the text, and the same in HTML.
fn whole(name: &str, about: Matter) -> String {
    let words = written(name, about);
    format!("Subject: {}\n\n{}\n\n{}", words.subject, words.text(), words.html())
}

#[test]
fn every_message_looks_like_the_others() {
    for (name, about) in [
        ("code-set-up", code(WhatFor::SetUp)),
        ("code-change-email", code(WhatFor::ChangeEmail)),
        ("code-add-key", code(WhatFor::AddKey)),
        ("code-back-up", code(WhatFor::BackUp)),
        ("code-sign-in", code(WhatFor::SignIn)),
        ("reset-password", Matter::ResetPassword { token: token() }),
        ("verify-email", Matter::VerifyEmail { token: token() }),
        ("trial", Matter::Trial),
        ("news", news(What::NewBrowser)),
        (
            "news-not-me",
            Matter::Happened { event: event(What::TwoFactorOn), not_me: Some(token()) },
        ),
        ("news-by-an-operator", {
            let (from, agent, by) = (None, None, Some("root".to_owned()));
            let event = Event { from, agent, by, ..event(What::TwoFactorReset) };
            Matter::Happened { event, not_me: None }
        }),
    ] {
        insta::assert_snapshot!(name, whole("ada", about));
    }
}

#[test]
fn a_name_is_only_a_name() {
    for (state, name) in [
        ("long", "a-name-that-is-as-long-as-a-name-can-be-which-is-64-characters-x"),
        ("right-to-left", "שרה"),
        ("hostile", "<b>ada&\"'"),
    ] {
        insta::assert_snapshot!(format!("name-{state}"), whole(name, code(WhatFor::SetUp)));
    }
}
