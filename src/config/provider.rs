//! Identity providers, as configured.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{CertificateFile, Place};
use crate::domain::provider::People;
use crate::domain::secret::Secret;

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in URLs and logs: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its name on pages.
    pub label: String,
    /// How it speaks.
    pub kind: ProviderKind,
    /// Its issuer, as it writes it: the identity of the provider.
    pub issuer: String,
    /// Our identity there.
    pub client_id: String,
    /// How we show there who we are.
    pub credential: Credential,
    /// What is asked for, besides what is needed anyway.
    pub scopes: Vec<String>,
    /// The claim that lists the groups of a person.
    pub groups_claim: Option<String>,
    /// Whom it may bring.
    pub people: People,
    /// Values of `amr`, each of which says that a second factor was shown there (RFC 8176 §2). Empty:
    /// it is not trusted to say so.
    pub trusted_amr: Vec<String>,
    /// How often to check that signed-in users may stay signed in; `None`: never.
    pub refresh: Option<Duration>,
    /// Whether signing out here also signs out there.
    pub sign_out_everywhere: bool,
    /// The CA that signs its certificate; `None`: those of the system.
    pub authority: Option<CertificateFile>,
    /// Its key path and place in the file.
    pub at: (String, Place),
}

/// How we show a provider who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By a secret that both know.
    Secret(Secret),
    /// By what a private key signs (`private_key_jwt`, OpenID Connect Core §9).
    Key {
        /// The key as PEM.
        pem: Secret,
        /// Its id at the provider, if it needs one.
        id: Option<String>,
    },
}

/// How a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect.
    OpenId,
    /// OAuth 2 with GitHub's API.
    GitHub,
    /// OAuth 2 with Facebook's API.
    Facebook,
}

impl ProviderKind {
    /// The issuer of a provider of this kind that does not state one. GitHub sends no reliable
    /// `iss`, so this is only a name for it.
    pub const fn issuer(self) -> Option<&'static str> {
        match self {
            Self::OpenId => None,
            Self::GitHub => Some("https://github.com"),
            Self::Facebook => Some("https://www.facebook.com"),
        }
    }
}

impl Provider {
    /// The file of its CA, if it has one.
    pub fn authority_file(&self) -> Option<&PathBuf> {
        self.authority.as_ref().map(|file| &file.path)
    }

    /// The origin of its issuer, for the policy of our pages.
    pub fn origin(&self) -> Option<String> {
        Url::parse(&self.issuer).ok().map(|url| url.origin().ascii_serialization())
    }
}
