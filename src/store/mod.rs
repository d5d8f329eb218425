//! The store: users, sessions, tokens, settings and events, sealed and on disk.
//!
//! It has four layers. The façade ([`Store`]) knows users, sessions and links, and writes each
//! decision as a whole. The record port ([`Records`]) stores opaque bytes under a kind and a key,
//! and changes them only if their versions are what the writer expects. The sealing ([`Sealer`])
//! encrypts these bytes and binds them to their key, so that somebody with the file but without the
//! keys can neither read nor move them. The adapters ([`memory`], [`redb`]) implement the port; the
//! conformance suite `tests/store` checks that all of them behave alike.

pub mod batch;
mod cache;
mod changes;
pub mod state_folder;
mod facade;
pub mod keys;
pub mod progress;
pub mod memory;
pub mod record;
pub mod records;
pub mod redb;
pub mod sealing;
mod timed;

pub use self::redb::OpenError;
pub use batch::{Batch, Expect, Outcome};
pub use cache::{Authenticated, Snapshot};
pub use changes::{Changes, Touched};
pub use facade::Store;
pub use facade::held::Stored;
pub use facade::names::{NobodysName, Target};
pub use facade::outbox::Waiting;
pub use facade::people::{Added, Changed, NewUser};
pub use facade::queued_message::QueuedMessage;
pub use facade::rotation::{Left, Rotated};
pub use facade::texts::WaitingText;
pub use facade::under_way::RotationProgress;
pub use facade::update::{Reads, Transaction};
pub use keys::{Keyring, Keys, NameKey, Purpose};
pub use record::{Change, Kind, Record, Version};
pub use records::Records;
pub use sealing::Sealer;
pub use state_folder::StateFolder;
pub use timed::Timed;
