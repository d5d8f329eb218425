//! Validates identity providers.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::{Judge, below, items};
use crate::config::problem::{listed, meant};
use crate::config::written::{self, List};
use crate::config::{Credential, Provider, ProviderKind};
use crate::domain::name::{Email, Group};
use crate::domain::provider::{MatchBy, People};
use crate::domain::reach::is_local_name;
use crate::domain::secret::Secret;

impl Judge<'_> {
    /// The providers; `None` if one has an error.
    pub(super) fn providers(&mut self, written: &List<written::Provider>) -> Option<Vec<Provider>> {
        let mut all: Vec<Option<Provider>> = Vec::new();
        for (at, provider) in items("providers", written) {
            let provider = self.provider(&at, provider);
            if let Some(provider) = &provider {
                self.tell_providers_apart(&at, provider, &all);
            }
            all.push(provider);
        }
        all.into_iter().collect()
    }

    fn tell_providers_apart(&mut self, at: &str, provider: &Provider, others: &[Option<Provider>]) {
        for other in others.iter().flatten() {
            if other.name == provider.name {
                let what = format!("another provider is called `{}`, too", other.name);
                self.refuse(&below(at, "name"), what, "give each provider a name of its own");
            }
            if other.issuer == provider.issuer {
                let what = format!("`{}` has this issuer, too", other.name);
                let cure = "keep one of them: people are known by issuer and subject";
                self.refuse(&below(at, "issuer"), what, cure);
            }
        }
    }

    fn provider(&mut self, at: &str, written: &written::Provider) -> Option<Provider> {
        let name = written.name.as_deref();
        let name = name.and_then(|name| self.provider_name(&below(at, "name"), name));
        let kind = match written.kind {
            None | Some(written::ProviderKind::OpenidConnect) => ProviderKind::OpenId,
            Some(written::ProviderKind::Github) => ProviderKind::GitHub,
            Some(written::ProviderKind::Facebook) => ProviderKind::Facebook,
        };
        let issuer = self.issuer_of(at, kind, written.issuer.as_deref());
        let credential = self.credential(at, kind, written);
        let trusted_amr = self.trusted_amr(&below(at, "trusts"), kind, written);
        let people = self.people(&below(at, "people"), kind, written);
        let groups = self.group_map(&below(at, "groups.map"), written);
        let authority = written.authority.as_deref();
        let authority = authority.map(|file| self.certificate_file(&below(at, "authority"), file));
        let (name, client_id) = (name?, written.client_id.clone()?);
        Some(Provider {
            label: written.label.clone().unwrap_or_else(|| name.clone()),
            name,
            kind,
            issuer: issuer?,
            client_id,
            credential: credential?,
            scopes: written.scopes.iter().flatten().cloned().collect(),
            groups_claim: written.groups.claim.clone(),
            people: People { groups, ..people },
            trusted_amr,
            refresh: self.refresh(at, kind, written),
            sign_out_everywhere: self.sign_out_everywhere(at, kind, written),
            authority,
            at: (at.to_owned(), self.place(at)),
        })
    }

    fn provider_name(&mut self, at: &str, name: &str) -> Option<String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(fits) {
            let what = format!("`{name}` is not a valid name for a provider");
            self.refuse(at, what, "write up to 32 lower-case letters, digits and hyphens");
            return None;
        }
        Some(name.to_owned())
    }

    /// The issuer, exactly as the provider writes it: it is compared letter by letter.
    fn issuer_of(&mut self, at: &str, kind: ProviderKind, written: Option<&str>) -> Option<String> {
        let key = below(at, "issuer");
        let Some(issuer) = written else {
            if let Some(issuer) = kind.issuer() {
                return Some(issuer.to_owned());
            }
            if !self.has_refused(&key) {
                let cure = "add it, such as `issuer: https://accounts.google.com`";
                self.refuse(at, "the issuer is missing", cure);
            }
            return None;
        };
        match issuer_problem(issuer) {
            None => Some(issuer.to_owned()),
            Some((what, cure)) => {
                self.refuse(&key, format!("`{issuer}` {what}"), cure);
                None
            }
        }
    }

    fn credential(
        &mut self,
        at: &str,
        kind: ProviderKind,
        written: &written::Provider,
    ) -> Option<Credential> {
        let Some(file) = written.key_file.as_deref() else {
            if written.key_id.is_some() {
                self.refuse(&below(at, "key_id"), "has no effect without `key_file`", "remove it");
            }
            return self.client_secret(at, written).map(Credential::Secret);
        };
        let key = below(at, "key_file");
        if written.client_secret.is_some() || written.client_secret_file.is_some() {
            self.refuse(&key, "a client secret is set, too", "keep one of them");
            return None;
        }
        if kind != ProviderKind::OpenId {
            let cure = "write `client_secret_file` instead";
            self.refuse(&key, "only OpenID Connect providers accept `private_key_jwt`", cure);
            return None;
        }
        let pem = self.key_in_file(&key, file)?;
        Some(Credential::Key { pem, id: written.key_id.clone() })
    }

    fn refresh(
        &mut self,
        at: &str,
        kind: ProviderKind,
        written: &written::Provider,
    ) -> Option<Duration> {
        let every = written.refresh?;
        if kind != ProviderKind::OpenId {
            let what = "only OpenID Connect providers support `refresh`";
            self.refuse(&below(at, "refresh"), what, "remove it");
        }
        Some(every.into())
    }

    fn sign_out_everywhere(
        &mut self,
        at: &str,
        kind: ProviderKind,
        written: &written::Provider,
    ) -> bool {
        let everywhere = written.sign_out == Some(written::SignOutWhere::Everywhere);
        if everywhere && kind != ProviderKind::OpenId {
            let what = "only OpenID Connect providers let people sign out from here";
            self.refuse(&below(at, "sign_out"), what, "remove it");
        }
        everywhere
    }

    fn key_in_file(&mut self, at: &str, file: &str) -> Option<Secret> {
        let path = self.beside(file);
        match std::fs::read(&path) {
            Ok(pem) => Some(Secret::new(pem)),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.refuse(at, what, "name a PEM file with a private key");
                None
            }
        }
    }

    fn trusted_amr(
        &mut self,
        at: &str,
        kind: ProviderKind,
        written: &written::Provider,
    ) -> Vec<String> {
        let amr: Vec<String> = written.trusts.amr.iter().flatten().cloned().collect();
        if kind != ProviderKind::OpenId && !amr.is_empty() {
            let what = "only OpenID Connect providers report the second factor (`amr`)";
            self.refuse(at, what, "remove `trusts`");
            return Vec::new();
        }
        amr
    }

    fn client_secret(&mut self, at: &str, written: &written::Provider) -> Option<Secret> {
        let keys = ["client_secret", "client_secret_file", "key_file"];
        match (written.client_secret.as_deref(), written.client_secret_file.as_deref()) {
            (None, Some(file)) => self.secret_in_file(
                &below(at, keys[1]),
                file,
                "write the client secret that the provider shows into this file",
            ),
            (Some(named), None) => self.secret_in_environment(&below(at, keys[0]), named),
            (Some(_), Some(_)) => {
                let what = "`client_secret_file` is set, too";
                self.refuse(&below(at, keys[0]), what, "keep one of them");
                None
            }
            (None, None) => {
                if !self.mentions(at, &keys) {
                    let cure = "add `client_secret_file`, a file with the secret that the provider \
                                shows";
                    self.refuse(at, "the client secret is missing", cure);
                }
                None
            }
        }
    }

    fn people(&mut self, at: &str, kind: ProviderKind, written: &written::Provider) -> People {
        let people = &written.people;
        let only = below(at, "only");
        let domains =
            self.email_domains(&below(&only, "email_domains"), &people.only.email_domains);
        let organisations =
            self.organisations(&below(&only, "organisations"), kind, &people.only.organisations);
        let is_limited = !domains.is_empty() || !organisations.is_empty();
        if people.create && !is_limited && !people.everyone && !self.has_refused_below(&only) {
            let what = "everybody with an account at the provider would become a user";
            let cure = "add `only: { email_domains: [example.com] }`, or `everyone: true` if that \
                        is what you want";
            self.refuse(&below(at, "create"), what, cure);
        }
        if people.everyone && !people.create {
            let cure = "add `create: true`, or remove it";
            self.refuse(&below(at, "everyone"), "has no effect without `create`", cure);
        } else if people.everyone && is_limited {
            self.refuse(
                &below(at, "everyone"),
                "`everyone: true` and `only` contradict each other",
                "keep one of them",
            );
        }
        let by_email = people.match_by == Some(written::MatchBy::VerifiedEmail);
        if by_email && domains.is_empty() && !self.has_refused_below(&only) {
            let what = "`verified-email` needs the domains whose addresses are trusted";
            let cure = "add `only: { email_domains: [example.com] }`";
            self.refuse(&below(at, "match_by"), what, cure);
        }
        let match_by = if by_email { MatchBy::VerifiedEmail } else { MatchBy::Subject };
        People { create: people.create, domains, organisations, match_by, groups: BTreeMap::new() }
    }

    fn email_domains(&mut self, at: &str, domains: &List<String>) -> Vec<String> {
        let mut all = Vec::new();
        for (at, domain) in items(at, domains) {
            if Email::parse(&format!("x@{domain}")).is_ok() {
                all.push(domain.to_ascii_lowercase());
            } else {
                let what = format!("`{domain}` is not a domain");
                self.refuse(&at, what, "write one in ASCII letters, such as `example.com`");
            }
        }
        all
    }

    fn organisations(
        &mut self,
        at: &str,
        kind: ProviderKind,
        organisations: &List<String>,
    ) -> Vec<String> {
        if kind != ProviderKind::GitHub && !organisations.is_empty() {
            self.refuse(at, "only GitHub has organisations", "remove it");
            return Vec::new();
        }
        let mut all = Vec::new();
        for (at, organisation) in items(at, organisations) {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if organisation.is_empty() || !organisation.bytes().all(fits) {
                let what = format!("`{organisation}` is not the name of an organisation");
                self.refuse(&at, what, "write it as in https://github.com/NAME");
            } else {
                all.push(organisation.clone());
            }
        }
        all
    }

    fn group_map(&mut self, at: &str, written: &written::Provider) -> BTreeMap<String, Group> {
        let mut map = BTreeMap::new();
        for (there, here) in &written.groups.map {
            let Some(here) = here else { continue };
            if let Some(group) = self.parsed::<Group>(&below(at, there), here) {
                map.insert(there.clone(), group);
            }
        }
        map
    }

    /// The provider that the sign-in page leads to.
    pub(super) fn only_sign_in(
        &mut self,
        written: Option<&str>,
        providers: &List<written::Provider>,
    ) -> Option<String> {
        let name = written?;
        let names: Vec<&str> =
            providers.iter().flatten().filter_map(|provider| provider.name.as_deref()).collect();
        if names.contains(&name) {
            return Some(name.to_owned());
        }
        let cure = match meant(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "add it to `providers`".to_owned(),
            None => format!("the providers are {}", listed(names)),
        };
        self.refuse("only_sign_in", format!("no provider is called `{name}`"), &cure);
        None
    }
}

/// The tenant of all personal accounts at Microsoft: no administrator assigns their addresses.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What is wrong with an issuer, and how to fix it.
fn issuer_problem(issuer: &str) -> Option<(&'static str, &'static str)> {
    let Some(url) = Url::parse(issuer).ok().filter(Url::has_host) else {
        return Some(("is not a URL", "write it as the provider does, with https://"));
    };
    let is_here = url.host_str().is_some_and(is_local_name);
    if !(url.scheme() == "https" || (url.scheme() == "http" && is_here)) {
        return Some(("is not https", "use https; http is accepted for localhost only"));
    }
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_credentials {
        let what = "has a query, a fragment or credentials";
        return Some((what, "write only scheme, host and path"));
    }
    let first = url.path_segments().and_then(|mut path| path.next()).unwrap_or_default();
    let is_of_many = ["common", "organizations", "consumers", CONSUMERS]
        .iter()
        .any(|tenant| first.eq_ignore_ascii_case(tenant));
    let is_entra = ["login.microsoftonline.com", "login.microsoftonline.us"]
        .iter()
        .any(|host| url.host_str() == Some(host));
    (is_entra && is_of_many).then_some((
        "stands for many tenants, whose administrators can state any address",
        "write the id of your tenant: https://login.microsoftonline.com/TENANT-ID/v2.0",
    ))
}
