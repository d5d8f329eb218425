//! A browser on a socket: it keeps cookies, follows redirects, and reads the forms it is shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::wire::{Answer, Wire};

/// One browser of one person.
pub(crate) struct Window {
    gateway: SocketAddr,
    host: String,
    pub cookies: BTreeMap<String, String>,
    /// Where it is.
    pub at: String,
    /// What it shows.
    pub answer: Answer,
}

impl Window {
    /// A browser that has never been here. `host` is what stands in its address line.
    pub(crate) fn new(gateway: SocketAddr, host: &str) -> Self {
        let answer = Answer { status: 0, headers: Vec::new(), body: String::new() };
        let (host, at) = (host.to_owned(), "/".to_owned());
        Self { gateway, host, cookies: BTreeMap::new(), at, answer }
    }

    /// Types an address, and goes where it is sent.
    pub(crate) fn visits(&mut self, target: &str) -> &mut Self {
        self.opens(target).follows()
    }

    /// Types an address, and goes nowhere else.
    pub(crate) fn opens(&mut self, target: &str) -> &mut Self {
        self.opens_with(target, "")
    }

    /// Types an address, with header lines of its own.
    pub(crate) fn opens_with(&mut self, target: &str, more: &str) -> &mut Self {
        let navigates = "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n";
        self.asks("GET", target, &format!("{navigates}{more}"), "")
    }

    /// Goes where it is sent.
    pub(crate) fn follows(&mut self) -> &mut Self {
        for _ in 0..10 {
            if self.answer.status != 303 {
                return self;
            }
            let next = self.answer.header("location").to_owned();
            self.opens(&next);
        }
        panic!("sent round in circles, at last to {}", self.at);
    }

    /// Sends the form on the page with these fields filled in, and goes where it is sent.
    pub(crate) fn posts(&mut self, fields: &[(&str, &str)]) -> &mut Self {
        self.sends(fields).follows()
    }

    /// Sends the form on the page with these fields filled in, and goes nowhere else.
    pub(crate) fn sends(&mut self, fields: &[(&str, &str)]) -> &mut Self {
        let action = between(&self.answer.body, "action=\"", "\"").unwrap_or(&self.at).to_owned();
        self.sends_to(&action, fields)
    }

    /// The same of the form that leads there, if there are several.
    pub(crate) fn sends_to(&mut self, action: &str, fields: &[(&str, &str)]) -> &mut Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for name in ["csrf", "return_to", "method", "kind"] {
            if let Some(value) = self.field(name) {
                form.append_pair(name, &value);
            }
        }
        form.extend_pairs(fields);
        let more = "Content-Type: application/x-www-form-urlencoded\r\n\
                    Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
                    Sec-Fetch-Site: same-origin\r\n";
        self.asks("POST", action, more, &form.finish())
    }

    fn asks(&mut self, method: &str, target: &str, more: &str, body: &str) -> &mut Self {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = match cookies.join("; ") {
            none if none.is_empty() => none,
            some => format!("Cookie: {some}\r\n"),
        };
        self.answer = Wire::to(self.gateway).asks(format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n{more}{cookie}\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            body.len(),
        ));
        target.clone_into(&mut self.at);
        for line in self.answer.all("set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// The key on the set-up page.
    pub(crate) fn secret(&self) -> Vec<u8> {
        let marked = between(&self.answer.body, "<code id=\"secret\">", "</code>").unwrap();
        let symbols = marked.replace("<span>", "").replace("</span>", "");
        data_encoding::BASE32_NOPAD.decode(symbols.as_bytes()).unwrap()
    }

    /// The recovery codes on the page.
    pub(crate) fn recovery_codes(&self) -> Vec<&str> {
        let mark = "class=\"recovery-code\">";
        self.answer.body.split(mark).skip(1).map(|rest| rest.split('<').next().unwrap()).collect()
    }

    /// What a field of the form on the page holds.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let input = self
            .answer
            .body
            .split("<input")
            .find(|input| input.contains(&format!("name=\"{name}\"")))?;
        let input = input.split('>').next()?;
        Some(between(input, "value=\"", "\"")?.replace("&#38;", "&").replace("&amp;", "&"))
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(between, _)| between)
}
