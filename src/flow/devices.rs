//! Trusting devices no longer, one or all.
//!
//! The sessions that such a device stands for are asked for a second factor from the next request on:
//! a proof is looked at together with the device, and the device is gone.

use super::admit::Visit;
use super::caller::Caller;
use super::env::Env;
use super::visits::in_session;
use crate::domain::device::DeviceId;
use crate::domain::event::What;
use crate::store::Unavailable;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// What was meant is trusted no longer, or never was.
    Done,
    /// The visit is over; nothing was changed.
    Over,
}

/// Trusts this device no longer.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether it is trusted is not known then.
pub async fn revoke(
    env: &Env,
    caller: &Caller,
    visit: &Visit,
    device: DeviceId,
) -> Result<Revoked, Unavailable> {
    let user = visit.session.user;
    in_session(
        env,
        caller,
        visit,
        || Revoked::Over,
        |held, _| {
            if held.user.revoke_device(device) {
                held.tell(caller.event(user, What::DeviceRevoked));
            }
            Revoked::Done
        },
    )
    .await
}

/// Trusts no device any longer.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written; whether any is trusted is not known then.
pub async fn revoke_all(env: &Env, caller: &Caller, visit: &Visit) -> Result<Revoked, Unavailable> {
    let user = visit.session.user;
    in_session(
        env,
        caller,
        visit,
        || Revoked::Over,
        |held, _| {
            if held.user.revoke_devices() > 0 {
                held.tell(caller.event(user, What::DevicesRevoked));
            }
            Revoked::Done
        },
    )
    .await
}
