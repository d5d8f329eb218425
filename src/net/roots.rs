//! The CA certificates that are trusted: those in a file, or those of the system.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// CA certificates, at least one.
#[derive(Clone, Debug)]
pub struct Roots {
    /// As rustls looks them up.
    pub store: RootCertStore,
    /// One by one, in the order of the file.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// The certificates in the PEM file `file` or, if there is none, those of the system.
    ///
    /// # Errors
    /// If they cannot be read, if the file holds something that is not a certificate, or if there
    /// are none.
    pub fn of(file: Option<&Path>) -> io::Result<Self> {
        match file {
            Some(file) => Self::in_pem(&std::fs::read(file)?),
            None => Self::new(rustls_native_certs::load_native_certs()?, false),
        }
    }

    /// The certificates in `pem`.
    ///
    /// # Errors
    /// If it holds something that is not a certificate, or none.
    pub fn in_pem(pem: &[u8]) -> io::Result<Self> {
        let found = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>();
        Self::new(found.map_err(|_| not_a_certificate())?, true)
    }

    /// All of `found` must be certificates where it is `strict`. The system's collection may hold some
    /// that cannot be parsed; they are skipped, because Pingora would exit at one.
    fn new(found: Vec<CertificateDer<'static>>, strict: bool) -> io::Result<Self> {
        let mut store = RootCertStore::empty();
        let mut certificates = Vec::with_capacity(found.len());
        for certificate in found {
            let is_sound = X509Certificate::from_der(&certificate).is_ok()
                && store.add(certificate.clone()).is_ok();
            if is_sound {
                certificates.push(certificate);
            } else if strict {
                return Err(not_a_certificate());
            }
        }
        if certificates.is_empty() {
            return Err(io::Error::other("the file contains no certificate"));
        }
        Ok(Self { store, certificates })
    }
}

fn not_a_certificate() -> io::Error {
    io::Error::other("the file holds something that is not a certificate")
}
