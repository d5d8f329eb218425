//! What letters say, in every state.

use doorward::config::Config;
use doorward::domain::agent::Agent;
use doorward::domain::event::{Event, What, Whom};
use doorward::domain::letter::{About as Matter, Letter, WhatFor};
use doorward::domain::secret::{Secret, Token};
use doorward::domain::user::UserId;
use doorward::messages::{About, Words, words};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::gate::{CONFIG, START};

fn token() -> Token {
    Token::random(&mut StdRng::seed_from_u64(1))
}

fn code(what_for: WhatFor) -> Matter {
    Matter::Code { code: Secret::from("123456".to_owned()), what_for }
}

fn event(what: What) -> Event {
    let whom = Whom::User(UserId::from([1; 16]));
    let agent = Agent::read("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    Event { at: START, whom, what, from: Some([192, 0, 2, 1].into()), by: None, agent }
}

fn news(what: What) -> Matter {
    Matter::Happened { event: event(what), not_me: None }
}

fn written(name: &str, about: Matter) -> Words {
    let to = "ada@example.com".parse().unwrap();
    let user = UserId::from([1; 16]);
    let letter = Letter { user, to, name: name.to_owned(), about, written: START };
    let support = "support: Write to help@example.com or call 555 0100.\n";
    let config = Config::read("test.yaml", &format!("{CONFIG}{support}")).unwrap();
    words(&letter, &About::of(&config))
}

/// The whole letter: the subject, the text, and the same in HTML.
fn whole(name: &str, about: Matter) -> String {
    let words = written(name, about);
    format!("Subject: {}\n\n{}\n\n{}", words.subject, words.text(), words.html())
}

#[test]
fn every_letter_is_short_and_says_what_to_do() {
    for (name, about) in [
        ("code-set-up", code(WhatFor::SetUp)),
        ("code-change-email", code(WhatFor::ChangeEmail)),
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

#[test]
fn people_are_told_of_every_change_in_words_of_its_own() {
    let all =
        (0..=u8::MAX).map_while(|number| minicbor::decode(&minicbor::to_vec(number).unwrap()).ok());
    let told: Vec<What> = all.filter(|what: &What| what.is_told_by_mail()).collect();
    let texts = told.iter().map(|what| {
        let words = written("ada", news(*what));
        assert_ne!(words.subject, "crm.example.com: news", "{what:?}");
        format!("# {}\nSubject: {}\n\n{}", what.name(), words.subject, words.text())
    });
    insta::assert_snapshot!("news-of-everything", texts.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn nothing_is_fetched_and_every_link_leads_to_the_portal() {
    let letters = [
        news(What::TwoFactorOff),
        Matter::ResetPassword { token: token() },
        Matter::Happened { event: event(What::TwoFactorOn), not_me: Some(token()) },
        code(WhatFor::SetUp),
    ];
    for about in letters {
        let words = written("ada", about);
        for written in [words.html(), words.text()] {
            let links = written.split("://").skip(1);
            assert!(links.clone().all(|link| link.starts_with("crm.example.com/.doorward/")));
            for fetched in ["<img", "src=", "url(", "<link", "<script", "@import"] {
                assert!(!written.contains(fetched), "{fetched}");
            }
        }
    }
}
