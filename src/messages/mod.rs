//! Sending letters by SMTP (RFC 5321), as the configuration says.
//!
//! Each letter is a text and the same in HTML, short and without anything that a mail program would
//! have to fetch ([`words`]). Links are made of the portal's configured origin. How a server is
//! spoken with, and what each of its answers means for the letter, is in [`way`].

mod smtp;
mod trust;
mod way;
mod words;

use async_trait::async_trait;

use crate::domain::letter::Letter;

pub use smtp::Smtp;
pub use way::{Done, Outlook, Patience, Step, Unsent};
pub use words::{About, Words, words};

/// Sends letters.
#[async_trait]
pub trait Post: Send + Sync {
    /// Sends `letter`, which is called `id` however often it is tried. When this returns, the server
    /// has taken it.
    ///
    /// # Errors
    /// [`Unsent`]; the server may have taken the letter all the same if it went away at the end.
    async fn send(&self, letter: &Letter, id: &[u8; 16]) -> Result<(), Unsent>;
}
