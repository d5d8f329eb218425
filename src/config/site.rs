//! Virtual hosts: what visitors find under each host.

use std::sync::Arc;

use super::{App, Config, Origin};

/// One virtual host.
#[derive(Clone, Debug)]
pub struct Site {
    /// The origin under which browsers reach it.
    pub origin: Origin,
    /// The app on this host; `None` if it serves only our own pages.
    pub app: Option<Arc<App>>,
    /// Whether it is the portal, where people sign in and manage their account.
    pub is_portal: bool,
}

impl Config {
    /// All virtual hosts, the portal first.
    pub fn sites(&self) -> impl Iterator<Item = Site> {
        std::iter::once(self.portal_site()).chain(self.other_sites())
    }

    /// The portal's virtual host.
    pub fn portal_site(&self) -> Site {
        self.site(&self.portal)
    }

    /// All virtual hosts except the portal.
    pub fn other_sites(&self) -> impl Iterator<Item = Site> {
        let hosts = self.apps.iter().flat_map(|app| &app.hosts);
        hosts.filter(|origin| **origin != self.portal).map(|origin| self.site(origin))
    }

    fn site(&self, origin: &Origin) -> Site {
        let app = self.app_at(origin).map(Arc::clone);
        Site { origin: origin.clone(), app, is_portal: *origin == self.portal }
    }
}
