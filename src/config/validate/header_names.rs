//! Validates header names: the identity headers of an app, and the request headers that it gets.

use std::collections::BTreeMap;

use crate::config::written::{self, List};
use crate::config::{IdentityHeaders, RequestHeaders};
use crate::domain::fact::{FACTS, Fact};
use crate::policy::header::{Claim, claim, fold};

use super::{Judge, below, items};

impl Judge<'_> {
    pub(super) fn identity_headers(
        &mut self,
        at: &str,
        app: &written::App,
    ) -> Option<IdentityHeaders> {
        let names = match &app.identity_headers {
            None | Some(written::IdentityHeaders::Word(_)) => {
                return Some(IdentityHeaders::default());
            }
            Some(written::IdentityHeaders::Map(names)) => names,
        };
        let told = FACTS.iter().filter_map(|fact| Some((fact, names.get(fact.word)?.as_ref()?)));
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        let mut sound = true;
        for (Fact { word: key, .. }, header) in told.clone() {
            let at = below(at, key);
            let folded = folded(header);
            let problem = if !is_name(header) {
                Some((no_name(header), NAME))
            } else if is_reserved(&folded) {
                let what = format!("`{header}` is already used by HTTP or by proxies");
                Some((what, "choose another name, such as `X-User`"))
            } else if let Some(other) = seen.insert(folded, key) {
                let what = format!(
                    "some applications cannot tell `{header}` from the header for \
                                    `{other}`"
                );
                Some((what, "choose a different header for each"))
            } else {
                None
            };
            if let Some((what, cure)) = problem {
                self.refuse(&at, what, cure);
                sound = false;
            }
        }
        sound.then(|| IdentityHeaders(told.map(|(fact, name)| (fact, name.clone())).collect()))
    }

    /// Which request headers are removed, in addition to those that always are, and which are
    /// accepted only from trusted proxies. `told` are the app's identity headers.
    pub(super) fn request_headers(
        &mut self,
        at: &str,
        written: &written::RequestHeaders,
        told: &IdentityHeaders,
    ) -> RequestHeaders {
        let told: Vec<String> = told.names().map(folded).collect();
        let mut listed = BTreeMap::new();
        let remove = self.request_names(&below(at, "remove"), &written.remove, &told, &mut listed);
        let key = below(at, "from_trusted_proxies");
        let names = &written.from_trusted_proxies;
        let from_trusted_proxies = self.request_names(&key, names, &told, &mut listed);
        for (at, name) in items(&key, names) {
            if let Some(claim) =
                claim(folded(name).as_bytes()).filter(|claim| *claim != Claim::Address)
            {
                let what = format!(
                    "`{name}` carries {}, which Doorward never accepts from outside",
                    said(claim)
                );
                self.refuse(&at, what, "list only headers for the client address");
            }
        }
        if !names.is_empty() && !self.trusts_proxies {
            self.warn(&key, "there are no `trusted_proxies`, so these headers are always removed");
        }
        RequestHeaders { remove, from_trusted_proxies }
    }

    /// The valid names of one list. `listed` maps each name to the place where it was listed first.
    fn request_names(
        &mut self,
        at: &str,
        names: &List<String>,
        told: &[String],
        listed: &mut BTreeMap<String, String>,
    ) -> Vec<String> {
        let mut sound = Vec::new();
        for (at, name) in items(at, names) {
            let (bare, is_family) = match name.strip_suffix('*') {
                Some(bare) => (bare, true),
                None => (name.as_str(), false),
            };
            let folded = folded(bare);
            let means = |other: &str| {
                if is_family { other.starts_with(&folded) } else { other == folded }
            };
            let problem = if !is_name(bare) || (is_family && !folded.ends_with('-')) {
                Some((
                    no_name(name),
                    "write letters, digits and hyphens, such as `X-Name`, or `X-Name-*`",
                ))
            } else if OURS.iter().any(|ours| means(ours)) || told.iter().any(|told| means(told)) {
                let what =
                    format!("Doorward writes `{name}` itself, and removes what visitors send");
                Some((what, "remove it"))
            } else if FRAMING.iter().any(|name| means(name)) {
                let what = format!("a request cannot be parsed without `{name}`");
                Some((what, "remove it"))
            } else if let Some(first) = listed.insert(format!("{folded}{is_family}"), at.clone()) {
                let what = format!("`{name}` is listed at {first}, too");
                Some((what, "keep one of them"))
            } else {
                None
            };
            match problem {
                Some((what, cure)) => self.refuse(&at, what, cure),
                None => sound.push(name.clone()),
            }
        }
        sound
    }
}

const NAME: &str = "write letters, digits and hyphens";

fn no_name(written: &str) -> String {
    format!("`{written}` is not a header name")
}

fn is_name(written: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !written.is_empty() && written.bytes().all(token)
}

/// A header name folded like CGI and similar interfaces do it.
fn folded(name: &str) -> String {
    name.bytes().map(|byte| char::from(fold(byte))).collect()
}

const fn said(claim: Claim) -> &'static str {
    match claim {
        Claim::Identity => "the user's identity",
        Claim::Tls => "facts about the TLS connection",
        Claim::Address => "the client address",
        Claim::Target => "another URL or host",
        Claim::Server => "something for servers only",
    }
}

/// The headers that we add to every request to an app.
const OURS: [&str; 4] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "doorward-secret"];

/// The headers that control routing, framing and the connection (RFC 9110 §7, RFC 9112 §6).
const FRAMING: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "sec-websocket-key",
    "sec-websocket-version",
];

/// Headers that have another meaning: framing and routing (RFC 9110 §7, RFC 9112 §6), hop-by-hop
/// (RFC 9110 §7.6.1), credentials, and those in which proxies send other facts than the identity.
fn is_reserved(folded: &str) -> bool {
    const NAMES: [&str; 24] = [
        "host",
        "cookie",
        "set-cookie",
        "authorization",
        "proxy-authorization",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-type",
        "content-encoding",
        "expect",
        "range",
        "accept",
        "date",
        "via",
        "origin",
        "referer",
        "user-agent",
        "proxy-connection",
        "upgrade-insecure-requests",
    ];
    NAMES.contains(&folded)
        || ["sec-", "if-", "doorward-", "x-http-method", "x-method-"]
            .iter()
            .any(|family| folded.starts_with(family))
        || claim(folded.as_bytes()).is_some_and(|claim| claim != Claim::Identity)
}
