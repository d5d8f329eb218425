//! Sends messages, as configured: e-mail by SMTP (RFC 5321), and text messages through a provider
//! ([`sms`]).
//!
//! Each e-mail has the same short content as plain text and as HTML, without anything that a mail
//! program would have to fetch ([`words`]). Links are built from the portal's configured origin.
//! [`way`] has the SMTP dialogue and what each reply means for the message.

mod connection;
pub mod sms;
mod smtp;
mod trust;
mod way;
mod words;

use async_trait::async_trait;

use crate::domain::message::Message;

pub use smtp::Smtp;
pub use way::{Done, Outlook, Patience, Step, Unsent};
pub use words::{About, Words, words};

/// Sends messages.
#[async_trait]
pub trait Post: Send + Sync {
    /// Sends `message` with the message id `id`, which stays the same on every attempt. Returns
    /// once the server has accepted the message.
    ///
    /// # Errors
    /// [`Unsent`]. The server may still have accepted the message if the connection was lost at the
    /// end.
    async fn send(&self, message: &Message, id: &[u8; 16]) -> Result<(), Unsent>;
}
