//! The style sheet, script and icon of our own pages, named after a hash of their content.
//!
//! A new release changes the names, so browsers may cache the files forever.

use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::response::Response;
use data_encoding::HEXLOWER;
use http::header::{self, CONTENT_TYPE, HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::app_state::AppState;
use super::headers;
use super::pages::Notice;

/// How long a browser may cache an asset: one year, because changed content has a new name.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// One file that our pages load.
pub struct Asset {
    /// The last segment of its URL, such as `style-0123456789abcdef.css`.
    pub file_name: String,
    /// Its path on every host, from `/.doorward/` on.
    pub url: String,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub body: &'static str,
}

impl Asset {
    fn new(stem: &str, suffix: &str, content_type: &'static str, body: &'static str) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(body)[..8]);
        let file_name = format!("{stem}-{digest}.{suffix}");
        Self { url: format!("/.doorward/assets/{file_name}"), file_name, content_type, body }
    }
}

/// All assets.
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// What works better with script: copy, print, count down, submit a complete code.
    pub script: Asset,
    /// What asks a security key by the browser's dialog.
    pub security_key: Asset,
    /// The icon for the browser tab and the head of each page.
    pub icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new(
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../templates/style.css"),
    ),
    script: Asset::new(
        "script",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../templates/script.js"),
    ),
    security_key: Asset::new(
        "security-key",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../templates/security-key.js"),
    ),
    icon: Asset::new("icon", "svg", "image/svg+xml", include_str!("../../templates/icon.svg")),
});

/// The assets of this build; their names are computed once.
pub fn all() -> &'static Assets {
    &ASSETS
}

/// The asset with this name below `/.doorward/assets/`.
pub fn find(file_name: &str) -> Option<&'static Asset> {
    let Assets { style, script, security_key, icon } = all();
    [style, script, security_key, icon].into_iter().find(|asset| asset.file_name == file_name)
}

/// Serves the asset with this name.
pub(super) async fn serve(
    State(state): State<AppState>,
    Path(file): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(asset) = find(&file) else { return state.notice(Notice::NotFound, &request) };
    let mut response = Response::new(asset.body.into());
    let headers = response.headers_mut();
    headers::harden(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
    response
}
