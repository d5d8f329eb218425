//! Validates upstreams and how they are reached.

use http::HeaderValue;
use http::uri::Authority;

use crate::config::written::{self, Texts};
use crate::config::{Health, Reach, Upstream};

use super::{Judge, below, items};

impl Judge<'_> {
    /// The upstreams; or those that were not refused, if one was.
    pub(super) fn upstreams(
        &mut self,
        at: &str,
        written: &Texts,
    ) -> Result<Vec<Upstream>, Vec<Upstream>> {
        let several = match written {
            Texts::One(one) => {
                return self.upstream(at, one).map(|one| vec![one]).ok_or(Vec::new());
            }
            Texts::Several(several) => several,
        };
        if several.is_empty() {
            self.refuse_empty(at, "add one, such as `http://127.0.0.1:9000`");
        }
        let mut all: Vec<Upstream> = Vec::new();
        for (at, one) in items(at, several) {
            let Some(upstream) = self.upstream(&at, one) else { continue };
            if all.contains(&upstream) {
                self.refuse(&at, format!("`{one}` is listed twice"), "keep one of them");
            }
            all.push(upstream);
        }
        if all.iter().any(|one| one.is_secure() != all[0].is_secure()) {
            let what = "some upstreams use TLS and some do not";
            self.refuse(at, what, "write `https://` for all of them, or for none");
            return Err(all);
        }
        if all.is_empty() || all.len() < several.len() { Err(all) } else { Ok(all) }
    }

    fn upstream(&mut self, at: &str, written: &str) -> Option<Upstream> {
        let upstream: Upstream = self.parsed(at, written)?;
        if !upstream.is_loopback() {
            let what = format!(
                "others on the network may reach {} directly and bypass Doorward: let it accept \
                 connections from this machine only",
                upstream.authority().unwrap_or_default()
            );
            self.warn(at, what);
        }
        Some(upstream)
    }

    pub(super) fn reach(
        &mut self,
        at: &str,
        app: &written::App,
        upstreams: Option<&[Upstream]>,
    ) -> Option<Reach> {
        let tls = &app.upstream_tls;
        let secure = upstreams.is_some_and(|all| all.iter().any(Upstream::is_secure));
        let means_something =
            tls.authority.is_some() || tls.certificate.is_some() || tls.name.is_some();
        if !secure && upstreams.is_some() && means_something {
            let what = "has no effect: the upstream does not use https://";
            self.refuse(&below(at, "upstream_tls"), what, "write `https://`, or remove it");
        }
        let tls_at = below(at, "upstream_tls");
        let authority = tls
            .authority
            .as_deref()
            .map(|file| self.certificate_file(&below(&tls_at, "authority"), file));
        let certificate = tls
            .certificate
            .as_deref()
            .map(|file| self.certificate_file(&below(&tls_at, "certificate"), file));
        if authority.is_some() && certificate.is_some() {
            let what = "`certificate` pins one certificate, so `authority` has no effect";
            self.refuse(&below(&tls_at, "certificate"), what, "keep `certificate` or `authority`");
        }
        let server_name = tls.name.as_deref();
        let server_name = server_name.map(|name| self.server_name(&below(&tls_at, "name"), name));
        let host = app.upstream_host.as_deref();
        let host = host.map(|host| self.host_header(&below(at, "upstream_host"), host));
        let health = match &app.health {
            None => None,
            Some(health) => self.health(&below(at, "health"), health),
        };
        let reuse_after_body = app.upstream_reuse_after_body;
        if reuse_after_body {
            let what = "connections are reused after request bodies: if the server answers without \
                        reading a body, it takes the body for a request that no rule has checked";
            self.warn(&below(at, "upstream_reuse_after_body"), what);
        }
        let http2 = app.upstream_http2;
        // gRPC calls send bodies as long as they last.
        let slow_bodies = app.slow_bodies || http2;
        let titled = app.header_case == Some(written::HeaderCase::Title);
        Some(Reach {
            authority,
            certificate,
            server_name: flat(server_name)?,
            titled,
            host: flat(host)?,
            http2,
            health,
            reuse_after_body,
            slow_bodies,
        })
    }

    fn server_name(&mut self, at: &str, name: &str) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        if name.is_empty() || !name.bytes().all(fits) {
            let what = format!("`{name}` is not a name that a certificate can have");
            self.refuse(at, what, "write a host name, such as `crm.internal`");
            return None;
        }
        Some(name.to_owned())
    }

    fn host_header(&mut self, at: &str, host: &str) -> Option<HeaderValue> {
        let authority = host.parse::<Authority>().ok();
        let sound = authority.is_some_and(|authority| !authority.as_str().contains('@'));
        let value = HeaderValue::from_str(host).ok().filter(|_| sound);
        if value.is_none() {
            let what = format!("`{host}` is not a host");
            self.refuse(at, what, "write a host name, with a port if needed: `crm.internal`");
        }
        value
    }

    fn health(&mut self, at: &str, health: &written::Health) -> Option<Health> {
        let path = health.path.as_deref()?;
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.starts_with('/') || !path.bytes().all(plain) {
            let what = format!("`{path}` is not a path");
            self.refuse(&below(at, "path"), what, "write one such as `/health`");
            return None;
        }
        Some(Health { path: path.to_owned(), every: health.every.into() })
    }
}

/// What was read, if anything was written; `None` if it was refused.
#[expect(clippy::option_option, reason = "`Some(None)` is absent, `None` refused")]
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
