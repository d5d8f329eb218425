//! Why a TLS handshake with a visitor failed, in words for the log.

use std::error::Error as _;
use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

/// What went wrong. Nothing that the visitor sent is repeated.
pub(in crate::proxy) fn reason(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(tls) => of_tls(tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client closed the connection during the handshake".to_owned()
        }
        None => match error.source() {
            Some(source) => source.to_string(),
            None => error.to_string(),
        },
    }
}

fn of_tls(error: &Error) -> String {
    let words = match error {
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "the client supports neither TLS 1.2 nor TLS 1.3",
        // Only clients from before TLS 1.2 do not say which signatures they know (RFC 5246
        // §7.4.1.4.1).
        Error::PeerIncompatible(PeerIncompatible::SignatureAlgorithmsExtensionRequired) => {
            "the client supports neither TLS 1.2 with SHA-256 signatures nor TLS 1.3"
        }
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            "no shared cipher: TLS 1.2 needs ECDHE with AES-GCM or ChaCha20-Poly1305"
        }
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) => {
            "no shared key exchange group"
        }
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon) => {
            "no shared signature scheme"
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => return format!("the client does not accept our certificate ({error})"),
        Error::NoCertificatesPresented => "the client has no certificate, and one is required",
        Error::NoApplicationProtocol => "the client wants neither HTTP/1.1 nor HTTP/2",
        Error::InvalidMessage(_) => "what the client sent is not TLS",
        // rustls says this if the resolver has no certificate.
        Error::General(why) if why.contains("no server certificate chain") => {
            "there is no certificate for the host that the client asked for"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::net::tls;

    /// What comes of a handshake that begins with these bytes.
    fn fails(sent: &[u8]) -> String {
        let config = ServerConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        server.read_tls(&mut &*sent).unwrap();
        let error = server.process_new_packets().unwrap_err();
        reason(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// A `ClientHello` of this version, with these cipher suites and extensions (RFC 5246
    /// §7.4.1.2).
    fn hello(version: [u8; 2], suites: &[u8], extensions: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let mut body = version.to_vec();
        body.extend([7; 32]);
        body.push(0);
        body.extend(length(suites));
        body.extend(suites);
        body.extend([1, 0]);
        if !extensions.is_empty() {
            body.extend(length(extensions));
            body.extend(extensions);
        }
        let mut message = vec![1, 0];
        message.extend(length(&body));
        message.extend(body);
        let mut record = vec![0x16, 3, 1];
        record.extend(length(&message));
        record.extend(message);
        record
    }

    #[test]
    fn a_client_that_is_too_old_is_told_apart_from_one_that_speaks_no_tls() {
        // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA.
        let suites = [0xc0, 0x13];
        let why = "the client supports neither TLS 1.2 with SHA-256 signatures nor TLS 1.3";
        assert_eq!(fails(&hello([3, 2], &suites, &[])), why);
        // signature_algorithms: rsa_pkcs1_sha256.
        let signs = [0, 13, 0, 4, 0, 2, 4, 1];
        let why = "the client supports neither TLS 1.2 nor TLS 1.3";
        assert_eq!(fails(&hello([3, 2], &suites, &signs)), why);
        assert_eq!(fails(b"\x16\x03\x01\x00\x05hello"), "what the client sent is not TLS");
    }

    #[test]
    fn a_client_that_leaves_or_distrusts_us_is_named_so() {
        let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(reason(&eof), "the client closed the connection during the handshake");
        let alert = Error::AlertReceived(AlertDescription::UnknownCA);
        let alert = reason(&io::Error::new(io::ErrorKind::InvalidData, alert));
        assert_eq!(
            alert,
            "the client does not accept our certificate (received fatal alert: UnknownCA)"
        );
    }
}
