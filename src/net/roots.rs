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
            None => Self::of_system(),
        }
    }

    /// The certificates in `pem`.
    ///
    /// # Errors
    /// If it holds something that is not a certificate, or none.
    pub fn in_pem(pem: &[u8]) -> io::Result<Self> {
        let mut roots = Self::none();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let is_added = certificate.is_ok_and(|certificate| roots.add(certificate));
            if !is_added {
                let what = "the file holds something that is not a certificate";
                return Err(io::Error::other(what));
            }
        }
        roots.unless_empty("the file contains no certificate")
    }

    /// The system's collection may hold some that cannot be parsed. They are skipped, because
    /// Pingora would exit at one.
    fn of_system() -> io::Result<Self> {
        let mut roots = Self::none();
        for certificate in rustls_native_certs::load_native_certs()? {
            roots.add(certificate);
        }
        roots.unless_empty(
            "the system has no CA certificates; is the package ca-certificates installed?",
        )
    }

    fn none() -> Self {
        Self { store: RootCertStore::empty(), certificates: Vec::new() }
    }

    /// Adds a certificate if it can be parsed; says whether it can.
    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let is_sound = X509Certificate::from_der(&certificate).is_ok()
            && self.store.add(certificate.clone()).is_ok();
        if is_sound {
            self.certificates.push(certificate);
        }
        is_sound
    }

    fn unless_empty(self, otherwise: &'static str) -> io::Result<Self> {
        if self.certificates.is_empty() { Err(io::Error::other(otherwise)) } else { Ok(self) }
    }
}
