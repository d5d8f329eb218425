//! What is known of an OpenID provider: its endpoints and its keys, fetched when they are needed and
//! kept for a while. All who need them at the same time wait for one request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;
use jsonwebtoken::jwk::Jwk;
use tokio::sync::Mutex;

use super::{Endpoints, Fault, Provider, discovery, id_token};
use crate::domain::reach::{Reach, is_public};
use crate::domain::time::Timestamp;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Metadata(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    endpoints: Option<(Arc<Endpoints>, Timestamp)>,
    keys: Option<(Arc<[Jwk]>, Timestamp)>,
    /// Where the issuer is.
    is_public: bool,
    /// The last failure, and when.
    failed: Option<(Fault, Timestamp)>,
}

/// How long a discovery document and keys are used before they are fetched again.
const FRESH: Duration = Duration::from_hours(1);
/// For how long they are used if they cannot be fetched again.
const STALE: Duration = Duration::from_hours(24);
/// How long a failure is answered to everybody without another try.
const FAILED: Duration = Duration::from_secs(5);
/// Keys are fetched again for an unknown key id at most this often.
const KEYS_AGAIN: Duration = Duration::from_mins(1);

impl Metadata {
    /// The endpoints.
    pub(super) async fn endpoints(
        &self,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<Arc<Endpoints>, Fault> {
        let mut known = self.0.lock().await;
        if let Some((endpoints, at)) = &known.endpoints
            && now.within(FRESH, *at)
        {
            return Ok(Arc::clone(endpoints));
        }
        if let Some((fault, at)) = &known.failed
            && now.within(FAILED, *at)
        {
            return known.stale_endpoints(now).ok_or_else(|| fault.clone());
        }
        match discover(provider).await {
            Ok((endpoints, is_public)) => {
                let endpoints = Arc::new(endpoints);
                known.endpoints = Some((Arc::clone(&endpoints), now));
                known.is_public = is_public;
                known.failed = None;
                Ok(endpoints)
            }
            Err(fault) => {
                known.failed = Some((fault.clone(), now));
                // A document that cannot be accepted replaces what was known of the provider.
                match fault {
                    Fault::Unavailable(_) => known.stale_endpoints(now).ok_or(fault),
                    Fault::Refused(_) => {
                        known.endpoints = None;
                        Err(fault)
                    }
                }
            }
        }
    }

    /// The origin to which browsers are sent, if it is known and nobody fetches it right now.
    pub(super) fn authorization_origin(&self) -> Option<String> {
        let known = self.0.try_lock().ok()?;
        let (endpoints, _) = known.endpoints.as_ref()?;
        Some(endpoints.authorization.origin().ascii_serialization())
    }

    /// Where the provider's endpoints may be.
    pub(super) async fn reach(&self) -> Reach {
        self.0.lock().await.reach()
    }

    /// The keys, one of which should have signed `token`. If none can have, they are fetched again,
    /// at most once a minute.
    pub(super) async fn keys_for(
        &self,
        provider: &Provider,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let endpoints = self.endpoints(provider, now).await?;
        let mut known = self.0.lock().await;
        if let Some((keys, at)) = &known.keys {
            let fits = id_token::is_signed_by_one_of(token, keys);
            if (fits && now.within(FRESH, *at)) || (!fits && now.within(KEYS_AGAIN, *at)) {
                return Ok(Arc::clone(keys));
            }
        }
        match known.fetch_keys(provider, &endpoints, now).await {
            Ok(keys) => Ok(keys),
            Err(fault) => {
                let kept = known.keys.as_ref().filter(|(_, at)| now.within(STALE, *at));
                kept.map(|(keys, _)| Arc::clone(keys)).ok_or(fault)
            }
        }
    }

    /// The keys, as they are now.
    pub(super) async fn keys(
        &self,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let endpoints = self.endpoints(provider, now).await?;
        self.0.lock().await.fetch_keys(provider, &endpoints, now).await
    }
}

impl Known {
    async fn fetch_keys(
        &mut self,
        provider: &Provider,
        endpoints: &Endpoints,
        now: Timestamp,
    ) -> Result<Arc<[Jwk]>, Fault> {
        let (body, _) = fetch(provider, endpoints.keys.as_str(), "key", self.reach()).await?;
        let keys: Arc<[Jwk]> = id_token::keys(&body)?.into();
        self.keys = Some((Arc::clone(&keys), now));
        Ok(keys)
    }

    fn stale_endpoints(&self, now: Timestamp) -> Option<Arc<Endpoints>> {
        let kept = self.endpoints.as_ref().filter(|(_, at)| now.within(STALE, *at));
        kept.map(|(endpoints, _)| Arc::clone(endpoints))
    }

    fn reach(&self) -> Reach {
        if self.is_public { Reach::Public } else { Reach::Anywhere }
    }
}

/// Asks the issuer for its discovery document. Says whether it is on the public internet.
async fn discover(provider: &Provider) -> Result<(Endpoints, bool), Fault> {
    let issuer = &provider.settings.issuer;
    let url = discovery::document_url(issuer);
    let (body, is_public) = fetch(provider, &url, "discovery", Reach::Anywhere).await?;
    let reach = if is_public { Reach::Public } else { Reach::Anywhere };
    Ok((discovery::read(&body, issuer, reach)?, is_public))
}

async fn fetch(
    provider: &Provider,
    url: &str,
    what: &'static str,
    reach: Reach,
) -> Result<(Bytes, bool), Fault> {
    let request = Request::get(url).header(ACCEPT, "application/json").body(Bytes::new());
    let answer = provider.asks.sent(request, what, reach).await?;
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return Err(Fault::Unavailable(format!("the {what} endpoint answers {status}")));
    }
    Ok((answer.body, is_public(answer.peer)))
}
