//! Writes header names in title case, for applications that compare them case-sensitively.
//!
//! Case has no meaning in a name (RFC 9110 §5.1), and HTTP/2 has only lower case. But some old
//! software finds `Authorization` and not `authorization`.

use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

/// Writes the names of `request` in title case.
///
/// # Errors
/// A header cannot be written back. The request must not be passed on.
pub(in crate::proxy) fn request(request: &mut RequestHeader) -> Result<()> {
    let names = request.headers.len();
    let mut titled = RequestHeader::build(request.method.clone(), request.raw_path(), Some(names))?;
    titled.set_version(request.version);
    for (name, value) in &request.headers {
        titled.append_header(title(name.as_str()), value.clone())?;
    }
    *request = titled;
    Ok(())
}

/// Writes the names of `response` in title case.
///
/// # Errors
/// As for [`request`].
pub(in crate::proxy) fn response(response: &mut ResponseHeader) -> Result<()> {
    let mut titled = ResponseHeader::build(response.status, Some(response.headers.len()))?;
    titled.set_version(response.version);
    titled.set_reason_phrase(response.get_reason_phrase())?;
    let headers: &HeaderMap = &response.headers;
    for (name, value) in headers {
        titled.append_header(title(name.as_str()), value.clone())?;
    }
    *response = titled;
    Ok(())
}

/// `X-Requested-With` for `x-requested-with`; some names have another usual spelling.
fn title(name: &str) -> String {
    if let Some(usual) = ODD.iter().find(|odd| odd.eq_ignore_ascii_case(name)) {
        return (*usual).to_owned();
    }
    let mut begins = true;
    let letter = |byte: char| {
        let written = if begins { byte.to_ascii_uppercase() } else { byte };
        begins = byte == '-' || byte == '_';
        written
    };
    name.chars().map(letter).collect()
}

const ODD: [&str; 18] = [
    "Content-MD5",
    "DNT",
    "ETag",
    "HTTP2-Settings",
    "MS-Author-Via",
    "NEL",
    "P3P",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "SOAPAction",
    "TE",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-UA-Compatible",
    "X-XSS-Protection",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_old_software_expects_them() {
        for (name, written) in [
            ("x-requested-with", "X-Requested-With"),
            ("soapaction", "SOAPAction"),
            ("etag", "ETag"),
            ("remote-user", "Remote-User"),
            ("a", "A"),
        ] {
            assert_eq!(title(name), written);
        }
    }

    #[test]
    fn nothing_but_the_case_of_names_changes() {
        let mut head = RequestHeader::build("POST", b"/a%2f?q=x", None).unwrap();
        head.append_header("x-b", "1").unwrap();
        head.append_header("x-b", "2").unwrap();
        let before = head.headers.clone();
        request(&mut head).unwrap();
        assert_eq!((head.method.as_str(), head.raw_path()), ("POST", &b"/a%2f?q=x"[..]));
        assert_eq!(head.headers, before);
        let mut head = ResponseHeader::build(404, None).unwrap();
        head.set_reason_phrase(Some("Gone Fishing")).unwrap();
        response(&mut head).unwrap();
        assert_eq!(head.get_reason_phrase(), Some("Gone Fishing"));
    }
}
