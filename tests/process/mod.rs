//! The real process: `doorward` as it is installed, with the real clock and the real cost of a
//! password, started, asked, stopped and killed.

mod access_log;
mod alone;
mod commands;
mod full_disk;
mod setup;
mod keys;
mod killed;
mod logs;
mod person;
mod post;
mod revoked;
mod rollback;
mod rp_id;
mod starting;
mod stopping;
mod texts;
