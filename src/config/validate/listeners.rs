//! Validates listeners, limits and deadlines.

use std::path::{Path, PathBuf};

use crate::config::written::{self, File, List};
use crate::config::{
    CertificateFile, Deadlines, KeyPair, Limits, Listener, Origin, Tls, Way, origin,
};

use super::outline::Outlines;
use super::{Judge, below, items};

impl Judge<'_> {
    pub(super) fn listeners(&mut self, listen: &List<written::Listener>) -> Vec<Listener> {
        if listen.is_empty() {
            self.refuse_empty("listen", "add `{ address: 127.0.0.1:8080 }`");
        }
        let mut all: Vec<Listener> = Vec::new();
        for (at, listener) in items("listen", listen) {
            let way = self.way(&at, listener);
            for address in self.addresses(&at, listener.address.as_deref()) {
                if address.port() > 0 && all.iter().any(|other| other.address == address) {
                    let what = format!("{address} is listed twice");
                    self.refuse(&below(&at, "address"), what, "keep one of them");
                }
                all.push(Listener { address, way: way.clone() });
            }
        }
        let leads_on = |one: &Listener| matches!(one.way, Way::Redirect);
        if !all.is_empty() && !self.has_refused_below("listen") && all.iter().all(leads_on) {
            let what = "every listener redirects to https, and none serves it";
            self.refuse("listen", what, "add a listener with `tls`");
        }
        all
    }

    pub(super) fn addresses(
        &mut self,
        at: &str,
        written: Option<&str>,
    ) -> Vec<std::net::SocketAddr> {
        let Some(address) = written else { return Vec::new() };
        origin::listening(address).unwrap_or_else(|error| {
            self.refuse_as(&below(at, "address"), &error);
            Vec::new()
        })
    }

    fn way(&mut self, at: &str, listener: &written::Listener) -> Way {
        match (&listener.tls, listener.redirect) {
            (None, None) => Way::Plain,
            (None, Some(_)) => Way::Redirect,
            (Some(_), Some(_)) => {
                let what = "`redirect` has no effect with `tls`: visitors already use https";
                self.refuse(&below(at, "redirect"), what, "keep one of them");
                Way::Redirect
            }
            (Some(tls), None) => {
                let at = below(at, "tls");
                let certificate =
                    self.key_pair(&at, tls.certificate.as_deref(), tls.key.as_deref());
                let client_authority = tls
                    .client_authority
                    .as_deref()
                    .map(|file| self.certificate_file(&below(&at, "client_authority"), file));
                Way::Tls(Tls { certificate, client_authority })
            }
        }
    }

    /// A certificate and its key; both or neither.
    pub(super) fn key_pair(
        &mut self,
        at: &str,
        certificate: Option<&str>,
        key: Option<&str>,
    ) -> Option<KeyPair> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some(KeyPair {
                certificate: self.beside(certificate),
                key: self.beside(key),
                at: (at.to_owned(), self.place(at)),
            }),
            (None, None) => None,
            (Some(_), None) => {
                self.refuse_half(at, "key", "the key of the certificate is missing");
                None
            }
            (None, Some(_)) => {
                self.refuse_half(at, "certificate", "the certificate of the key is missing");
                None
            }
        }
    }

    fn refuse_half(&mut self, at: &str, missing: &str, why: &str) {
        if !self.has_refused(&below(at, missing)) {
            self.refuse(at, why, &format!("add `{missing}:` and a PEM file"));
        }
    }

    pub(super) fn certificate_file(&mut self, at: &str, file: &str) -> CertificateFile {
        CertificateFile { path: self.beside(file), at: (at.to_owned(), self.place(at)) }
    }

    /// The path relative to the configuration file, independent of the working directory.
    pub(super) fn beside(&self, file: &str) -> PathBuf {
        Path::new(self.name).parent().unwrap_or(Path::new("")).join(file)
    }

    /// Reports contradictions between listeners and hosts.
    pub(super) fn check_ways(
        &mut self,
        listen: &[Listener],
        portal: Option<&Origin>,
        apps: &Outlines,
    ) {
        let tls = || {
            listen.iter().filter_map(|listener| match &listener.way {
                Way::Tls(tls) => Some(tls),
                Way::Plain | Way::Redirect => None,
            })
        };
        let encrypts = tls().next().is_some();
        if self.has_refused_below("listen") {
            return;
        }
        if !encrypts {
            for app in &apps.all {
                if app.has_certificate {
                    let what = "has no effect: no listener has `tls`";
                    self.warn(&format!("apps[{}].tls", app.index), what);
                }
            }
            return;
        }
        let portal_has_none = portal.is_some_and(|portal| {
            apps.is_complete && !apps.all.iter().any(|app| app.has_certificate && app.has(portal))
        });
        if tls().any(|tls| tls.certificate.is_none())
            && (apps.all.iter().any(|app| !app.has_certificate) || portal_has_none)
        {
            let what = "a host has no certificate, so each listener with `tls` needs one";
            let at = "listen";
            self.refuse(at, what, "add `certificate` and `key` to each listener with `tls`");
        }
        for (index, listener) in listen.iter().enumerate() {
            if matches!(listener.way, Way::Plain) && !listener.address.ip().is_loopback() {
                let what = "is plain HTTP while other listeners use TLS: add `redirect: https`";
                self.warn(&format!("listen[{index}]"), what);
            }
        }
        for app in &apps.all {
            for (at, host) in app.hosts() {
                if !host.is_secure() && listen.iter().all(|one| !matches!(one.way, Way::Plain)) {
                    let what = format!("{host} uses plain HTTP, but no listener serves it");
                    self.refuse(&at, what, "write `https://`, or add a listener without `tls`");
                }
            }
        }
    }

    pub(super) fn limits(&mut self, file: &File) -> Limits {
        let written = &file.limits;
        if written.connections_per_address > written.connections
            && file.limits.connections_per_address != Limits::default().connections_per_address
        {
            let what = format!(
                "{} for one address is more than {}, the limit for all",
                written.connections_per_address, written.connections
            );
            self.warn("limits.connections_per_address", what);
        }
        Limits {
            sign_in_posts: written.sign_in_posts.a_minute(),
            connections: written.connections,
            connections_per_address: written.connections_per_address,
            header_bytes: written.header_bytes,
            headers: written.headers,
            streams: written.streams,
            stream_resets: written.stream_resets,
            requests_per_address: written.requests_per_address,
            requests_per_application: written.requests_per_application,
            unsent_per_connection: written.unsent_mib_per_connection << 20,
            unsent_per_address: written.unsent_mib_per_address << 20,
            unsent: written.unsent_mib << 20,
            body_rate: written.body_rate,
            free_disk: written.free_disk_mib << 20,
        }
    }

    pub(super) fn deadlines(file: &File) -> Deadlines {
        let written = &file.deadlines;
        Deadlines {
            handshake: written.handshake.into(),
            head: written.head.into(),
            idle: written.idle.into(),
            form: written.form.into(),
            body: written.body.into(),
            queue: written.queue.into(),
        }
    }
}
