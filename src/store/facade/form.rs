//! The form of a stored value.
//!
//! Later versions add fields and variants. A version that does not know them would decode the rest,
//! decide without them, and write the record back without them. So such a record is unavailable here
//! until a version that knows all of it runs again.

use minicbor::encode::{self, Write};
use minicbor::{Decode, Encode, Encoder};

use crate::unavailable::Unavailable;

/// The value with these bytes.
///
/// # Errors
/// [`Unavailable`] if they are no such value, or a newer version has written something that this
/// one does not know.
pub(super) fn decode<T>(bytes: &[u8]) -> Result<T, Unavailable>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let value: T = minicbor::decode(bytes)
        .map_err(|error| Unavailable::record("cannot decode it").because(error))?;
    // What was skipped is missing when the value is written again.
    if length(&value)? < bytes.len() {
        return Err(Unavailable::record("a newer version of doorward has written it"));
    }
    Ok(value)
}

fn length(value: &impl Encode<()>) -> Result<usize, Unavailable> {
    let mut encoder = Encoder::new(Length(0));
    encoder.encode(value).map_err(|error: encode::Error<_>| {
        Unavailable::record("cannot encode it").because(error)
    })?;
    Ok(encoder.into_writer().0)
}

/// Counts bytes instead of keeping them.
struct Length(usize);

impl Write for Length {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unavailable::Kind;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Then {
        #[n(0)]
        name: String,
        #[n(1)]
        begun: Option<Begun>,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Later {
        #[n(0)]
        name: String,
        #[n(1)]
        begun: Option<BegunLater>,
        #[n(2)]
        origin: Option<u8>,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    enum Begun {
        #[n(0)]
        SetUp,
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    enum BegunLater {
        #[n(0)]
        SetUp,
        #[n(1)]
        Challenge,
    }

    fn later(begun: Option<BegunLater>, origin: Option<u8>) -> Vec<u8> {
        minicbor::to_vec(Later { name: "ada".to_owned(), begun, origin }).unwrap()
    }

    #[test]
    fn a_field_or_a_variant_of_a_newer_version_makes_a_record_unavailable() {
        let known = decode::<Then>(&later(Some(BegunLater::SetUp), None)).unwrap();
        assert_eq!(known, Then { name: "ada".to_owned(), begun: Some(Begun::SetUp) });
        for newer in [later(None, Some(1)), later(Some(BegunLater::Challenge), None)] {
            assert_eq!(decode::<Then>(&newer).unwrap_err().kind(), Kind::Record);
        }
    }

    #[test]
    fn a_record_of_an_older_version_is_read() {
        let older = minicbor::to_vec(Then { name: "ada".to_owned(), begun: None }).unwrap();
        assert_eq!(decode::<Later>(&older).unwrap().origin, None);
    }
}
