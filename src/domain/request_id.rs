//! The id of a request: in log lines, events, the request to the application and the response.

use std::fmt;

use minicbor::decode::{Decode, Decoder};
use minicbor::encode::{Encode, Encoder, Write};

/// The letters of base32 (RFC 4648 §6), in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// An id that nobody can guess, or the one that a trusted proxy has given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    text: [u8; Self::LONGEST],
    length: u8,
}

impl RequestId {
    /// How many random bytes one of ours is made of: with a billion requests, two are the same with
    /// a probability of one in two million.
    pub const RANDOM: usize = 10;
    /// The lengths of an id that a trusted proxy gives, in characters.
    const SHORTEST: usize = 8;
    const LONGEST: usize = 64;
    /// The length of one of ours.
    const OURS: usize = 16;

    /// The id made of these bytes, which are random: sixteen characters of base32 in lower case.
    pub fn of(random: [u8; Self::RANDOM]) -> Self {
        let mut bits = random.iter().fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        let mut text = [0; Self::LONGEST];
        for letter in text[..Self::OURS].iter_mut().rev() {
            *letter = BASE32[(bits & 31) as usize];
            bits >>= 5;
        }
        Self { text, length: 16 }
    }

    /// The id that a trusted proxy has given, if it matches `[A-Za-z0-9._-]{8,64}`.
    pub fn parse(given: &[u8]) -> Option<Self> {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if given.len() < Self::SHORTEST || !given.iter().all(fits) {
            return None;
        }
        let mut text = [0; Self::LONGEST];
        text.get_mut(..given.len())?.copy_from_slice(given);
        Some(Self { text, length: u8::try_from(given.len()).ok()? })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Only ASCII was taken in.
        str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// As text in ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length.into()).unwrap_or_default()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<C> Encode<C> for RequestId {
    fn encode<W: Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RequestId {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let text = decoder.str()?;
        Self::parse(text.as_bytes())
            .ok_or_else(|| minicbor::decode::Error::message("not a request id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("a1b2c3d4", true)]
    #[case("0af7651916cd43dd8448eb211c80319c", true)]
    #[case("Root=1-67891233", false)]
    #[case("a-b_c.D9", true)]
    #[case("short-7", false)]
    #[case("", false)]
    #[case("with space", false)]
    #[case("line\nbreak", false)]
    #[case("quote\"quote", false)]
    #[case("ümläuten", false)]
    fn an_id_of_a_proxy_is_a_word_of_plain_characters(#[case] given: &str, #[case] fits: bool) {
        let id = RequestId::parse(given.as_bytes());
        assert_eq!(id.as_ref().map(RequestId::as_str), fits.then_some(given));
    }

    #[test]
    fn an_id_is_no_longer_than_sixty_four_characters() {
        assert!(RequestId::parse(&[b'a'; 64]).is_some());
        assert!(RequestId::parse(&[b'a'; 65]).is_none());
    }

    #[test]
    fn one_of_ours_would_be_taken_from_a_proxy_and_is_kept_in_records() {
        let id = RequestId::of([0, 1, 2, 3, 4, 251, 252, 253, 254, 255]);
        assert_eq!(id.as_str(), "aaaqeaye7p6p37x7");
        assert_eq!(RequestId::parse(id.as_str().as_bytes()), Some(id));
        let record = minicbor::to_vec(id).unwrap();
        assert_eq!(minicbor::decode::<RequestId>(&record).unwrap(), id);
        assert!(minicbor::decode::<RequestId>(&minicbor::to_vec("a b c d e f").unwrap()).is_err());
    }
}
