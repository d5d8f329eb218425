//! The response to a form: the next step, or the form again with the problem.

use axum::response::Response;
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::app_state::AppState;
use super::guard::Guest;
use super::headers;
use super::pages::{Ask, Page, Problem, Question};
use super::return_to::ReturnTo;
use crate::flow::{Given, Next};
use crate::identity::Full;

impl AppState {
    /// Redirects to `location` and sets the cookies.
    pub(super) fn goes_on(&self, guest: &Guest, given: &Given, location: &str) -> Response {
        let mut response = headers::see_other(location);
        self.jar().set_given(given, guest.caller.now, response.headers_mut());
        response
    }

    /// Where a user goes after showing something: to their URL, or to a step that is still required
    /// of them, even if the URL requires nothing.
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

    /// A page that asks whether something is to be done.
    pub(super) fn question_page(
        &self,
        guest: &Guest,
        return_to: &ReturnTo,
        what: Question,
        problem: Option<Problem>,
    ) -> Response {
        let (frame, form) = (self.frame_for(guest), self.form(guest, return_to));
        self.form_page(&Ask { frame, form, what, problem }, problem)
    }

    /// A form, with the status that fits its problem.
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
