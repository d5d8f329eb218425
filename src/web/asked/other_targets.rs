//! Targets that headers name besides the request's own target, and the depth of the request.
//!
//! An application acts on them as on the target of the request, so rules are applied to them too. A
//! header is refused unless it is clearly a path on this host: some software uses only the path,
//! and some would contact another server.

use http::header::{HeaderMap, HeaderValue};

use crate::config::Origin;
use crate::policy::header::is_folded;
use crate::policy::{Depth, OtherTarget, Role, Unreadable};

/// What the headers say about the targets of a request.
#[derive(Debug, Default)]
pub(super) struct Further {
    pub(super) depth: Depth,
    pub(super) targets: Vec<OtherTarget>,
}

/// How a header names its targets.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// An absolute URL or a path.
    Url(Role),
    /// The same, or a path without the slash before it.
    Key,
    /// In angle brackets, outside of lists in parentheses (RFC 4918 §10.4.2).
    Tagged,
    /// After `;`, separated by spaces.
    Listed,
}

/// The most targets that one request may name.
const MOST: usize = 16;

/// `Destination` and `If`: RFC 4918 §10.3, §10.4. `Content-Location`: RFC 9110 §8.7; some servers
/// take it for the place to write to. `Upload-Concat`: tus, for uploads that are joined. The rest:
/// object stores that copy from another object. Each as it is usually written, and folded.
const NAMES: [(&str, &[u8], Form); 11] = [
    ("Destination", b"destination", Form::Url(Role::Written)),
    ("X-HTTP-DestinationURL", b"x-http-destinationurl", Form::Url(Role::Written)),
    ("Content-Location", b"content-location", Form::Url(Role::Written)),
    ("X-Ms-Rename-Source", b"x-ms-rename-source", Form::Url(Role::Written)),
    ("If", b"if", Form::Tagged),
    ("Upload-Concat", b"upload-concat", Form::Listed),
    ("X-Amz-Copy-Source", b"x-amz-copy-source", Form::Key),
    ("X-Goog-Copy-Source", b"x-goog-copy-source", Form::Key),
    ("X-Oss-Copy-Source", b"x-oss-copy-source", Form::Key),
    ("X-Ms-Copy-Source", b"x-ms-copy-source", Form::Key),
    ("X-Copy-From", b"x-copy-from", Form::Key),
];

/// How a header of this name is usually written, and how it names its targets.
fn form(name: &[u8]) -> Option<(&'static str, Form)> {
    let known = NAMES.iter().find(|(_, known, _)| is_folded(name, known));
    known.map(|(written, _, form)| (*written, *form))
}

/// Whether a header of this name, in lower case, may name another target than the request's own.
pub(super) fn reaches_further(name: &str) -> bool {
    let name = name.as_bytes();
    // Fast path: few names begin with these letters.
    match name.first() {
        Some(b'd') => name == b"depth" || form(name).is_some(),
        Some(b'c' | b'i' | b'u' | b'x') => form(name).is_some(),
        _ => false,
    }
}

/// The targets and the depth that `headers` of a request to `origin` name.
///
/// # Errors
/// [`Unreadable::InHeader`] if a header names something that is not a path there, and
/// [`Unreadable::TooManyTargets`].
pub(super) fn read(headers: &HeaderMap, origin: &Origin) -> Result<Further, Unreadable> {
    let depths = headers.get_all("depth").iter().map(depth);
    let mut further = Further { depth: depths.max().unwrap_or_default(), targets: Vec::new() };
    for (name, value) in headers {
        let Some((header, form)) = form(name.as_str().as_bytes()) else { continue };
        let foreign = || Unreadable::ForeignTarget.in_header(header);
        let value = value.as_bytes().trim_ascii();
        let (role, named): (Role, Vec<Vec<u8>>) = match form {
            Form::Url(role) => (role, vec![value.to_vec()]),
            Form::Key if value.starts_with(b"/") || value.windows(3).any(|part| part == b"://") => {
                (Role::Read, vec![value.to_vec()])
            }
            Form::Key => (Role::Read, vec![[b"/", value].concat()]),
            Form::Tagged => (Role::Read, tagged(value).ok_or_else(foreign)?),
            Form::Listed => {
                let list = value.splitn(2, |byte| *byte == b';').nth(1).unwrap_or_default();
                let list = list.split(|byte| *byte == b' ').filter(|one| !one.is_empty());
                (Role::Read, list.take(MOST + 1).map(<[u8]>::to_vec).collect())
            }
        };
        for named in named {
            let target = on(origin, &named).ok_or_else(foreign)?;
            further.targets.push(OtherTarget { header, role, target });
        }
        if further.targets.len() > MOST {
            return Err(Unreadable::TooManyTargets);
        }
    }
    Ok(further)
}

fn depth(said: &HeaderValue) -> Depth {
    match said.as_bytes().trim_ascii() {
        b"0" => Depth::Zero,
        b"1" => Depth::One,
        said if said.eq_ignore_ascii_case(b"1,noroot") => Depth::One,
        _ => Depth::Infinity,
    }
}

/// The path and query of `named`, if it is at `origin`.
fn on(origin: &Origin, named: &[u8]) -> Option<Vec<u8>> {
    if named.first() == Some(&b'/') {
        // Some software takes `//other/a` and `/\other/a` for another host.
        let is_path = !matches!(named.get(1), Some(b'/' | b'\\'));
        return is_path.then(|| named.to_vec());
    }
    let (scheme, rest) = named.split_at(memchr::memchr(b':', named)?);
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    let own_scheme = if origin.is_secure() { "https" } else { "http" };
    let is_here = scheme.eq_ignore_ascii_case(own_scheme.as_bytes())
        && origin.is_meant_by(str::from_utf8(authority).ok()?);
    if !is_here {
        return None;
    }
    match path_and_query.first() {
        Some(b'/') => Some(path_and_query.to_vec()),
        // Browsers take it for a slash, other software for a part of the host.
        Some(b'\\') => None,
        _ => Some([b"/", path_and_query].concat()),
    }
}

/// The resources that the lists of an `If` header are for; `None` if it is not valid.
fn tagged(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut named = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.first() {
        let end = match first {
            b'<' => {
                let end = memchr::memchr(b'>', rest)?;
                named.push(rest[1..end].to_vec());
                end
            }
            b'(' => end_of_list(rest)?,
            byte if byte.is_ascii_whitespace() => 0,
            _ => return None,
        };
        rest = &rest[end + 1..];
    }
    Some(named)
}

/// The index of the closing parenthesis, outside of entity tags and state tokens.
fn end_of_list(list: &[u8]) -> Option<usize> {
    let mut until = None;
    for (at, byte) in list.iter().enumerate() {
        match (until, byte) {
            (None, b')') => return Some(at),
            (None, b'"') => until = Some(b'"'),
            (None, b'<') => until = Some(b'>'),
            (Some(end), byte) if end == *byte => until = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;
    use rstest::rstest;

    use super::*;

    fn read_from(name: &str, value: &str) -> Result<Vec<String>, Unreadable> {
        let mut headers = HeaderMap::new();
        let name: HeaderName = name.parse().unwrap();
        assert!(reaches_further(name.as_str()), "{name} is overlooked");
        headers.append(name, value.parse().unwrap());
        let targets = read(&headers, &"https://crm.test".parse().unwrap())?.targets.into_iter();
        Ok(targets.map(|other| String::from_utf8(other.target).unwrap()).collect())
    }

    #[rstest]
    #[case("Destination", "https://crm.test/a%20b", &["/a%20b"])]
    #[case("Destination", "HTTPS://CRM.test:443/a?b", &["/a?b"])]
    #[case("Destination", "https://crm.test", &["/"])]
    #[case("Destination", "/a", &["/a"])]
    #[case("X_HTTP-DestinationURL", "/a", &["/a"])]
    #[case("Content-Location", "/a", &["/a"])]
    #[case("If", "(<urn:uuid:1> [\"a)\"]) (Not <DAV:no-lock>)", &[])]
    #[case("If", "<https://crm.test/a> (<urn:x>) </b> ([W/\"<c>\"])", &["/a", "/b"])]
    #[case("Upload-Concat", "final;/files/a https://crm.test/files/b", &["/files/a", "/files/b"])]
    #[case("Upload-Concat", "partial", &[])]
    #[case("x-amz-copy-source", "bucket/key?versionId=1", &["/bucket/key?versionId=1"])]
    #[case("x-copy-from", "/container/object", &["/container/object"])]
    fn a_header_names_a_path_here(
        #[case] name: &str,
        #[case] value: &str,
        #[case] targets: &[&str],
    ) {
        assert_eq!(read_from(name, value).unwrap(), targets);
    }

    #[rstest]
    #[case("Destination", "http://crm.test/a")]
    #[case("Destination", "https://evil.test/a")]
    #[case("Destination", "https://crm.test:8443/a")]
    #[case("Destination", "https://crm.test@evil.test/a")]
    #[case("Destination", "https://ada@crm.test/a")]
    #[case("Destination", "//crm.test/a")]
    #[case("Destination", "/\\crm.test/a")]
    #[case("Destination", "https://crm.test\\@evil.test/a")]
    #[case("Destination", "https://crm.test\\a")]
    #[case("Destination", "a/b")]
    #[case("Destination", "https:/a")]
    #[case("Destination", "")]
    #[case("If", "<https://evil.test/a> (<urn:x>)")]
    #[case("If", "</a")]
    #[case("If", "(<urn:x>")]
    #[case("If", "/a")]
    #[case("Upload-Concat", "final;https://evil.test/a")]
    #[case("x-ms-copy-source", "https://evil.test/a")]
    fn what_is_no_path_here_is_refused(#[case] name: &str, #[case] value: &str) {
        let refused = read_from(name, value).unwrap_err();
        assert!(matches!(&refused, Unreadable::InHeader { why, .. }
            if **why == Unreadable::ForeignTarget));
        assert!(refused.to_string().to_lowercase().contains(&name.to_lowercase()), "{refused}");
    }

    #[test]
    fn the_deepest_depth_counts_and_what_is_not_understood_is_as_deep_as_can_be() {
        let origin = "https://crm.test".parse().unwrap();
        for (said, meant) in [
            (&[][..], Depth::Infinity),
            (&["0"], Depth::Zero),
            (&["1"], Depth::One),
            (&["1,noroot"], Depth::One),
            (&["0", "1"], Depth::One),
            (&["0", "infinity"], Depth::Infinity),
            (&["0,1"], Depth::Infinity),
            (&["2"], Depth::Infinity),
        ] {
            let mut headers = HeaderMap::new();
            for said in said {
                headers.append("depth", said.parse().unwrap());
            }
            assert_eq!(read(&headers, &origin).unwrap().depth, meant, "{said:?}");
        }
    }
}
