//! The PROXY protocol: a load balancer in front of us sends the visitor's address before the first
//! byte of a connection.
//!
//! Both versions (HAProxy's `doc/proxy-protocol.txt`) are supported. The header is read only from
//! `trusted_proxies`: from anybody else it could be forged, and is refused as an invalid request. A
//! balancer must send the header in one piece (§2), so we do not wait for the rest of a partial
//! one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The prefix of a header in version 1.
pub(in crate::proxy) const FIRST: &[u8] = b"PROXY ";
/// The signature of a header in version 2.
pub(in crate::proxy) const SECOND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header: its length, and the address that it names. A balancer's health check names none.
#[derive(Debug, PartialEq, Eq)]
struct Introduction {
    length: usize,
    visitor: Option<SocketAddr>,
}

/// Takes the header off the beginning of `stream`, if there is a valid one, and gives the address
/// that it names. Waits for the first byte.
///
/// # Errors
/// The connection is broken.
pub(in crate::proxy) async fn take(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut beginning = [0; LONGEST];
    let length = stream.peek(&mut beginning).await?;
    let Some(found) = beginning.get(..length).and_then(read) else { return Ok(None) };
    let Some(header) = beginning.get_mut(..found.length) else { return Ok(None) };
    stream.read_exact(header).await?;
    Ok(found.visitor)
}

fn read(bytes: &[u8]) -> Option<Introduction> {
    if bytes.starts_with(FIRST) { read_first(bytes) } else { read_second(bytes) }
}

/// `PROXY TCP4 203.0.113.9 10.0.0.1 51234 443`, and CR LF.
fn read_first(bytes: &[u8]) -> Option<Introduction> {
    let longest = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let end = longest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[FIRST.len()..end]).ok()?;
    let length = end + 2;
    let words: Vec<&str> = line.split(' ').collect();
    let (is_four, source, port) = match words.as_slice() {
        ["UNKNOWN", ..] => return Some(Introduction { length, visitor: None }),
        [family @ ("TCP4" | "TCP6"), source, _, port, _] => (*family == "TCP4", source, port),
        _ => return None,
    };
    let source: IpAddr = source.parse().ok()?;
    let visitor = SocketAddr::new(source, port.parse().ok()?);
    (source.is_ipv4() == is_four).then_some(Introduction { length, visitor: Some(visitor) })
}

/// Signature, version and command, family, length, addresses and extensions (§2.2).
fn read_second(bytes: &[u8]) -> Option<Introduction> {
    let rest = bytes.strip_prefix(SECOND)?;
    let (&[command, family, high, low], rest) = rest.split_first_chunk()?;
    let said = rest.get(..u16::from_be_bytes([high, low]).into())?;
    let length = SECOND.len() + 4 + said.len();
    let visitor = match (command, family) {
        (PROXY, OVER_TCP4) => {
            let source = Ipv4Addr::from(*said.first_chunk::<4>()?);
            Some((source.into(), said.get(8..10)?))
        }
        (PROXY, OVER_TCP6) => {
            let source = Ipv6Addr::from(*said.first_chunk::<16>()?);
            Some((source.into(), said.get(32..34)?))
        }
        (LOCAL | PROXY, _) => None,
        _ => return None,
    };
    let visitor = visitor.map(|(address, port): (IpAddr, &[u8])| {
        let port = port.iter().fold(0, |port, byte| port << 8 | u16::from(*byte));
        SocketAddr::new(address, port)
    });
    Some(Introduction { length, visitor })
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const OVER_TCP4: u8 = 0x11;
const OVER_TCP6: u8 = 0x21;
/// The longest header of version 1, with CR LF (§2.1).
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that we read, with the balancer's TLS extensions.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FOUR: &[u8] = b"\x21\x11\x00\x0c\xcb\x00\x71\x09\x0a\x00\x00\x01\xc8\x22\x01\xbb";
    const SIX: &[u8] = b"\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xc8\x22\x01\xbb";
    const MORE: &[u8] =
        b"\x21\x11\x00\x0f\xcb\x00\x71\x09\x0a\x00\x00\x01\xc8\x22\x01\xbb\x04\x00\x00";

    #[rstest]
    #[case::four(b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\r\n", "203.0.113.9:51234")]
    #[case::six(b"PROXY TCP6 2001:db8::1 2001:db8::2 51234 443\r\n", "[2001:db8::1]:51234")]
    #[case::unknown(b"PROXY UNKNOWN\r\n", "")]
    #[case::unknown_with_more(b"PROXY UNKNOWN ff:: ff:: 1 2\r\n", "")]
    #[case::second_four(&[SECOND, FOUR].concat(), "203.0.113.9:51234")]
    #[case::second_six(&[SECOND, SIX].concat(), "[2001:db8::1]:51234")]
    #[case::second_with_more(&[SECOND, MORE].concat(), "203.0.113.9:51234")]
    #[case::second_local(&[SECOND, b"\x20\x00\x00\x00"].concat(), "")]
    #[case::second_of_a_socket(&[SECOND, b"\x21\x31\x00\x01x"].concat(), "")]
    fn a_header_names_the_visitor_and_its_own_length(#[case] header: &[u8], #[case] names: &str) {
        let visitor = names.parse().ok();
        let length = header.len();
        assert_eq!(read(header), Some(Introduction { length, visitor }));
        assert_eq!(read(&[header, b"GET / HTTP/1.1\r\n"].concat()).unwrap().length, length);
        for end in 0..length {
            assert_eq!(read(&header[..end]), None, "half of one is none");
        }
    }

    #[rstest]
    #[case::post(b"POST / HTTP/1.1\r\n")]
    #[case::other_case(b"proxy TCP4 203.0.113.9 10.0.0.1 1 2\r\n")]
    #[case::no_address(b"PROXY TCP4 localhost 10.0.0.1 1 2\r\n")]
    #[case::another_family(b"PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n")]
    #[case::no_port(b"PROXY TCP4 203.0.113.9 10.0.0.1 99999 2\r\n")]
    #[case::two_spaces(b"PROXY TCP4  203.0.113.9 10.0.0.1 1 2\r\n")]
    #[case::too_long(&[b"PROXY UNKNOWN ", &[b'x'; 100][..], b"\r\n"].concat())]
    #[case::another_version(&[SECOND, b"\x31\x11\x00\x00"].concat())]
    #[case::too_short(&[SECOND, b"\x21\x11\x00\x04\xcb\x00\x71\x09"].concat())]
    fn what_is_no_header_is_none(#[case] bytes: &[u8]) {
        assert_eq!(read(bytes), None);
    }
}
