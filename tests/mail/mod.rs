//! Messages, from what they tell of until a mail server has taken them.

mod command;
mod deliveries;
mod messages;
mod told;
mod ways;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::gate::{CONFIG, Gate};
use doorward::config::Config;
use doorward::flow::deliver::{Came, deliver};
use doorward::messages::Smtp;
use doorward::store::Records;
use doorward::store::memory::Memory;

/// A configuration whose messages go to `server`, with `more` below `mail`.
fn config(server: SocketAddr, more: &str) -> String {
    let mail = format!("mail: {{ server: '{server}', from: Door <door@example.com>, {more} }}");
    format!("{CONFIG}{mail}\nset_up: {{ proof: none }}\n")
}

/// A gateway whose messages go to `server`.
fn gate(server: SocketAddr) -> Gate {
    over(server, Arc::new(Memory::new()))
}

fn over(server: SocketAddr, records: Arc<dyn Records>) -> Gate {
    Gate::configured(&config(server, "tls: none"), records)
}

fn smtp(text: &str) -> Smtp {
    Smtp::of(&Config::read("test.yaml", text).unwrap()).unwrap().unwrap()
}

/// What came of every message that was due.
async fn delivers(gate: &Gate) -> Vec<Came> {
    let smtp = Smtp::of(&gate.env.config).unwrap().unwrap();
    let mut all = Vec::new();
    loop {
        match deliver(&gate.env, &smtp).await.unwrap() {
            Came::Nothing => return all,
            Came::Away => {
                all.push(Came::Away);
                return all;
            }
            came => all.push(came),
        }
    }
}

/// How many messages wait.
async fn waiting(gate: &Gate) -> usize {
    gate.env.store.outbox(100).await.unwrap().0
}
