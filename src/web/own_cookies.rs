//! Our own cookies: their names and content, and how they are read and set.
//!
//! Every value is signed for its kind and host. A cookie with an invalid signature, or one that was
//! sent twice, counts as absent.

use cookie::{Cookie, SameSite};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use memchr::memchr_iter;

use crate::config::Origin;
use crate::domain::device::{BrowserId, DeviceId};
use crate::domain::provider::Detour;
use crate::domain::secret::Token;
use crate::domain::signed::Kind;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::flow::{Carried, DeviceCookie, Given, KnownCookie};
use crate::store::Keyring;

/// One of our cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// The host session.
    Session,
    /// The trusted device.
    Device,
    /// The known browser.
    Known,
    /// The browser before sign-in. Each such cookie has its own name after a hyphen: two first
    /// requests at the same time must not overwrite the cookie that the other's forms are bound to.
    Browser,
}

impl Ours {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Session, Self::Device, Self::Known, Self::Browser];

    /// The name over TLS. The prefix binds the cookie to this host, to `/` and to TLS (RFC 6265bis
    /// §4.1.3.2), so that no other subdomain can set it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "__Host-doorward-session",
            Self::Device => "__Host-doorward-device",
            Self::Known => "__Host-doorward-known",
            Self::Browser => "__Host-doorward-browser",
        }
    }

    /// The name on plain HTTP, where browsers reject the prefix.
    pub const fn plain_name(self) -> &'static str {
        match self {
            Self::Session => "doorward-session",
            Self::Device => "doorward-device",
            Self::Known => "doorward-known",
            Self::Browser => "doorward-browser",
        }
    }

    /// Whether a cookie with this name is ours, with or without the prefix. Letter case is ignored:
    /// browsers ignore it in the prefix (RFC 6265bis §5.7), and no other cookie needs such a name.
    pub fn owns(name: &[u8]) -> bool {
        let is = |ours: &str| name.eq_ignore_ascii_case(ours.as_bytes());
        let is_one_of = |ours: &str| {
            let start = name.get(..ours.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(ours.as_bytes()) && name.get(ours.len()) == Some(&b'-')
        };
        Self::ALL.iter().flat_map(|ours| [ours.name(), ours.plain_name()]).any(is)
            || [Self::Browser.name(), Self::Browser.plain_name()].into_iter().any(is_one_of)
            || [DETOUR, PLAIN_DETOUR].into_iter().any(is_one_of)
    }

    fn name_at(self, origin: &Origin) -> &'static str {
        if origin.is_secure() { self.name() } else { self.plain_name() }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Session => Kind::Session,
            Self::Device => Kind::Device,
            Self::Known => Kind::Known,
            Self::Browser => Kind::Browser,
        }
    }
}

/// A way to an identity provider: a hyphen and the beginning of the hash of its state follow.
const DETOUR: &str = "__Host-doorward-provider";
/// The same on plain HTTP.
const PLAIN_DETOUR: &str = "doorward-provider";
/// How many such ways one browser may have at once, in as many tabs, and how many bytes of cookies
/// they may be together: a quarter of the longest head of a request at defaults.
const DETOURS_AT_MOST: usize = 12;
/// See [`DETOURS_AT_MOST`].
const DETOUR_BYTES_AT_MOST: usize = 8 * 1024;

/// Reads and sets our cookies for one origin.
#[derive(Clone, Copy, Debug)]
pub struct Jar<'a> {
    signer: &'a Keyring,
    origin: &'a Origin,
}

/// How many names of one browser are read: as many as pages that are opened at the same time.
const BROWSERS_AT_MOST: usize = 64;
/// A known browser stays known for one year. That is how long the keys of cookies are accepted.
const YEAR: cookie::time::Duration = cookie::time::Duration::days(365);

impl<'a> Jar<'a> {
    /// The cookies of `origin`, signed by `signer`.
    pub const fn new(signer: &'a Keyring, origin: &'a Origin) -> Self {
        Self { signer, origin }
    }

    /// The id of the host session; a request to an application needs no other cookie.
    pub fn session(&self, headers: &HeaderMap) -> Option<Token> {
        self.open::<{ Token::LENGTH }>(Ours::Session, headers)
            .and_then(|bytes| Token::from_bytes(&bytes))
    }

    /// All our cookies in a request.
    pub fn carried(&self, headers: &HeaderMap) -> Carried {
        Carried {
            session: self.session(headers),
            device: self.device(headers),
            known: self.known(headers),
            browsers: self.browsers(headers),
        }
    }

    /// Whether the session cookie was sent twice, so that neither counts.
    pub(super) fn is_doubled(&self, headers: &HeaderMap) -> bool {
        let name = Ours::Session.name_at(self.origin);
        headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| pieces(line.as_bytes()))
            .filter(|pair| {
                let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
                key.trim_ascii() == name.as_bytes()
            })
            .nth(1)
            .is_some()
    }

    /// The names of this browser: several if it sent several first requests at the same time.
    fn browsers(&self, headers: &HeaderMap) -> Vec<[u8; 16]> {
        let name = Ours::Browser.name_at(self.origin).as_bytes();
        let lines = headers.get_all(COOKIE).iter().flat_map(|line| pieces(line.as_bytes()));
        let values = lines.filter_map(|pair| {
            let rest = pair.trim_ascii_start().strip_prefix(name)?.strip_prefix(b"-")?;
            let equals = rest.iter().position(|byte| *byte == b'=')?;
            std::str::from_utf8(rest.get(equals + 1..)?).ok().map(str::trim_ascii)
        });
        let opened = values
            .take(BROWSERS_AT_MOST)
            .filter_map(|value| self.signer.open(Ours::Browser.kind(), self.origin.host(), value));
        opened.collect()
    }

    fn device(&self, headers: &HeaderMap) -> Option<DeviceCookie> {
        let bytes = self.open::<40>(Ours::Device, headers)?;
        let (user, rest) = bytes.split_first_chunk::<16>()?;
        let (id, number) = rest.split_first_chunk::<16>()?;
        Some(DeviceCookie {
            user: UserId::from(*user),
            id: DeviceId::from(*id),
            number: u64::from_be_bytes(number.try_into().ok()?),
            expires: Timestamp::default(),
        })
    }

    fn known(&self, headers: &HeaderMap) -> Option<KnownCookie> {
        let bytes = self.open::<32>(Ours::Known, headers)?;
        let (user, id) = bytes.split_first_chunk::<16>()?;
        let id = BrowserId::from(<[u8; 16]>::try_from(id).ok()?);
        Some(KnownCookie { user: UserId::from(*user), id })
    }

    /// Sets the cookies that a flow returned.
    pub fn set_given(&self, given: &Given, now: Timestamp, headers: &mut HeaderMap) {
        if let Some(session) = &given.session {
            self.set(Ours::Session, session.expose(), None, headers);
        }
        if let Some(device) = &given.device {
            let number = device.number.to_be_bytes();
            let parts = [&device.user.as_bytes()[..], device.id.as_bytes(), &number];
            let left = now.until(device.expires).as_secs();
            let left = cookie::time::Duration::seconds(i64::try_from(left).unwrap_or(i64::MAX));
            self.set(Ours::Device, &parts.concat(), Some(left), headers);
        }
        if let Some(known) = &given.known {
            let parts = [&known.user.as_bytes()[..], known.id.as_bytes()];
            self.set(Ours::Known, &parts.concat(), Some(YEAR), headers);
        }
    }

    /// Names the browser before sign-in.
    pub fn set_browser(&self, id: [u8; 16], headers: &mut HeaderMap) {
        let own = HEXLOWER.encode(id.first_chunk::<4>().unwrap_or(&[0; 4]));
        let name = format!("{}-{own}", Ours::Browser.name_at(self.origin));
        self.set_named(name, Ours::Browser.kind(), &id, None, headers);
    }

    /// What the browser carries to an identity provider and back under this state.
    pub(super) fn detour(&self, state: &Token, headers: &HeaderMap) -> Option<Vec<u8>> {
        let value = only_value(headers, &self.detour_name(state))?;
        BASE64URL_NOPAD.decode(value.as_bytes()).ok()
    }

    /// Gives the browser `sealed` to carry. If it carries too much already, the oldest are taken
    /// away: browsers send them first (RFC 6265 §5.4).
    pub(super) fn set_detour(
        &self,
        state: &Token,
        sealed: &[u8],
        sent: &HeaderMap,
        headers: &mut HeaderMap,
    ) {
        let prefix = if self.origin.is_secure() { DETOUR } else { PLAIN_DETOUR };
        let lines = sent.get_all(COOKIE).iter().flat_map(|line| pieces(line.as_bytes()));
        let carried = lines.filter_map(|pair| {
            let name = pair.trim_ascii().split(|byte| *byte == b'=').next()?;
            let name = std::str::from_utf8(name).ok()?;
            let ours = name.strip_prefix(prefix)?.strip_prefix('-')?;
            let is_ours = ours.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_ours.then(|| (name.to_owned(), pair.len()))
        });
        let carried: Vec<(String, usize)> = carried.collect();
        let (name, value) = (self.detour_name(state), BASE64URL_NOPAD.encode(sealed));
        let mut count = carried.len() + 1;
        let mut bytes = name.len() + value.len();
        bytes += carried.iter().map(|(_, length)| length).sum::<usize>();
        for (oldest, length) in carried {
            if count <= DETOURS_AT_MOST && bytes <= DETOUR_BYTES_AT_MOST {
                break;
            }
            (count, bytes) = (count - 1, bytes.saturating_sub(length));
            self.write(oldest, String::new(), Some(cookie::time::Duration::ZERO), headers);
        }
        let lasts = i64::try_from(Detour::LASTS.as_secs()).unwrap_or_default();
        self.write(name, value, Some(cookie::time::Duration::seconds(lasts)), headers);
    }

    /// Takes it away again.
    pub(super) fn clear_detour(&self, state: &Token, headers: &mut HeaderMap) {
        let over = Some(cookie::time::Duration::ZERO);
        self.write(self.detour_name(state), String::new(), over, headers);
    }

    fn detour_name(&self, state: &Token) -> String {
        let prefix = if self.origin.is_secure() { DETOUR } else { PLAIN_DETOUR };
        let hash = state.hash();
        let own = HEXLOWER.encode(hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
        format!("{prefix}-{own}")
    }

    fn set(
        &self,
        ours: Ours,
        payload: &[u8],
        max_age: Option<cookie::time::Duration>,
        headers: &mut HeaderMap,
    ) {
        let name = ours.name_at(self.origin).to_owned();
        self.set_named(name, ours.kind(), payload, max_age, headers);
    }

    fn set_named(
        &self,
        name: String,
        kind: Kind,
        payload: &[u8],
        max_age: Option<cookie::time::Duration>,
        headers: &mut HeaderMap,
    ) {
        let value = self.signer.sign(kind, self.origin.host(), payload);
        self.write(name, value, max_age, headers);
    }

    fn write(
        &self,
        name: String,
        value: String,
        max_age: Option<cookie::time::Duration>,
        headers: &mut HeaderMap,
    ) {
        let mut cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.origin.is_secure());
        if let Some(max_age) = max_age {
            cookie = cookie.max_age(max_age);
        }
        // Names and base64 are always valid in a header.
        if let Ok(line) = HeaderValue::from_str(&cookie.build().to_string()) {
            headers.append(SET_COOKIE, line);
        }
    }

    fn open<const N: usize>(&self, ours: Ours, headers: &HeaderMap) -> Option<[u8; N]> {
        let value = only_value(headers, ours.name_at(self.origin))?;
        self.signer.open(ours.kind(), self.origin.host(), value)
    }
}

/// The cookies of a `Cookie` line, with the spaces around them.
pub fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    memchr_iter(b';', line).chain([line.len()]).map(move |end| {
        let piece = line.get(begin..end).unwrap_or_default();
        begin = end + 1;
        piece
    })
}

/// The value in `pair`, if `name` stands before its first `=`.
fn value_of<'p>(pair: &'p [u8], name: &[u8]) -> Option<&'p [u8]> {
    let (key, value) = pair.trim_ascii_start().split_at_checked(name.len())?;
    let after = (key == name).then(|| value.trim_ascii_start())?;
    after.strip_prefix(b"=")
}

/// The value of the cookie `name` in all `Cookie` headers (HTTP/2 splits them). `None` if it is
/// there twice: then one may have been injected.
fn only_value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().flat_map(|line| pieces(line.as_bytes()));
    let mut values = lines.filter_map(|pair| value_of(pair, name.as_bytes()));
    let value = values.next()?;
    // The other cookies need not be text.
    if values.next().is_some() {
        return None;
    }
    std::str::from_utf8(value).ok().map(str::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    use crate::config::Config;
    use crate::store::{Keys, Purpose};

    fn signer() -> Keyring {
        let mut rng = rand::rngs::StdRng::from_seed([1; 32]);
        Keyring::in_memory(Keys::random(&mut rng, Timestamp::default()))
    }

    #[test]
    fn no_cookie_and_no_form_lasts_longer_than_its_key_is_accepted() {
        let days = |purpose: Purpose| purpose.accepted_for().unwrap().as_secs() / (24 * 60 * 60);
        let minimal = include_str!("../../config/minimal.yaml");
        let can_be = |key: &str, days: u64| {
            let text = format!("{minimal}\n{}", key.replace('N', &days.to_string()));
            Config::read("minimal.yaml", &text).is_ok()
        };
        let cookies = days(Purpose::Cookies);
        assert_eq!(u64::try_from(YEAR.whole_days()).unwrap(), cookies);
        for (key, days) in [
            ("trusted_devices: { for: Nd }", cookies),
            ("sessions: { at_most: Nd }", days(Purpose::Csrf)),
        ] {
            assert!(can_be(key, days) && !can_be(key, days + 1), "{key}");
        }
    }

    fn sent(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn set_session(origin: &Origin) -> String {
        let given = Given { session: Token::from_bytes(&[7; 16]), ..Given::default() };
        let mut headers = HeaderMap::new();
        Jar::new(&signer(), origin).set_given(&given, Timestamp::default(), &mut headers);
        headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_session_cookie_is_bound_to_its_host_and_ends_with_the_browser() {
        let line = set_session(&origin("https://crm.example.com"));
        assert!(line.starts_with("__Host-doorward-session="), "{line}");
        for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
            assert!(line.contains(attribute), "{line}");
        }
        assert!(!line.contains("Max-Age") && !line.contains("Domain"), "{line}");
    }

    #[test]
    fn on_plain_http_the_name_has_no_prefix() {
        let line = set_session(&origin("http://localhost:8080"));
        assert!(line.starts_with("doorward-session=") && !line.contains("Secure"), "{line}");
    }

    #[test]
    fn what_was_set_is_read_and_what_came_twice_is_not() {
        let (signer, origin) = (signer(), origin("https://crm.example.com"));
        let line = set_session(&origin);
        let pair = line.split(';').next().unwrap();
        let jar = Jar::new(&signer, &origin);
        let read = |lines: &[&str]| jar.session(&sent(lines)).is_some();
        assert!(read(&[pair]));
        assert!(read(&["a=1; b", &format!(" {pair} ;c=2")]));
        assert!(!read(&[&format!("{pair}; {pair}")]));
        assert!(!read(&[pair, "__Host-doorward-session=x"]));
        assert!(!read(&[&pair.replace("__Host-", "")]));
        let mut planted = HeaderMap::new();
        for value in [b"__Host-doorward-session=\xff", pair.as_bytes()] {
            planted.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        assert!(jar.session(&planted).is_none());
    }

    #[test]
    fn two_first_visits_at_once_leave_two_names_and_both_are_known() {
        let (signer, crm) = (signer(), origin("https://crm.example.com"));
        let jar = Jar::new(&signer, &crm);
        let ids = [[1; 16], [2; 16]];
        let set = ids.map(|id| {
            let mut headers = HeaderMap::new();
            jar.set_browser(id, &mut headers);
            let line = headers[SET_COOKIE].to_str().unwrap();
            line.split(';').next().unwrap().to_owned()
        });
        assert_eq!(jar.carried(&sent(&[&set.join("; ")])).browsers, ids);
        assert_eq!(jar.carried(&sent(&[&set[1]])).browsers, [ids[1]]);
        let names = set.clone().map(|pair| pair.split('=').next().unwrap().to_owned());
        assert!(names.iter().all(|name| Ours::owns(name.as_bytes())), "{names:?}");
        // Of another host, or changed.
        let wiki = origin("https://wiki.example.com");
        assert!(Jar::new(&signer, &wiki).carried(&sent(&[&set[0]])).browsers.is_empty());
    }

    #[test]
    fn junk_in_place_of_a_cookie_is_a_stranger() {
        let (signer, origin) = (signer(), origin("https://crm.example.com"));
        let jar = Jar::new(&signer, &origin);
        for junk in ["", "=", "\"\"", "a", &"A".repeat(5_000), "AQ", "%00", "Zm9v"] {
            let headers = sent(&[&format!("__Host-doorward-session={junk}")]);
            assert!(jar.session(&headers).is_none(), "{junk}");
        }
    }
}
