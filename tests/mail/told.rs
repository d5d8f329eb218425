//! Who is told of what, and where.

use doorward::domain::event::{Event, What, Whom};
use doorward::domain::name::{Email, Login};
use doorward::domain::user::Change;

use super::{delivers, gate};
use crate::support::gate::Gate;
use crate::support::post_office::{Arrived, header, opens};

/// What people are told, by subject.
fn subjects(arrived: &Arrived) -> Vec<String> {
    let messages = arrived.messages();
    messages.iter().map(|message| header(message, "Subject").unwrap().to_owned()).collect()
}

/// Ada's address changes, with what follows from `event`.
async fn moves(gate: &Gate, address: &str) {
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let changed = gate.env.store.change_user(id, |user| {
        user.verification_link(Email::parse(address).unwrap(), gate.now());
        user.take_new_email(gate.now());
        let (at, whom, what) = (gate.now(), Whom::User(id), What::EmailChanged);
        ((), vec![Event { at, whom, what, from: None, by: None, agent: None, request: None }])
    });
    changed.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_ones_protection_is_told_by_mail_once() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.protects("ada").await;
    assert!(!delivers(&gate).await.is_empty());
    assert_eq!(delivers(&gate).await, [], "nothing is left to send");
    // Those of one moment come in any order.
    let mut told = subjects(&arrived);
    told.sort();
    assert_eq!(
        told,
        [
            "crm.example.com: a new sign-in",
            "crm.example.com: two-factor is on",
            "crm.example.com: your password was set",
        ]
    );
    let message = arrived.messages().pop().unwrap();
    assert_eq!(header(&message, "To"), Some("ada <ada@example.com>"));
    assert_eq!(header(&message, "From"), Some("Door <door@example.com>"));
    assert_eq!(header(&message, "Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header(&message, "Date"), Some("Fri, 15 Jan 2027 08:00:00 +0000"));
    assert!(header(&message, "Message-ID").unwrap().ends_with("@crm.example.com>"));
    assert!(message.contains("multipart/alternative"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_address_is_told_of_the_new_one() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    delivers(&gate).await;
    moves(&gate, "new@example.com").await;
    delivers(&gate).await;
    let message = arrived.messages().pop().unwrap();
    assert_eq!(header(&message, "To"), Some("ada <ada@example.com>"));
    let subject = "crm.example.com: your e-mail address was changed";
    assert_eq!(header(&message, "Subject"), Some(subject));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_address_is_told_that_it_is_the_address_now() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    delivers(&gate).await;
    let id = gate.env.store.user_named(&Login::typed("ada")).await.unwrap().unwrap();
    let gone = gate.env.store.change_user(id, |user| {
        user.change(&Change { email: Some(None), ..Change::default() });
        ((), Vec::new())
    });
    gone.await.unwrap().unwrap();
    moves(&gate, "new@example.com").await;
    delivers(&gate).await;
    let message = arrived.messages().pop().unwrap();
    assert_eq!(header(&message, "To"), Some("ada <new@example.com>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_written_to_where_there_is_no_mail() {
    let gate = Gate::new();
    gate.protects("ada").await;
    assert!(gate.messages().await.is_empty());
}
