//! The CA certificates that are trusted for the mail server.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::config::Mail;

/// Trusts the CA that `mail` names or, if it names none, those of the system.
///
/// # Errors
/// If they cannot be read, or there are none.
pub(super) fn connector(mail: &Mail) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match &mail.authority {
        Some(file) => {
            let found = CertificateDer::pem_file_iter(&file.path).and_then(Iterator::collect);
            let found: Vec<_> = found.map_err(|error| io::Error::other(error.to_string()))?;
            for certificate in found {
                roots.add(certificate).map_err(io::Error::other)?;
            }
        }
        None => {
            // The system's collection may contain certificates that cannot be parsed; skip those.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs()?);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("the file holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
