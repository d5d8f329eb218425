//! Virtual hosts: what visitors find under each host.

use std::sync::Arc;

use super::{App, Config, Origin};

/// One virtual host.
#[derive(Clone, Debug)]
pub struct Host {
    /// The origin under which browsers reach it.
    pub origin: Origin,
    /// The app on this host; `None` if it serves only our own pages.
    pub app: Option<Arc<App>>,
    /// Whether it is the portal, where people sign in and manage their account.
    pub is_portal: bool,
}

impl Config {
    /// All virtual hosts, the portal first.
    pub fn hosts(&self) -> impl Iterator<Item = Host> {
        std::iter::once(self.portal_host()).chain(self.other_hosts())
    }

    /// The portal's virtual host.
    pub fn portal_host(&self) -> Host {
        self.host(&self.portal)
    }

    /// All virtual hosts except the portal.
    pub fn other_hosts(&self) -> impl Iterator<Item = Host> {
        let origins = self.apps.iter().flat_map(|app| &app.hosts);
        origins.filter(|origin| **origin != self.portal).map(|origin| self.host(origin))
    }

    fn host(&self, origin: &Origin) -> Host {
        let app = self.app_at(origin).map(Arc::clone);
        Host { origin: origin.clone(), app, is_portal: *origin == self.portal }
    }
}
