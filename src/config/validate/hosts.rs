//! Validates hosts, the portal and networks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::config::Origin;
use crate::config::problem::{listed, meant};
use crate::config::written::{File, List};

use super::outline::Outlines;
use super::{Judge, items};

impl Judge<'_> {
    pub(super) fn host(&mut self, at: &str, written: &str, insecure: bool) -> Option<Origin> {
        let origin: Origin = self.parsed(at, written)?;
        let local = origin.is_local();
        if !origin.is_secure() && !local && !insecure {
            let what = format!(
                "{origin} is not encrypted: passwords and cookies can be read on the \
                         network"
            );
            let cure = "use https; if that is impossible, add `insecure: true` to the application";
            self.refuse(at, what, cure);
        } else if !origin.is_secure() && !local {
            self.warn(at, "not encrypted: passwords and cookies can be read on the network");
        } else if origin.is_secure() && local && !written.contains("://") {
            let what =
                format!("means {origin}; for plain HTTP write `http://{}`", origin.authority());
            self.warn(at, what);
        }
        Some(origin)
    }

    /// The portal: as written or, if there is only one host, that host.
    pub(super) fn portal(&mut self, file: &File, apps: &Outlines) -> Option<Origin> {
        let insecure = file.apps.iter().flatten().flatten().any(|app| app.insecure);
        let written = file.portal.as_deref();
        let portal = written.map(|written| self.host("portal", written, insecure));
        let hosts: Vec<&Origin> = apps.hosts().collect();
        self.tell_hosts_apart(apps, portal.as_ref().and_then(Option::as_ref));
        match (portal, hosts.as_slice()) {
            (Some(portal), _) => {
                let portal = portal?;
                if hosts.contains(&&portal) {
                    self.recommend_portal(&portal, "portal");
                }
                let plain = |host: &&Origin| host.is_secure() != portal.is_secure();
                if !portal.is_secure() && hosts.iter().copied().any(|host| plain(&host)) {
                    let what = "is plain HTTP while applications use https";
                    self.refuse("portal", what, "use https for the portal, too");
                }
                Some(portal)
            }
            (None, [] | [_]) if !apps.is_complete => None,
            (None, [only]) => {
                self.recommend_portal(only, "apps[0].hosts[0]");
                Some((*only).clone())
            }
            (None, _) => {
                let what =
                    "missing: with more than one host, one must be named where people sign in";
                let example = hosts.first().copied().map(portal_beside).unwrap_or_default();
                self.refuse("portal", what, &format!("add `portal: {example}`"));
                None
            }
        }
    }

    /// Recommends a separate host for the portal. Our pages on an app's host are exposed to the
    /// app's cross-site scripting, and its service worker could answer instead of them.
    fn recommend_portal(&mut self, host: &Origin, at: &str) {
        let what = if host.is_local() {
            "the portal shares its host with an application, and service workers are blocked on \
             that host: if the application needs one, give the portal a host of its own"
        } else {
            "the portal shares its host with an application, whose scripts can reach the portal's \
             pages and whose service workers are blocked: give the portal a host of its own"
        };
        self.warn(at, format!("{what}, `portal: {}`", portal_beside(host)));
    }

    /// Refuses hosts that differ only in scheme or port, because they share cookies.
    fn tell_hosts_apart(&mut self, apps: &Outlines, portal: Option<&Origin>) {
        let mut seen: BTreeMap<&str, (&Origin, String, bool)> = BTreeMap::new();
        if let Some(portal) = portal {
            seen.insert(portal.host(), (portal, "portal".to_owned(), true));
        }
        for app in &apps.all {
            for (at, host) in app.hosts() {
                let Some((other, first, is_portal)) = seen.get(host.host()).cloned() else {
                    seen.insert(host.host(), (host, at, false));
                    continue;
                };
                if other != host {
                    let what = format!("{host} and {other} ({first}) share cookies");
                    self.refuse(
                        &at,
                        what,
                        "browsers do not separate cookies by scheme or port: \
                                            use different host names",
                    );
                } else if is_portal {
                    seen.insert(host.host(), (host, at, false));
                } else {
                    let what = format!("{host} is already at {first}");
                    self.refuse(
                        &at,
                        what,
                        "a host belongs to one application: remove one of the two",
                    );
                }
            }
        }
    }

    /// Parses networks. `needed` means at least one.
    pub(super) fn networks(
        &mut self,
        at: &str,
        networks: &List<String>,
        needed: bool,
    ) -> Vec<IpNet> {
        if needed && networks.is_empty() {
            self.refuse_empty(at, "add a network, such as `10.0.0.0/8`, or remove the key");
        }
        let read = items(at, networks);
        let read: Box<[IpNet]> =
            read.filter_map(|(at, written)| self.network(&at, written)).collect();
        // Without unused capacity, because a file may have many rules.
        read.into()
    }

    fn network(&mut self, at: &str, written: &str) -> Option<IpNet> {
        let network = written
            .parse::<IpNet>()
            .ok()
            .or_else(|| written.parse::<IpAddr>().ok().map(IpNet::from));
        let Some(network) = network.map(unmapped) else {
            let what = format!("`{written}` is not a network");
            self.refuse(
                at,
                what,
                "write one such as `10.0.0.0/8` or `2001:db8::/32`, or an address",
            );
            return None;
        };
        let around = network.trunc();
        if around != network {
            let what = format!("`{written}` is an address in the network {around}");
            self.refuse(at, what, &format!("write `{around}`, or the address without `/`"));
            return None;
        }
        Some(network)
    }

    /// Checks that `name` is one of the apps in `names`.
    pub(super) fn app_named(&mut self, at: &str, name: &str, names: &[&str]) -> Option<String> {
        if names.contains(&name) {
            return Some(name.to_owned());
        }
        let cure = match meant(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the applications are {}", listed(names.iter().copied())),
        };
        self.refuse(at, format!("no application is called `{name}`"), &cure);
        None
    }
}

/// An example of a host of its own for the portal, with the port of an application's host.
fn portal_beside(host: &Origin) -> String {
    if host.is_local() {
        host.to_string().replacen(host.host(), "id.localhost", 1)
    } else if host.is_secure() {
        host.to_string().replacen(host.host(), "id.example.com", 1)
    } else {
        "https://id.example.com".to_owned()
    }
}

/// An IPv4 network that is written as a part of `::ffff:0:0/96`, as IPv4: visitors' addresses are read
/// as that, too (RFC 4291 §2.5.5.2).
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let length = mapped.prefix_len().checked_sub(96);
    let found = mapped.addr().to_ipv4_mapped().zip(length);
    found
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_network_is_the_one_that_visitors_are_in() {
        let read = |written: &str| unmapped(written.parse().unwrap()).to_string();
        assert_eq!(read("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(read("::ffff:10.0.0.9/128"), "10.0.0.9/32");
        assert_eq!(read("::ffff:0:0/96"), "0.0.0.0/0");
        for other in ["10.0.0.0/8", "2001:db8::/32", "::/0", "::10.0.0.0/104"] {
            assert_eq!(read(other), other.parse::<IpNet>().unwrap().to_string());
        }
    }
}
