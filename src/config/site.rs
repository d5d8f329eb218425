//! What visitors find under one host.

use std::sync::Arc;

use super::{App, Config, Origin};

/// One host, and what is there.
#[derive(Clone, Debug)]
pub struct Site {
    /// As which origin browsers see it.
    pub origin: Origin,
    /// The application that is there; `None`: nothing but our own pages.
    pub app: Option<Arc<App>>,
    /// Whether people sign in and look after themselves here.
    pub is_portal: bool,
}

impl Config {
    /// Every host, the portal first.
    pub fn sites(&self) -> impl Iterator<Item = Site> {
        std::iter::once(self.portal_site()).chain(self.other_sites())
    }

    /// The host where people sign in.
    pub fn portal_site(&self) -> Site {
        self.site(&self.portal)
    }

    /// The hosts that are not the portal.
    pub fn other_sites(&self) -> impl Iterator<Item = Site> {
        let hosts = self.apps.iter().flat_map(|app| &app.hosts);
        hosts.filter(|origin| **origin != self.portal).map(|origin| self.site(origin))
    }

    fn site(&self, origin: &Origin) -> Site {
        let app = self.app_at(origin).map(Arc::clone);
        Site { origin: origin.clone(), app, is_portal: *origin == self.portal }
    }
}
