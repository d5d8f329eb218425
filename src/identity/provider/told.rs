//! From claims to what is told of a person: which address is verified, and which domain counts.

use serde_json::{Map, Value};

use super::fault::Lie;
use crate::domain::name::{Email, FullName};
use crate::domain::provider::{Account, Told};

/// What the claims of `issuer` tell. The groups are in `groups_claim`.
///
/// # Errors
/// [`Lie::Subject`] if nobody can be known by them; [`Lie::Groups`] if the claim with the groups is
/// missing.
pub(super) fn of_claims(
    issuer: &str,
    subject: &str,
    claims: &Map<String, Value>,
    groups_claim: Option<&str>,
) -> Result<Told, Lie> {
    let account = Account::new(issuer, subject).ok_or(Lie::Subject)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let email = text("email").and_then(|email| Email::parse(email).ok());
    let email = email.filter(|_| vouches(issuer, claims));
    let domain = domain(issuer, claims, email.as_ref());
    let groups = groups_claim.map_or_else(|| Ok(Vec::new()), |claim| groups(claims, claim))?;
    Ok(Told {
        account,
        username: text("preferred_username").map(str::to_owned),
        full_name: text("name").and_then(|name| FullName::parse(name).ok()),
        email,
        domain,
        groups,
        organisations: Vec::new(),
    })
}

/// Whether the claim `amr` names one of these methods (RFC 8176 §1).
pub(super) fn shows_one_of(claims: &Map<String, Value>, trusted: &[String]) -> bool {
    let said = claims.get("amr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    said.iter().filter_map(Value::as_str).any(|one| trusted.iter().any(|other| other == one))
}

/// Whether the issuer says that the address was verified. Entra never says so; one tenant is one
/// operator's, and its administrators assign the addresses there. An issuer that is one tenant is
/// the only kind that can be configured (`common` names no issuer of its own).
fn vouches(issuer: &str, claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        // Some providers write a text.
        Some(Value::String(verified)) => verified == "true",
        Some(_) => false,
        None => is_entra(issuer),
    }
}

/// The domain whose member the person is. At Google anybody can have an account with an address
/// elsewhere: only `hd` says that the domain's own administrators made it.
fn domain(issuer: &str, claims: &Map<String, Value>, email: Option<&Email>) -> Option<String> {
    let of_address = email.and_then(|email| email.as_str().rsplit_once('@'));
    let of_address = of_address.map(|(_, domain)| domain.to_ascii_lowercase());
    if issuer != GOOGLE {
        return of_address;
    }
    let hosted = claims.get("hd").and_then(Value::as_str)?.to_ascii_lowercase();
    of_address.filter(|domain| *domain == hosted)
}

/// The groups in a claim: a list of texts, or one text. Without the claim nobody comes in: the browser
/// could have taken the scope for it out of the URL, to lose the groups of whom more is demanded. And
/// Entra leaves it out if there are too many (`_claim_names`).
fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Vec<String>, Lie> {
    match claims.get(claim) {
        Some(Value::Array(all)) => {
            Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        _ => Err(Lie::Groups(claim.to_owned())),
    }
}

fn is_entra(issuer: &str) -> bool {
    issuer.starts_with("https://login.microsoftonline.com/")
        || issuer.starts_with("https://login.microsoftonline.us/")
}

const GOOGLE: &str = "https://accounts.google.com";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(issuer: &str, claims: &Value) -> Told {
        let groups = claims.get("groups").map(|_| "groups");
        of_claims(issuer, "7", claims.as_object().unwrap(), groups).unwrap()
    }

    #[test]
    fn only_a_verified_address_counts() {
        let issuer = "https://id.example.com";
        for (verified, counts) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!(1), false),
            (json!(null), false),
        ] {
            let claims = json!({ "email": "Ada@Example.COM", "email_verified": verified });
            let told = told(issuer, &claims);
            assert_eq!(told.email.is_some(), counts, "{verified}");
            assert_eq!(told.domain.as_deref(), counts.then_some("example.com"), "{verified}");
        }
        let silent = told(issuer, &json!({ "email": "ada@example.com" }));
        assert_eq!((silent.email, silent.domain), (None, None));
    }

    #[test]
    fn at_google_a_member_of_a_domain_is_whom_google_calls_one() {
        let mut claims = json!({ "email": "ada@example.com", "email_verified": true });
        assert_eq!(told(GOOGLE, &claims).domain, None, "an account with an address elsewhere");
        claims["hd"] = json!("evil.test");
        assert_eq!(told(GOOGLE, &claims).domain, None, "a member of another domain");
        claims["hd"] = json!("Example.com");
        assert_eq!(told(GOOGLE, &claims).domain.as_deref(), Some("example.com"));
    }

    #[test]
    fn a_tenant_of_entra_vouches_for_its_addresses() {
        let tenant = "https://login.microsoftonline.com/6f4e.../v2.0";
        let claims = json!({ "email": "ada@example.com" });
        assert_eq!(told(tenant, &claims).domain.as_deref(), Some("example.com"));
        let evil = "https://login.microsoftonline.com.evil.test/v2.0";
        assert_eq!(told(evil, &claims).domain, None);
    }

    #[test]
    fn odd_addresses_are_no_addresses() {
        for email in ["ada@evil.test@example.com", "ada@exämple.com", "ada", "ada@example.com\n"] {
            let claims = json!({ "email": email, "email_verified": true });
            assert_eq!(told("https://id.example.com", &claims).domain, None, "{email:?}");
        }
    }

    #[test]
    fn only_a_named_method_says_that_a_second_factor_was_shown() {
        let trusted = ["mfa".to_owned(), "hwk".to_owned()];
        for (amr, shows) in [
            (json!(["pwd", "mfa"]), true),
            (json!(["hwk"]), true),
            (json!(["pwd"]), false),
            (json!(["MFA"]), false),
            (json!("mfa"), false),
            (json!({ "mfa": true }), false),
            (json!(null), false),
        ] {
            let claims = json!({ "amr": amr });
            let claims = claims.as_object().unwrap();
            assert_eq!(shows_one_of(claims, &trusted), shows, "{amr}");
            assert!(!shows_one_of(claims, &[]), "it is not trusted");
        }
    }

    #[test]
    fn groups_are_texts_of_one_claim() {
        let claims = json!({ "groups": ["a", 7, "b"], "roles": ["c"], "_claim_names": {} });
        assert_eq!(told("https://id.example.com", &claims).groups, ["a", "b"]);
        let one = json!({ "groups": "a" });
        assert_eq!(told("https://id.example.com", &one).groups, ["a"]);
        let none = json!({ "_claim_names": { "groups": "src1" } });
        let told =
            of_claims("https://id.example.com", "7", none.as_object().unwrap(), Some("groups"));
        assert_eq!(told, Err(Lie::Groups("groups".to_owned())));
    }
}
