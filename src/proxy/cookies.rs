//! Which cookies are ours.

use crate::web::Ours;

/// Whether `name` is one of our cookies, with or without the prefix.
///
/// Case is folded: browsers fold that of the prefix (RFC 6265bis §5.7), and nobody else has a
/// use for the rest.
fn is_ours(name: &[u8]) -> bool {
    Ours::ALL
        .iter()
        .flat_map(|ours| [ours.name(), ours.plain_name()])
        .any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
}

/// The name before the `=` of one cookie. A cookie without a name counts as named by its value:
/// browsers send `=name=value` and `name=value` back alike.
fn name_of(cookie: &[u8]) -> &[u8] {
    let cookie = match cookie.trim_ascii().strip_prefix(b"=") {
        Some(nameless) => nameless.trim_ascii_start(),
        None => cookie.trim_ascii(),
    };
    let name = cookie.split(|&byte| byte == b'=').next().unwrap_or_default();
    name.trim_ascii()
}

/// A `Cookie` line without the cookies that are ours, the others byte for byte; `None` if none
/// are ours.
///
/// Split at every semicolon, inside quotes too: an application that reads quotes sees no cookie
/// of ours there either.
pub(super) fn without_ours(line: &[u8]) -> Option<Vec<u8>> {
    let pieces = || line.split(|&byte| byte == b';');
    if !pieces().any(|cookie| is_ours(name_of(cookie))) {
        return None;
    }
    let kept: Vec<&[u8]> = pieces().filter(|cookie| !is_ours(name_of(cookie))).collect();
    Some(kept.join(&b';').trim_ascii_start().to_vec())
}

/// Whether a `Set-Cookie` line of an application would set, or delete, one of our cookies.
pub(super) fn sets_ours(line: &[u8]) -> bool {
    line.split(|&byte| byte == b';').next().is_some_and(|cookie| is_ours(name_of(cookie)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_cannot_set_our_cookies_by_any_spelling() {
        for line in [
            "__Host-doorward-session=x; Path=/",
            "doorward-session=x",
            "DOORWARD-DEVICE=x",
            "__host-Doorward-Known=x",
            " doorward-browser = x",
            "=doorward-session=x",
            "= doorward-session=x",
            "doorward-session",
        ] {
            assert!(sets_ours(line.as_bytes()), "{line}");
        }
        for line in ["session=doorward-session", "doorward=x", "doorward-sessions=x", ""] {
            assert!(!sets_ours(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_line_without_ours_is_not_touched() {
        assert_eq!(without_ours(b"a=1;b=2;;  c"), None);
        assert_eq!(without_ours(b"doorward-session=1;a=1 ;b").unwrap(), b"a=1 ;b");
        assert_eq!(without_ours(b"doorward-session=1").unwrap(), b"");
    }
}
