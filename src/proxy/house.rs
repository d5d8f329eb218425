//! What stands under the configured hosts: swapped whole when the configuration is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::intake::Address;
use super::upstream::Upstream;
use crate::config::Site;
use crate::flow::Env;
use crate::web::Web;

/// Every host, and what is there.
pub struct House {
    /// By host in lower case, and port unless it is the scheme's own.
    places: HashMap<String, Arc<Place>>,
    portal: Arc<Place>,
    /// By authority.
    upstreams: HashMap<String, Arc<Upstream>>,
    trusted_proxies: Vec<IpNet>,
}

/// One host.
pub(super) struct Place {
    pub(super) web: Web,
    pub(super) address: Address,
    /// Where the application is that stands here, if one does.
    pub(super) upstream: Option<Arc<Upstream>>,
}

impl House {
    /// What `env` says. Applications that stood in the house `before` are not looked up again.
    /// Call it within a runtime: new ones are looked up from now on.
    pub async fn build(env: &Arc<Env>, before: Option<&Self>) -> Self {
        let mut known = before.map_or_else(HashMap::new, |house| house.upstreams.clone());
        let timeouts = env.config.upstream_timeouts;
        known.retain(|_, upstream| upstream.timeouts() == timeouts);
        let mut upstreams = HashMap::new();
        for app in &env.config.apps {
            let authority = app.upstream.authority();
            let upstream = match known.remove(&authority) {
                Some(upstream) => upstream,
                None => Upstream::found(&authority, timeouts).await,
            };
            upstreams.insert(authority, upstream);
        }
        let place = |site: Site| {
            let app = site.app.as_ref();
            let upstream = app.and_then(|app| upstreams.get(&app.upstream.authority()));
            let (address, upstream) = (Address::of(&site.origin), upstream.map(Arc::clone));
            Arc::new(Place { web: Web::new(Arc::clone(env), site), address, upstream })
        };
        let portal = place(env.config.portal_site());
        let others = env.config.other_sites().map(place);
        let places = std::iter::once(Arc::clone(&portal)).chain(others);
        let places = places.map(|place| (place.address.authority.clone(), place)).collect();
        let trusted_proxies = env.config.trusted_proxies.clone();
        Self { places, portal, upstreams, trusted_proxies }
    }

    /// What stands under this `Host`; the port may be written out where it is the scheme's own.
    pub(super) fn find(&self, host: &str) -> Option<Arc<Place>> {
        let lower = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let name = [":443", ":80"].iter().find_map(|port| lower.strip_suffix(port));
        let place = self.places.get(&*lower).or_else(|| self.places.get(name?));
        place.filter(|place| place.address.is_meant_by(host)).map(Arc::clone)
    }

    /// The host whose pages answer what is for no other.
    pub(super) fn portal(&self) -> &Arc<Place> {
        &self.portal
    }

    /// Whose word about the visitor's address is believed.
    pub(super) fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted_proxies
    }
}
