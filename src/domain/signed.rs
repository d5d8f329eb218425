//! Signed values: a browser carries them for us but cannot create, change or reuse them elsewhere.
//!
//! The format is `base64url(key id ‖ payload ‖ HMAC-SHA-256)`. The HMAC covers the kind, the host,
//! the key id and the payload. So forged values never reach the store, and a value for one kind or
//! host is invalid for another.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use smallvec::SmallVec;

use super::secret::Secret;

/// The purpose of a signed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The id of a host session.
    Session,
    /// A trusted device: user, device and number.
    Device,
    /// A known browser: user and browser.
    Known,
    /// An anonymous browser, before sign-in.
    Browser,
    /// Proof that a form came from one of our pages, in this browser, for this user.
    Csrf,
    /// What a sign-in asks a passkey, for this browser.
    Passkey,
    /// A host's request to the portal.
    Ask,
    /// The hosts on which a user who signs out here had a host session.
    Left,
}

impl Kind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"doorward session 1",
            Self::Device => b"doorward device 1",
            Self::Known => b"doorward known 1",
            Self::Browser => b"doorward browser 1",
            Self::Csrf => b"doorward csrf 1",
            Self::Passkey => b"doorward passkey 1",
            Self::Ask => b"doorward ask 1",
            Self::Left => b"doorward left 1",
        }
    }
}

/// Signs values and verifies them.
pub struct Signer {
    /// The keys by id, newest last. Each HMAC state is prepared once and cloned for each use.
    keys: Vec<(u8, Hmac<Sha256>)>,
}

const MAC: usize = 32;

impl Signer {
    /// A signer that signs with the last of `keys` and accepts signatures of any of them.
    ///
    /// `None` if there is no key.
    pub fn new<'a>(keys: impl IntoIterator<Item = (u8, &'a Secret)>) -> Option<Self> {
        let keys: Vec<_> = keys
            .into_iter()
            .filter_map(|(id, key)| Some((id, Hmac::new_from_slice(key.expose()).ok()?)))
            .collect();
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// Signs `payload` for `host`.
    pub fn sign(&self, kind: Kind, host: &str, payload: &[u8]) -> String {
        let Some((id, key)) = self.keys.last() else { return String::new() };
        let mac = code(key.clone(), kind, host, *id, payload).finalize().into_bytes();
        let mut bytes = Vec::with_capacity(1 + payload.len() + MAC);
        bytes.push(*id);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&mac);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Verifies a value; returns its payload of `N` bytes if we signed it for this kind and host.
    pub fn open<const N: usize>(&self, kind: Kind, host: &str, text: &str) -> Option<[u8; N]> {
        // Check the length first: a cookie header may contain kilobytes of junk.
        if text.len() > (1 + N + MAC).div_ceil(3) * 4 {
            return None;
        }
        let mut bytes = SmallVec::<[u8; 96]>::new();
        bytes.resize(BASE64URL_NOPAD.decode_len(text.len()).ok()?, 0);
        let length = BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes).ok()?;
        let (id, rest) = bytes.get(..length)?.split_first()?;
        let (payload, mac) = rest.split_at_checked(N)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id)?;
        code(key.clone(), kind, host, *id, payload).verify_slice(mac).ok()?;
        payload.try_into().ok()
    }
}

/// Prefixes every part with its length, so that different inputs cannot produce the same bytes.
fn code(mut mac: Hmac<Sha256>, kind: Kind, host: &str, id: u8, payload: &[u8]) -> Hmac<Sha256> {
    let mut all = SmallVec::<[u8; 192]>::new();
    for part in [kind.label(), host.as_bytes(), &[id], payload] {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    mac.update(&all);
    mac
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "crm.example.com";

    fn key(byte: u8) -> Secret {
        Secret::new(vec![byte; 32])
    }

    fn signer() -> Signer {
        Signer::new([(1, &key(1))]).unwrap()
    }

    #[test]
    fn what_was_signed_is_opened_for_its_kind_and_host_only() {
        let text = signer().sign(Kind::Session, HOST, &[7; 16]);
        assert_eq!(signer().open(Kind::Session, HOST, &text), Some([7; 16]));
        assert_eq!(signer().open::<16>(Kind::Browser, HOST, &text), None);
        assert_eq!(signer().open::<16>(Kind::Session, "evil.example.com", &text), None);
        assert_eq!(signer().open::<15>(Kind::Session, HOST, &text), None);
    }

    #[test]
    fn an_older_key_still_opens_and_a_dropped_one_does_not() {
        let text = signer().sign(Kind::Session, HOST, &[7; 16]);
        let rotated = Signer::new([(1, &key(1)), (2, &key(2))]).unwrap();
        assert_eq!(rotated.open(Kind::Session, HOST, &text), Some([7; 16]));
        let dropped = Signer::new([(2, &key(2))]).unwrap();
        assert_eq!(dropped.open::<16>(Kind::Session, HOST, &text), None);
        let same_id = Signer::new([(1, &key(2))]).unwrap();
        assert_eq!(same_id.open::<16>(Kind::Session, HOST, &text), None);
    }

    proptest! {
        #[test]
        fn junk_is_never_opened(junk in "[ -~]{0,200}") {
            prop_assert_eq!(signer().open::<16>(Kind::Session, HOST, &junk), None);
        }

        #[test]
        fn a_changed_value_is_never_opened(at in 0_usize..65, with in "[A-Za-z0-9_-]") {
            let text = signer().sign(Kind::Session, HOST, &[7; 16]);
            let mut changed = text.clone();
            changed.replace_range(at..=at, &with);
            prop_assume!(changed != text);
            prop_assert_eq!(signer().open::<16>(Kind::Session, HOST, &changed), None);
        }
    }
}
