//! Doorward: a reverse proxy that brings two-factor authentication to web applications that have
//! none.
//!
//! The modules below stand in the order of their layers; each may name those before it.
//! `ARCHITECTURE.md` is the map.

pub mod domain;
pub mod policy;
pub mod config;
pub mod unavailable;
pub mod histogram;
pub mod net;
pub mod identity;
pub mod messages;
pub mod metrics;
pub mod access_log;
pub mod store;
pub mod flow;
pub mod web;
pub mod os;
pub mod proxy;
pub mod cli;
