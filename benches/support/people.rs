//! People who have a password, and their browsers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use sha1::{Digest, Sha1};

use crate::gateway::{Gateway, HOST, connects_from};
use crate::http2::UNDER_TLS;
use crate::tls::client_config;
use crate::traffic::{answer, status};

const PASSWORD: &str = "three wet umbrellas";

pub(crate) fn name(number: usize) -> String {
    format!("person{number}")
}

/// Adds so many people. Their passwords come from an htpasswd file with the cheapest digest there is,
/// which their first sign-in replaces.
pub(crate) fn added(gateway: &Gateway, people: usize) {
    let digest = BASE64.encode(&Sha1::digest(PASSWORD));
    let lines = (0..people).map(|number| format!("{}:{{SHA}}{digest}\n", name(number)));
    let file = gateway.config().with_file_name("htpasswd");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    gateway.told(&["user", "import", file.to_str().unwrap()]);
}

/// How a browser reaches the gateway.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Plain(SocketAddr),
    Tls(SocketAddr),
}

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

/// A browser of somebody: it keeps cookies, and follows nothing on its own.
#[derive(Clone)]
pub(crate) struct Browser {
    way: Way,
    from: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Where it is.
    pub(crate) at: String,
    /// The last answer, with its head.
    pub(crate) page: String,
}

impl Browser {
    /// A browser at this address that has never been here.
    pub(crate) fn new(way: Way, from: [u8; 4]) -> Self {
        let (cookies, at, page) = Default::default();
        Self { way, from: (from, 0).into(), cookies, at, page }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        status(&self.page)
    }

    /// Opens a page, and goes where it is sent.
    pub(crate) fn visits(&mut self, target: &str) -> &mut Self {
        self.opens(target);
        self.follows()
    }

    /// Opens a page.
    pub(crate) fn opens(&mut self, target: &str) -> &mut Self {
        self.asks("GET", target, "")
    }

    pub(crate) fn follows(&mut self) -> &mut Self {
        for _ in 0..10 {
            let Some(next) = between(&self.page, "\r\nLocation: ", "\r\n")
                .or_else(|| between(&self.page, "\r\nlocation: ", "\r\n"))
            else {
                return self;
            };
            self.opens(&next);
        }
        self
    }

    /// Says "not now", where something is offered.
    pub(crate) fn declines(&mut self) -> &mut Self {
        if self.page.contains("name=\"not_now\"") {
            self.sends(&[("not_now", "yes")]);
        }
        self
    }

    /// Sends the sign-in form that it shows; how long the answer took.
    pub(crate) fn sends_password(&mut self, name: &str) -> Duration {
        let began = Instant::now();
        self.sends(&[("username", name), ("password", PASSWORD)]);
        began.elapsed()
    }

    fn sends(&mut self, fields: &[(&str, &str)]) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for hidden in ["csrf", "return_to"] {
            let mark = format!("name=\"{hidden}\" value=\"");
            if let Some(value) = between(&self.page, &mark, "\"") {
                form.append_pair(hidden, &value);
            }
        }
        form.extend_pairs(fields);
        let target = between(&self.page, "<form method=\"post\" action=\"", "\"")
            .unwrap_or_else(|| self.at.clone());
        self.asks("POST", &target, &form.finish());
    }

    fn asks(&mut self, method: &str, target: &str, body: &str) -> &mut Self {
        let host = match self.way {
            Way::Plain(_) => HOST,
            Way::Tls(_) => UNDER_TLS,
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\
             Sec-Fetch-Site: same-origin\r\nSec-Fetch-Dest: document\r\n\
             Sec-Fetch-Mode: navigate\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Cookie: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.cookie(),
            body.len()
        );
        self.page = answer(&mut self.connects(), &request).unwrap_or_default();
        target.clone_into(&mut self.at);
        let (head, _) = self.page.split_once("\r\n\r\n").unwrap_or_default();
        for line in head.lines() {
            let Some((field, value)) = line.split_once(": ") else { continue };
            if field.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) =
                    value.split(';').next().unwrap_or_default().split_once('=')
            {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self
    }

    /// What its `Cookie` header says.
    pub(crate) fn cookie(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn connects(&self) -> Box<dyn Both> {
        let connects = |to| -> TcpStream { connects_from(self.from, to) };
        match self.way {
            Way::Plain(to) => Box::new(connects(to)),
            Way::Tls(to) => {
                let name = ServerName::try_from("tls.localhost").unwrap();
                let tls = ClientConnection::new(client_config(&[]), name).unwrap();
                Box::new(StreamOwned::new(tls, connects(to)))
            }
        }
    }
}

/// Somebody's browser that has signed in under TLS.
pub(crate) fn signed_in(tls: SocketAddr, from: [u8; 4], name: &str) -> (Browser, Duration) {
    let mut browser = Browser::new(Way::Tls(tls), from);
    browser.opens("/.doorward/sign-in");
    let took = browser.sends_password(name);
    (browser, took)
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0.replace("&#38;", "&"))
}
