//! Secret values: `Debug` hides them, and comparison takes constant time.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret bytes. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Wraps `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// `length` random bytes from `rng`.
    pub fn random(rng: &mut dyn CryptoRng, length: usize) -> Self {
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        Self::new(bytes)
    }

    /// The bytes. The name makes uses easy to find in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, or an empty text if they are not UTF-8. The name makes uses easy to find
    /// in a review.
    pub fn expose_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<C> Encode<C> for Secret {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Secret {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        ByteVec::decode(d, ctx).map(|bytes| Self::new(bytes.into()))
    }
}

/// A bearer token: 128 random bits, shown once, stored only as a [`TokenHash`].
///
/// Sessions and one-time links are identified by tokens (NIST SP 800-63B-4 §5.1: at least 64 bits).
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Token(#[n(0)] Secret);

impl Token {
    /// The number of bytes in a token.
    pub const LENGTH: usize = 16;

    /// A new token.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng, Self::LENGTH))
    }

    /// The token with these bytes; `None` unless there are sixteen.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == Self::LENGTH).then(|| Self(Secret::new(bytes.to_vec())))
    }

    /// The sixteen bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The token as it appears in a link: 26 characters of lower-case base32 (RFC 4648 §6).
    pub fn expose_text(&self) -> String {
        BASE32_NOPAD.encode(self.expose()).to_ascii_lowercase()
    }

    /// Parses the output of [`Token::expose_text`], in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        Self::from_bytes(&bytes)
    }

    /// The key under which the token's record is stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash(ByteArray::from(<[u8; 32]>::from(Sha256::digest(self.expose()))))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a [`Token`]. It finds the record, but somebody who steals the store cannot derive the
/// token from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct TokenHash(#[n(0)] ByteArray<32>);

impl TokenHash {
    /// The thirty-two bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of what somebody else calls by these parts, instead of a token of ours.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            // With their lengths, so that no two lists are alike.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(ByteArray::from(<[u8; 32]>::from(digest.finalize())))
    }

    /// The hash with these bytes; `None` unless there are thirty-two.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(ByteArray::from(bytes)))
    }
}

impl AsRef<[u8]> for TokenHash {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let secret = Secret::from("correct horse".to_owned());
        let token = Token::from_bytes(&[7; 16]).unwrap();
        assert_eq!(
            format!("{secret:?} {token:?} {:?}", token.hash()),
            "Secret(…) Token(…) TokenHash(…)"
        );
    }

    #[test]
    fn a_token_survives_being_written_in_a_link() {
        let token = Token::from_bytes(&[0xa5; 16]).unwrap();
        assert_eq!(Token::parse(&token.expose_text()), Some(token.clone()));
        assert_eq!(Token::parse(&token.expose_text().to_uppercase()), Some(token));
        assert_eq!(Token::parse("too-short"), None);
    }
}
