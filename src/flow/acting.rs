//! A signed-in user who does something.

use super::admit::AuthenticatedRequest;
use super::caller::Caller;
use super::env::Env;

/// A signed-in user who does something: with which configuration and services, from where, and in
/// which session.
#[derive(Clone, Copy, Debug)]
pub struct Acting<'a> {
    /// The configuration and the services.
    pub env: &'a Env,
    /// Who calls.
    pub caller: &'a Caller,
    /// The session that the request belongs to.
    pub authenticated: &'a AuthenticatedRequest,
}
