//! What attackers send, byte by byte, to a running gateway before an application that notes
//! everything it receives. The numbers are those of `tests/incidents.md`.

mod answers;
mod bodies;
mod ended;
mod framing;
mod headers;
mod many;
mod slow;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::instance::Instance;
use crate::support::wire::Wire;
use tokio::time::Instant;

/// What visitors have in their address line.
const HOST: &str = "crm.localhost:8080";

/// An application that reads whatever comes, notes it, and answers each head that ends.
struct Notes {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Notes {
    fn start() -> Self {
        Self::answering(|_| "200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned())
    }

    /// An application that agrees to whatever it is asked to speak, and listens.
    fn agreeing() -> Self {
        Self::answering(|head| {
            let asked = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("upgrade").then(|| value.trim().to_owned())
            });
            match asked {
                Some(asked) => {
                    format!("101 Agreed\r\nConnection: Upgrade\r\nUpgrade: {asked}\r\n\r\n")
                }
                None => "200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            }
        })
    }

    fn answering(answer: fn(&str) -> String) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (mut stream, noting) = (stream.unwrap(), Arc::clone(&noting));
                std::thread::spawn(move || {
                    let mut read = [0; 4096];
                    let mut seen = Vec::new();
                    while let Ok(length @ 1..) = stream.read(&mut read) {
                        noting.lock().unwrap().extend_from_slice(&read[..length]);
                        seen.extend_from_slice(&read[..length]);
                        // As a naive server does: each blank line is an end.
                        while let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                            let asked: Vec<u8> = seen.drain(..at + 4).collect();
                            let said = answer(&String::from_utf8_lossy(&asked));
                            if stream.write_all(format!("HTTP/1.1 {said}").as_bytes()).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    /// Everything that the application has heard.
    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    /// Waits until it has heard this. It answers before it has heard everything.
    fn hears(&self, what: &str) {
        let since = Instant::now();
        while !self.heard().contains(what) {
            assert!(since.elapsed() < Duration::from_secs(60), "{}", self.heard());
            std::thread::yield_now();
        }
    }

    /// The request lines that it could have understood, however it reads.
    fn asked_for(&self, what: &str) -> bool {
        self.heard().contains(what)
    }
}

/// What operators are told under this name.
fn metric(instance: &Instance, name: &str) -> u64 {
    let told = Wire::to(instance.operators)
        .asks("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .body;
    let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}

/// Waits until `so` is so.
fn until(mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not come to that");
        std::thread::yield_now();
    }
}

/// A gateway before the application at `upstream`: everything is open but `/secret/`, which nobody
/// may enter, `/private/`, which asks for a sign-in, and `/staff/`, which is for some.
fn before(upstream: SocketAddr) -> Instance {
    before_with(upstream, "")
}

fn before_with(upstream: SocketAddr, more: &str) -> Instance {
    before_app_with(upstream, more, "")
}

/// The same, with one more key of the application.
fn before_app_with(upstream: SocketAddr, more: &str, of_app: &str) -> Instance {
    Instance::with(|folder| config(upstream, folder, more, of_app))
}

fn config(upstream: SocketAddr, folder: &Path, more: &str, of_app: &str) -> String {
    format!(
        "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 1s }}
{more}
apps:
  - name: crm
    hosts: ['http://{HOST}']
    upstream: http://{upstream}
    {of_app}
    rules:
      - {{ paths: [/secret/], require: nobody }}
      - {{ paths: [/private/], require: sign-in }}
      - {{ paths: [/staff/], only: {{ groups: [staff] }}, require: sign-in }}
      - {{ paths: [/office/], networks: [10.0.0.0/8], require: nothing }}
      - {{ paths: [/office/], require: nobody }}
    otherwise: nothing
",
        folder.join("state").display()
    )
}
