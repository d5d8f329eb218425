//! Why a provider's word is not taken.

use std::fmt;

/// Why nobody was signed in by a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The provider did not answer, or has an error of its own.
    #[error("{0}")]
    Unavailable(String),
    /// It answered something that cannot be accepted.
    #[error("{0}")]
    Refused(Lie),
}

impl Fault {
    /// Whether the token endpoint says that a grant is not valid any more (RFC 6749 §5.2). Every other
    /// fault may be ours, or pass.
    pub fn is_no(&self) -> bool {
        matches!(self, Self::Refused(Lie::TokenEndpoint(said)) if said.0 == "invalid_grant")
    }
}

/// What is wrong with what a provider, or somebody in its place, says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// The discovery document names another issuer.
    #[error(
        "the discovery document names the issuer `{0}`; if that is your provider, set `issuer` to \
         exactly this"
    )]
    DiscoveryIssuer(Quoted),
    /// The discovery document is malformed.
    #[error("the discovery document cannot be read: {0}")]
    Discovery(String),
    /// An endpoint that must not be used.
    #[error("`{endpoint}` in the discovery document is `{url}`, which {why}")]
    Endpoint {
        /// Its name.
        endpoint: &'static str,
        /// Its URL.
        url: Quoted,
        /// Why it must not be used.
        why: &'static str,
    },
    /// The keys are malformed.
    #[error("the signing keys cannot be read")]
    Keys,
    /// The response names another issuer (RFC 9207 §2.4), or none although it should.
    #[error("`iss` in the response is missing or names another issuer (RFC 9207)")]
    ResponseIssuer,
    /// The token endpoint refuses the code.
    #[error("the token endpoint says `{0}`")]
    TokenEndpoint(Quoted),
    /// The answer of an endpoint is malformed.
    #[error("the answer of the {0} endpoint cannot be read")]
    Answer(&'static str),
    /// The ID token is malformed.
    #[error("the ID token cannot be read: {0}")]
    Malformed(&'static str),
    /// The ID token uses an algorithm that is not accepted.
    #[error("the ID token is not signed with RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    /// The ID token was signed with a key that the provider does not publish.
    #[error("the provider publishes no key that fits the ID token")]
    Key,
    /// The signature is wrong.
    #[error("the signature of the ID token is wrong")]
    Signature,
    /// The ID token is of another issuer.
    #[error("`iss` in the ID token is another issuer")]
    Issuer,
    /// The ID token is for another client.
    #[error("`aud` in the ID token is not our client id")]
    Audience,
    /// The ID token was issued to another client.
    #[error("`azp` in the ID token is not our client id")]
    Party,
    /// The configured claim with the groups is missing.
    #[error("the claim `{0}` with the groups is missing: let the provider always send it")]
    Groups(String),
    /// There is no refresh token, although it was asked for, or it is longer than any that is kept.
    #[error(
        "there is no refresh token, although `refresh` is set: does the provider allow `offline_access`?"
    )]
    Refresh,
    /// The ID token belongs to another sign-in.
    #[error("`nonce` in the ID token is not that of this sign-in")]
    Nonce,
    /// The ID token has expired.
    #[error("the ID token has expired: do the clocks agree?")]
    Expired,
    /// The ID token was issued too long ago, or in the future.
    #[error(
        "the ID token was issued at {0}, more than ten minutes ago or five minutes ahead: do the clocks agree?"
    )]
    IssuedAt(u64),
    /// A logout token is not one.
    #[error("the logout token is not valid: {0}")]
    Logout(&'static str),
    /// The subject is not one.
    #[error("`sub` is missing, too long, or not visible ASCII")]
    Subject,
    /// Two answers are about two people.
    #[error("`sub` of the userinfo endpoint differs from that of the ID token")]
    OtherSubject,
    /// The person did not sign in again.
    #[error("`auth_time` is missing or before the confirmation began: do the clocks agree?")]
    AuthTime,
}

impl From<Lie> for Fault {
    fn from(lie: Lie) -> Self {
        Self::Refused(lie)
    }
}

/// A few characters of what was received, for the log: no control characters, and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// The beginning of `text`.
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(200).flat_map(char::escape_default).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
