//! The TLS library, and how a client of it is set up.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;

use super::roots::Roots;

/// The cryptography under TLS, for clients and servers alike.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A client that trusts `roots` and shows no certificate of its own.
///
/// # Errors
/// If the library supports no version of TLS that is safe.
pub fn client(roots: &Roots) -> io::Result<ClientConfig> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots.store.clone())
        .with_no_client_auth())
}
