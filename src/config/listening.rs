//! How visitors reach us: listeners, their certificates, and what one visitor may take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Place;

/// Where visitors are listened for.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// What becomes of requests.
    pub way: Way,
}

/// What becomes of requests that arrive at a listener.
#[derive(Clone, Debug)]
pub enum Way {
    /// They are answered, without encryption: what is before us encrypts, or nobody does.
    Plain,
    /// They are answered, encrypted.
    Tls(Tls),
    /// They are sent to the same place under https.
    Redirect,
}

/// How a listener encrypts.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For hosts whose application names none of its own.
    pub certificate: Option<KeyPair>,
    /// Whose client certificates are asked for; without one nobody comes in.
    pub client_authority: Option<CertificateFile>,
}

/// A certificate with its chain, and its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The certificate first, then its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where both are named: key path, and place in the file.
    pub at: (String, Place),
}

/// One or more certificates as a PEM file.
#[derive(Clone, Debug)]
pub struct CertificateFile {
    /// The file.
    pub path: PathBuf,
    /// Where it is named: key path, and place in the file.
    pub at: (String, Place),
}

/// How much there may be of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sign-ins a minute from one address (IPv6: from one /64).
    pub sign_in_posts: u32,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address (IPv6: from one /64); proxies that are trusted may have more.
    pub connections_per_address: usize,
    /// Bytes of a request head.
    pub header_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// Requests on one HTTP/2 connection whose answer the visitor did not wait for.
    pub stream_resets: u32,
    /// Requests at the same time from one address by people who are not signed in; those who are may
    /// have sixteen times as many.
    pub requests_per_address: usize,
    /// Requests at the same time to one application.
    pub requests_per_application: usize,
    /// Bytes of answers that may wait on one connection for its visitor to take them. Beyond that, those are
    /// cut off who take nothing.
    pub unsent_per_connection: usize,
    /// The same of one address.
    pub unsent_per_address: usize,
    /// The same in all.
    pub unsent: usize,
    /// Bytes a second that the body of a request must come at; 0: as slowly as it likes.
    pub body_rate: u64,
    /// Of how many bytes free on the disk of the state folder operators are warned.
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
            requests_per_address: 256,
            requests_per_application: 5_000,
            unsent_per_connection: 4 << 20,
            unsent_per_address: 32 << 20,
            unsent: 128 << 20,
            body_rate: 500,
            free_disk: 128 << 20,
        }
    }
}

/// How long visitors may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To negotiate TLS.
    pub handshake: Duration,
    /// To send the head of a request, from its first byte.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// To send a form of ours.
    pub form: Duration,
    /// To send the body of a request, beside what `body_rate` gives for what has come.
    pub body: Duration,
    /// For how long a request waits for room.
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
