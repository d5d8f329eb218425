//! GitHub and Facebook, which speak OAuth 2 without OpenID Connect: where they are asked, and what
//! their answers tell. Both name people by a number that never changes hands.

use serde_json::Value;
use url::Url;

use super::fault::Lie;
use crate::config::ProviderKind;
use crate::domain::name::{Email, FullName};
use crate::domain::provider::{Account, Told};

/// Where such a provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// Where the browser is sent.
    pub authorization: String,
    /// Where a code is redeemed.
    pub token: String,
    /// The beginning of the URLs of its API.
    pub api: String,
    /// What is asked for.
    pub scopes: &'static [&'static str],
}

impl Plain {
    /// The provider of this kind at `issuer`; `None` for OpenID Connect, whose provider says this
    /// itself.
    pub(super) fn of(kind: ProviderKind, issuer: &str) -> Option<Self> {
        let base = issuer.trim_end_matches('/');
        match kind {
            ProviderKind::OpenId => None,
            // GitHub Enterprise Server has its API on the same host.
            ProviderKind::GitHub => Some(Self {
                authorization: format!("{base}/login/oauth/authorize"),
                token: format!("{base}/login/oauth/access_token"),
                api: match base {
                    "https://github.com" => "https://api.github.com".to_owned(),
                    other => format!("{other}/api/v3"),
                },
                scopes: &["read:user", "user:email"],
            }),
            ProviderKind::Facebook => {
                let graph = match base {
                    "https://www.facebook.com" => "https://graph.facebook.com",
                    other => other,
                };
                Some(Self {
                    authorization: format!("{base}/v23.0/dialog/oauth"),
                    token: format!("{graph}/v23.0/oauth/access_token"),
                    api: format!("{graph}/v23.0"),
                    scopes: &["public_profile", "email"],
                })
            }
        }
    }

    /// The URL of `path` in the API.
    ///
    /// # Errors
    /// [`Lie::Answer`] if that is no URL.
    pub(super) fn api(&self, path: &str) -> Result<Url, Lie> {
        Url::parse(&format!("{}{path}", self.api)).map_err(|_| Lie::Answer("API"))
    }
}

/// What GitHub's `/user` and `/user/emails` tell.
///
/// # Errors
/// [`Lie::Answer`] or [`Lie::Subject`].
pub(super) fn of_github(issuer: &str, user: &Value, emails: &Value) -> Result<Told, Lie> {
    let id = user.get("id").and_then(Value::as_u64).ok_or(Lie::Answer("API"))?;
    let account = Account::new(issuer, &id.to_string()).ok_or(Lie::Subject)?;
    let text = |name: &str| user.get(name).and_then(Value::as_str);
    let is = |email: &&Value, what: &str| email.get(what).and_then(Value::as_bool) == Some(true);
    let emails = emails.as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = emails.iter().find(|email| is(email, "primary") && is(email, "verified"));
    let email = primary.and_then(|email| email.get("email")).and_then(Value::as_str);
    let email = email.and_then(|email| Email::parse(email).ok());
    Ok(Told {
        account,
        username: text("login").map(str::to_owned),
        full_name: text("name").and_then(|name| FullName::parse(name).ok()),
        domain: domain(email.as_ref()),
        email,
        groups: Vec::new(),
        organisations: Vec::new(),
    })
}

/// Whether GitHub's `/user/memberships/orgs/ORG` says that the person is a member now: an invited
/// person is `pending`.
pub(super) fn is_member(membership: &Value, organisation: &str) -> bool {
    let state = membership.get("state").and_then(Value::as_str);
    let named = membership.get("organization").and_then(|one| one.get("login"));
    let named = named.and_then(Value::as_str);
    state == Some("active") && named.is_some_and(|name| name.eq_ignore_ascii_case(organisation))
}

/// What Facebook's `/me` tells. It does not say whether the address was verified, so it is none.
///
/// # Errors
/// [`Lie::Answer`] or [`Lie::Subject`].
pub(super) fn of_facebook(issuer: &str, me: &Value) -> Result<Told, Lie> {
    let text = |name: &str| me.get(name).and_then(Value::as_str);
    let id = text("id").ok_or(Lie::Answer("API"))?;
    Ok(Told {
        account: Account::new(issuer, id).ok_or(Lie::Subject)?,
        username: None,
        full_name: text("name").and_then(|name| FullName::parse(name).ok()),
        email: None,
        domain: None,
        groups: Vec::new(),
        organisations: Vec::new(),
    })
}

fn domain(email: Option<&Email>) -> Option<String> {
    email?.as_str().rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn at_github_people_have_numbers_and_the_verified_primary_address() {
        let user = json!({ "id": 583_231, "login": "octocat", "name": "The Octocat" });
        let emails = json!([
            { "email": "old@example.com", "primary": false, "verified": true },
            { "email": "Octo@Example.com", "primary": true, "verified": true },
        ]);
        let told = of_github("https://github.com", &user, &emails).unwrap();
        assert_eq!(told.account.subject(), "583231");
        assert_eq!(told.username.as_deref(), Some("octocat"));
        assert_eq!(told.domain.as_deref(), Some("example.com"));
        let unverified = json!([{ "email": "a@example.com", "primary": true, "verified": false }]);
        let told = of_github("https://github.com", &user, &unverified).unwrap();
        assert_eq!((told.email, told.domain), (None, None));
        // The name can change hands, the number cannot.
        assert!(of_github("https://github.com", &json!({ "login": "octocat" }), &emails).is_err());
    }

    #[test]
    fn an_invited_person_is_no_member_and_neither_is_one_of_another_organisation() {
        let of = |state, login| json!({ "state": state, "organization": { "login": login } });
        assert!(is_member(&of("active", "Example"), "example"));
        assert!(!is_member(&of("pending", "example"), "example"));
        assert!(!is_member(&of("active", "example2"), "example"));
        assert!(!is_member(&json!({ "state": "active" }), "example"));
    }

    #[test]
    fn facebook_vouches_for_no_address() {
        let me = json!({ "id": "10158", "name": "Ada", "email": "ada@example.com" });
        let told = of_facebook("https://www.facebook.com", &me).unwrap();
        assert_eq!((told.email, told.domain, told.username), (None, None, None));
    }
}
