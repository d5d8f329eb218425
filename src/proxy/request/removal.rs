//! Which headers of a visitor's request are not passed on to an application.
//!
//! Headers that claim to come from a proxy are removed (see the table in `policy::header`), and
//! those that the operator lists. If the operator lists a header of an address, or one that the
//! table does not know, it is accepted from a trusted proxy. It must then have exactly that
//! spelling and occur once: a proxy that sets its own header passes on other spellings of the name
//! without looking at them.

use http::header::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use crate::config::App;
use crate::policy::header::{self, Claim, is_folded};

/// The headers to remove from requests to one application.
pub(in crate::proxy) struct Removal {
    /// Names besides those that are always removed.
    also: Vec<Listed>,
    lengths: Lengths,
    from_trusted_proxies: Vec<Listed>,
}

/// For each letter, the lengths of the names that begin with it, one bit each: nearly no header needs
/// more than a look here.
#[derive(Default)]
struct Lengths([u64; 27]);

/// A name that the operator lists; with `*` at its end, all longer names that begin with it.
struct Listed {
    /// In lower case, as the operator spelled it.
    spelling: String,
    folded: Vec<u8>,
    is_family: bool,
}

impl Removal {
    /// For requests to `app`.
    pub(in crate::proxy) fn of(app: &App) -> Self {
        let told =
            app.identity_headers.names().filter(|name| header::claim(name.as_bytes()).is_none());
        let asked = &app.request_headers;
        let listed = asked.remove.iter().map(String::as_str);
        // Ours is set instead: nobody else's spelling of it may stand beside it.
        let ours = ["x-request-id", "http-x-request-id"];
        let also: Vec<_> = told.chain(listed).chain(ours).map(Listed::read).collect();
        Self {
            lengths: Lengths::of(&also),
            also,
            from_trusted_proxies: asked
                .from_trusted_proxies
                .iter()
                .map(|name| Listed::read(name))
                .collect(),
        }
    }

    /// Removes the headers. `from_trusted_proxy`: whether a trusted proxy has sent the request.
    pub(in crate::proxy) fn strip(&self, headers: &mut HeaderMap, from_trusted_proxy: bool) {
        let mut forged: SmallVec<[HeaderName; 4]> = SmallVec::new();
        for name in headers.keys() {
            if self.removes(headers, name, from_trusted_proxy) {
                forged.push(name.clone());
            }
        }
        for name in &forged {
            headers.remove(name);
        }
    }

    fn removes(&self, headers: &HeaderMap, name: &HeaderName, from_trusted_proxy: bool) -> bool {
        let written = name.as_str().as_bytes();
        if self.lengths.may_have(written) && self.also.iter().any(|listed| listed.names(written)) {
            return true;
        }
        let claim = header::claim(written);
        if !matches!(claim, None | Some(Claim::Address)) {
            return true;
        }
        match self.from_trusted_proxies.iter().find(|listed| listed.names(written)) {
            None => claim.is_some(),
            Some(listed) => {
                let once = headers.get_all(name).iter().nth(1).is_none();
                !(from_trusted_proxy && listed.is_spelt(name.as_str()) && once)
            }
        }
    }
}

impl Lengths {
    fn of(names: &[Listed]) -> Self {
        let mut lengths = Self::default();
        for name in names {
            let length = name.folded.len();
            let bits = if name.is_family { u64::MAX << length.min(63) } else { Self::bit(length) };
            if name.folded.is_empty() {
                lengths.0.iter_mut().for_each(|all| *all |= bits);
            } else {
                lengths.0[Self::letter(&name.folded)] |= bits;
            }
        }
        lengths
    }

    /// Whether `name` may be one of the names; `false` is certain.
    fn may_have(&self, name: &[u8]) -> bool {
        self.0[Self::letter(name)] & Self::bit(name.len()) != 0
    }

    fn letter(name: &[u8]) -> usize {
        match name.first().map(u8::to_ascii_lowercase) {
            Some(letter @ b'a'..=b'z') => usize::from(letter - b'a'),
            _ => 26,
        }
    }

    /// All lengths that are too long for a bit of their own have the last one.
    fn bit(length: usize) -> u64 {
        1 << length.min(63)
    }
}

impl Listed {
    fn read(written: &str) -> Self {
        let name = written.strip_suffix('*');
        let spelling = name.unwrap_or(written).to_ascii_lowercase();
        let folded = spelling.bytes().map(header::fold).collect();
        Self { spelling, folded, is_family: name.is_some() }
    }

    /// Whether it matches `name` in any spelling.
    fn names(&self, name: &[u8]) -> bool {
        if !self.is_family {
            return name.len() == self.folded.len() && is_folded(name, &self.folded);
        }
        name.len() > self.folded.len()
            && name.get(..self.folded.len()).is_some_and(|start| is_folded(start, &self.folded))
    }

    /// Whether `name`, in lower case, is spelled as the operator listed it.
    fn is_spelt(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.spelling);
        // The rest of a prefix match must not use `_` or the like for `-`.
        rest.is_some_and(|rest| rest.bytes().all(|byte| header::fold(byte) == byte))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::config::Config;

    fn removal(request_headers: &str) -> Removal {
        let config = format!(
            "{{ listen: [{{ address: \"127.0.0.1:1\" }}], state: /tmp, trusted_proxies: [127.0.0.1], \
             apps: [{{ name: a, hosts: [crm.example.com], upstream: \"http://127.0.0.1:9\", \
             request_headers: {{ {request_headers} }} }}] }}"
        );
        Removal::of(&Config::read("a.yaml", &config).unwrap().apps[0])
    }

    fn left(removal: &Removal, from_trusted_proxy: bool, sent: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for name in sent {
            headers.append(name.parse::<HeaderName>().unwrap(), "sent".parse().unwrap());
        }
        removal.strip(&mut headers, from_trusted_proxy);
        headers.keys().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn an_address_arrives_from_a_trusted_proxy_alone_and_only_if_it_is_listed() {
        let removal = removal("from_trusted_proxies: [CF-Connecting-IP]");
        let sent = ["CF-Connecting-IP", "True-Client-IP"];
        assert_eq!(left(&removal, true, &sent), ["cf-connecting-ip"]);
        assert!(left(&removal, false, &sent).is_empty());
    }

    /// The proxy sets one header, and passes on what a visitor has added to it.
    #[rstest]
    #[case(&["CF_Connecting_IP"])]
    #[case(&["HTTP_CF_CONNECTING_IP"])]
    #[case(&["CF-Connecting-IP", "CF-Connecting-IP"])]
    fn another_spelling_or_a_second_line_is_not_the_proxys_word(#[case] sent: &[&str]) {
        let removal = removal("from_trusted_proxies: [CF-Connecting-IP]");
        assert!(left(&removal, true, sent).is_empty());
    }

    #[test]
    fn a_name_that_nobody_else_knows_can_be_kept_for_trusted_proxies_too() {
        let removal = removal("from_trusted_proxies: [X-Zone, CloudFront-Viewer-*]");
        let sent = ["X-Zone", "CloudFront-Viewer-City", "X-Other"];
        assert_eq!(left(&removal, true, &sent), ["x-zone", "cloudfront-viewer-city", "x-other"]);
        assert_eq!(left(&removal, false, &sent), ["x-other"]);
        assert_eq!(left(&removal, true, &["CloudFront-Viewer_City"]), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_listed_name_is_overlooked(
            written in "[A-Za-z0-9_.~-]{0,70}[*]?",
            other in "[A-Za-z0-9_.~-]{0,70}[*]?",
            more in "[a-z-]{0,3}",
        ) {
            let listed = [Listed::read(&written), Listed::read(&other)];
            let lengths = Lengths::of(&listed);
            let name = written.trim_end_matches('*').to_owned() + &more;
            for name in [name.to_uppercase(), name.replace('-', "_"), name] {
                let is_listed = listed.iter().any(|listed| listed.names(name.as_bytes()));
                prop_assert!(!is_listed || lengths.may_have(name.as_bytes()));
            }
        }
    }

    #[test]
    fn what_the_operator_removes_is_removed_in_every_spelling_from_everybody() {
        let removal = removal("remove: [eppn, X-Corp-*]");
        let sent = ["EPPN", "X_Corp_User", "X.Corp-Mail", "X-Corporate"];
        assert_eq!(left(&removal, true, &sent), ["x-corporate"]);
        assert_eq!(left(&removal, false, &sent), ["x-corporate"]);
    }
}
