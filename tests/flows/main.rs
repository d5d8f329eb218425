//! What people do, told through the pages, without sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/away.rs"]
mod away;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/overtaken.rs"]
mod overtaken;

mod ahead;
mod authenticators;
mod challenge;
mod confirm;
mod demands;
mod email;
mod first_factor;
mod protection;
mod forgot;
mod password;
mod devices;
mod flood;
mod hosts;
mod kept_out;
mod link;
mod log;
mod not_me;
mod offer;
mod races;
mod recovery_codes;
mod security;
mod sessions;
mod set_up;
mod sign_in;
mod tabs;
mod trust;
mod turn_off;
mod unavailable;
mod watched;
