//! Applications that authenticate the connection instead of the request (NTLM, and Negotiate as
//! extended by Microsoft: RFC 4559 §6). Such a connection serves only one visitor.
//!
//! Once a visitor sends such credentials, we use a separate connection to the application for the
//! visitor's connection. If an application answers with a step of such an authentication on a
//! shared connection, it has received credentials that we did not recognize: its answer is not
//! passed on.
//!
//! An authenticated connection would be lost if it were closed after each request with a body (see
//! `Gateway::ends_with`). So it is kept, if the application itself has asked for such credentials.
//! If its server then takes part of a body for a request, that request runs only for this visitor,
//! but no rule has judged it. Servers that authenticate connections (IIS, Samba, Apache) read
//! bodies to their end. Sending such credentials to any other application gains nothing: its
//! connection is closed as always.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, WWW_AUTHENTICATE};

use crate::domain::user::UserId;
use crate::flow::ClientAddress;

/// Whether the visitor sends credentials for the connection. A false positive only costs a
/// connection.
pub(in crate::proxy) fn binds(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        SCHEMES.iter().any(|scheme| value.windows(scheme.len()).any(|part| part == *scheme))
    })
}

/// Whether the application has authenticated the connection, or is about to.
pub(in crate::proxy) fn is_bound_by(headers: &HeaderMap) -> bool {
    let persistent = headers
        .get_all(PERSISTENT_AUTH)
        .iter()
        .any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"));
    // An offer is the bare name of the scheme; a step has a token.
    persistent || challenges(headers, |rest| rest.first() == Some(&b' '))
}

/// Whether the application asks for credentials that authenticate the connection.
pub(in crate::proxy) fn is_offered_by(headers: &HeaderMap) -> bool {
    challenges(headers, |rest| rest.is_empty() || rest.first() == Some(&b' '))
}

/// Whether a challenge names one of the schemes, followed by what `such` accepts.
fn challenges(headers: &HeaderMap, such: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.split(|byte| *byte == b',').any(|challenge| {
            let challenge = challenge.trim_ascii();
            SCHEMES.iter().any(|scheme| challenge.strip_prefix(*scheme).is_some_and(&such))
        })
    })
}

/// A number for the connections to applications that serve `user`, or an anonymous visitor, who
/// came from `client` over `connection`.
///
/// A proxy may send several anonymous visitors over one connection. They cannot be told apart, so
/// each of their requests has a number of its own.
pub(in crate::proxy) fn number(
    connection: u64,
    user: Option<UserId>,
    client: ClientAddress,
) -> u64 {
    static STRANGERS: AtomicU64 = AtomicU64::new(1);
    let known = is_told_apart(user, client);
    let once = if known { 0 } else { STRANGERS.fetch_add(1, Ordering::Relaxed) };
    let mut hasher = DefaultHasher::new();
    (connection, user, client.visitor, once).hash(&mut hasher);
    // Odd: even numbers are for shared connections.
    hasher.finish() | 1
}

/// Whether `user`, or the anonymous visitor at `client`, can be distinguished from everybody else
/// who uses the same connection.
pub(in crate::proxy) fn is_told_apart(user: Option<UserId>, client: ClientAddress) -> bool {
    user.is_some() || client.visitor == Some(client.peer)
}

const PERSISTENT_AUTH: HeaderName = HeaderName::from_static("persistent-auth");
const SCHEMES: [&[u8]; 2] = [b"ntlm", b"negotiate"];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[rstest]
    #[case("NTLM TlRMTVNTUAAB", true)]
    #[case("nTlM\tTlRMTVNTUAAB", true)]
    #[case("Negotiate YII", true)]
    #[case("Basic YTpi", false)]
    #[case("Bearer x", false)]
    fn credentials_for_a_connection_are_known(#[case] value: &str, #[case] bound: bool) {
        assert_eq!(binds(&headers("authorization", value)), bound);
    }

    #[rstest]
    #[case("NTLM", false)]
    #[case("Negotiate, NTLM, Basic realm=\"a\"", false)]
    #[case("NTLM TlRMTVNTUAAC", true)]
    #[case("Basic realm=\"ntlm x\"", false)]
    #[case("Basic realm=\"a\", Negotiate oYG2", true)]
    fn a_step_is_not_an_offer(#[case] value: &str, #[case] step: bool) {
        assert_eq!(is_bound_by(&headers("www-authenticate", value)), step);
    }

    #[rstest]
    #[case("NTLM", true)]
    #[case("Basic realm=\"a\", negotiate", true)]
    #[case("NTLM TlRMTVNTUAAC", true)]
    #[case("NTLMv3", false)]
    #[case("Basic realm=\"ntlm\"", false)]
    fn an_offer_to_sign_in_connections_is_known(#[case] value: &str, #[case] offered: bool) {
        assert_eq!(is_offered_by(&headers("www-authenticate", value)), offered);
    }

    #[test]
    fn no_two_visitors_of_one_connection_share_a_number() {
        let from = |last: u8| {
            let address = [192, 0, 2, last].into();
            ClientAddress { peer: address, visitor: Some(address) }
        };
        assert_eq!(number(1, None, from(1)), number(1, None, from(1)));
        assert_ne!(number(1, None, from(1)), number(1, None, from(2)));
        assert_ne!(number(1, None, from(1)), number(2, None, from(1)));
        let sent = ClientAddress { peer: [10, 0, 0, 1].into(), ..from(1) };
        assert_ne!(number(1, None, sent), number(1, None, sent));
    }
}
