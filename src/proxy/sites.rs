//! The virtual hosts: the apps and the portal by host. A reload of the configuration replaces them
//! all at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::config::{App, Deadlines, Host, Limits, Origin, Problem};
use crate::flow::Env;
use crate::metrics::{Durations, Metrics};
use crate::proxy::downstream::certificates::{Certificates, Entrance};
use crate::proxy::downstream::listener::Entered;
use crate::proxy::request::address::Address;
use crate::proxy::request::identity_headers::Stamp;
use crate::proxy::upstream::Application;
use crate::web::Web;

/// All virtual hosts, with what they share.
pub struct Sites {
    /// By host in lower case, with the port unless it is the scheme's default.
    virtual_hosts: FxHashMap<String, Arc<VirtualHost>>,
    portal: Arc<VirtualHost>,
    /// By the name of the app.
    applications: HashMap<String, Arc<Application>>,
    entrances: Vec<Entrance>,
    certificates: Arc<Certificates>,
    env: Arc<Env>,
    /// How long requests to unknown hosts took.
    unknown: Durations,
}

/// One host: an app or the portal.
pub(super) struct VirtualHost {
    pub(super) web: Web,
    pub(super) address: Address,
    /// Sets the identity headers of requests to the application, if there is one.
    pub(super) stamp: Option<Stamp>,
    /// The `Strict-Transport-Security` header (RFC 6797 §6.1), if this host has one.
    pub(super) promise: Option<HeaderValue>,
    /// How to reach the application, if there is one.
    pub(super) application: Option<Arc<Application>>,
    /// How long requests to this host took.
    pub(super) durations: Durations,
}

impl Sites {
    /// Builds what `env` describes. Applications that `before` has already are not resolved again.
    /// Call it within a runtime: new ones are resolved regularly from now on.
    ///
    /// # Errors
    /// What is wrong with the certificates, each with its line in the configuration.
    pub async fn build(env: &Arc<Env>, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let config = &env.config;
        let certificates = Arc::new(Certificates::read(config)?);
        let entrances = certificates.entrances(config)?;
        let mut applications = HashMap::new();
        for app in &config.apps {
            let known = before.and_then(|sites| sites.applications.get(&app.name));
            let found = Application::found(app, config.upstream_timeouts, known).await;
            let application = found.map_err(|error| vec![unreachable(app, &error)])?;
            applications.insert(app.name.clone(), application);
        }
        let virtual_host = |host: Host| {
            let app = host.app.as_ref();
            let application = app.and_then(|app| applications.get(&app.name)).map(Arc::clone);
            let address = Address::of(&host.origin);
            let stamp = app.and_then(|app| Stamp::new(app, &address).ok());
            // In observe mode, operators may want to go back to plain http, which HSTS would
            // prevent.
            let is_observed = app.is_some_and(|app| !app.enforce);
            let promise = promise(config.hsts, &host.origin).filter(|_| !is_observed);
            let durations = env.metrics.durations(app.map_or("", |app| &app.name));
            let web = Web::new(Arc::clone(env), host);
            Arc::new(VirtualHost { web, address, stamp, promise, application, durations })
        };
        let portal = virtual_host(config.portal_host());
        let others = config.other_hosts().map(virtual_host);
        let virtual_hosts = std::iter::once(Arc::clone(&portal)).chain(others);
        let virtual_hosts = virtual_hosts
            .map(|virtual_host| (virtual_host.address.authority.clone(), virtual_host))
            .collect();
        let env = Arc::clone(env);
        let unknown = env.metrics.durations("");
        Ok(Self { virtual_hosts, portal, applications, entrances, certificates, env, unknown })
    }

    /// The virtual host for this `Host` header, with or without the scheme's default port.
    pub(super) fn find(&self, host: &str) -> Option<Arc<VirtualHost>> {
        // Fast path: nearly all browsers write it as the key is written.
        let as_kept = self.virtual_hosts.get(host);
        let as_read = || {
            let lower = host.to_ascii_lowercase();
            let name = [":443", ":80"].iter().find_map(|port| lower.strip_suffix(port));
            let virtual_host =
                self.virtual_hosts.get(&lower).or_else(|| self.virtual_hosts.get(name?));
            virtual_host.filter(|virtual_host| virtual_host.web.host().origin.is_meant_by(host))
        };
        as_kept.or_else(as_read).map(Arc::clone)
    }

    /// The virtual host with this name, whatever its port; `None` if there are several.
    pub(super) fn find_by_name(&self, name: &str) -> Option<Arc<VirtualHost>> {
        let is_meant = |virtual_host: &&Arc<VirtualHost>| {
            virtual_host.web.host().origin.host().eq_ignore_ascii_case(name)
        };
        let mut found = self.virtual_hosts.values().filter(is_meant);
        found.next().filter(|_| found.next().is_none()).map(Arc::clone)
    }

    /// The https virtual host with this name, whatever its port.
    pub(super) fn find_under_https(&self, host: &str) -> Option<Arc<VirtualHost>> {
        let is_port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
        let name = host.rsplit_once(':').filter(is_port).map_or(host, |(name, _)| name);
        let is_meant = |virtual_host: &&Arc<VirtualHost>| {
            let origin = &virtual_host.web.host().origin;
            origin.is_secure() && origin.host().eq_ignore_ascii_case(name)
        };
        self.virtual_hosts.values().find(is_meant).map(Arc::clone)
    }

    /// The counters.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.env.metrics
    }

    /// How many endpoints of each application answer, and how many do not, by its name.
    pub fn endpoints(&self) -> impl Iterator<Item = (String, usize, usize)> {
        self.applications.iter().map(|(app, application)| {
            let (up, down) = application.health();
            (app.clone(), up, down)
        })
    }

    /// How long requests to unknown hosts took.
    pub(super) fn unknown(&self) -> &Durations {
        &self.unknown
    }

    /// The portal, whose pages also answer requests for unknown hosts.
    pub(super) fn portal(&self) -> &Arc<VirtualHost> {
        &self.portal
    }

    /// The proxies that we trust to name the visitor's address.
    pub(super) fn trusted_proxies(&self) -> &[IpNet] {
        &self.env.config.trusted_proxies
    }

    /// Whether `peer` is a trusted proxy.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies().iter().any(|network| network.contains(&peer))
    }

    /// How to treat connections to a listener, by its index in the configuration.
    pub(super) fn entrance(&self, listener: usize) -> Option<&Entrance> {
        self.entrances.get(listener)
    }

    /// Whether the listener still accepts connections in the same way. A connection does not
    /// outlive a change to it.
    pub(super) fn lets_in(&self, entered: Entered) -> bool {
        let now = self.entrance(entered.listener);
        now.is_some_and(|entrance| entrance.way_in(entered.listener) == entered)
    }

    /// The certificates of all listeners and apps.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.env.config.limits
    }

    pub(super) fn deadlines(&self) -> Deadlines {
        self.env.config.deadlines
    }

    pub(super) fn env(&self) -> &Arc<Env> {
        &self.env
    }
}

/// How long browsers must remember to use https for a host.
fn promise(lasting: Duration, origin: &Origin) -> Option<HeaderValue> {
    let due = !lasting.is_zero() && origin.is_secure();
    // A number is always a valid header value.
    due.then(|| HeaderValue::try_from(format!("max-age={}", lasting.as_secs())).ok()).flatten()
}

fn unreachable(app: &App, error: &std::io::Error) -> Problem {
    let file = app.reach.certificate.as_ref().or(app.reach.authority.as_ref());
    let of_file = file.map(|file| file.at.clone());
    let (key, place) = of_file.map_or_else(
        || (format!("apps: {}: upstream", app.name), None),
        |(key, place)| (key, Some(place)),
    );
    let what = format!("cannot load the CA certificates for the upstream: {error}");
    Problem { place, key, what, cure: None }
}
