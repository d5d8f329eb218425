//! The second factor: what is asked of whoever turns it on, and under which name.

use crate::config::Origin;
use crate::config::written::{File, SecondFactor};
use crate::domain::factor::totp::Skew;
use crate::domain::user::TurnOn;

use super::Judge;

pub(super) fn turn_on(written: &SecondFactor) -> TurnOn {
    TurnOn {
        skew: written.totp.skew.and_then(Skew::new).unwrap_or_default(),
        recovery_codes: written.recovery_codes,
    }
}

impl Judge<'_> {
    /// The issuer as written, else the host of the application.
    pub(super) fn issuer(&mut self, file: &File, origin: Option<&Origin>) -> Option<String> {
        let issuer = file.second_factor.totp.issuer.as_deref();
        if issuer.is_some_and(|issuer| issuer.contains(':') || issuer.trim().is_empty()) {
            let what = "an issuer has no colon, which separates it from the user's name";
            let cure = "write a short name, such as `Example Inc.`";
            self.refuse("second_factor.totp.issuer", what, cure);
        }
        // An IPv6 address has colons, too.
        Some(issuer.or(origin.map(Origin::host))?.replace(':', "."))
    }
}
