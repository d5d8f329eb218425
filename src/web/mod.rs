//! Our own pages: a request comes in as text, a flow decides, a page goes out.

pub mod assets;
pub mod pages;
pub mod qr;
