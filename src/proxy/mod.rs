//! The way through: from a visitor's request to the application and back.
#![expect(dead_code, reason = "the filters that call these come next")]

mod answers;
mod cookies;
mod headers;
