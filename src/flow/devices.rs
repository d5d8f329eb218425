//! Revoking one or all trusted devices.
//!
//! Sessions that rely on such a device are asked for a second factor at their next request: a proof
//! by a device counts only while the device is recorded.

use super::acting::Acting;
use super::host_session::in_session;
use crate::domain::device::DeviceId;
use crate::domain::event::What;
use crate::unavailable::Unavailable;

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The devices are revoked, or never existed.
    Done,
    /// The session has ended; nothing was changed.
    Over,
}

/// Revokes this device.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The device may be revoked or not.
pub async fn revoke(acting: Acting<'_>, device: DeviceId) -> Result<Revoked, Unavailable> {
    let Acting { caller, authenticated, .. } = acting;
    let user = authenticated.session.user;
    in_session(
        acting,
        || Revoked::Over,
        |tx, _| {
            if tx.user.revoke_device(device) {
                tx.tell(caller.event(user, What::DeviceRevoked));
            }
            Revoked::Done
        },
    )
    .await
}

/// Revokes all devices.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. The devices may be revoked or not.
pub async fn revoke_all(acting: Acting<'_>) -> Result<Revoked, Unavailable> {
    let Acting { caller, authenticated, .. } = acting;
    let user = authenticated.session.user;
    in_session(
        acting,
        || Revoked::Over,
        |tx, _| {
            if tx.user.revoke_devices() > 0 {
                tx.tell(caller.event(user, What::DevicesRevoked));
            }
            Revoked::Done
        },
    )
    .await
}
