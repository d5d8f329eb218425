//! Listeners, their certificates, and the limits on what one visitor may use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Place;

/// A listening socket for visitors.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address; with port 0 the system chooses a port.
    pub address: SocketAddr,
    /// How its requests are handled.
    pub way: Way,
}

/// How requests to a listener are handled.
#[derive(Clone, Debug)]
pub enum Way {
    /// Served without encryption: a proxy in front of us encrypts, or nobody does.
    Plain,
    /// Served over TLS.
    Tls(Tls),
    /// Redirected to the same URL under https.
    Redirect,
}

/// The TLS settings of a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For hosts whose app has no certificate of its own.
    pub certificate: Option<KeyPair>,
    /// The CA for client certificates. If set, visitors need a certificate from it.
    pub client_authority: Option<CertificateFile>,
}

/// A certificate chain and its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The certificate first, then the rest of the chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where the configuration names them: key path and place.
    pub at: (String, Place),
}

/// One or more certificates in a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFile {
    /// The file.
    pub path: PathBuf,
    /// Where the configuration names it: key path and place.
    pub at: (String, Place),
}

/// Upper limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failed sign-ins a minute of one address (IPv6: of one /64), or of one known browser.
    pub sign_in_posts: u32,
    /// Connections in total.
    pub connections: usize,
    /// Connections from one address (IPv6: from one /64); trusted proxies may have more.
    pub connections_per_address: usize,
    /// The size of a request head in bytes.
    pub header_bytes: usize,
    /// The number of header lines in a request.
    pub headers: usize,
    /// Concurrent requests on one HTTP/2 connection.
    pub streams: u32,
    /// Requests on one HTTP/2 connection that the visitor cancelled before the response.
    pub stream_resets: u32,
    /// Concurrent requests from one address by visitors who are not signed in; signed-in users may
    /// have sixteen times as many.
    pub requests_per_address: usize,
    /// Concurrent requests to one app. An eighth is kept for visitors who are signed in; once half are
    /// in progress, one address gets no more than a share of the rest.
    pub requests_per_application: usize,
    /// Bytes of responses that may wait on one connection because the visitor does not read them.
    /// Above this limit, requests whose visitor reads nothing are ended.
    pub unsent_per_connection: usize,
    /// The same limit for one address.
    pub unsent_per_address: usize,
    /// The same limit in total.
    pub unsent: usize,
    /// The minimum rate of a request body in bytes a second; 0 means no minimum.
    pub body_rate: u64,
    /// Operators are warned if fewer bytes are free on the disk of the state folder.
    pub free_disk: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_posts: 30,
            connections: 20_000,
            connections_per_address: 1_000,
            header_bytes: 32 * 1024,
            headers: 100,
            streams: 100,
            stream_resets: 200,
            requests_per_address: 192,
            requests_per_application: 5_000,
            unsent_per_connection: 4 << 20,
            unsent_per_address: 32 << 20,
            unsent: 128 << 20,
            body_rate: 500,
            free_disk: 128 << 20,
        }
    }
}

/// How long visitors may take for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// To send a request head, from its first byte.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// To send one of our own forms.
    pub form: Duration,
    /// To send a request body, in addition to the time that `body_rate` allows for the bytes
    /// received.
    pub body: Duration,
    /// How long a request may wait for a free slot.
    pub queue: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            form: Duration::from_secs(30),
            body: Duration::from_secs(30),
            queue: Duration::from_secs(5),
        }
    }
}
