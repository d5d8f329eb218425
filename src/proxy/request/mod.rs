//! A request as it was sent: what it means, who sent it, and what the application receives.

pub(super) mod address;
pub(super) mod client_address;
pub(super) mod cookies;
pub(super) mod head_size;
pub(super) mod identity_headers;
pub(super) mod intake;
pub(super) mod removal;
pub(super) mod request_id;
pub(super) mod title_case;
