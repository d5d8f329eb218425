//! The CA certificates that are trusted for the mail server.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;

use crate::config::Mail;
use crate::net::{Roots, tls};

/// Trusts the CA that `mail` names or, if it names none, those of the system.
///
/// # Errors
/// If they cannot be read, or there are none.
pub(super) fn connector(mail: &Mail) -> io::Result<TlsConnector> {
    let roots = Roots::of(mail.authority.as_ref().map(|file| file.path.as_path()))?;
    Ok(TlsConnector::from(Arc::new(tls::client(&roots)?)))
}
