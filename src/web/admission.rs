//! Whether a request may pass to the application, and what its visitor gets otherwise.

use std::sync::Arc;

use axum::response::Response;
use http::header::{HeaderMap, ORIGIN, REFERER, UPGRADE};
use http::{Method, StatusCode};

use super::app_state::AppState;
use super::asked::Asked;
use super::decision::Decision;
use super::pages::Notice;
use super::refusal::is_navigation;
use super::sign_out;
use crate::config::{App, Origin};
use crate::domain::assurance::{Permit, Verdict};
use crate::domain::secret::TokenHash;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::domain::user_session::UserSessionId;
use crate::flow::decision_log::{Recent, Watched};
use crate::flow::{self, Acting, Admission, ClientAddress, Line};
use crate::policy;
use crate::unavailable::Unavailable;

/// A request that may pass to the application.
#[derive(Debug)]
pub struct Admitted {
    /// The permit.
    pub permit: Permit,
    /// Why it was let through; `None` if the request signs out, because the reason has ended then.
    pub allowed: Option<Allowed>,
    /// What was decided.
    pub decision: Decision,
}

/// Why a request was let through, so that it can be authorized again later.
#[derive(Clone, Debug)]
pub struct Allowed(pub(super) flow::Before);

impl Allowed {
    /// Whether both belong to the same request.
    pub fn is_of_one_request_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.request, &other.0.request)
    }

    /// The user and the user session that it depends on, if any.
    pub fn rests_on(&self) -> Option<(UserId, UserSessionId)> {
        self.0
            .authenticated
            .as_ref()
            .map(|authenticated| (authenticated.session.user, authenticated.user_session))
    }
}

impl AppState {
    pub(super) async fn admit(
        &self,
        request: policy::Request,
        asked: &Asked<'_>,
        session: Option<TokenHash>,
    ) -> Result<Admitted, Box<Response>> {
        let Asked { method, headers, client, .. } = *asked;
        let Some(app) = &self.host.app else {
            let wants_root = is_navigation(method, headers) && asked.path() == "/";
            return Err(Box::new(if wants_root {
                super::headers::see_other("/.doorward/")
            } else {
                self.notice(Notice::NotFound, headers)
            }));
        };
        if !app.policy.admits_spelling(&request) {
            let why = "the path can be read in several ways (`spelling: strict`)";
            return Err(Box::new(self.misread(why, asked)));
        }
        let unavailable = |error: Unavailable| {
            self.failed(&error.told(), asked, None);
            Box::new(self.unavailable(&error, headers))
        };
        let now = self.env.now().map_err(unavailable)?;
        let request = Arc::new(request);
        let address = client.visitor;
        let admission = flow::admit(&self.env, app, &request, address, session, now).await;
        let admission = admission.map_err(unavailable)?;
        if admission.ruling.is_too_costly {
            let why = policy::Unreadable::TooCostly.to_string();
            return Err(Box::new(self.misread(&why, asked)));
        }
        self.decision_log(app, &request, client, &admission, now);
        let signs_out =
            admission.authenticated.as_ref().filter(|_| self.signs_out(app, &request, asked));
        let mut has_ended = false;
        if let (Some(authenticated), Verdict::Pass(_)) = (signs_out, &admission.verdict) {
            let caller = self.caller(headers, client).map_err(unavailable)?;
            let acting = Acting { env: &self.env, caller: &caller, authenticated };
            Box::pin(flow::sign_out::sign_out(acting)).await.map_err(unavailable)?;
            has_ended = true;
        }
        let authenticated = admission.authenticated;
        let is_over = session.is_some() && authenticated.is_none();
        let allowed = |request: Arc<policy::Request>| {
            // Let the application answer the request that ended its own permission.
            let before =
                flow::Before { request, address: client.visitor, authenticated, began: now };
            (!has_ended).then_some(Allowed(before))
        };
        let decision = Decision {
            verdict: Some(admission.verdict.name()),
            rule: Some(admission.ruling.raised_by),
            user: None,
        };
        match admission.verdict {
            Verdict::Pass(permit) => Ok(Admitted { permit, allowed: allowed(request), decision }),
            Verdict::SaveCodes(permit) if !is_navigation(method, headers) => {
                Ok(Admitted { permit, allowed: allowed(request), decision })
            }
            verdict => {
                let visitor = admission.evidence.as_ref();
                let ruling = &admission.ruling;
                let mut response = self.refuse(&verdict, ruling, &request, asked, visitor);
                let user = visitor.map(|visitor| Arc::clone(&visitor.identity));
                response.extensions_mut().insert(Decision { user, ..decision });
                // The person at the browser need not be the user who was signed in.
                if is_over && response.status() == StatusCode::SEE_OTHER {
                    sign_out::forget(&mut response);
                }
                Err(Box::new(response))
            }
        }
    }

    /// Counts the decision and records it in the decision log.
    fn decision_log(
        &self,
        app: &App,
        request: &Arc<policy::Request>,
        client: ClientAddress,
        admission: &Admission,
        now: Timestamp,
    ) {
        self.decided.count(&admission.verdict);
        let decision_log = &self.env.decision_log;
        if request.is_modest() {
            decision_log.judged(now, || Recent {
                at: now,
                app: Arc::clone(&self.app),
                request: Arc::clone(request),
                address: client.visitor,
                evidence: admission.evidence.clone(),
            });
        }
        let Some((verdict, ruling)) = &admission.watched else { return };
        self.watched.count(verdict);
        // Also somebody who has yet to show a second factor: operators want to know whom it hits.
        let user = admission.evidence.as_ref().map(|visitor| visitor.identity.name.clone());
        let (config, since) = (&self.env.config, &self.env.since);
        let visitor = admission.evidence.as_ref();
        let rule = flow::decided_by(config, since, app, (verdict, ruling), visitor, now);
        let (name, verdict) = (&app.name, verdict.name());
        let example = request.example();
        if let Some(left_out) = self.env.log_throttle.due(Line::Watched, now) {
            let address = client.address();
            tracing::info!(
                app = name,
                verdict,
                rule,
                header = ruling.raised_in,
                user,
                %address,
                example,
                left_out,
                "observe mode: this request would have been refused"
            );
        }
        let what = Watched { app: name.clone(), rule, verdict, user };
        decision_log.watched(what, || example, now);
    }
}

impl AppState {
    /// Whether this is the application's own sign-out link or form, used from within the application:
    /// a page elsewhere must not sign anybody out.
    fn signs_out(&self, app: &App, request: &policy::Request, asked: &Asked<'_>) -> bool {
        if app.sign_out_paths.is_empty() {
            return false;
        }
        let is_link = |path: &[u8]| {
            app.sign_out_paths.iter().any(|link| {
                link.path.matches(path, policy::pattern::Case::Exact)
                    && request.has_sent(&link.query)
            })
        };
        matches!(*asked.method, Method::GET | Method::POST)
            && !asked.headers.contains_key(UPGRADE)
            && request.readings().any(is_link)
            && !comes_from_elsewhere(asked.headers, self.host.origin.host())
    }
}

/// Whether the browser says that a page of another host has made this request. Without `Sec-Fetch-Site`,
/// which browsers send over TLS only, `Origin` and `Referer` tell (OWASP, "Cross-Site Request Forgery
/// Prevention": verifying origin).
fn comes_from_elsewhere(headers: &HeaderMap, own: &str) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        // Another host of the same domain counts as elsewhere.
        return sites.any(|site| site != "same-origin" && site != "none");
    }
    let said = [ORIGIN, REFERER].into_iter().filter_map(|name| headers.get(name));
    said.map(|said| said.to_str().ok().and_then(Origin::of_url))
        .any(|said| said.is_none_or(|(origin, _)| origin.host() != own))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::own_link(&[("sec-fetch-site", "same-origin")], false)]
    #[case::typed(&[("sec-fetch-site", "none")], false)]
    #[case::own_link_of_old(&[("referer", "http://crm.example.com/orders")], false)]
    #[case::own_form_of_old(&[("origin", "http://crm.example.com:8080")], false)]
    #[case::says_nothing(&[], false)]
    #[case::sibling(&[("sec-fetch-site", "same-site")], true)]
    #[case::other(&[("sec-fetch-site", "cross-site"), ("referer", "http://crm.example.com/")], true)]
    #[case::other_form_of_old(&[("origin", "http://evil.test")], true)]
    #[case::other_link_of_old(&[("referer", "http://evil.test/http://crm.example.com/")], true)]
    #[case::hidden(&[("origin", "null")], true)]
    fn a_page_elsewhere_signs_nobody_out(
        #[case] said: &[(&'static str, &'static str)],
        #[case] is_elsewhere: bool,
    ) {
        let said = said
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(comes_from_elsewhere(&said.collect(), "crm.example.com"), is_elsewhere);
    }
}
