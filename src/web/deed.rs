//! Carrying out what a form asks, and what follows: a step further, or the form again.

use axum::response::Response;
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::guard::Guest;
use super::pages::{Page, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::flow::{Given, Next};
use crate::identity::Full;
use crate::store::Unavailable;

impl Desk {
    /// Carries a deed through even if the visitor hangs up in the middle: what was charged is then
    /// refunded all the same.
    pub(super) async fn outlive<T: Send + 'static>(
        &self,
        deed: impl Future<Output = Result<T, Unavailable>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let done = tokio::spawn(deed).await;
        done.unwrap_or(Err(Unavailable::new("a deed broke off")))
    }

    /// Leads to `location`, with what the deed has given the browser to carry.
    pub(super) fn goes_on(&self, guest: &Guest, given: &Given, location: &str) -> Response {
        let mut response = headers::see_other(location);
        self.jar().set_given(given, guest.caller.now, response.headers_mut());
        response
    }

    /// Where whoever has shown something is led: on, or to what is still owed of this person, even where the
    /// place that they were going to asks nothing.
    pub(super) fn onward(&self, guest: &Guest, given: &Given, return_to: &ReturnTo) -> Response {
        match given.next {
            Next::Onward => self.goes_on(guest, given, return_to.as_str()),
            Next::Challenge => self.goes_on(guest, given, &return_to.through("challenge")),
            Next::SetUp | Next::SetUpSoon => {
                self.goes_on(guest, given, &return_to.through("set-up"))
            }
            Next::Offer => self.goes_on(guest, given, &return_to.through("offer")),
        }
    }

    /// A form, with the status that fits why it comes back.
    pub(super) fn form_page(&self, page: &impl Page, problem: Option<Problem>) -> Response {
        let status = match problem {
            None => StatusCode::OK,
            Some(
                Problem::Wait(_)
                | Problem::WaitOrRecoveryCode(_)
                | Problem::Locked
                | Problem::LockedOut
                | Problem::TooManyMails,
            ) => StatusCode::TOO_MANY_REQUESTS,
            Some(Problem::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Some(Problem::Frozen) => StatusCode::FORBIDDEN,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut response = self.page(status, page);
        let wait = match problem {
            Some(Problem::Busy) => Some(Full::RETRY_AFTER.as_secs()),
            Some(problem) => problem.wait(),
            None => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
