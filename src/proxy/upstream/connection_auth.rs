//! Applications that sign in the connection instead of the request (NTLM, and Negotiate as
//! Microsoft extends it: RFC 4559 §6): such a connection serves one visitor and nobody else.
//!
//! From the moment at which a visitor sends such credentials, their connection to us has one of its
//! own to the application. An application that answers with a step of such a sign-in on a connection
//! that is shared has been told credentials in a way that was not seen: its answer is not passed on.
//!
//! A connection that was signed in would be lost if it were closed after each request with a body (see
//! `Gateway::ends_with`). So it is kept, where the application itself has asked for such credentials: what
//! its server takes for a request within a body runs for this visitor and nobody else, but no rule has
//! judged it. Servers that sign in connections (IIS, Samba, Apache) read bodies to their end. Whoever
//! sends such credentials to any other application gains nothing: its connection is closed as always.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, WWW_AUTHENTICATE};

use crate::domain::user::UserId;
use crate::flow::ClientAddress;

/// Whether the visitor signs in the connection. It may do so wrongly; that costs a connection.
pub(in crate::proxy) fn binds(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        SCHEMES.iter().any(|scheme| value.windows(scheme.len()).any(|part| part == *scheme))
    })
}

/// Whether the application has signed in the connection, or is about to.
pub(in crate::proxy) fn is_bound_by(headers: &HeaderMap) -> bool {
    let persistent = headers
        .get_all(PERSISTENT_AUTH)
        .iter()
        .any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"));
    // An offer is the bare name; a step carries a token.
    persistent || challenges(headers, |rest| rest.first() == Some(&b' '))
}

/// Whether the application asks for credentials that sign in the connection.
pub(in crate::proxy) fn is_offered_by(headers: &HeaderMap) -> bool {
    challenges(headers, |rest| rest.is_empty() || rest.first() == Some(&b' '))
}

/// Whether a challenge names one of the schemes, with `such` behind it.
fn challenges(headers: &HeaderMap, such: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.split(|byte| *byte == b',').any(|challenge| {
            let challenge = challenge.trim_ascii();
            SCHEMES.iter().any(|scheme| challenge.strip_prefix(*scheme).is_some_and(&such))
        })
    })
}

/// A number for the connections to applications that serve `user`, or a stranger, who came from
/// `source` over the connection `link`.
///
/// Strangers whom a proxy has sent over one connection cannot be told apart: each request of theirs
/// has a number of its own.
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
    // Even ones are what all others share.
    hasher.finish() | 1
}

/// Whether everybody else who comes over the same connection can be told from `user`, or from the
/// stranger who came from `source`.
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
