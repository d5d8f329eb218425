//! A security key in software: it answers as a browser with a real key would, or as a forger.

use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SigningKey,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::gate::Browser;

/// The flags of the authenticator data (WebAuthn §6.1).
pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;
pub(crate) const CAN_BE_COPIED: u8 = 0x08;
pub(crate) const IS_COPIED: u8 = 0x10;
pub(crate) const ATTESTED: u8 = 0x40;

/// Where the pages of these stories are.
pub(crate) const ORIGIN: &str = "https://crm.example.com";

/// A key.
pub(crate) struct SoftKey {
    pub(crate) pair: KeyPair,
    pub(crate) credential: Vec<u8>,
    /// Goes up by one with each signature; stays 0 if it is 0.
    pub(crate) counter: u32,
    pub(crate) flags: u8,
    /// The user, once it was set up as a key that can be found without a name.
    pub(crate) handle: Option<Vec<u8>>,
}

/// An answer before it is signed: what a forger may change.
pub(crate) struct Draft {
    pub(crate) kind: String,
    pub(crate) challenge: String,
    pub(crate) origin: String,
    /// More fields of the client data.
    pub(crate) more: Value,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) credential: Vec<u8>,
    /// The public key as a `COSE_Key`, at a set-up.
    pub(crate) cose: Vec<u8>,
    /// What follows in the authenticator data.
    pub(crate) tail: Vec<u8>,
    pub(crate) handle: Option<Vec<u8>>,
    /// The transports that the browser names.
    pub(crate) transports: Value,
}

impl SoftKey {
    /// A key with a counter that asks for a touch and a PIN, with an id of these bytes.
    pub(crate) fn new(id: u8) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let flags = PRESENT | VERIFIED;
        Self { pair, credential: vec![id; 32], counter: 1, flags, handle: None }
    }

    /// A passkey that is synchronised: it has no counter.
    pub(crate) fn synchronised(id: u8) -> Self {
        let flags = PRESENT | VERIFIED | CAN_BE_COPIED | IS_COPIED;
        Self { counter: 0, flags, ..Self::new(id) }
    }

    fn cose(&self) -> Vec<u8> {
        let raw = self.pair.public_key_raw();
        // An uncompressed point: 4, x, y.
        let (x, y) = (&raw[1..33], &raw[33..65]);
        let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20];
        [&head[..], x, &[0x22, 0x58, 0x20], y].concat()
    }

    fn draft(&mut self, kind: &str, options: &Value) -> Draft {
        let rp_id = options["rpId"].as_str().or_else(|| options["rp"]["id"].as_str());
        if self.counter > 0 {
            self.counter += 1;
        }
        Draft {
            kind: kind.to_owned(),
            challenge: options["challenge"].as_str().unwrap().to_owned(),
            origin: ORIGIN.to_owned(),
            more: json!({ "crossOrigin": false }),
            rp_id: rp_id.unwrap().to_owned(),
            flags: self.flags,
            counter: self.counter,
            credential: self.credential.clone(),
            cose: self.cose(),
            tail: Vec::new(),
            handle: self.handle.clone(),
            transports: json!(["usb"]),
        }
    }

    /// Answers a set-up with these options.
    pub(crate) fn is_set_up(&mut self, options: &Value) -> String {
        self.is_set_up_as(options, |_| {})
    }

    /// The same, forged.
    pub(crate) fn is_set_up_as(
        &mut self,
        options: &Value,
        forge: impl FnOnce(&mut Draft),
    ) -> String {
        let mut draft = self.draft("webauthn.create", options);
        draft.flags |= ATTESTED;
        forge(&mut draft);
        let user = options["user"]["id"].as_str().unwrap();
        self.handle = Some(BASE64URL_NOPAD.decode(user.as_bytes()).unwrap());
        let data = draft.authenticator_data(true);
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59";
        let attestation = [&head[..], &length, &data].concat();
        let response = json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(&draft.client_data()),
            "attestationObject": BASE64URL_NOPAD.encode(&attestation),
            "transports": draft.transports,
        });
        draft.sent(&response, &json!({ "credProps": { "rk": true } }))
    }

    /// Answers a set-up with these options, and its maker attests it (WebAuthn §8.2, "packed").
    pub(crate) fn is_set_up_by(&mut self, options: &Value, maker: &Maker) -> String {
        let mut draft = self.draft("webauthn.create", options);
        draft.flags |= ATTESTED;
        let (data, client_data) = (draft.authenticator_data(true), draft.client_data());
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = maker.pair.sign(&signed).unwrap();
        let statement = [
            &b"\xa3\x63alg\x26\x63sig"[..],
            &cbor_bytes(&signature),
            b"\x63x5c\x81",
            &cbor_bytes(&maker.certificate),
        ];
        let attestation = [
            &b"\xa3\x63fmt\x66packed\x67attStmt"[..],
            &statement.concat(),
            b"\x68authData",
            &cbor_bytes(&data),
        ];
        let response = json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
            "attestationObject": BASE64URL_NOPAD.encode(&attestation.concat()),
            "transports": draft.transports,
        });
        draft.sent(&response, &json!({ "credProps": { "rk": true } }))
    }

    /// Answers a challenge with these options.
    pub(crate) fn signs(&mut self, options: &Value) -> String {
        self.signs_as(options, |_| {})
    }

    /// The same, forged.
    pub(crate) fn signs_as(&mut self, options: &Value, forge: impl FnOnce(&mut Draft)) -> String {
        let mut draft = self.draft("webauthn.get", options);
        forge(&mut draft);
        let (data, client_data) = (draft.authenticator_data(false), draft.client_data());
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let response = json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "signature": BASE64URL_NOPAD.encode(&self.pair.sign(&signed).unwrap()),
            "userHandle": draft.handle.as_deref().map(|handle| BASE64URL_NOPAD.encode(handle)),
        });
        draft.sent(&response, &json!({}))
    }
}

/// Who makes keys: a CA, and a key with its certificate that attests those of one batch.
pub(crate) struct Maker {
    /// The certificate of the CA.
    pub(crate) authority: String,
    pair: KeyPair,
    certificate: Vec<u8>,
}

impl Maker {
    pub(crate) fn new() -> Self {
        // A CA is looked up by its subject.
        static MADE: AtomicUsize = AtomicUsize::new(1);
        let generated = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let name = format!("Keys Inc. Root {}", MADE.fetch_add(1, Ordering::Relaxed));
        authority.distinguished_name.push(DnType::CommonName, name);
        let root = generated();
        let certificate = authority.self_signed(&root).unwrap();
        let issuer = Issuer::new(authority, root);
        let mut batch = CertificateParams::default();
        batch.is_ca = IsCa::ExplicitNoCa;
        for (field, value) in [
            (DnType::CountryName, "SE"),
            (DnType::OrganizationName, "Keys Inc."),
            (DnType::OrganizationalUnitName, "Authenticator Attestation"),
            (DnType::CommonName, "Keys Inc. Batch 1"),
        ] {
            batch.distinguished_name.push(field, value);
        }
        let pair = generated();
        let signed = batch.signed_by(&pair, &issuer).unwrap();
        Self { authority: certificate.pem(), pair, certificate: signed.der().to_vec() }
    }
}

/// A byte string of less than 64 KiB (RFC 8949 §3.1).
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0x59], &length[..], bytes].concat()
}

impl Draft {
    fn client_data(&self) -> Vec<u8> {
        let mut data = json!({
            "type": self.kind, "challenge": self.challenge, "origin": self.origin,
        });
        let more = self.more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(more);
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, is_new: bool) -> Vec<u8> {
        let hash = Sha256::digest(self.rp_id.as_bytes());
        let mut data = [&hash[..], &[self.flags], &self.counter.to_be_bytes()].concat();
        if is_new {
            let length = u16::try_from(self.credential.len()).unwrap().to_be_bytes();
            data.extend([&[7; 16][..], &length, &self.credential, &self.cose].concat());
        }
        data.extend(&self.tail);
        data
    }

    fn sent(&self, response: &Value, extensions: &Value) -> String {
        json!({
            "rawId": BASE64URL_NOPAD.encode(&self.credential),
            "type": "public-key",
            "clientExtensionResults": extensions,
            "response": response,
        })
        .to_string()
    }
}

/// What the page tells the browser to ask a key.
pub(crate) fn options(page: &str) -> Value {
    let (_, rest) = page.split_once("data-options=\"").unwrap_or_else(|| panic!("no key: {page}"));
    let text = rest.split('"').next().unwrap();
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<");
    serde_json::from_str(&text.replace("&#62;", ">").replace("&#38;", "&")).unwrap()
}

impl Browser {
    /// Sets up this key as the first factor of whoever has signed in here.
    pub(crate) async fn sets_up_key(&mut self, key: &mut SoftKey) {
        self.opens("/.doorward/set-up?kind=security-key").await;
        let sent = key.is_set_up(&options(&self.page));
        self.sends(&[("code", &sent)]).await;
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.page);
        self.follows().await.sends(&[("saved", "yes")]).await;
    }

    /// Sends what a passkey signed on the sign-in page that is open.
    pub(crate) async fn sends_passkey(&mut self, sent: &str) {
        let token = self.field("passkey").unwrap();
        self.sends(&[("passkey", &token), ("code", sent)]).await;
    }
}
