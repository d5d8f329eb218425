//! Finds the visitor's address, as far as the proxies in front of us can be trusted.
//!
//! `X-Forwarded-For` grows to the right: each proxy appends the address from which it received the
//! request. So it is read from the right, past the proxies that the operator trusts. The first
//! address that is not trusted is the visitor's. Everything left of it may have been written by the
//! visitor.

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::flow::ClientAddress;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client address of a request that came from `peer`, and the value of `X-Forwarded-For` for
/// the application; `None`: just the peer, which is the visitor itself.
pub(in crate::proxy) fn read(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> (ClientAddress, Option<String>) {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return (ClientAddress { peer, visitor: Some(peer) }, None);
    }
    let mut heard = vec![peer];
    let mut visitor = None;
    for hop in hops(headers) {
        // If a hop cannot be parsed, the visitor behind it is unknown.
        let Some(address) = hop.and_then(address) else {
            visitor = None;
            break;
        };
        heard.push(address);
        visitor = Some(address);
        if !is_trusted(&address) {
            break;
        }
    }
    let chain: Vec<String> = heard.iter().rev().map(ToString::to_string).collect();
    (ClientAddress { peer, visitor }, Some(chain.join(", ")))
}

/// The hops of all `X-Forwarded-For` headers from the right; `None` for one that is not UTF-8. Each
/// hop is decoded on its own: a proxy may append a valid address to bytes that the visitor sent.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<&str>> {
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let hops = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    hops.map(|hop| str::from_utf8(hop).ok())
}

/// Parses an address as proxies write it: some add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let parsed = match bare {
        Some((bare, "")) => bare.parse().ok(),
        Some(_) => hop.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()),
        None => hop
            .parse()
            .ok()
            .or_else(|| hop.parse().ok().map(|socket: std::net::SocketAddr| socket.ip())),
    };
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_proxy("203.0.113.9", &["198.51.100.1"], Some("203.0.113.9"), "203.0.113.9")]
    #[case::one("10.0.0.1", &["203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::forged("10.0.0.1", &["127.0.0.1, 203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::two("10.0.0.1", &["203.0.113.9, 10.0.0.2"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.2, 10.0.0.1")]
    #[case::lines("10.0.0.1", &["127.0.0.1", "203.0.113.9", "10.0.0.2"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.2, 10.0.0.1")]
    #[case::inside("10.0.0.1", &["10.0.0.3"], Some("10.0.0.3"), "10.0.0.3, 10.0.0.1")]
    #[case::port("10.0.0.1", &["203.0.113.9:5123"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::six("10.0.0.1", &["[2001:db8::1]:5123"], Some("2001:db8::1"), "2001:db8::1, 10.0.0.1")]
    #[case::bare_six("10.0.0.1", &["2001:db8::1"], Some("2001:db8::1"), "2001:db8::1, 10.0.0.1")]
    #[case::mapped("10.0.0.1", &["::ffff:203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::nothing("10.0.0.1", &[], None, "10.0.0.1")]
    #[case::empty("10.0.0.1", &[""], None, "10.0.0.1")]
    #[case::junk("10.0.0.1", &["a"], None, "10.0.0.1")]
    #[case::junk_behind("10.0.0.1", &["203.0.113.9, unknown"], None, "10.0.0.1")]
    #[case::junk_before_a_trusted("10.0.0.1", &["a, 10.0.0.2"], None, "10.0.0.2, 10.0.0.1")]
    #[case::junk_further_left("10.0.0.1", &["a, 203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::no_text_further_left("10.0.0.1", &["\u{fc}, 203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    #[case::no_text_before_a_trusted("10.0.0.1", &["203.0.113.9, \u{fc}, 10.0.0.2"], None, "10.0.0.2, 10.0.0.1")]
    #[case::no_text_on_another_line("10.0.0.1", &["\u{fc}", "203.0.113.9"], Some("203.0.113.9"), "203.0.113.9, 10.0.0.1")]
    fn the_first_address_from_the_right_that_is_not_trusted_is_the_visitors(
        #[case] peer: &str,
        #[case] lines: &[&str],
        #[case] visitor: Option<&str>,
        #[case] told: &str,
    ) {
        let mut headers = HeaderMap::new();
        for line in lines {
            // As Latin-1: characters beyond ASCII become invalid UTF-8.
            let line: Vec<u8> = line.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(&line).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = peer.parse().unwrap();
        let visitor = visitor.map(|address| address.parse().unwrap());
        let (client, chain) = read(peer, &headers, &trusted);
        let chain = chain.unwrap_or_else(|| peer.to_string());
        assert_eq!((client, chain.as_str()), (ClientAddress { peer, visitor }, told));
    }
}
