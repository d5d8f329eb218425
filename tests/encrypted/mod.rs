//! The gateway under TLS, to visitors of HTTP/1.1 and HTTP/2, and to applications.

mod answers;
mod applications;
mod bodies;
mod certificates;
mod frames;
mod http2;
mod means;
mod monitoring;
mod spellings;
