//! Sends one request to every application, for `check --connect` and `health`.

use super::endpoint::Endpoint;
use super::health;
use super::trust::Trust;
use crate::config::{App, Upstream, UpstreamTimeouts};

/// The result for one upstream of an application.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Asked {
    /// The name of the application.
    pub app: String,
    /// Its address, as configured.
    pub upstream: String,
    /// The status of its answer.
    pub status: Option<u16>,
    /// Why there is no answer.
    pub problem: Option<String>,
}

/// Connects to every upstream of `config`, as the gateway would, and requests its health path, or
/// `/`. Where a health path is set, the gateway takes a status from 400 on as a failure; else an
/// answer of any status counts as an answer.
pub async fn ask_all(config: &crate::config::Config) -> Vec<Asked> {
    let mut all = Vec::new();
    for app in &config.apps {
        for upstream in &app.upstreams {
            let asked = ask_one(app, upstream, config.upstream_timeouts).await;
            all.push(Asked {
                app: app.name.clone(),
                upstream: upstream.to_string(),
                status: asked.as_ref().ok().copied(),
                problem: asked.err(),
            });
        }
    }
    all
}

async fn ask_one(
    app: &App,
    upstream: &Upstream,
    timeouts: UpstreamTimeouts,
) -> Result<u16, String> {
    let trust = upstream.is_secure().then(|| Trust::of(&app.reach)).transpose();
    let trust = trust.map_err(|error| error.to_string())?;
    let endpoint = Endpoint::new(&app.name, upstream, timeouts, trust, app.reach.http2);
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    if let Some(authority) = endpoint.authority() {
        let found = endpoint.look_up(&authority).await;
        found.map_err(|error| format!("cannot resolve its name: {error}"))?;
    }
    let health = app.reach.health.as_ref();
    let status = health::ask_once(&endpoint, health, app.reach.host.as_ref()).await?;
    match health {
        Some(_) => health::well(status).map_err(|why| format!("the health check fails: {why}")),
        None => Ok(status),
    }
}
