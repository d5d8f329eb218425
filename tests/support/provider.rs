//! An OpenID provider that says what a test wants it to say, true or not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use doorward::domain::time::Timestamp;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use http::{StatusCode, Uri};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The client id and secret that the provider knows.
pub(crate) const CLIENT: (&str, &str) = ("doorward", "a secret for tests only");

/// A provider on a port of its own.
pub(crate) struct StandIn {
    /// Its issuer.
    pub(crate) issuer: String,
    said: Arc<Mutex<Said>>,
}

/// What it says.
pub(crate) struct Said {
    /// Instead of what the discovery document would say.
    pub(crate) document: Value,
    /// Instead of what the ID token would say; null: left out.
    pub(crate) claims: Value,
    /// What the userinfo endpoint says; null: there is none.
    pub(crate) userinfo: Value,
    /// How the ID token is signed.
    pub(crate) sign: Sign,
    /// How it answers at the token endpoint.
    pub(crate) answer: How,
    /// What time it is there.
    pub(crate) now: Timestamp,
    /// The keys with which it signs; the last is the current one.
    keys: Vec<Key>,
    /// Codes that can be redeemed: with what the authorization request said.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    /// How often each path was asked for.
    asked: BTreeMap<String, usize>,
    issuer: String,
    /// The number of the refresh token that is valid; `None`: none is.
    pub(crate) refresh: Option<u32>,
    /// The key that the client signs with, instead of showing a secret.
    client_key: Option<DecodingKey>,
    /// What it has signed so far, by its id.
    assertions: BTreeSet<String>,
    /// What held answers wait for.
    released: Arc<Semaphore>,
}

/// How an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// With the current key.
    Well,
    /// With a key that is not published, under the id of one that is.
    WithAnotherKey,
    /// With a key that is not published, under its own id.
    WithAnUnknownKey,
    /// With HS256 and the public key as the secret.
    WithThePublicKey,
    /// With HS256 and the client secret.
    WithTheClientSecret,
    /// Not at all.
    Not,
}

/// How it answers at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should.
    Well,
    /// With ten mebibytes.
    Long,
    /// With a redirect.
    Elsewhere,
    /// With an error of its own.
    Broken,
    /// As it should, once [`StandIn::releases`] was called.
    Held,
}

struct Key {
    id: String,
    algorithm: Algorithm,
    pair: KeyPair,
}

impl Key {
    fn new(id: &str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::EdDSA => KeyPair::generate_for(&PKCS_ED25519),
            Algorithm::RS256 | Algorithm::PS256 => KeyPair::generate_for(&PKCS_RSA_SHA256),
            _ => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        };
        Self { id: id.to_owned(), algorithm, pair: pair.unwrap() }
    }

    fn published(&self) -> Value {
        let encoded = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let raw = self.pair.der_bytes();
        match self.algorithm {
            Algorithm::EdDSA => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": encoded(raw) })
            }
            Algorithm::RS256 | Algorithm::PS256 => {
                let (n, e) = rsa_components(raw);
                json!({ "kty": "RSA", "kid": self.id, "n": encoded(n), "e": encoded(e) })
            }
            _ => {
                let (x, y) = raw[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
                    "x": encoded(x), "y": encoded(y),
                })
            }
        }
    }

    fn signs(&self, kid: &str, claims: &Value) -> String {
        let der = self.pair.serialized_der();
        let key = match self.algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(der),
            Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_der(rsa_private(der)),
            _ => EncodingKey::from_ec_der(der),
        };
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// Modulus and exponent of a DER `RSAPublicKey`.
fn rsa_components(der: &[u8]) -> (&[u8], &[u8]) {
    let (inside, _) = element(der);
    let (n, rest) = element(inside);
    let (e, _) = element(rest);
    (n.strip_prefix(&[0]).unwrap_or(n), e)
}

/// The `RSAPrivateKey` in a DER `PrivateKeyInfo` (RFC 5208 §5).
fn rsa_private(der: &[u8]) -> &[u8] {
    let (inside, _) = element(der);
    let (_version, rest) = element(inside);
    let (_algorithm, rest) = element(rest);
    element(rest).0
}

/// What is in the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = match der[1] {
        0x82 => ((usize::from(der[2]) << 8) | usize::from(der[3]), 4),
        0x81 => (usize::from(der[2]), 3),
        short => (usize::from(short), 2),
    };
    der[head..].split_at(length)
}

impl StandIn {
    /// A provider that tells the truth about `ada`, who has a verified address at example.com.
    pub(crate) async fn opens() -> Self {
        Self::signing_with(Algorithm::ES256).await
    }

    /// The same with this algorithm.
    pub(crate) async fn signing_with(algorithm: Algorithm) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let said = Arc::new(Mutex::new(Said {
            document: json!({}),
            claims: json!({}),
            userinfo: Value::Null,
            sign: Sign::Well,
            answer: How::Well,
            now: super::gate::START,
            keys: vec![Key::new("first", algorithm)],
            codes: BTreeMap::new(),
            asked: BTreeMap::new(),
            issuer: issuer.clone(),
            refresh: None,
            client_key: None,
            assertions: BTreeSet::new(),
            released: Arc::new(Semaphore::new(0)),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&said));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, said }
    }

    /// What it says, to be changed.
    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap()
    }

    /// How often this path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.said().asked.get(path).copied().unwrap_or_default()
    }

    /// From now on the client must sign with this P-256 key.
    pub(crate) fn knows_the_client_by(&self, pem: &str) {
        let pair = KeyPair::from_pem(pem).unwrap();
        let key = Key { id: String::new(), algorithm: Algorithm::ES256, pair }.published();
        let key = DecodingKey::from_jwk(&serde_json::from_value(key).unwrap()).unwrap();
        self.said().client_key = Some(key);
    }

    /// Waits until this path was asked for so often.
    pub(crate) async fn is_asked(&self, path: &str, times: usize) {
        while self.asked(path) < times {
            tokio::task::yield_now().await;
        }
    }

    /// Lets it give all answers that it holds back, and no more.
    pub(crate) fn releases(&self) {
        let mut said = self.said();
        said.answer = How::Well;
        said.released.close();
        said.released = Arc::new(Semaphore::new(0));
    }

    /// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4) with these claims instead.
    pub(crate) fn logout_token(&self, claims: &Value) -> String {
        let said = self.said();
        let now = said.now.seconds();
        let event = "http://schemas.openid.net/event/backchannel-logout";
        let mut all = json!({
            "iss": said.issuer, "aud": CLIENT.0, "iat": now, "exp": now + 120,
            "jti": "1", "sub": "7", "events": { event: {} },
        });
        merge(&mut all, claims);
        said.signed(&all)
    }

    /// From now on it signs with a new key, and the old one is no longer published.
    pub(crate) fn rotates_keys(&self) {
        let mut said = self.said();
        let algorithm = said.keys[0].algorithm;
        let id = format!("key {}", said.codes.len() + said.asked.len());
        said.keys = vec![Key::new(&id, algorithm)];
    }

    /// Somebody signs in there, having been sent to `location`: the query with which the browser
    /// comes back.
    pub(crate) fn signs_in(&self, location: &str) -> String {
        let url: url::Url = location.parse().unwrap();
        assert!(location.starts_with(&self.issuer), "{location}");
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut said = self.said();
        let code = format!("code-{}", said.codes.len() + 1);
        let state = asked["state"].clone();
        said.codes.insert(code.clone(), asked);
        format!("code={code}&state={state}")
    }
}

type Shared = State<Arc<Mutex<Said>>>;

fn counts<'s>(said: &'s Shared, uri: &Uri) -> MutexGuard<'s, Said> {
    let mut said = said.lock().unwrap();
    *said.asked.entry(uri.path().to_owned()).or_default() += 1;
    said
}

async fn document(said: Shared, uri: Uri) -> Response {
    let said = counts(&said, &uri);
    let issuer = &said.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    });
    if !said.userinfo.is_null() {
        document["userinfo_endpoint"] = json!(format!("{issuer}/userinfo"));
    }
    merge(&mut document, &said.document);
    as_json(&document)
}

async fn keys(said: Shared, uri: Uri) -> Response {
    let said = counts(&said, &uri);
    let all: Vec<Value> = said.keys.iter().map(Key::published).collect();
    as_json(&json!({ "keys": all }))
}

async fn userinfo(said: Shared, uri: Uri) -> Response {
    as_json(&counts(&said, &uri).userinfo)
}

async fn token(said: Shared, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let (how, released) = {
        let said = counts(&said, &uri);
        (said.answer, Arc::clone(&said.released))
    };
    match how {
        How::Well => {}
        How::Long => return Body::from(vec![b' '; 10 << 20]).into_response(),
        How::Elsewhere => {
            return (StatusCode::FOUND, [("location", "/token")]).into_response();
        }
        How::Broken => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        How::Held => released.acquire().await.map(drop).unwrap_or_default(),
    }
    let mut said = said.lock().unwrap();
    let sent: BTreeMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let refused =
        |why: &str| (StatusCode::BAD_REQUEST, as_json(&json!({ "error": why }))).into_response();
    let encoded =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("{}:{}", encoded(CLIENT.0), encoded(CLIENT.1));
    let basic = format!("Basic {}", BASE64.encode(basic.as_bytes()));
    let is_client = match said.client_key.clone() {
        None => headers.get(AUTHORIZATION).is_some_and(|sent| sent == basic.as_str()),
        Some(key) => said.is_signed_by(&key, &sent),
    };
    if !is_client {
        return refused("invalid_client");
    }
    if sent["grant_type"] == "refresh_token" {
        let Some(number) =
            said.refresh.filter(|number| sent["refresh_token"] == format!("refresh-{number}"))
        else {
            return refused("invalid_grant");
        };
        // Each is used once.
        said.refresh = Some(number + 1);
        let token = format!("refresh-{}", number + 1);
        return as_json(&json!({
            "access_token": "opaque", "token_type": "Bearer", "refresh_token": token,
        }));
    }
    let Some(asked) = said.codes.remove(&sent["code"]) else { return refused("invalid_grant") };
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(sent["code_verifier"].as_bytes()));
    if challenge != asked["code_challenge"] || sent["redirect_uri"] != asked["redirect_uri"] {
        return refused("invalid_grant");
    }
    let now = said.now.seconds();
    let mut claims = json!({
        "iss": said.issuer,
        "sub": "7",
        "aud": CLIENT.0,
        "nonce": asked["nonce"],
        "iat": now,
        "exp": now + 300,
        "auth_time": now,
        "preferred_username": "ada",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": true,
    });
    merge(&mut claims, &said.claims);
    let id_token = said.signed(&claims);
    let mut tokens =
        json!({ "access_token": "opaque", "token_type": "Bearer", "id_token": id_token });
    if asked["scope"].split(' ').any(|scope| scope == "offline_access") {
        said.refresh = Some(1);
        tokens["refresh_token"] = json!("refresh-1");
    }
    as_json(&tokens)
}

impl Said {
    /// Whether the client has signed that it asks us, for the first time (RFC 7523 §3).
    fn is_signed_by(&mut self, key: &DecodingKey, sent: &BTreeMap<String, String>) -> bool {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[&self.issuer]);
        validation.validate_exp = false;
        let Some(assertion) = sent.get("client_assertion") else { return false };
        let Ok(read) = decode::<Value>(assertion, key, &validation) else { return false };
        let said = read.claims;
        let is_ours = said["iss"] == CLIENT.0 && said["sub"] == CLIENT.0;
        let lives = said["exp"].as_u64() > Some(self.now.seconds());
        let by = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let is_meant = sent.get("client_assertion_type").is_some_and(|kind| kind == by);
        is_ours && lives && is_meant && self.assertions.insert(said["jti"].to_string())
    }

    fn signed(&self, claims: &Value) -> String {
        let key = self.keys.last().unwrap();
        let with_secret = |secret: &[u8]| {
            let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret).unwrap())
                .unwrap()
        };
        match self.sign {
            Sign::Well => key.signs(&key.id, claims),
            Sign::WithAnotherKey => Key::new("x", key.algorithm).signs(&key.id, claims),
            Sign::WithAnUnknownKey => Key::new("x", key.algorithm).signs("unknown", claims),
            Sign::WithThePublicKey => with_secret(key.pair.public_key_pem().as_bytes()),
            Sign::WithTheClientSecret => with_secret(CLIENT.1.as_bytes()),
            Sign::Not => {
                let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
                format!("{}.{}.", part(&json!({ "alg": "none" })), part(claims))
            }
        }
    }
}

/// Puts what `other` says into `value`; null takes it out.
fn merge(value: &mut Value, other: &Value) {
    let (Some(value), Some(other)) = (value.as_object_mut(), other.as_object()) else { return };
    for (name, said) in other {
        if said.is_null() {
            value.remove(name);
        } else {
            value.insert(name.clone(), said.clone());
        }
    }
}

fn as_json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
