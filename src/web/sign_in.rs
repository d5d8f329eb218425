//! The sign-in page.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::form::{Asked, Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::domain::name::Login;
use crate::domain::password::Password;
use crate::flow::Given;
use crate::flow::sign_in::{SignIn, sign_in};
use crate::identity::Full;

/// What is typed into it.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    username: String,
    password: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    RawQuery(query): RawQuery,
) -> Response {
    let return_to = Asked::of(query.as_deref()).return_to(&desk);
    // Whoever is signed in already goes on; what else is owed there, that place will ask.
    if guest.visit.is_some() {
        return headers::see_other(return_to.as_str());
    }
    page(&desk, &guest, &return_to, String::new(), None)
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Form { typed: Typed { username, password }, doubt, return_to } = form;
    let again = |username, problem| page(&desk, &guest, &return_to, username, Some(problem));
    if let Some(problem) = doubt {
        return Ok(again(username, problem));
    }
    let (login, password) = (Login::typed(&username), Password::typed(&password));
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { sign_in(&env, &caller, &login, password).await };
    Ok(match desk.outlive(deed).await? {
        SignIn::Begun(given) => desk.onward(&guest, &given, &return_to),
        SignIn::Refused => again(username, Problem::SignIn),
        SignIn::Waiting { until } => again(username, Problem::Wait(guest.caller.now.until(until))),
        SignIn::Busy => again(username, Problem::Busy),
    })
}

fn page(
    desk: &Desk,
    guest: &Guest,
    return_to: &ReturnTo,
    username: String,
    problem: Option<Problem>,
) -> Response {
    let page = pages::SignIn {
        frame: desk.frame(),
        form: desk.form(guest, return_to),
        app: Some(desk.env.config.app.name.clone()),
        username,
        problem,
    };
    desk.form_page(&page, problem)
}

impl Desk {
    /// Where a right password leads: on, or to what is still owed of whoever has a second factor,
    /// even where the place that they were going to asks nothing.
    pub(super) fn onward(&self, guest: &Guest, given: &Given, return_to: &ReturnTo) -> Response {
        let all_shown = given.known.is_some();
        let mut response = if all_shown {
            headers::see_other(return_to.as_str())
        } else {
            headers::see_other(&return_to.through("challenge"))
        };
        self.jar().set_given(given, guest.caller.now, response.headers_mut());
        response
    }

    /// A form, with the status that fits why it comes back.
    pub(super) fn form_page(
        &self,
        page: &impl askama::Template,
        problem: Option<Problem>,
    ) -> Response {
        let status = match problem {
            None => StatusCode::OK,
            Some(Problem::Wait(_) | Problem::WaitOrRecoveryCode(_) | Problem::Locked) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Some(Problem::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut response = self.page(status, page);
        let wait = match problem {
            Some(Problem::Busy) => Some(Full::RETRY_AFTER.as_secs()),
            Some(problem) => problem.wait(),
            None => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// Carries a deed through even if the visitor hangs up in the middle: what was charged is then
    /// refunded all the same.
    pub(super) async fn outlive<T: Send + 'static>(
        &self,
        deed: impl Future<Output = Result<T, crate::store::Unavailable>> + Send + 'static,
    ) -> Result<T, crate::store::Unavailable> {
        let done = tokio::spawn(deed).await;
        done.unwrap_or(Err(crate::store::Unavailable::new("a deed broke off")))
    }
}
