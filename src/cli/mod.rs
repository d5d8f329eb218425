//! The commands.

mod log;
pub mod serve;
