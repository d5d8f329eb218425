//! How the identity of an https application is verified.

use std::io;
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::Reach;
use crate::net::{Roots, tls};

/// Which certificates are trusted, and for which name.
#[derive(Clone)]
pub(super) struct Trust {
    authorities: Vec<CertificateDer<'static>>,
    /// The SHA-256 of the pinned certificate, which is accepted regardless of its content.
    pinned: Option<[u8; 32]>,
    server_name: Option<String>,
    for_pingora: Arc<CaType>,
    connector: TlsConnector,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
            && self.pinned == other.pinned
            && self.server_name == other.server_name
    }
}

impl Eq for Trust {}

impl Trust {
    /// From the configuration in `reach`: the CA in its file, or those of the system.
    ///
    /// # Errors
    /// The file cannot be read, or contains no certificate.
    pub(in crate::proxy) fn of(reach: &Reach) -> io::Result<Self> {
        let file = reach.certificate.as_ref().or(reach.authority.as_ref());
        let roots = Roots::of(file.map(|file| file.path.as_path()))?;
        let wrap = |der: &CertificateDer<'_>| WrappedX509::new(der.to_vec(), parse_x509);
        let for_pingora: Arc<CaType> = roots.certificates.iter().map(wrap).collect();
        let mut config = tls::client(&roots)?;
        let authorities = roots.certificates;
        let pinned = reach.certificate.is_some().then(|| sha256(&authorities[0]));
        if let Some(pinned) = pinned {
            config.dangerous().set_certificate_verifier(Arc::new(Pinned {
                certificate: pinned,
                algorithms: tls::provider().signature_verification_algorithms,
            }));
        }
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self {
            authorities,
            pinned,
            server_name: reach.server_name.clone(),
            for_pingora,
            connector,
        })
    }

    /// The SHA-256 of the pinned certificate, if there is one.
    pub(super) fn pinned(&self) -> Option<&[u8]> {
        self.pinned.as_ref().map(<[u8; 32]>::as_slice)
    }

    pub(super) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(super) fn for_pingora(&self) -> Arc<CaType> {
        Arc::clone(&self.for_pingora)
    }

    /// Starts TLS over `stream` with a server that proves to be `name`. It may choose HTTP/2 if
    /// `http2`.
    ///
    /// # Errors
    /// The server does not.
    pub(super) async fn encrypt(
        &self,
        name: &str,
        stream: TcpStream,
        http2: bool,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        if http2 {
            // As Pingora does for requests. Who does not know ALPN is spoken to in HTTP/1.1.
            let offered = vec![b"h2".to_vec()];
            return self.connector.with_alpn(offered).connect(name, stream).await;
        }
        self.connector.connect(name, stream).await
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Accepts one certificate from any server that has its key.
#[derive(Debug)]
struct Pinned {
    certificate: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if sha256(shown) == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
