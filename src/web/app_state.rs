//! What every handler works with: the configuration and its services, on one host.

use std::sync::Arc;

use http::header::{HeaderMap, USER_AGENT};

use super::own_cookies::Jar;
use super::pages::Frame;
use crate::config::Host;
use crate::domain::agent::Agent;
use crate::flow::{Caller, ClientAddress, Env, request_id};
use crate::metrics::Verdicts;
use crate::unavailable::Unavailable;

/// What every handler works with.
#[derive(Clone, Debug)]
pub(super) struct AppState {
    pub(super) env: Arc<Env>,
    pub(super) host: Arc<Host>,
    /// The name of the application here; empty if there is none.
    pub(super) app: Arc<str>,
    /// Count the decisions here, and those that observe mode did not enforce.
    pub(super) decided: Verdicts,
    pub(super) watched: Verdicts,
}

impl AppState {
    /// For `host`, with the services of `env`.
    pub(super) fn new(env: Arc<Env>, host: Host) -> Self {
        let app = Arc::from(host.app.as_ref().map_or("", |app| &app.name));
        let (decided, watched) = (env.metrics.decided(&app), env.metrics.observed(&app));
        Self { env, host: Arc::new(host), app, decided, watched }
    }

    /// The caller of a request: address, browser, cookies and time.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        client: ClientAddress,
    ) -> Result<Caller, Unavailable> {
        let carried = self.jar().carried(headers);
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let agent = agent.and_then(Agent::read);
        let ClientAddress { visitor, .. } = client;
        let (now, request) = (self.env.now()?, request_id::current());
        Ok(Caller { now, address: client.address(), visitor, agent, request, carried })
    }

    pub(super) fn jar(&self) -> Jar<'_> {
        Jar::new(&self.env.signer, &self.host.origin)
    }

    /// The frame of a page for a visitor whose name is not shown.
    pub(super) fn frame(&self) -> Frame {
        Frame { site: self.site_name(), support: self.env.config.support.clone(), user: None }
    }

    /// The name of the application here; on the portal of several applications, the name of the
    /// site.
    pub(super) fn site_name(&self) -> String {
        let config = &self.env.config;
        let app = self.host.app.as_ref().or(match config.apps.as_slice() {
            [app] => Some(app),
            _ => None,
        });
        app.map_or_else(|| config.issuer.clone(), |app| app.name.clone())
    }

    /// The id of this request, with which an operator finds why it was refused.
    pub(super) fn reference(&self) -> String {
        request_id::current().unwrap_or_else(|| self.env.request_id()).to_string()
    }
}
