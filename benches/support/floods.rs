//! Floods from one address, and what they cost: memory, connections to the application, and what an
//! ordinary visitor notices. The gateway runs at its defaults.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::{ASKED, Gateway, HOST, told, visitor};

/// Where the same application is under TLS.
const UNDER_TLS: &str = "tls.localhost:8443";
/// From where floods come; the ordinary visitor comes from 127.0.0.1.
const FROM: [u8; 4] = [127, 6, 0, 1];

/// An application that answers `/open/a` and `/open/large` at once, and whatever else it is asked never;
/// and how many are connected to it.
fn application() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let connected = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&connected);
    thread::spawn(move || {
        for stream in socket.incoming() {
            let (mut stream, counting) = (stream.unwrap(), Arc::clone(&counting));
            let serve = move || {
                counting.fetch_add(1, Ordering::Relaxed);
                let mut read = [0; 8192];
                while let Ok(length @ 1..) = stream.read(&mut read) {
                    let size = match &read[..length] {
                        asked if asked.starts_with(b"GET /open/a ") => 2,
                        asked if asked.starts_with(b"GET /open/large ") => 1 << 20,
                        _ => continue,
                    };
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                    let answer = [head.into_bytes(), vec![b'a'; size]].concat();
                    if stream.write_all(&answer).is_err() {
                        break;
                    }
                }
                counting.fetch_sub(1, Ordering::Relaxed);
            };
            thread::Builder::new().stack_size(64 * 1024).spawn(serve).unwrap();
        }
    });
    (address, connected)
}

/// Every flood, one after the other.
pub(crate) fn all() {
    let home = tempfile::tempdir().unwrap();
    let certified = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["cert", "self-signed", "tls.localhost"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(certified.status.success());
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    one("600 x 100 streams whose window is 0", home.path(), |_, tls| {
        runtime.block_on(streams(tls, 600, 0, "/.doorward/sign-in"))
    });
    one("30 x 100 streams that the application holds", home.path(), |_, tls| {
        runtime.block_on(streams(tls, 30, 65_535, "/open/held"))
    });
    one("30 x 100 streams that take nothing of a large answer", home.path(), |_, tls| {
        runtime.block_on(streams(tls, 30, 0, "/open/large"))
    });
    one("900 uploads that do not come", home.path(), |plain, _| uploads(plain, 900));
}

/// One flood, before a gateway of its own.
fn one<F>(name: &str, folder: &Path, flood: impl FnOnce(SocketAddr, SocketAddr) -> F) {
    let (upstream, connected) = application();
    let tls = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!(
        ", {{ address: '{tls}', tls: {{ certificate: {0}/doorward.pem, key: {0}/doorward.key }} }}",
        folder.display()
    );
    let hosts = format!("'http://{HOST}', 'https://{UNDER_TLS}'");
    let gateway =
        Gateway::start_with(upstream, &more, &hosts, &format!("portal: https://{UNDER_TLS}"));
    visitor(&gateway, 200);
    let alone = visitor(&gateway, ASKED);
    let idle = gateway.resident();
    let began = Instant::now();
    let under_way = flood(gateway.address, tls);
    thread::sleep(Duration::from_secs(2));
    let beside = visitor(&gateway, ASKED);
    println!("\n{name} (begun in {:.1?})", began.elapsed());
    told("alone", ASKED, alone);
    told("beside them", ASKED, beside);
    println!(
        "{} MiB more resident, {} connections to the application, p99 x {:.1}",
        gateway.resident().saturating_sub(idle) / 1024,
        connected.load(Ordering::Relaxed),
        beside.2.as_secs_f64() / alone.2.as_secs_f64()
    );
    drop(under_way);
}

/// So many connections of a hundred streams each, whose window is as large as that.
async fn streams(
    address: SocketAddr,
    connections: usize,
    window: u32,
    path: &'static str,
) -> Vec<(SendRequest<Bytes>, JoinSet<()>)> {
    let mut all = Vec::with_capacity(connections);
    for _ in 0..connections {
        let Some(mut sender) = connects(address, window).await else { continue };
        let mut asked = JoinSet::new();
        for _ in 0..100 {
            let Ok(ready) = sender.clone().ready().await else { break };
            sender = ready;
            let request = http::Request::get(format!("https://{UNDER_TLS}{path}"))
                .header("accept", "text/html")
                .body(())
                .unwrap();
            let Ok((answer, _)) = sender.send_request(request, true) else { break };
            asked.spawn(async move {
                let held = answer.await;
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        all.push((sender, asked));
    }
    all
}

async fn connects(address: SocketAddr, window: u32) -> Option<SendRequest<Bytes>> {
    let stream = tokio::net::TcpSocket::new_v4().unwrap();
    stream.bind((FROM, 0).into()).unwrap();
    let stream = stream.connect(address).await.ok()?;
    let mut config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("tls.localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (sender, connection) = builder.handshake(stream).await.ok()?;
    tokio::spawn(async move { connection.await.ok() });
    Some(sender)
}

/// So many uploads of which nothing comes but the head.
fn uploads(address: SocketAddr, many: usize) -> Vec<TcpStream> {
    let head = format!("POST /open/up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000\r\n\r\n");
    let upload = |_| {
        let mut stream = crate::connects_from((FROM, 0).into(), address);
        // Whoever is refused is not there any more.
        stream.write_all(head.as_bytes()).ok();
        stream
    };
    (0..many).map(upload).collect()
}

/// Believes any certificate: nothing is secret here.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}
