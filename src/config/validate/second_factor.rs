//! Validates the two-factor settings and demands.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::problem::listed;
use crate::config::written::{EmailCodes, FactorKind, File, SecondFactor};
use crate::config::{AcceptedKeys, App, Origin, RelyingParty};
use crate::domain::assurance::Kinds;
use crate::domain::demand::Demands;
use crate::domain::factor::aaguid::Aaguid;
use crate::domain::factor::totp::Skew;
use crate::domain::factor::{Kind, Settings};

use super::outline::Outlines;
use super::{Judge, below, items};

pub(super) fn settings(written: &SecondFactor) -> Settings {
    Settings {
        skew: written.totp.skew.and_then(Skew::new).unwrap_or_default(),
        recovery_codes: written.recovery_codes,
    }
}

impl Judge<'_> {
    /// The kinds of factors that people may set up, as written or all, and codes by e-mail if they are
    /// permitted. `bound`: whether the portal can use security keys; `None` if the portal is not known.
    pub(super) fn kinds(&mut self, file: &File, bound: Option<bool>) -> Vec<Kind> {
        let mut kinds = self.kinds_alone(file, bound);
        if file.second_factor.email_codes == EmailCodes::Backup {
            let what = match (kinds.contains(&Kind::Sms), file.mail.is_some()) {
                (true, true) => {
                    kinds.push(Kind::Email);
                    return kinds;
                }
                (false, _) => {
                    "codes by e-mail only back up those by text message, which nobody can set \
                               up here"
                }
                (true, false) => "codes cannot be e-mailed: `mail` is not set",
            };
            let cure = "add `sms` and `mail`, and leave `sms` in `kinds`, or remove this key";
            self.refuse("second_factor.email_codes", what, cure);
        }
        kinds
    }

    fn kinds_alone(&mut self, file: &File, bound: Option<bool>) -> Vec<Kind> {
        let at = "second_factor.kinds";
        let (written, texts) = (file.second_factor.kinds.as_ref(), file.sms.is_some());
        let works = |kind: Kind| match kind {
            Kind::SecurityKey => bound != Some(false),
            Kind::Sms => texts,
            Kind::Totp | Kind::RecoveryCode => true,
            Kind::Email => false,
        };
        let Some(written) = written else {
            return Kind::all().filter(|kind| kind.stands_alone() && works(*kind)).collect();
        };
        if written.is_empty() {
            self.refuse_empty(at, "name kinds, such as `totp`, or remove the key for all");
        }
        let mut kinds: Vec<Kind> = Vec::new();
        for (at, FactorKind(kind)) in items(at, written) {
            if *kind == Kind::Email {
                let what = "codes by e-mail cannot be set up alone: they only back up those by text \
                            message";
                self.refuse(&at, what, "remove this kind, and write `email_codes: backup`");
                continue;
            }
            if !works(*kind) && *kind == Kind::Sms {
                let what = "codes cannot be texted: `sms` is not set";
                self.refuse(&at, what, "add `sms`, or remove this kind");
            } else if !works(*kind) {
                let what = "browsers let a page use security keys only if its host has a name \
                            (not an address) and is reached by https";
                self.refuse(&at, what, "give the portal such a host, or remove this kind");
            }
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }

    /// Binds `party` to the RP ID of the file, if it names one.
    pub(super) fn rp_id(
        &mut self,
        file: &File,
        party: RelyingParty,
        apps: &Outlines,
    ) -> RelyingParty {
        let at = "second_factor.security_keys.rp_id";
        let Some(id) = &file.second_factor.security_keys.rp_id else { return party };
        let host = party.origin.host().to_owned();
        let Some(widened) = party.clone().widened(id) else {
            let what = format!("`{id}` is not the portal's host ({host}) or a parent domain of it");
            let cure = format!("write, for example, `{}`", example_of_rp_id(&host));
            self.refuse(at, what, &cure);
            return party;
        };
        let shared = apps.hosts().filter(|host| widened.is_shared_with(host));
        let shared: BTreeSet<&str> = shared.map(Origin::host).collect();
        if !shared.is_empty() && widened.id != host {
            let what = format!(
                "pages of {} can also request these keys and hide passkeys in the browser; Doorward \
                 does not accept answers given to them",
                listed(shared)
            );
            self.advise(at, what, "give applications a domain of their own, or remove `rp_id`");
        }
        widened
    }

    /// The new security keys that are accepted; `None`: this was refused.
    #[expect(clippy::option_option, reason = "refused, or no such restriction")]
    pub(super) fn accepted_keys(&mut self, file: &File) -> Option<Option<AcceptedKeys>> {
        let at = "second_factor.security_keys.only";
        let Some(only) = &file.second_factor.security_keys.only else { return Some(None) };
        let models = below(at, "aaguids");
        if only.aaguids.as_ref().is_some_and(Vec::is_empty) {
            self.refuse_empty(
                &models,
                "name models, or remove the key to accept every model of these manufacturers",
            );
        }
        let written = only.aaguids.iter().flat_map(|written| items(&models, written));
        let aaguids: Vec<Option<Aaguid>> =
            written.map(|(at, aaguid)| self.model(&at, aaguid)).collect();
        let Some(authorities) = &only.authorities else {
            let what = "missing: without the manufacturers' CA certificates, a key could claim any \
                        model";
            let cure = "name a PEM file with them";
            self.refuse(&below(at, "authorities"), what, cure);
            return None;
        };
        let authorities = self.certificate_file(&below(at, "authorities"), authorities);
        let aaguids = aaguids.into_iter().collect::<Option<_>>()?;
        Some(Some(AcceptedKeys { aaguids, authorities }))
    }

    /// The model of this AAGUID; `None`: it was refused.
    fn model(&mut self, at: &str, written: &str) -> Option<Aaguid> {
        let aaguid = self.parsed::<Aaguid>(at, written)?;
        if aaguid.is_zero() {
            let what = "this AAGUID (all zeros) names no model: U2F keys, and keys attested by Apple or \
                        Android, report it whatever their model";
            let cure = "name models, or remove `aaguids` to accept every model of these \
                        manufacturers";
            self.refuse(at, what, cure);
            return None;
        }
        Some(aaguid)
    }

    /// Refuses an RP ID where the portal can use no keys.
    pub(super) fn refuse_rp_id(&mut self, file: &File) {
        if file.second_factor.security_keys.rp_id.is_some() {
            let what = "the portal cannot use security keys: browsers let a page use them only if \
                        its host has a name (not an address) and is reached by https";
            let cure = "give the portal such a host, or remove `rp_id`";
            self.refuse("second_factor.security_keys.rp_id", what, cure);
        }
    }

    /// Refuses requirements of kinds of which nobody can set up one: not even with a factor could
    /// anybody come in there.
    pub(super) fn check_asked_kinds(&mut self, may: &[Kind], bound: Option<bool>, texts: bool) {
        for (at, asked) in std::mem::take(&mut self.asked_kinds) {
            let can_be_shown = |kind: Kind| !kind.is_factor() || may.contains(&kind);
            if asked == Kinds::NONE || Kind::all().any(|kind| asked.has(kind) && can_be_shown(kind))
            {
                continue;
            }
            if bound == Some(false) && asked.has(Kind::SecurityKey) {
                let what = "nobody can satisfy this: browsers let a page use security keys only if \
                            the portal's host has a name (not an address) and is reached by https";
                self.refuse(&at, what, "give the portal such a host, or name other kinds");
            } else if asked == Kinds::only(Kind::Email) {
                let what = "nobody can satisfy this: codes by e-mail are not available";
                let cure = "set `second_factor.email_codes: backup` (it needs `sms` and `mail`), or \
                            name other kinds";
                self.refuse(&at, what, cure);
            } else if !texts && asked.has(Kind::Sms) {
                let what =
                    "nobody can satisfy this: codes cannot be texted, because `sms` is not set";
                self.refuse(&at, what, "add `sms`, or name other kinds");
            } else {
                let what =
                    "nobody can satisfy this: `second_factor.kinds` lists none of these kinds";
                self.refuse(&at, what, "add one of them there, or name other kinds here");
            }
        }
    }

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

/// The parent domain of a host of three labels or more; of a shorter one itself, because browsers
/// accept no top-level domain.
fn example_of_rp_id(host: &str) -> &str {
    host.split_once('.')
        .map(|(_, parent)| parent)
        .filter(|parent| parent.contains('.'))
        .unwrap_or(host)
}
