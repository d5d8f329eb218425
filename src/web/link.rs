//! Where a one-time link leads. Opening it does nothing but show a form: mail scanners and previews
//! open links, too.

use axum::extract::{Path, State};
use axum::response::Response;
use http::header::HeaderMap;
use serde::Deserialize;

use super::form::{Form, Trouble};
use super::guard::Guest;
use super::pages::{self, Notice, Problem};
use super::return_to::ReturnTo;
use super::{Desk, headers};
use crate::domain::link::Purpose;
use crate::domain::password::Password;
use crate::domain::secret::Token;
use crate::flow::email::{Verified, verify_email};
use crate::flow::link::{Addressee, PasswordSet, look, set_password};
use crate::flow::not_me::not_me;

/// What is typed into the form.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    password: String,
}

pub(super) async fn show(
    State(desk): State<Desk>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    Ok(match addressee(&desk, &guest, &token).await? {
        Some((_, addressee)) => page(&desk, &guest, &addressee, None),
        None => desk.notice(Notice::SpentLink, &headers),
    })
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    guest: Guest,
    Path(token): Path<String>,
    headers: HeaderMap,
    form: Form<Typed>,
) -> Result<Response, Trouble> {
    let Some((token, addressee)) = addressee(&desk, &guest, &token).await? else {
        return Ok(desk.notice(Notice::SpentLink, &headers));
    };
    if let Some(problem) = form.doubt {
        return Ok(page(&desk, &guest, &addressee, Some(problem)));
    }
    match addressee.purpose {
        Purpose::SetPassword | Purpose::ResetPassword => {
            sets_a_password(&desk, &guest, &addressee, token, &headers, &form).await
        }
        Purpose::VerifyEmail => verifies(&desk, &guest, &addressee, token, &headers).await,
        Purpose::NotMe => says_not_me(&desk, &guest, token, &headers).await,
    }
}

async fn addressee(
    desk: &Desk,
    guest: &Guest,
    token: &str,
) -> Result<Option<(Token, Addressee)>, Trouble> {
    let Some(token) = Token::parse(token) else { return Ok(None) };
    let addressee = look(&desk.env, &guest.caller, &token).await?;
    Ok(addressee.map(|addressee| (token, addressee)))
}

async fn sets_a_password(
    desk: &Desk,
    guest: &Guest,
    addressee: &Addressee,
    token: Token,
    headers: &HeaderMap,
    form: &Form<Typed>,
) -> Result<Response, Trouble> {
    let again = |problem| page(desk, guest, addressee, Some(problem));
    let password = match desk.chosen(&addressee.identity, &form.typed.password) {
        Ok(password) => password,
        Err(problem) => return Ok(again(problem)),
    };
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { set_password(&env, &caller, &token, password).await };
    Ok(match desk.outlive(deed).await? {
        PasswordSet::Set(given) => desk.onward(guest, &given, &form.return_to),
        PasswordSet::Dead => desk.notice(Notice::SpentLink, headers),
        PasswordSet::Waiting { until } => again(Problem::Wait(guest.caller.now.until(until))),
        PasswordSet::Busy => again(Problem::Busy),
    })
}

async fn verifies(
    desk: &Desk,
    guest: &Guest,
    addressee: &Addressee,
    token: Token,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let deed = async move { verify_email(&env, &caller, &token).await };
    Ok(match desk.outlive(deed).await? {
        Verified::Now => headers::see_other("/.doorward/security"),
        Verified::Dead => desk.notice(Notice::SpentLink, headers),
        Verified::Taken => page(desk, guest, addressee, Some(Problem::AddressTaken)),
    })
}

async fn says_not_me(
    desk: &Desk,
    guest: &Guest,
    token: Token,
    headers: &HeaderMap,
) -> Result<Response, Trouble> {
    let (env, caller) = (desk.env.clone(), guest.caller.clone());
    let frozen = desk.outlive(async move { not_me(&env, &caller, &token).await }).await?;
    Ok(desk.notice(if frozen { Notice::Frozen } else { Notice::SpentLink }, headers))
}

/// The form goes to the page's own address, so that the token stands nowhere in the page.
fn page(desk: &Desk, guest: &Guest, addressee: &Addressee, problem: Option<Problem>) -> Response {
    let form = desk.form(guest, &ReturnTo::root());
    let question = |what: pages::Question| {
        let page = pages::Ask { frame: desk.frame(), form: form.clone(), what, problem };
        desk.form_page(&page, problem)
    };
    match addressee.purpose {
        Purpose::VerifyEmail => question(pages::Question::VerifyEmail {
            address: addressee.new_email.clone().unwrap_or_default(),
            username: addressee.identity.name.clone(),
        }),
        Purpose::NotMe => {
            question(pages::Question::NotMe { username: addressee.identity.name.clone() })
        }
        Purpose::SetPassword | Purpose::ResetPassword => {
            let page = pages::SetPassword {
                frame: desk.frame(),
                form: form.clone(),
                username: addressee.identity.name.clone(),
                has_second_factor: addressee.has_second_factor,
                at_least: Password::AT_LEAST,
                problem,
            };
            desk.form_page(&page, problem)
        }
    }
}
