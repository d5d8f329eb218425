//! Local passwords.
//!
//! [`pool`] hashes them, in threads of its own: [`argon`] is the hash, [`elsewhere`] the digests
//! that were imported from other software. A job ([`job`]) needs a place first ([`places`]) and
//! waits in a queue ([`queue`]); [`floor`] guarantees a minimum of hashing on a busy machine.

mod argon;
mod elsewhere;
mod floor;
mod job;
mod places;
mod pool;
mod queue;

pub use argon::Cost;
pub use pool::{Pool, Room};
