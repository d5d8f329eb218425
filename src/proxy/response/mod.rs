//! Responses: what we change in those of applications, and our own replies.

pub(super) mod bodiless;
pub(super) mod local_reply;
pub(super) mod location;
pub(super) mod rewrite;
