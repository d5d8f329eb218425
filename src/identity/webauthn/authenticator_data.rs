//! The bytes that an authenticator signs (WebAuthn §6.1), taken apart strictly: nothing may follow.

use minicbor::Decoder;

/// The parts that we read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthenticatorData<'a> {
    /// The new credential, at a set-up.
    pub(super) attested: Option<Attested<'a>>,
}

/// A new credential (WebAuthn §6.5.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attested<'a> {
    /// The model of the authenticator.
    pub(super) aaguid: [u8; 16],
    /// The id.
    pub(super) credential: &'a [u8],
    /// The public key as a `COSE_Key`.
    pub(super) public_key: &'a [u8],
}

/// Flags: attested credential data follows, and extensions follow.
const ATTESTED: u8 = 0b0100_0000;
const EXTENDED: u8 = 0b1000_0000;

impl<'a> AuthenticatorData<'a> {
    /// `None` if anything is missing or left over.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (_rp_id_hash, rest) = bytes.split_at_checked(32)?;
        let (flags, rest) = rest.split_first()?;
        let (_counter, mut rest) = rest.split_at_checked(4)?;
        let mut attested = None;
        if flags & ATTESTED != 0 {
            let (aaguid, after) = rest.split_first_chunk::<16>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let (credential, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            let (public_key, after) = cbor_map(after)?;
            attested = Some(Attested { aaguid: *aaguid, credential, public_key });
            rest = after;
        }
        if flags & EXTENDED != 0 {
            (_, rest) = cbor_map(rest)?;
        }
        rest.is_empty().then_some(Self { attested })
    }
}

/// The CBOR map at the start of `bytes`, and what follows it.
fn cbor_map(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut decoder = Decoder::new(bytes);
    if !matches!(decoder.datatype().ok()?, minicbor::data::Type::Map) {
        return None;
    }
    decoder.skip().ok()?;
    bytes.split_at_checked(decoder.position())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(flags: u8) -> Vec<u8> {
        [&[1; 32][..], &[flags], &[0, 0, 0, 7]].concat()
    }

    /// `{1: 2}`
    const MAP: &[u8] = &[0xa1, 1, 2];

    fn attested() -> Vec<u8> {
        [&head(ATTESTED)[..], &[9; 16], &[0, 3], b"abc", MAP].concat()
    }

    #[test]
    fn the_parts_are_found() {
        assert_eq!(AuthenticatorData::read(&head(1)), Some(AuthenticatorData { attested: None }));
        let bytes = attested();
        let read = AuthenticatorData::read(&bytes).unwrap().attested.unwrap();
        let wanted = Attested { aaguid: [9; 16], credential: b"abc", public_key: MAP };
        assert_eq!(read, wanted);
        let extended = [&head(EXTENDED)[..], MAP].concat();
        assert!(AuthenticatorData::read(&extended).is_some());
    }

    #[test]
    fn what_is_cut_off_or_left_over_is_refused() {
        let whole = attested();
        for length in 0..whole.len() {
            assert_eq!(AuthenticatorData::read(&whole[..length]), None, "{length}");
        }
        for bytes in [head(1), attested(), [&head(EXTENDED)[..], MAP].concat()] {
            assert_eq!(AuthenticatorData::read(&[&bytes[..], &[0]].concat()), None);
        }
        let not_a_map = [&head(EXTENDED)[..], &[1]].concat();
        assert_eq!(AuthenticatorData::read(&not_a_map), None);
    }
}
