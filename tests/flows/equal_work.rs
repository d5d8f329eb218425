//! What an answer to a password waits for, counted in commits: on a slow disk they take longer than
//! hashing, so they must not tell who is a user.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::domain::event::Whom;
use doorward::domain::name::Login;
use doorward::store::Target;
use doorward::store::memory::Memory;
use http::StatusCode;
use tokio::task::JoinSet;

use crate::support::gate::{Browser, Gate, PASSWORD};
use crate::support::held::Held;

fn gate() -> (Gate, Arc<Held>) {
    let held = Arc::new(Held::over(Arc::new(Memory::new())));
    (Gate::over(held.clone()), held)
}

/// Tries a password; how many commits there were until the answer, and after it.
async fn tries(gate: &Gate, held: &Held, name: &str, password: &str) -> (StatusCode, usize, usize) {
    let mut browser = gate.browser();
    browser.opens("/.doorward/sign-in").await;
    let before = held.commits();
    browser.sends(&[("username", name), ("password", password)]).await;
    let answered = held.commits();
    gate.settles().await;
    (browser.status, answered - before, held.commits() - answered)
}

#[tokio::test]
async fn whoever_is_tried_the_answer_waits_for_two_commits_and_none_follows() {
    let (gate, held) = gate();
    gate.knows("ada").await;
    gate.knows("bob").await;
    gate.disables("bob").await;
    gate.adds("new").await;
    let (wrong, wait) = (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(tries(&gate, &held, "ada", PASSWORD).await, (StatusCode::SEE_OTHER, 2, 0));
    let guesses =
        [("ada", "wrong"), ("bob", PASSWORD), ("bob@example.com", "wrong"), ("new", "wrong")];
    for (name, password) in guesses.into_iter().chain([("nobody", "wrong"), ("nobody", PASSWORD)]) {
        assert_eq!(tries(&gate, &held, name, password).await, (wrong, 2, 0), "{name}");
    }
    for name in ["ada", "bob", "new", "nobody"] {
        while tries(&gate, &held, name, "wrong").await != (wait, 0, 0) {}
        assert_eq!(tries(&gate, &held, name, PASSWORD).await, (wait, 0, 0), "{name}");
    }
    gate.waits(Duration::from_secs(30));
    for name in ["ada", "bob", "new", "nobody"] {
        assert_eq!(tries(&gate, &held, name, "wrong").await, (wrong, 2, 0), "{name}");
        assert_eq!(tries(&gate, &held, name, "wrong").await, (wait, 0, 0), "{name}");
    }
}

/// Fifty of these names whose writers do not wait for each other: they are ordered by the first
/// byte of the user's id, or of the hash of the unknown name.
async fn fifty_apart(gate: &Gate, names: &[String]) -> Vec<String> {
    let (mut lines, mut apart) = (BTreeSet::new(), Vec::new());
    for name in names {
        let first = match gate.env.store.target(&Login::typed(name)).await.unwrap() {
            Target::User(user) => user.as_bytes()[0],
            Target::Nobody(nobody) => match nobody.whom() {
                Whom::Nobody(hash) => hash.to_be_bytes()[0],
                Whom::User(_) | Whom::Strangers(_) | Whom::Key(..) | Whom::Provider(_) => {
                    panic!("{name}")
                }
            },
        };
        if apart.len() < 50 && lines.insert(first % 64) {
            apart.push(name.clone());
        }
    }
    assert_eq!(apart.len(), 50);
    apart
}

/// All of these are tried at the same time.
async fn all_at_once(gate: &Gate, names: &[String]) -> JoinSet<StatusCode> {
    let mut browsers = Vec::new();
    for name in names {
        let mut browser: Browser = gate.browser();
        browser.opens("/.doorward/sign-in").await;
        browsers.push((browser, name.clone()));
    }
    let mut all = JoinSet::new();
    for (mut browser, name) in browsers {
        all.spawn(async move {
            browser.sends(&[("username", name.as_str()), ("password", "wrong")]).await.status
        });
    }
    all
}

#[tokio::test]
async fn fifty_names_at_once_wait_for_their_own_commits_and_not_for_each_other() {
    let (gate, held) = gate();
    let people: Vec<String> = (0..400).map(|number| format!("person{number}")).collect();
    for name in &people {
        gate.adds(name).await;
    }
    let nobody: Vec<String> = (0..400).map(|number| format!("nobody{number}")).collect();
    for names in [people, nobody] {
        let fifty = fifty_apart(&gate, &names).await;
        let before = held.commits();
        held.holds_back_all_but_charges();
        let mut all = all_at_once(&gate, &fifty).await;
        held.holds(50).await;
        assert_eq!(all.try_join_next().map(Result::unwrap), None, "each waits for its own");
        held.lets_through();
        while let Some(status) = all.join_next().await {
            assert_eq!(status.unwrap(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        gate.settles().await;
        assert_eq!(held.commits() - before, 100, "{}", fifty[0]);
    }
}

#[tokio::test]
async fn fifty_tries_of_one_name_cost_ten_commits_whoever_it_is() {
    let (gate, held) = gate();
    gate.knows("ada").await;
    gate.adds("new").await;
    for name in ["ada", "new", "nobody"] {
        let before = held.commits();
        let all = all_at_once(&gate, &vec![name.to_owned(); 50]).await.join_all().await;
        let wrong = all.iter().filter(|status| **status == StatusCode::UNPROCESSABLE_ENTITY);
        let wait = all.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS);
        assert_eq!((wrong.count(), wait.count()), (5, 45), "{name}");
        assert_eq!(held.commits() - before, 10, "{name}");
    }
}

#[tokio::test]
async fn the_next_try_of_a_name_waits_for_the_last_one_whoever_it_is() {
    let (gate, held) = gate();
    gate.knows("ada").await;
    for name in ["ada", "nobody"] {
        let (commits, hashed) = (held.commits(), gate.hashed.load(Ordering::SeqCst));
        held.holds_back_all_but_charges();
        let mut all = all_at_once(&gate, &[name.to_owned()]).await;
        held.holds(1).await;
        let mut next = all_at_once(&gate, &[name.to_owned()]).await;
        gate.settles().await;
        assert_eq!(held.commits() - commits, 2, "{name}: the next is not charged yet");
        assert_eq!(gate.hashed.load(Ordering::SeqCst) - hashed, 1, "{name}");
        assert!(all.try_join_next().is_none() && next.try_join_next().is_none(), "{name}");
        held.lets_through();
        all.join_next().await.unwrap().unwrap();
        next.join_next().await.unwrap().unwrap();
        assert_eq!(held.commits() - commits, 4, "{name}");
    }
}
