//! Certificates, and visitors who believe them.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::support::instance::Instance;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

/// What visitors have in their address line.
pub(crate) const HOST: &str = "crm.example.com";
/// The same of an application that has a host of its own beside the portal.
pub(crate) const WIKI: &str = "wiki.example.com";

/// Writes a certificate for `hosts` and its key into `folder`; gives the certificate.
pub(crate) fn certificate(folder: &Path, name: &str, hosts: &[&str]) -> CertificateDer<'static> {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    certificate.der().clone()
}

/// A gateway under TLS, on its first listener, with a redirect on its second and no encryption on
/// its third; and before it `crm.example.com` and `wiki.example.com`, which has a certificate of its
/// own.
pub(crate) fn instance(upstream: &Upstream, more: &str) -> Instance {
    Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        config(upstream.address, folder, more)
    })
}

pub(crate) fn config(upstream: SocketAddr, folder: &Path, more: &str) -> String {
    format!(
        "
listen:
  - {{ address: '127.0.0.1:0', tls: {{ certificate: all.pem, key: all.key }} }}
  - {{ address: '127.0.0.1:0', redirect: https }}
  - {{ address: '127.0.0.1:0' }}
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 2s }}
portal: https://{HOST}
{more}
apps:
  - name: crm
    hosts: [{HOST}]
    upstream: http://{upstream}
    rules:
      - {{ paths: [/open/, /back, /held], require: nothing }}
    otherwise: sign-in
  - name: wiki
    hosts: [wiki.example.com]
    tls: {{ certificate: wiki.pem, key: wiki.key }}
    upstream: http://{upstream}
    otherwise: nothing
",
        folder.join("state").display(),
    )
}

/// What a visitor believes who believes these certificates alone.
pub(crate) fn believes(certificates: &[CertificateDer<'static>], alpn: &[&[u8]]) -> ClientConfig {
    believes_and_shows(certificates, alpn, None)
}

/// The same of a visitor who shows a certificate of their own.
pub(crate) fn believes_and_shows(
    certificates: &[CertificateDer<'static>],
    alpn: &[&[u8]],
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some((own, key)) => config.with_client_auth_cert(vec![own], key).unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// The certificates in the folder of `instance`.
pub(crate) fn certificates(instance: &Instance) -> Vec<CertificateDer<'static>> {
    ["all.pem", "wiki.pem"].map(|name| read(&instance.folder().join(name))).to_vec()
}

pub(crate) fn read(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

pub(crate) fn key(file: &Path) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file).unwrap()
}

/// A connection to `host`, once TLS is agreed upon.
pub(crate) fn connects(
    address: SocketAddr,
    host: &str,
    config: ClientConfig,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    connects_over(TcpStream::connect(address)?, host, config)
}

/// The same from another address of this machine.
pub(crate) fn connects_from(
    from: [u8; 4],
    address: SocketAddr,
    host: &str,
    config: ClientConfig,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&address.into())?;
    connects_over(socket.into(), host, config)
}

fn connects_over(
    mut stream: TcpStream,
    host: &str,
    config: ClientConfig,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// A visitor of `host` who speaks HTTP/1.1.
pub(crate) fn visitor(instance: &Instance, host: &str) -> Wire {
    let config = believes(&certificates(instance), &[b"http/1.1"]);
    Wire::over(connects(instance.address, host, config).unwrap())
}

/// The cookie of somebody who has just signed in at [`HOST`].
pub(crate) fn session(instance: &Instance, name: &str) -> String {
    let mut window = crate::support::window::Window::new(instance.listener(2), HOST);
    let link = instance.adds(name);
    window.visits(&link).posts(&[("password", crate::support::instance::PASSWORD)]);
    format!("__Host-doorward-session={}", window.cookies["__Host-doorward-session"])
}
