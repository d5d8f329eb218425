//! Every message is delivered, and delivered once, whatever becomes of the server and of us.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use doorward::domain::message::Message;
use doorward::flow::deliver::{Came, deliver};
use doorward::messages::Smtp;
use doorward::store::memory::Memory;
use doorward::store::redb::{Options, Redb};
use doorward::store::{Batch, Expect, Kind, Left, Purpose, Records};

use super::{config, delivers, gate, over, waiting};
use crate::support::free_address::free_address;
use crate::support::post_office::{Does, END, GREETING, Peer, header, opens, opens_on};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_an_hour_loses_nothing_and_gets_nothing_twice() {
    let server = free_address();
    let gate = gate(server);
    gate.protects("ada").await;
    let written = waiting(&gate).await;
    for _ in 0..60 {
        assert!(!delivers(&gate).await.contains(&Came::Sent));
        gate.waits(Duration::from_mins(1));
    }
    assert_eq!(waiting(&gate).await, written);
    let arrived = opens_on(TcpListener::bind(server).unwrap(), None);
    gate.waits(Duration::from_mins(10));
    assert_eq!(delivers(&gate).await, vec![Came::Sent; written]);
    assert_eq!(waiting(&gate).await, 0);
    gate.waits(Duration::from_hours(1));
    assert_eq!(delivers(&gate).await, []);
    assert_eq!(arrived.messages().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_hold_up_no_other() {
    let records: Arc<dyn Records> = Arc::new(Memory::new());
    let peer = Peer::opens(&[]);
    let gate = super::over(peer.address, Arc::clone(&records));
    // More than are looked at at once, and due before all others.
    let mut batch = Batch::new();
    for number in 0..20_u8 {
        let key = [&0_u64.to_be_bytes()[..], &[number; 16]].concat();
        batch = batch.put(Kind::Message, key, Expect::Absent, None, "nobody sealed this");
    }
    records.commit(batch).await.unwrap();
    gate.knows("ada").await;
    let sent = delivers(&gate).await;
    assert!(!sent.is_empty() && sent.iter().all(|came| *came == Came::Sent), "{sent:?}");
    assert_eq!(peer.arrived.messages().len(), sent.len());
    assert_eq!(waiting(&gate).await, 20, "they are left where they lie");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_is_asked_less_and_less_often() {
    let gate = gate(free_address());
    gate.knows("ada").await;
    let mut waited = Vec::new();
    for _ in 0..9 {
        assert_eq!(delivers(&gate).await, [Came::Away]);
        let mut seconds = 0;
        while gate.env.store.due_messages(gate.now(), 1).await.unwrap().is_empty() {
            gate.waits(Duration::from_secs(1));
            seconds += 1;
        }
        waited.push(seconds);
    }
    assert_eq!(waited, [15, 30, 60, 120, 240, 480, 600, 600, 600]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_gets_each_message_once_it_is_back() {
    const ENDS: [&[(&str, Does)]; 4] = [
        &[(GREETING, Does::Dies)],
        &[("RCPT", Does::Dies)],
        &[("DATA", Does::Dies)],
        &[(END, Does::Dies)],
    ];
    for end in ENDS {
        let dying = Peer::opens(end);
        let gate = gate(dying.address);
        gate.knows("ada").await;
        assert_eq!(delivers(&gate).await, [Came::Away], "{end:?}");
        let arrived = opens_on(TcpListener::bind(dying.address).unwrap(), None);
        gate.waits(Duration::from_secs(15));
        assert_eq!(delivers(&gate).await, [Came::Sent], "{end:?}");
        assert_eq!((dying.arrived.messages().len(), arrived.messages().len()), (0, 1), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_by_a_server_that_could_not_say_so_comes_again_under_the_same_name() {
    let dying = Peer::opens(&[(END, Does::KeepsAndDies)]);
    let gate = gate(dying.address);
    gate.knows("ada").await;
    assert_eq!(delivers(&gate).await, [Came::Away]);
    let second = opens_on(TcpListener::bind(dying.address).unwrap(), None);
    gate.waits(Duration::from_secs(15));
    delivers(&gate).await;
    let names = [&dying.arrived, &second].map(|arrived| {
        let message = arrived.messages().pop().unwrap();
        header(&message, "Message-ID").unwrap().to_owned()
    });
    assert_eq!(names[0], names[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_send_each_message_once() {
    let (server, arrived) = opens(None);
    let records = Arc::new(Memory::new());
    let (one, other) = (over(server, records.clone()), over(server, records));
    for name in ["ada", "bob", "eve"] {
        one.protects(name).await;
    }
    let written = waiting(&one).await;
    other.waits(one.now().since(other.now()).unwrap());
    let (ours, theirs) = tokio::join!(delivers(&one), delivers(&other));
    assert_eq!(ours.len() + theirs.len(), written);
    let messages = arrived.messages();
    let mut names: Vec<_> = messages.iter().map(|message| header(message, "Message-ID")).collect();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), messages.len()), (written, written));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_under_way_is_nobody_elses() {
    let server = Peer::opens(&[(END, Does::Waits)]);
    let records = Arc::new(Memory::new());
    let (one, other) = (over(server.address, records.clone()), over(server.address, records));
    one.knows("ada").await;
    let (env, smtp) = (one.env.clone(), Smtp::of(&one.env.config).unwrap().unwrap());
    let sending = tokio::spawn(async move { deliver(&env, &smtp).await.unwrap() });
    while server.arrived.messages().is_empty() {
        tokio::task::yield_now().await;
    }
    other.waits(Duration::from_mins(10) - Duration::from_secs(1));
    assert_eq!(delivers(&other).await, []);
    server.held.release();
    assert_eq!(sending.await.unwrap(), Came::Sent);
    other.waits(Duration::from_hours(1));
    assert_eq!(delivers(&other).await, []);
    assert_eq!(server.arrived.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_by_whoever_died_is_sent_ten_minutes_later() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    let due = gate.env.store.due_messages(gate.now(), 1).await.unwrap().pop().unwrap();
    let until = gate.now().plus(Duration::from_mins(10));
    gate.env.store.claim(due.clone(), until).await.unwrap().unwrap();
    assert!(gate.env.store.claim(due, until).await.unwrap().is_none(), "one claims it");
    assert_eq!(delivers(&gate).await, []);
    gate.waits(Duration::from_mins(10));
    assert_eq!(delivers(&gate).await, [Came::Sent]);
    assert_eq!(arrived.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_while_a_key_is_rotated_is_sent_once() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    let store = &gate.env.store;
    let due = store.due_messages(gate.now(), 1).await.unwrap().pop().unwrap();
    let claim_ends = gate.now().plus(Duration::from_mins(10));
    let claimed = store.claim(due, claim_ends).await.unwrap().unwrap();
    store.rotate(Purpose::Sealing, "root", gate.now()).await.unwrap();
    while store.carry_on().await.unwrap() != Left::Nothing {}
    // The attempt failed, and the next one succeeds.
    let later = claim_ends.plus(Duration::from_secs(1));
    let claimed = store.put_off(claimed, later).await.unwrap().expect("nobody else has it");
    store.rotate(Purpose::Sealing, "root", gate.now()).await.unwrap();
    while store.carry_on().await.unwrap() != Left::Nothing {}
    store.forget_message(&claimed).await.unwrap();
    gate.waits(Duration::from_hours(1));
    assert_eq!(delivers(&gate).await, []);
    assert!(arrived.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_outlives_the_process_that_wrote_it() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name);
    let server = free_address();
    let records = Arc::new(Redb::open(&file("store.redb"), Options::default()).unwrap());
    let before = over(server, records);
    before.knows("ada").await;
    // What is on disk while the process still runs is what `kill -9` leaves.
    std::fs::copy(file("store.redb"), file("left.redb")).unwrap();
    let arrived = opens_on(TcpListener::bind(server).unwrap(), None);
    let after = over(server, Arc::new(Redb::open(&file("left.redb"), Options::default()).unwrap()));
    assert_eq!(delivers(&after).await, [Came::Sent]);
    assert_eq!(arrived.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_ever_is_given_up_and_holds_nobody_up() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    // The server takes messages to example.com alone.
    let mut message = gate.messages().await.pop().unwrap();
    message.to = "ada@example.org".parse().unwrap();
    let id = message.user;
    let reads = doorward::store::Reads::user(id);
    gate.env.store.update(reads, |held| held.send(message.clone())).await.unwrap().unwrap();
    let mut came = delivers(&gate).await;
    came.sort_by_key(|came| *came == Came::GivenUp);
    assert_eq!(came, [Came::Sent, Came::GivenUp], "{:?}", arrived.messages());
    assert_eq!(waiting(&gate).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_now_holds_nobody_up_and_comes_later() {
    let server = Peer::opens(&[("RCPT", Does::Says("450 4.2.0 greylisted, come back"))]);
    let gate = gate(server.address);
    gate.protects("ada").await;
    let written = waiting(&gate).await;
    assert_eq!(delivers(&gate).await, vec![Came::PutOff; written]);
    assert_eq!(waiting(&gate).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_no_more_use_is_not_sent() {
    let (server, arrived) = opens(None);
    let gate = gate(server);
    gate.knows("ada").await;
    gate.waits(Message::NEWS_LASTS);
    assert_eq!(delivers(&gate).await, [Came::GivenUp]);
    let trial = Message::trial("ada@example.com".parse().unwrap(), gate.now());
    assert_eq!(trial.stale(), gate.now().plus(Duration::from_hours(1)));
    assert!(arrived.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_nobody_sends_any_more_do_not_lie_there_for_ever() {
    let gate = gate(free_address());
    gate.knows("ada").await;
    gate.waits(Message::NEWS_LASTS + Duration::from_mins(59));
    gate.env.store.sweep(gate.now()).await.unwrap();
    assert_eq!(waiting(&gate).await, 1, "whoever sends messages says that it is given up");
    gate.waits(Duration::from_mins(2));
    gate.env.store.sweep(gate.now()).await.unwrap();
    assert_eq!(waiting(&gate).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_holds_from_the_next_message_on() {
    let (before, after) = (Peer::opens(&[]), Peer::opens(&[]));
    let records = Arc::new(Memory::new());
    let gate = over(before.address, records);
    gate.knows("ada").await;
    let text = config(after.address, "tls: none");
    deliver(&gate.env, &super::smtp(&text)).await.unwrap();
    assert_eq!((before.arrived.messages().len(), after.arrived.messages().len()), (0, 1));
}
