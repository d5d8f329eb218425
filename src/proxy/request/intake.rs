//! Reads a request so that it has one host and one meaning, or refuses it.
//!
//! Pingora forwards much that two servers in a row could interpret differently. After this module,
//! a request means the same to our rules and to the application.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::http::authority::{RawTargetAuthority, raw_target_authority};

use crate::config::Limits;
use crate::flow::ClientAddress;
use crate::policy::OWN;
use crate::proxy::framing;
use crate::proxy::request::head_size::OWN_PAGES_MORE;
use crate::proxy::request::identity_headers;
use crate::web::{Asked, Present};

/// Why a request is refused. `Display` is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::proxy) enum Refusal {
    /// There is no host or more than one, or it is not valid (RFC 9112 §3.2: 400).
    #[error("the Host header is missing, repeated or invalid")]
    Host,
    /// Nothing is configured for this host and port (RFC 9110 §15.5.20: 421).
    #[error("the Host is not configured")]
    Misdirected,
    /// The method opens tunnels or echoes headers (RFC 9110 §9.3.6, §9.3.8: 405).
    #[error("the method is CONNECT, TRACE or TRACK")]
    Method,
    /// The target is not a path on this host, or Pingora has changed it.
    #[error("the request target is not a path on this host")]
    Target,
    /// The end of the body is ambiguous (RFC 9112 §6.3).
    #[error("the length of the body is ambiguous")]
    Framing,
    /// The head is larger than the limit (RFC 6585 §5: 431).
    #[error("the request head is too large")]
    TooLarge,
}

/// Reads `request`, and normalizes it: target in origin form, header names in lower case, at most
/// one `Content-Length`. Gives what `find` returns for its host, and which headers are present.
///
/// `raw` is the head as it was sent; Pingora has already dropped or changed parts of it.
///
/// # Errors
/// [`Refusal`] if the request has no single meaning, or `find` finds nothing for its host.
pub(in crate::proxy) fn read<T>(
    request: &mut RequestHeader,
    raw: &[u8],
    limits: &Limits,
    find: impl FnOnce(&str) -> Option<T>,
) -> Result<(T, Present), Refusal> {
    // The URL of an own page may contain the URL to return to.
    let is_own = request.raw_path().starts_with(OWN.as_bytes());
    let longest = limits.header_bytes + if is_own { OWN_PAGES_MORE } else { 0 };
    let length = match request.version {
        // For HTTP/2, the library counts it as HPACK does (RFC 9113 §6.5.2).
        Version::HTTP_2 if is_own => 0,
        Version::HTTP_2 => listed_length(request),
        _ => raw.len(),
    };
    if length > longest || request.headers.len() > limits.headers {
        return Err(Refusal::TooLarge);
    }
    if request.version == Version::HTTP_2 {
        as_in_http1(request)?;
    }
    if [Method::CONNECT, Method::TRACE].contains(&request.method)
        || request.method.as_str().eq_ignore_ascii_case("TRACK")
    {
        return Err(Refusal::Method);
    }
    let found = one_host(request)?.to_str().ok().and_then(find).ok_or(Refusal::Misdirected)?;
    if request.version == Version::HTTP_2 {
        // HTTP/2 has a path of its own, and its frames mark the end of the body.
        if request.raw_path().first() != Some(&b'/') {
            return Err(Refusal::Target);
        }
    } else {
        take_path(request, raw)?;
    }
    let mut present = Present::in_request(&request.headers);
    frame(request, raw, present)?;
    if request.version == Version::HTTP_10 {
        framing::expect_nothing(request);
    }
    if present.upgrade {
        present.upgrade = framing::asks_for_websocket(request);
        if present.upgrade && has_body(request, present) {
            // Servers disagree on where the body ends and the other protocol begins.
            return Err(Refusal::Framing);
        }
    }
    identity_headers::in_lower_case(request).map_err(|_| Refusal::Target)?;
    Ok((found, present))
}

/// The size of the headers as HTTP/2 counts it (RFC 9113 §6.5.2).
fn listed_length(request: &RequestHeader) -> usize {
    let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    fields.sum::<usize>() + request.raw_path().len()
}

/// Converts what HTTP/2 expresses differently: the host is in `:authority` (RFC 9113 §8.3.1), and
/// cookies may come in several headers (§8.2.3).
fn as_in_http1(request: &mut RequestHeader) -> Result<(), Refusal> {
    let authority = request.uri.authority().map(|authority| authority.as_str().to_owned());
    match (authority, request.headers.contains_key(HOST)) {
        (Some(authority), false) => {
            request.insert_header(HOST, authority).map_err(|_| Refusal::Host)?;
        }
        (Some(authority), true) => {
            let same = |host: &HeaderValue| host.as_bytes() == authority.as_bytes();
            if !request.headers.get_all(HOST).iter().all(same) {
                return Err(Refusal::Host);
            }
        }
        (None, _) => {}
    }
    let crumbs: Vec<&[u8]> =
        request.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1 {
        let whole = crumbs.join(&b"; "[..]);
        request.insert_header(COOKIE, whole).map_err(|_| Refusal::Framing)?;
    }
    Ok(())
}

/// The request with this head, for the host that is known as `host`.
pub(in crate::proxy) fn asked<'r>(
    request: &'r RequestHeader,
    host: &'r str,
    client: ClientAddress,
) -> Asked<'r> {
    Asked {
        host: host.as_bytes(),
        method: &request.method,
        target: request.raw_path(),
        headers: &request.headers,
        client,
    }
}

/// The one host that a request names, in `Host` or in `:authority`, if it is valid.
pub(in crate::proxy) fn host(request: &RequestHeader) -> Option<&str> {
    let said = one_host(request).ok().and_then(|host| host.to_str().ok());
    said.or_else(|| {
        let unsaid = !request.headers.contains_key(HOST);
        request.uri.authority().filter(|_| unsaid).map(http::uri::Authority::as_str)
    })
}

fn one_host(request: &RequestHeader) -> Result<&HeaderValue, Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next().ok_or(Refusal::Host)?;
    let is_plain = |byte: &u8| IN_HOSTS[usize::from(*byte)];
    if hosts.next().is_some() || host.is_empty() || !host.as_bytes().iter().all(is_plain) {
        return Err(Refusal::Host);
    }
    Ok(host)
}

/// Whether each byte may occur in a host.
static IN_HOSTS: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    while byte < 128 {
        let is_mark = matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
        table[byte as usize] = byte.is_ascii_alphanumeric() || is_mark;
        byte += 1;
    }
    table
};

/// Turns an absolute target into its path, if its host is the same as `Host`. RFC 9112 §3.2.2 would
/// let the target win; we refuse two different hosts.
fn take_path(request: &mut RequestHeader, raw: &[u8]) -> Result<(), Refusal> {
    // Pingora drops a fragment and escapes invalid bytes. Refuse both.
    let mut spaces = memchr::memchr_iter(b' ', raw);
    let sent = spaces.next().map(|space| (space + 1, spaces.next().unwrap_or(raw.len())));
    let sent = sent.and_then(|(begin, end)| raw.get(begin..end)).ok_or(Refusal::Target)?;
    if sent != request.raw_path() {
        return Err(Refusal::Target);
    }
    if sent.first() == Some(&b'/') {
        return Ok(());
    }
    let RawTargetAuthority::Absolute { scheme, authority, path_and_query } =
        raw_target_authority(sent)
    else {
        return Err(Refusal::Target);
    };
    let web = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    if !web || !authority.eq_ignore_ascii_case(one_host(request)?.as_bytes()) {
        return Err(Refusal::Target);
    }
    let path = match path_and_query.first() {
        Some(b'/') => path_and_query.to_vec(),
        _ => [b"/", path_and_query].concat(),
    };
    request.set_raw_path(&path).map_err(|_| Refusal::Target)
}

fn frame(request: &mut RequestHeader, raw: &[u8], present: Present) -> Result<(), Refusal> {
    if !present.transfer_encoding && !present.content_length {
        return Ok(());
    }
    let mut codings = request.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        // Pingora removes a `Content-Length` beside `Transfer-Encoding`, so check the raw head.
        if !chunked || codings.next().is_some() || mentions_length(raw) {
            return Err(Refusal::Framing);
        }
    }
    let lengths: Vec<HeaderValue> =
        request.headers.get_all(CONTENT_LENGTH).iter().cloned().collect();
    let Some(first) = lengths.first() else { return Ok(()) };
    // RFC 9110 §8.6 allows equal values, also in a list, to be taken as one.
    let mut said = lengths.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let length = first.as_bytes().split(|&byte| byte == b',').next().unwrap_or_default();
    let length = length.trim_ascii();
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if !digits || !said.all(|other| other.trim_ascii() == length) {
        return Err(Refusal::Framing);
    }
    // Some servers read a number with a leading 0 as octal.
    let zeros = length.iter().take_while(|&&digit| digit == b'0').count();
    let length = length.get(zeros..).filter(|rest| !rest.is_empty()).unwrap_or(b"0");
    if lengths.len() > 1 || first.as_bytes() != length {
        request.insert_header(CONTENT_LENGTH, length).map_err(|_| Refusal::Framing)?;
    }
    Ok(())
}

fn has_body(request: &RequestHeader, present: Present) -> bool {
    present.transfer_encoding
        || request.headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn mentions_length(raw: &[u8]) -> bool {
    let name = b"content-length";
    raw.split(|&byte| byte == b'\n')
        .any(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::Origin;

    fn site(scheme: &'static str, authority: &str) -> Origin {
        format!("{scheme}://{authority}").parse().unwrap()
    }

    /// Reads a head as Pingora delivers it.
    fn arrives(head: &str, site: &Origin) -> Result<RequestHeader, Refusal> {
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let mut request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            request.append_header(name.to_owned(), value).unwrap();
        }
        if request.headers.contains_key(TRANSFER_ENCODING) {
            request.remove_header(&CONTENT_LENGTH);
        }
        read(&mut request, head.as_bytes(), &Limits::default(), |host| {
            site.is_meant_by(host).then_some(())
        })?;
        Ok(request)
    }

    /// Pingora refuses two hosts over HTTP/2 before our code; we do not rely on that.
    #[rstest]
    #[case(Some("crm.test"), &[], Ok("crm.test"))]
    #[case(Some("crm.test"), &["crm.test"], Ok("crm.test"))]
    #[case(Some("crm.test"), &["wiki.test"], Err(Refusal::Host))]
    #[case(Some("crm.test"), &["crm.test", "wiki.test"], Err(Refusal::Host))]
    #[case(Some("crm.test"), &["crm.test", "crm.test"], Err(Refusal::Host))]
    #[case(None, &["crm.test"], Ok("crm.test"))]
    #[case(None, &["crm.test", "wiki.test"], Err(Refusal::Host))]
    #[case(None, &[], Err(Refusal::Host))]
    fn a_stream_is_for_one_host(
        #[case] authority: Option<&str>,
        #[case] hosts: &[&str],
        #[case] is_for: Result<&str, Refusal>,
    ) {
        let mut request = RequestHeader::build("GET", b"/a", None).unwrap();
        request.set_version(Version::HTTP_2);
        if let Some(authority) = authority {
            request.set_uri(format!("https://{authority}/a").parse().unwrap());
        }
        for host in hosts {
            request.append_header(HOST, *host).unwrap();
        }
        let found = read(&mut request, b"", &Limits::default(), |host| Some(host.to_owned()));
        let found = found.map(|(host, _)| host);
        assert_eq!(found.as_deref().map_err(|refusal| *refusal), is_for);
    }

    #[rstest]
    #[case("crm.example.com", None)]
    #[case("CRM.Example.com:443", None)]
    #[case("crm.example.com:80", Some(Refusal::Misdirected))]
    #[case("crm.example.com.", Some(Refusal::Misdirected))]
    #[case("evil.example.com", Some(Refusal::Misdirected))]
    #[case("crm.example.com:443:443", Some(Refusal::Misdirected))]
    #[case("crm.example.com, evil", Some(Refusal::Host))]
    #[case("crm.example.com/", Some(Refusal::Host))]
    #[case("me@crm.example.com", Some(Refusal::Host))]
    #[case("", Some(Refusal::Host))]
    fn a_request_is_for_the_configured_host(#[case] host: &str, #[case] refused: Option<Refusal>) {
        let head = format!("GET / HTTP/1.1\nHost: {host}\n");
        let read = arrives(&head, &site("https", "crm.example.com"));
        assert_eq!(read.err(), refused);
    }

    #[test]
    fn a_port_of_ones_own_has_to_be_said() {
        let ours = site("http", "localhost:8080");
        assert!(arrives("GET / HTTP/1.1\nHost: localhost:8080\n", &ours).is_ok());
        let without = arrives("GET / HTTP/1.1\nHost: localhost\n", &ours);
        assert_eq!(without.err(), Some(Refusal::Misdirected));
    }

    #[rstest]
    #[case("GET / HTTP/1.1\n", Refusal::Host)]
    #[case("GET / HTTP/1.1\nHost: a.test\nHost: a.test\n", Refusal::Host)]
    #[case("TRACE / HTTP/1.1\nHost: a.test\n", Refusal::Method)]
    #[case("CONNECT / HTTP/1.1\nHost: a.test\n", Refusal::Method)]
    #[case("track / HTTP/1.1\nHost: a.test\n", Refusal::Method)]
    #[case("OPTIONS * HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET @evil/a HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET ?a HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET /admin#/../public HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET http://evil.test/ HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET ftp://a.test/ HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case("GET http://x@a.test/ HTTP/1.1\nHost: a.test\n", Refusal::Target)]
    #[case(
        "POST / HTTP/1.1\nHost: a.test\nContent-Length: 1\nContent-Length: 2\n",
        Refusal::Framing
    )]
    #[case("POST / HTTP/1.1\nHost: a.test\nContent-Length: +1\n", Refusal::Framing)]
    #[case("POST / HTTP/1.1\nHost: a.test\nContent-Length: 1, 2\n", Refusal::Framing)]
    #[case(
        "POST / HTTP/1.1\nHost: a.test\nContent-Length: 1\nTransfer-Encoding: chunked\n",
        Refusal::Framing
    )]
    #[case("POST / HTTP/1.1\nHost: a.test\nTransfer-Encoding: gzip, chunked\n", Refusal::Framing)]
    #[case(
        "POST / HTTP/1.1\nHost: a.test\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
        Refusal::Framing
    )]
    fn what_has_no_single_meaning_goes_no_further(#[case] head: &str, #[case] why: Refusal) {
        assert_eq!(arrives(head, &site("http", "a.test")).err(), Some(why));
    }

    #[rstest]
    #[case("/a/../b?c=%zz&d=http://x/", "/a/../b?c=%zz&d=http://x/")]
    #[case("http://a.test/a%2fb?c", "/a%2fb?c")]
    #[case("http://A.test?c", "/?c")]
    #[case("http://a.test", "/")]
    #[case("//evil.test/a", "//evil.test/a")]
    fn a_target_goes_on_as_a_path(#[case] sent: &str, #[case] goes_on: &str) {
        let head = format!("GET {sent} HTTP/1.1\nHost: a.test\n");
        let request = arrives(&head, &site("http", "a.test")).unwrap();
        assert_eq!(request.raw_path(), goes_on.as_bytes());
    }

    #[test]
    fn a_length_said_twice_goes_on_once() {
        let head = "POST / HTTP/1.1\nHost: a.test\nContent-Length: 003\nContent-Length: 003, 003\n";
        let request = arrives(head, &site("http", "a.test")).unwrap();
        let lengths: Vec<_> = request.headers.get_all(CONTENT_LENGTH).iter().collect();
        assert_eq!(lengths, ["3"]);
    }
}
