//! The secret keys of an installation, by purpose.
//!
//! Each [`Purpose`] has a [`Ring`]: the key that is used, and older ones that are still accepted
//! because something rests on them. [`Keys`] are all rings, as the keys file has them; the
//! [`Keyring`] is what the running process uses.

mod file;
mod keyring;
mod names;
mod purpose;
mod ring;

pub use file::Keys;
pub use keyring::Keyring;
pub use names::NameKey;
pub(super) use names::{Hashes, NAME_LENGTH, NameHash};
pub use purpose::Purpose;
pub(super) use purpose::Until;
pub use ring::{Held, KeyId, Ring};
