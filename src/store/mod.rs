//! What is remembered: users, sessions, tokens, settings, events, on disk and sealed.
//!
//! Four parts lie on top of one another. The façade ([`Store`]) knows people, visits and links, and
//! writes what was decided about them as a whole. The record port ([`Records`]) keeps opaque bytes
//! under a kind and a key, and changes them only while their versions are what the writer believes.
//! The sealing ([`Sealer`]) makes those bytes unreadable, and unmovable, to whoever holds the file
//! but not the keys. The adapters ([`memory`], [`redb`]) hold them; one conformance suite,
//! `tests/store`, says what all of them promise.

pub mod batch;
mod cache;
mod changes;
pub mod directory;
mod facade;
pub mod keys;
pub mod mark;
pub mod memory;
pub mod record;
pub mod records;
pub mod redb;
pub mod sealing;
pub mod unavailable;

pub use batch::{Batch, Expect, Outcome};
pub use cache::{Snapshot, Visited};
pub use changes::{Changes, Touched};
pub use directory::StateDirectory;
pub use facade::Store;
pub use facade::names::{NobodysName, Target};
pub use facade::outbox::Waiting;
pub use facade::people::{Added, Changed, NewUser};
pub use facade::posted::Posted;
pub use facade::update::{Held, Reads};
pub use keys::{Keys, NameKey};
pub use record::{Change, Kind, Record, Version};
pub use records::Records;
pub use sealing::Sealer;
pub use unavailable::Unavailable;
