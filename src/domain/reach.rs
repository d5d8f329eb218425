//! Which addresses may be connected to: those of this machine, public ones, or any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any.
    Anywhere,
    /// Only addresses of the public internet: what a public server names must not lead into our
    /// own network (OWASP Server-Side Request Forgery Prevention Cheat Sheet).
    Public,
    /// Only this machine.
    Loopback,
    /// None.
    Nowhere,
}

impl Reach {
    /// Whether `address` may be connected to.
    pub fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public => is_public(address),
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Nowhere => false,
        }
    }

    /// What both include.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anywhere, reach) | (reach, Self::Anywhere) => reach,
            (a, b) if a == b => a,
            _ => Self::Nowhere,
        }
    }
}

/// Whether this name is this machine: `localhost`, `*.localhost` (RFC 6761 §6.3), or an address of
/// its own.
pub fn is_local_name(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

/// Whether `address` belongs to the public internet (the IANA special-purpose address registries,
/// RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (18..20).contains(&b);
    let is_protocol = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_benchmark
        || is_protocol)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Only 2000::/3 is given out. Of that, 2002::/16 and 64:ff9b::/96 lead to IPv4 addresses, and
    // 2001:db8::/32 is for examples.
    let is_given_out = segments[0] & 0xe000 == 0x2000;
    let is_example = segments[0] == 0x2001 && segments[1] == 0xdb8;
    let leads_to_v4 = segments[0] == 0x2002 || (segments[0] == 0x2001 && segments[1] == 0);
    is_given_out && !is_example && !leads_to_v4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_told_apart_in_every_spelling() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.7",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2a00:1450::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn only_this_machine_has_a_local_name() {
        for local in ["localhost", "ID.localhost", "127.0.0.1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(is_local_name(local), "{local}");
        }
        for other in ["localhost.example.com", "notlocalhost", "10.0.0.1", "localhost."] {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
