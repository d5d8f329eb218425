//! Random 128-bit identifiers.

/// Implements a random identifier for a newtype over `ByteArray<16>`. The 128 bits come from the
/// generator that is passed in.
macro_rules! random_id {
    ($id:ident) => {
        impl $id {
            /// A new identifier of 128 random bits.
            pub fn random(rng: &mut dyn rand_core::CryptoRng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self::from(bytes)
            }

            /// The sixteen bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(self.as_bytes()))
            }
        }

        impl $id {
            /// Parses the output of `Display`.
            pub fn parse(text: &str) -> Option<Self> {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
                <[u8; 16]>::try_from(bytes).ok().map(Self::from)
            }
        }

        impl From<[u8; 16]> for $id {
            fn from(bytes: [u8; 16]) -> Self {
                Self(minicbor::bytes::ByteArray::from(bytes))
            }
        }
    };
}

pub(super) use random_id;
