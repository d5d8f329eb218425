//! Identity providers: OpenID Connect, and GitHub and Facebook, which speak OAuth 2.
//!
//! A provider is asked for two things: where to send the browser, and who came back with a code. Its
//! discovery document and keys are kept for a while; all who wait for them wait for one request.
//! What decides is pure: which endpoints may be used ([`discovery`]), whether an ID token is genuine
//! ([`id_token`]), what claims tell ([`told`], [`plain`]).

mod client_key;
pub mod discovery;
mod fault;
pub mod id_token;
mod logout_token;
mod metadata;
mod plain;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::config::{self, Credential, ProviderKind};
use crate::domain::provider::{Account, Detour, Purpose, Told};
use crate::domain::reach::Reach;
use crate::domain::secret::{Secret, Token};
use crate::domain::time::Timestamp;
use crate::net::{Answer, Bounds, Client, Roots};
use client_key::ClientKey;
use discovery::Endpoints;
pub use fault::{Fault, Lie};
pub use logout_token::SignedOut;
use metadata::Metadata;
use plain::Plain;

/// All configured providers, by name.
#[derive(Debug, Default)]
pub struct Providers(BTreeMap<String, Arc<Provider>>);

/// One provider.
#[derive(Debug)]
pub struct Provider {
    settings: config::Provider,
    asks: Asks,
    speaks: Speaks,
    /// The key that stands in for a client secret.
    key: Option<ClientKey>,
}

/// How it speaks.
#[derive(Debug)]
enum Speaks {
    OpenId(Metadata),
    Plain(Plain),
}

/// Who came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What the provider tells of the person.
    pub told: Told,
    /// When they last entered something there, if it says so.
    pub auth_time: Option<Timestamp>,
    /// When it said all this, by its own clock.
    pub issued: Timestamp,
    /// Whether a second factor was shown there, as far as it is trusted to say so.
    pub second_factor: bool,
    /// The session there, if it has a name.
    pub session: Option<String>,
    /// What asks the provider again, where it is to be asked.
    pub refresh: Option<Secret>,
}

/// A session at a provider that may go on.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The refresh token that replaces the one that was shown, if there is one.
    pub refresh: Option<Secret>,
    /// What is told of the person; `None`: nothing.
    pub told: Result<Option<Told>, Fault>,
}

/// A provider that cannot be set up.
#[derive(Debug)]
pub struct NotSetUp {
    /// The provider.
    pub provider: Box<config::Provider>,
    /// Which file of it cannot be used.
    pub file: File,
    /// Why.
    pub source: io::Error,
}

/// A file that a provider needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// The certificates of its CA.
    Authority,
    /// The private key by which we show who we are.
    Key,
}

impl Providers {
    /// The providers of a configuration. What is known of one that did not change since `before` is
    /// kept.
    ///
    /// # Errors
    /// The first one that cannot be set up.
    pub fn of(all: &[config::Provider], before: &Self) -> Result<Self, NotSetUp> {
        let mut providers = BTreeMap::new();
        for settings in all {
            let kept = before.0.get(&settings.name).filter(|kept| kept.settings == *settings);
            let not = |(file, source)| {
                let provider = Box::new(settings.clone());
                NotSetUp { provider, file, source }
            };
            let provider = match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(Provider::new(settings.clone()).map_err(not)?),
            };
            providers.insert(settings.name.clone(), provider);
        }
        Ok(Self(providers))
    }

    /// The provider with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.0.values()
    }

    /// The provider of this issuer.
    pub fn of_issuer(&self, issuer: &str) -> Option<&Arc<Provider>> {
        self.0.values().find(|provider| provider.settings.issuer == issuer)
    }
}

impl Provider {
    fn new(settings: config::Provider) -> Result<Self, (File, io::Error)> {
        let roots = Roots::of(settings.authority_file().map(|file| &**file));
        let client = roots.and_then(|roots| Client::new(&roots));
        let client = client.map_err(|why| (File::Authority, why))?;
        let key = match &settings.credential {
            Credential::Secret(_) => None,
            Credential::Key { pem, id } => {
                let key = ClientKey::read(pem.expose(), id.clone());
                Some(key.map_err(|why| (File::Key, why))?)
            }
        };
        let asks = Asks { client, at_once: Semaphore::new(AT_ONCE) };
        let speaks = match Plain::of(settings.kind, &settings.issuer) {
            Some(plain) => Speaks::Plain(plain),
            None => Speaks::OpenId(Metadata::default()),
        };
        Ok(Self { settings, asks, speaks, key })
    }

    /// Its configuration.
    pub fn settings(&self) -> &config::Provider {
        &self.settings
    }

    /// Asks an OpenID provider for its discovery document and its keys; says how many keys it has that
    /// may be used. GitHub and Facebook have neither: `None`.
    ///
    /// # Errors
    /// [`Fault`], like signing in.
    pub async fn try_out(&self, now: Timestamp) -> Result<Option<usize>, Fault> {
        match &self.speaks {
            Speaks::OpenId(metadata) => metadata.keys(self, now).await.map(|keys| Some(keys.len())),
            Speaks::Plain(_) => Ok(None),
        }
    }

    /// The origins to which a browser is sent: that of the issuer, and those of the endpoints to sign in
    /// and out, if they are known.
    pub fn origins(&self) -> Vec<String> {
        let known = match &self.speaks {
            Speaks::OpenId(metadata) => metadata.origins(),
            Speaks::Plain(_) => Vec::new(),
        };
        let mut origins: Vec<String> = self.settings.origin().into_iter().chain(known).collect();
        origins.dedup();
        origins
    }

    /// Asks for the discovery document, if none is known: [`Provider::origins`] says more afterwards. A
    /// failure is told where somebody signs in.
    pub async fn learn_origins(&self, now: Timestamp) {
        if let Speaks::OpenId(metadata) = &self.speaks
            && metadata.origins().is_empty()
        {
            metadata.endpoints(self, now).await.ok();
        }
    }

    /// Whether it says when somebody signed in, so that signing in again can be asked for.
    pub fn can_confirm(&self) -> bool {
        matches!(self.speaks, Speaks::OpenId(_))
    }

    /// The URL to which a browser is sent (RFC 6749 §4.1.1, RFC 7636 §4.3). `again`: the person must
    /// sign in there again.
    ///
    /// # Errors
    /// [`Fault`] if the provider's discovery document is not there or not acceptable.
    pub async fn authorization_url(
        &self,
        detour: &Detour,
        state: &str,
        redirect_uri: &str,
        again: bool,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let verifier = BASE64URL_NOPAD.encode(detour.verifier.expose());
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
        let mut scopes: Vec<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        let mut url = match &self.speaks {
            Speaks::OpenId(metadata) => {
                scopes.extend(["openid", "email", "profile"]);
                scopes.extend(self.asks_for_more(detour).then_some("offline_access"));
                metadata.endpoints(self, now).await?.authorization.clone()
            }
            Speaks::Plain(plain) => {
                scopes.extend(plain.scopes);
                if !self.settings.people.organisations.is_empty() {
                    scopes.push("read:org");
                }
                Url::parse(&plain.authorization).map_err(|_| Lie::Answer("authorization"))?
            }
        };
        scopes.sort_unstable();
        scopes.dedup();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Speaks::OpenId(_) = self.speaks {
            url.query_pairs_mut().append_pair("nonce", &detour.nonce.expose_text());
            if self.asks_for_more(detour) {
                // OpenID Connect Core §11: without the person's consent there is no refresh token.
                url.query_pairs_mut().append_pair("prompt", "consent");
            }
            if again {
                url.query_pairs_mut().append_pair("prompt", "login").append_pair("max_age", "0");
            }
        }
        Ok(url.into())
    }

    /// Whether a refresh token is asked for on this way.
    fn asks_for_more(&self, detour: &Detour) -> bool {
        self.settings.refresh.is_some() && detour.purpose == Purpose::SignIn
    }

    /// Asks whether the session with this refresh token of `account` may go on, and what there is to
    /// tell of the person now. `once`: as for [`Provider::redeem`].
    ///
    /// # Errors
    /// [`Fault`], and nothing replaces the token; [`Fault::is_no`] if the session may not go on.
    pub async fn renew(
        &self,
        token: &Secret,
        account: &Account,
        once: &Token,
        now: Timestamp,
    ) -> Result<Renewed, Fault> {
        let Speaks::OpenId(metadata) = &self.speaks else {
            return Err(Lie::Answer("token").into());
        };
        let endpoints = metadata.endpoints(self, now).await?;
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token.expose_str())];
        let tokens = self.tokens(&endpoints, metadata, &grant, once, now).await?;
        let told = self.told_again(metadata, &endpoints, &tokens, account, now).await;
        Ok(Renewed { refresh: tokens.refresh, told })
    }

    /// What `tokens` tell of the person with this account; `None`: nothing.
    async fn told_again(
        &self,
        metadata: &Metadata,
        endpoints: &Endpoints,
        tokens: &Tokens,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<Told>, Fault> {
        let config::Provider { issuer, client_id, .. } = &self.settings;
        let subject = account.subject();
        let mut claims = Map::new();
        if let Some(id_token) = &tokens.id {
            // OpenID Connect Core §12.2: a new one, about the same person; it may have no nonce.
            let id_token = id_token.expose_str();
            let keys = metadata.keys_for(self, id_token, now).await?;
            let expected = id_token::Expected { issuer, client_id, nonce: None, now };
            let verified = id_token::verify(id_token, &keys, expected)?;
            if verified.subject != subject {
                return Err(Lie::OtherSubject.into());
            }
            claims = verified.all;
        }
        let reach = metadata.reach();
        self.add_userinfo(endpoints, tokens, subject, reach, &mut claims).await?;
        if claims.is_empty() {
            return Ok(None);
        }
        let groups = self.settings.groups_claim.as_deref();
        Ok(Some(told::of_claims(issuer, subject, &claims, groups)?))
    }

    /// Whether a response that names `issuer`, or none, may be from this provider (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`Lie::ResponseIssuer`], or [`Fault`] like [`Provider::authorization_url`].
    pub async fn is_response_of(&self, issuer: Option<&str>, now: Timestamp) -> Result<(), Fault> {
        let must = match &self.speaks {
            Speaks::OpenId(metadata) => metadata.endpoints(self, now).await?.names_issuer,
            // GitHub sends none, or one that is not reliable.
            Speaks::Plain(_) => return Ok(()),
        };
        match issuer {
            Some(issuer) if issuer == self.settings.issuer => Ok(()),
            None if !must => Ok(()),
            _ => Err(Lie::ResponseIssuer.into()),
        }
    }

    /// Who came back with this code from the way that `detour` describes. `once` is random: it makes
    /// the request one that is accepted once.
    ///
    /// # Errors
    /// [`Fault`] if the provider does not answer, or what it says is not acceptable.
    pub async fn redeem(
        &self,
        code: &str,
        detour: &Detour,
        redirect_uri: &str,
        once: &Token,
        now: Timestamp,
    ) -> Result<Spoken, Fault> {
        let verifier = Zeroizing::new(BASE64URL_NOPAD.encode(detour.verifier.expose()));
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", &verifier),
        ];
        match &self.speaks {
            Speaks::OpenId(metadata) => {
                let endpoints = metadata.endpoints(self, now).await?;
                let tokens = self.tokens(&endpoints, metadata, &grant, once, now).await?;
                self.read_tokens(metadata, &endpoints, &tokens, detour, now).await
            }
            Speaks::Plain(plain) => {
                let url = Url::parse(&plain.token).map_err(|_| Lie::Answer("token"))?;
                let secret = self.secret().ok_or(Lie::Answer("token"))?;
                let request =
                    token_request(&url, &grant, &self.settings.client_id, By::Post(secret));
                let tokens = self.asks.tokens(request, ANY).await?;
                let told = match self.settings.kind {
                    ProviderKind::Facebook => self.ask_facebook(plain, &tokens).await?,
                    ProviderKind::GitHub | ProviderKind::OpenId => {
                        self.ask_github(plain, &tokens).await?
                    }
                };
                Ok(Spoken {
                    told,
                    auth_time: None,
                    issued: now,
                    second_factor: false,
                    session: None,
                    refresh: None,
                })
            }
        }
    }

    /// Who has signed out there, as this logout token says, if it is acceptable and a key that is known
    /// has signed it: nobody is asked.
    pub fn signed_out_by_known_key(&self, token: &str, now: Timestamp) -> Option<SignedOut> {
        let Speaks::OpenId(metadata) = &self.speaks else { return None };
        id_token::key_id(token).ok()?;
        let keys = metadata.known_keys(now)?;
        let config::Provider { issuer, client_id, .. } = &self.settings;
        logout_token::verify(token, &keys, issuer, client_id, now).ok()
    }

    /// Who has signed out there, as this logout token says.
    ///
    /// # Errors
    /// [`Fault`] if the token is not acceptable, or the provider's keys cannot be fetched.
    pub async fn signed_out(&self, token: &str, now: Timestamp) -> Result<SignedOut, Fault> {
        let Speaks::OpenId(metadata) = &self.speaks else {
            return Err(Lie::Logout("the provider has none").into());
        };
        id_token::key_id(token)?;
        let keys = metadata.keys_for(self, token, now).await?;
        let config::Provider { issuer, client_id, .. } = &self.settings;
        Ok(logout_token::verify(token, &keys, issuer, client_id, now)?)
    }

    /// The URL at which a browser signs out there, too, to come back to `redirect_uri` with `state`
    /// (OpenID Connect RP-Initiated Logout 1.0 §2). `None` if that is not configured, or the provider
    /// has none or does not answer. No ID token is kept for it, so the provider may ask the person.
    pub async fn sign_out_url(
        &self,
        redirect_uri: &str,
        state: &str,
        now: Timestamp,
    ) -> Option<String> {
        let Speaks::OpenId(metadata) = &self.speaks else { return None };
        if !self.settings.sign_out_everywhere {
            return None;
        }
        let endpoints = metadata.endpoints(self, now).await.ok()?;
        let mut url = endpoints.end_session.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", redirect_uri)
            .append_pair("state", state);
        Some(url.into())
    }

    async fn read_tokens(
        &self,
        metadata: &Metadata,
        endpoints: &Endpoints,
        tokens: &Tokens,
        detour: &Detour,
        now: Timestamp,
    ) -> Result<Spoken, Fault> {
        // The browser could have taken the scope for it out of the URL, never to be asked about again.
        if self.asks_for_more(detour) && tokens.refresh.is_none() {
            return Err(Lie::Refresh.into());
        }
        let reach = metadata.reach();
        let id_token = tokens.id.as_ref().ok_or(Lie::Answer("token"))?.expose_str();
        id_token::key_id(id_token)?;
        let keys = metadata.keys_for(self, id_token, now).await?;
        let nonce = detour.nonce.expose_text();
        let expected = id_token::Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: Some(&nonce),
            now,
        };
        let verified = id_token::verify(id_token, &keys, expected)?;
        let second_factor = told::shows_one_of(&verified.all, &self.settings.trusted_amr);
        let mut claims = verified.all;
        let session = claims.get("sid").and_then(Value::as_str);
        let session = session.filter(|name| name.len() <= SESSION_AT_MOST).map(str::to_owned);
        self.add_userinfo(endpoints, tokens, &verified.subject, reach, &mut claims).await?;
        let groups = self.settings.groups_claim.as_deref();
        let told = told::of_claims(&self.settings.issuer, &verified.subject, &claims, groups)?;
        let (auth_time, issued) = (verified.auth_time, verified.issued);
        let refresh = tokens.refresh.clone().filter(|_| self.settings.refresh.is_some());
        Ok(Spoken { told, auth_time, issued, second_factor, session, refresh })
    }

    /// Asks the token endpoint for what `grant` says (RFC 6749 §4.1.3).
    async fn tokens(
        &self,
        endpoints: &Endpoints,
        metadata: &Metadata,
        grant: &[(&str, &str)],
        once: &Token,
        now: Timestamp,
    ) -> Result<Tokens, Fault> {
        let config::Provider { client_id, issuer, .. } = &self.settings;
        let assertion = self.key.as_ref();
        let assertion =
            assertion.map(|key| key.assertion(client_id, issuer, &once.expose_text(), now));
        let assertion = assertion.transpose()?;
        let by = match (&assertion, self.secret()) {
            (Some(assertion), _) => By::Assertion(assertion),
            (None, Some(secret)) if endpoints.secret_in_body => By::Post(secret),
            (None, Some(secret)) => By::Basic(secret),
            (None, None) => return Err(Lie::Answer("token").into()),
        };
        let request = token_request(&endpoints.token, grant, client_id, by);
        self.asks.tokens(request, metadata.reach()).await
    }

    fn secret(&self) -> Option<&Secret> {
        match &self.settings.credential {
            Credential::Secret(secret) => Some(secret),
            Credential::Key { .. } => None,
        }
    }

    /// Adds to the signed `claims` what the userinfo endpoint says, if there is one.
    async fn add_userinfo(
        &self,
        endpoints: &Endpoints,
        tokens: &Tokens,
        subject: &str,
        reach: Reach,
        claims: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let Some(userinfo) = &endpoints.userinfo else { return Ok(()) };
        let mut more = self.userinfo(userinfo, tokens, subject, reach).await?;
        // The claim is about the address beside it, and about no other.
        if claims.get("email").is_some_and(|email| more.get("email") != Some(email)) {
            more.remove("email_verified");
        }
        for (name, value) in more {
            // What was signed counts.
            claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    async fn userinfo(
        &self,
        url: &Url,
        tokens: &Tokens,
        subject: &str,
        reach: Reach,
    ) -> Result<Map<String, Value>, Fault> {
        let said = self.asks.json(url, tokens, "userinfo", reach).await?;
        let Value::Object(said) = said else { return Err(Lie::Answer("userinfo").into()) };
        // OpenID Connect Core §5.3.2: otherwise its claims must not be used.
        match said.get("sub").and_then(Value::as_str) {
            Some(same) if same == subject => Ok(said),
            _ => Err(Lie::OtherSubject.into()),
        }
    }

    async fn ask_github(&self, plain: &Plain, tokens: &Tokens) -> Result<Told, Fault> {
        let user = self.asks.json(&plain.api("/user")?, tokens, "API", ANY).await?;
        let emails = self.asks.json(&plain.api("/user/emails")?, tokens, "API", ANY).await?;
        let mut told = plain::of_github(&self.settings.issuer, &user, &emails)?;
        for organisation in &self.settings.people.organisations {
            let path = format!("/user/memberships/orgs/{organisation}");
            let request = Asks::get(&plain.api(&path)?, tokens);
            let answer = self.asks.sent(request, "API", ANY).await?;
            let membership: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if answer.status.is_success() && plain::is_member(&membership, organisation) {
                told.organisations.push(organisation.clone());
            }
        }
        Ok(told)
    }

    async fn ask_facebook(&self, plain: &Plain, tokens: &Tokens) -> Result<Told, Fault> {
        // Shows that the token was not taken from another app (Graph API, `appsecret_proof`).
        let secret = self.secret().ok_or(Lie::Answer("API"))?.expose();
        let mut proof = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Lie::Answer("API"))?;
        proof.update(tokens.access.expose());
        let proof = data_encoding::HEXLOWER.encode(&proof.finalize().into_bytes());
        let me = plain.api(&format!("/me?fields=id,name&appsecret_proof={proof}"))?;
        let me = self.asks.json(&me, tokens, "API", ANY).await?;
        Ok(plain::of_facebook(&self.settings.issuer, &me)?)
    }
}

/// What a code gives. Used once and forgotten.
struct Tokens {
    access: Secret,
    id: Option<Secret>,
    refresh: Option<Secret>,
}

impl Tokens {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[expect(clippy::struct_field_names, reason = "as RFC 6749 §5.1 names them")]
        struct Written {
            access_token: String,
            id_token: Option<String>,
            refresh_token: Option<String>,
        }
        let Written { access_token, id_token, refresh_token } =
            serde_json::from_slice(body).ok()?;
        let refresh = refresh_token.filter(|token| token.len() <= REFRESH_AT_MOST);
        Some(Self {
            access: access_token.into(),
            id: id_token.map(Secret::from),
            refresh: refresh.map(Secret::from),
        })
    }
}

/// Sends requests to a provider.
#[derive(Debug)]
struct Asks {
    client: Client,
    at_once: Semaphore,
}

impl Asks {
    fn get(url: &Url, tokens: &Tokens) -> Result<Request<Bytes>, http::Error> {
        let bearer = Zeroizing::new(format!("Bearer {}", tokens.access.expose_str()));
        let mut bearer = HeaderValue::from_str(&bearer)?;
        bearer.set_sensitive(true);
        Request::get(url.as_str())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json")
            .body(Bytes::new())
    }

    /// What the token endpoint gives.
    async fn tokens(
        &self,
        request: Result<Request<Bytes>, http::Error>,
        reach: Reach,
    ) -> Result<Tokens, Fault> {
        let answer = self.sent(request, "token", reach).await?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        // GitHub answers errors with 200.
        Tokens::read(&answer.body).ok_or_else(|| refused(&answer))
    }

    async fn json(
        &self,
        url: &Url,
        tokens: &Tokens,
        what: &'static str,
        reach: Reach,
    ) -> Result<Value, Fault> {
        let answer = self.sent(Self::get(url, tokens), what, reach).await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(Fault::Unavailable(format!("the {what} endpoint answers {status}")));
        }
        serde_json::from_slice(&answer.body).map_err(|_| Lie::Answer(what).into())
    }

    /// The whole answer, whatever its status, unless the server itself has failed.
    async fn sent(
        &self,
        request: Result<Request<Bytes>, http::Error>,
        what: &'static str,
        reach: Reach,
    ) -> Result<Answer, Fault> {
        let mut request = request.map_err(|_| Lie::Answer(what))?;
        // GitHub's API refuses requests without one.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("doorward"));
        let bounds = Bounds { within: WITHIN, body_at_most: BODY_AT_MOST, reach };
        let failed = |why: &dyn std::fmt::Display| {
            Fault::Unavailable(format!("the {what} endpoint does not answer: {why}"))
        };
        let asking = async {
            let _turn = self.at_once.acquire().await;
            self.client.send(request, bounds).await
        };
        let answer = match tokio::time::timeout(WITHIN, asking).await {
            Ok(answer) => answer.map_err(|why| failed(&why))?,
            Err(_) => return Err(failed(&"too many sign-ins wait for it")),
        };
        match answer.status {
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let status = status.as_u16();
                Err(Fault::Unavailable(format!("the {what} endpoint answers {status}")))
            }
            _ => Ok(answer),
        }
    }
}

/// How a request shows who we are.
#[derive(Clone, Copy)]
enum By<'a> {
    /// By the secret in the header `Authorization`.
    Basic(&'a Secret),
    /// By the secret in the body.
    Post(&'a Secret),
    /// By what a key has signed (RFC 7523 §2.2).
    Assertion(&'a str),
}

fn token_request(
    url: &Url,
    grant: &[(&str, &str)],
    client_id: &str,
    by: By<'_>,
) -> Result<Request<Bytes>, http::Error> {
    const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let mut form = Serializer::new(String::new());
    form.extend_pairs(grant).append_pair("client_id", client_id);
    let mut request = Request::post(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    match by {
        By::Basic(secret) => {
            request = request.header(AUTHORIZATION, basic(client_id, secret.expose_str()));
        }
        By::Post(secret) => {
            form.append_pair("client_secret", secret.expose_str());
        }
        By::Assertion(assertion) => {
            form.append_pair("client_assertion_type", JWT)
                .append_pair("client_assertion", assertion);
        }
    }
    request.body(Bytes::from(form.finish()))
}

/// The header `Authorization` with our id and secret (RFC 6749 §2.3.1: both are form-encoded first).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
    let both = Zeroizing::new(format!("Basic {}", BASE64.encode(both.as_bytes())));
    let header = HeaderValue::from_str(&both);
    // Base64 is always valid in a header.
    let mut header = header.unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}

/// What the token endpoint says instead of a token (RFC 6749 §5.2).
fn refused(answer: &Answer) -> Fault {
    let said = serde_json::from_slice::<Value>(&answer.body).ok();
    let error = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
    match error {
        Some(error) => Lie::TokenEndpoint(fault::Quoted::new(error)).into(),
        None => Lie::Answer("token").into(),
    }
}

/// The longest refresh token that is kept, in bytes.
const REFRESH_AT_MOST: usize = 8 * 1024;
/// The longest name of a session there that is kept, in bytes.
const SESSION_AT_MOST: usize = 255;
/// For everything that one request takes.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const BODY_AT_MOST: usize = 512 * 1024;
/// How many requests to one provider may run at once.
const AT_ONCE: usize = 32;
/// The addresses of GitHub and Facebook are constants, or the operator's.
const ANY: Reach = Reach::Anywhere;
