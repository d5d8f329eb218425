//! What is answered: the application's response as it goes on, and replies of our own.

pub(super) mod local_reply;
pub(super) mod location;
pub(super) mod rewrite;
