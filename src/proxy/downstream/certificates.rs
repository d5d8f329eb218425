//! The certificates of our listeners: which one is used for which host name, and how they are
//! reloaded while in use.
//!
//! TLS 1.2 and 1.3 with the defaults of rustls, on aws-lc: X25519MLKEM768 is preferred. Sessions
//! are resumed by tickets, whose keys exist only in memory. There is no early data, because it
//! could be replayed (RFC 8446 §8).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{CertificateFile, Config, KeyPair, Problem, Tls, Way};
use crate::domain::time::Timestamp;
use crate::net::{Roots, tls};
use crate::proxy::downstream::listener::Entered;

/// How one listener treats its connections.
#[derive(Clone)]
pub(in crate::proxy) struct Entrance {
    /// Encrypts connections; `None`: the listener is plain HTTP.
    pub(in crate::proxy) acceptor: Option<TlsAcceptor>,
    /// Whether every request is redirected to the same URL under https.
    pub(in crate::proxy) redirect: bool,
    /// The authority whose client certificates it asks for, as a digest of its file; `None`: it
    /// asks for none.
    asks_for: Option<[u8; 32]>,
}

/// The certificates of all listeners and apps.
#[derive(Debug, Default)]
pub struct Certificates(Vec<Arc<Shown>>);

/// A certificate in use: the last valid content of its files.
struct Shown {
    pair: KeyPair,
    /// The hosts that it is for; empty for the default certificate of a listener.
    hosts: Vec<String>,
    now: ArcSwap<CertifiedKey>,
    read: Mutex<[u8; 32]>,
}

impl Certificates {
    /// Reads every certificate that `config` names.
    ///
    /// # Errors
    /// What is wrong with them, each with its line in the configuration.
    pub fn read(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut shown = Vec::new();
        let own = config.apps.iter().filter_map(|app| {
            let hosts = app.hosts.iter().map(|host| host.host().to_owned()).collect();
            Some((app.certificate.as_ref()?, hosts))
        });
        let of_listeners = config.listen.iter().filter_map(|listener| match &listener.way {
            Way::Tls(tls) => Some((tls.certificate.as_ref()?, Vec::new())),
            Way::Plain | Way::Redirect => None,
        });
        for (pair, hosts) in own.chain(of_listeners) {
            match Shown::read(pair, hosts) {
                Ok(one) => shown.push(Arc::new(one)),
                Err(what) => {
                    let is_missing = !pair.certificate.exists() || !pair.key.exists();
                    let cure = "correct the path, or create `doorward.pem` with `doorward cert self-signed`";
                    let cure = is_missing.then(|| cure.to_owned());
                    problems.push(Problem { cure, ..problem(&pair.at, what) });
                }
            }
        }
        let authorities = config.listen.iter().filter_map(|listener| match &listener.way {
            Way::Tls(tls) => tls.client_authority.as_ref(),
            Way::Plain | Way::Redirect => None,
        });
        for file in authorities {
            if let Err(what) = roots(file) {
                problems.push(problem(&file.at, what));
            }
        }
        for app in &config.apps {
            for file in [&app.reach.authority, &app.reach.certificate].into_iter().flatten() {
                if let Err(what) = roots(file) {
                    problems.push(problem(&file.at, what));
                }
            }
        }
        problems.dedup();
        if problems.is_empty() { Ok(Self(shown)) } else { Err(problems) }
    }

    /// Warnings about the certificates at this time: a host without a matching certificate, a
    /// certificate that has expired or expires soon.
    pub fn warnings(&self, config: &Config, now: Timestamp) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for shown in &self.0 {
            let key = shown.now.load_full();
            let Some(end) = key.cert.first() else { continue };
            match days_left(end, now) {
                Some(days) if days < 0 => {
                    warnings
                        .push(problem(&shown.pair.at, "the certificate has expired".to_owned()));
                }
                Some(days) if days < SOON => {
                    let what = format!("the certificate expires in {days} days");
                    warnings.push(problem(&shown.pair.at, what));
                }
                _ => {}
            }
            for host in config.hosts().filter(|host| host.origin.is_secure()) {
                let host = host.origin.host();
                if self.is_for(shown, host) && !is_for(end, host) {
                    let what = format!("the certificate is not for {host}");
                    warnings.push(problem(&shown.pair.at, what));
                }
            }
        }
        warnings.dedup();
        warnings
    }

    /// How each listener of `config` treats its connections.
    ///
    /// # Errors
    /// An authority's file cannot be read.
    pub(in crate::proxy) fn entrances(
        &self,
        config: &Config,
    ) -> Result<Vec<Entrance>, Vec<Problem>> {
        let entrance = |way: &Way| match way {
            Way::Plain => Ok(Entrance::plain(false)),
            Way::Redirect => Ok(Entrance::plain(true)),
            Way::Tls(tls) => self.encrypted(tls),
        };
        config.listen.iter().map(|listener| entrance(&listener.way)).collect()
    }

    fn encrypted(&self, tls: &Tls) -> Result<Entrance, Vec<Problem>> {
        let by_host = self
            .0
            .iter()
            .flat_map(|shown| shown.hosts.iter().map(|host| (host.clone(), Arc::clone(shown))))
            .collect();
        let is_meant = |shown: &&Arc<Shown>| {
            tls.certificate.as_ref().is_some_and(|pair| {
                shown.hosts.is_empty()
                    && (&shown.pair.certificate, &shown.pair.key) == (&pair.certificate, &pair.key)
            })
        };
        let otherwise = self.0.iter().find(is_meant).cloned();
        let resolver = Arc::new(ByName { by_host, otherwise });
        let told = |error: &dyn fmt::Display| {
            let (key, what) = ("listen".to_owned(), error.to_string());
            vec![Problem { place: None, key, what, cure: None }]
        };
        let builder = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| told(&error))?;
        let mut asks_for = None;
        let builder = match &tls.client_authority {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let read = bytes(&file.path).map_err(|what| vec![problem(&file.at, what)])?;
                asks_for = Some(Sha256::digest(read).into());
                let roots = roots(file).map_err(|what| vec![problem(&file.at, what)])?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider())
                        .build()
                        .map_err(|error| vec![problem(&file.at, error.to_string())])?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer =
            rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| told(&error))?;
        Ok(Entrance {
            acceptor: Some(TlsAcceptor::from(Arc::new(config))),
            redirect: false,
            asks_for,
        })
    }

    /// Reads files again that have changed on disk. If a new file is invalid, the old certificate
    /// stays in use.
    pub(in crate::proxy) fn refresh(&self) {
        for shown in &self.0 {
            shown.refresh();
        }
    }

    /// When the certificate for each host of `config` expires, in seconds since 1970. A host for
    /// which listeners have different ones is told the first that expires.
    pub fn ends(&self, config: &Config) -> impl Iterator<Item = (String, i64)> {
        let mut ends = BTreeMap::new();
        for host in config.hosts().filter(|host| host.origin.is_secure()) {
            let host = host.origin.host();
            let found = self.0.iter().filter(|shown| self.is_for(shown, host));
            let end = found.filter_map(|shown| not_after(shown.now.load().cert.first()?)).min();
            ends.extend(end.map(|end| (host.to_owned(), end)));
        }
        ends.into_iter()
    }

    /// Whether visitors of `host` are shown this certificate.
    fn is_for(&self, shown: &Shown, host: &str) -> bool {
        let names = |shown: &Shown| shown.hosts.iter().any(|own| own == host);
        names(shown) || (shown.hosts.is_empty() && !self.0.iter().any(|other| names(other)))
    }
}

impl Entrance {
    fn plain(redirect: bool) -> Self {
        Self { acceptor: None, redirect, asks_for: None }
    }

    /// Describes a connection that this listener accepts; `listener` is its index in the
    /// configuration.
    pub(in crate::proxy) fn way_in(&self, listener: usize) -> Entered {
        let secure = self.acceptor.is_some();
        Entered { listener, redirect: self.redirect, secure, asked_for: self.asks_for }
    }
}

impl Shown {
    fn read(pair: &KeyPair, hosts: Vec<String>) -> Result<Self, String> {
        let (certificate, key) = (bytes(&pair.certificate)?, bytes(&pair.key)?);
        let read = fingerprint(&certificate, &key);
        let now = certified(pair, &certificate, &key)?;
        Ok(Self {
            pair: pair.clone(),
            hosts,
            now: ArcSwap::from_pointee(now),
            read: Mutex::new(read),
        })
    }

    fn refresh(&self) {
        let file = self.pair.certificate.display();
        let (certificate, key) = match (bytes(&self.pair.certificate), bytes(&self.pair.key)) {
            (Ok(certificate), Ok(key)) => (certificate, key),
            // While somebody replaces a file, it may be missing for a moment.
            (Err(why), _) | (_, Err(why)) => {
                tracing::debug!(why, "cannot read a certificate, retrying later");
                return;
            }
        };
        let found = fingerprint(&certificate, &key);
        let before = std::mem::replace(&mut *self.read.lock(), found);
        if before == found {
            return;
        }
        match certified(&self.pair, &certificate, &key) {
            Ok(now) => {
                self.now.store(Arc::new(now));
                tracing::info!(%file, "certificate reloaded");
            }
            Err(why) => {
                tracing::warn!(%file, why, "cannot reload a certificate, the old one stays in use");
            }
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({})", self.pair.certificate.display())
    }
}

/// Chooses the certificate by the host name that the visitor asks for (SNI).
#[derive(Debug)]
struct ByName {
    by_host: HashMap<String, Arc<Shown>>,
    otherwise: Option<Arc<Shown>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives host names in lower case.
        let own = hello.server_name().and_then(|name| self.by_host.get(name));
        own.or(self.otherwise.as_ref()).map(|shown| shown.now.load_full())
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn fingerprint(certificate: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(Sha256::digest(certificate)).chain_update(key).finalize().into()
}

fn certified(pair: &KeyPair, certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let (file, key_file) = (pair.certificate.display(), pair.key.display());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{file} is not a PEM file of certificates: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{file} contains no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| format!("{key_file} contains no private key in PEM format"))?;
    let key = tls::provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| format!("TLS does not support the type of the key in {key_file}"))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|_| format!("the key in {key_file} does not match the certificate in {file}"))?;
    Ok(certified)
}

/// The CAs of client certificates.
fn roots(file: &CertificateFile) -> Result<RootCertStore, String> {
    let roots = Roots::in_pem(&bytes(&file.path)?);
    Ok(roots.map_err(|error| format!("{}: {error}", file.path.display()))?.store)
}

fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let (Ok(parsed), Ok(name)) =
        (ParsedCertificate::try_from(certificate), ServerName::try_from(host))
    else {
        return false;
    };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

fn days_left(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<i64> {
    let now = i64::try_from(now.seconds()).ok()?;
    Some((not_after(certificate)? - now).div_euclid(24 * 60 * 60))
}

fn problem((key, place): &(String, crate::config::Place), what: String) -> Problem {
    Problem { place: Some(*place), key: key.clone(), what, cure: None }
}

/// Warn this many days before a certificate expires, so that a person has time to act.
const SOON: i64 = 14;
