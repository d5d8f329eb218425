//! Doorward: a reverse proxy that brings two-factor authentication to web applications that have
//! none.
//!
//! The modules below stand in the order of their layers; each may name those before it.
//! `ARCHITECTURE.md` is the map.

pub mod cli;
pub mod config;
pub mod domain;
pub mod flow;
pub mod identity;
pub mod policy;
pub mod store;
pub mod web;
