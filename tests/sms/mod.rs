//! Text messages, from what they tell until a provider has accepted them.

mod command;
mod provider;

use std::net::SocketAddr;

use crate::support::gate::CONFIG;

/// A configuration whose texts go to `server`.
fn config(server: SocketAddr) -> String {
    format!("{CONFIG}sms: {}\nset_up: {{ proof: none }}\n", http(server))
}

fn http(server: SocketAddr) -> String {
    format!(
        "{{ provider: http, url: 'http://{server}/send', form: {{ to: '{{to}}', text: '{{text}}' }}, \
         success: {{ pointer: /status, value: accepted }}, countries: [CH, US], default_country: CH, \
         own_numbers: ['+41795550000'] }}"
    )
}

/// What a provider says that accepts.
const ACCEPTS: &str = "{\"status\":\"accepted\"}";
