//! The gateway on real sockets, in front of an application that says what it received.

mod access_log;
mod broken;
mod main_job;
mod measured;
mod passing;
mod reloading;
mod remembered;
mod request_id;
mod running;
