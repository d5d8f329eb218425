//! Validates the two-factor settings and demands.

use std::sync::Arc;

use crate::config::written::{File, SecondFactor};
use crate::config::{App, Origin};
use crate::domain::demand::Demands;
use crate::domain::factor::Settings;
use crate::domain::factor::totp::Skew;

use super::{Judge, below, items};

pub(super) fn settings(written: &SecondFactor) -> Settings {
    Settings {
        skew: written.totp.skew.and_then(Skew::new).unwrap_or_default(),
        recovery_codes: written.recovery_codes,
    }
}

impl Judge<'_> {
    /// Who must have a second factor.
    pub(super) fn demands(&mut self, file: &File, apps: &[Arc<App>]) -> Demands {
        let of = &file.second_factor.demanded_of;
        let at = "second_factor.demanded_of";
        let written = file.apps.iter().flatten().flatten();
        let names: Vec<&str> = written.filter_map(|app| app.name.as_deref()).collect();
        let places = apps.iter().filter(|app| app.enforce);
        Demands {
            everyone: of.everyone,
            groups: self.groups(&below(at, "groups"), &of.groups, false),
            users: self.users(&below(at, "users"), &of.users),
            apps: items(&below(at, "apps"), &of.apps)
                .filter_map(|(at, name)| self.app_named(&at, name, &names))
                .collect(),
            places: places.flat_map(|app| app.policy.demands()).collect(),
            grace: file.second_factor.grace.into(),
        }
    }

    /// The issuer as written or, if absent, the host of the portal.
    pub(super) fn issuer(&mut self, file: &File, origin: Option<&Origin>) -> Option<String> {
        let issuer = file.second_factor.totp.issuer.as_deref();
        if issuer.is_some_and(|issuer| issuer.contains(':') || issuer.trim().is_empty()) {
            let what = "an issuer cannot contain a colon, which separates it from the user name";
            let cure = "write a short name, such as `Example Inc.`";
            self.refuse("second_factor.totp.issuer", what, cure);
        }
        // An IPv6 address contains colons, too.
        Some(issuer.or(origin.map(Origin::host))?.replace(':', "."))
    }
}
