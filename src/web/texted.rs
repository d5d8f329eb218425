//! Sending codes by text message, and what pages say of it.

use super::app_state::AppState;
use super::factor::{self, email, sms};
use super::form::Trouble;
use super::guard::Guest;
use super::pages::Problem;
use crate::domain::ceremony::Purpose;
use crate::domain::factor::Kind;
use crate::domain::time::Timestamp;
use crate::flow::texts::{Sent, send, was_refused};
use crate::flow::{AuthenticatedRequest, emailed};

/// Sends a code for a set-up. What the visitor must be told, or `None`: the code is on its way.
pub(super) async fn sent(
    state: &AppState,
    guest: &Guest,
    authenticated: &AuthenticatedRequest,
    purpose: Purpose,
    number: &str,
) -> Result<Result<(), (Sent, Option<Problem>)>, Trouble> {
    let typed = Some(number).filter(|number| !number.trim().is_empty());
    let sent = send(guest.acting(&state.env, authenticated), purpose, typed).await?;
    Ok(match sent {
        Sent::Now => Ok(()),
        other => {
            let why = problem(&other, guest.caller.now);
            Err((other, why))
        }
    })
}

/// `problem`, or else that the provider refused the code for which a page of this kind waits.
pub(super) async fn or_not_sent(
    state: &AppState,
    guest: &Guest,
    kind: Kind,
    problem: Option<Problem>,
) -> Result<Option<Problem>, Trouble> {
    let (Kind::Sms, None, Some(authenticated)) = (kind, problem, &guest.authenticated) else {
        return Ok(problem);
    };
    let refused = was_refused(guest.acting(&state.env, authenticated)).await?;
    Ok(refused.then_some(Problem::Answer(sms::NOT_SENT)))
}

/// Why no code was sent by e-mail, if none was.
pub(super) fn problem_of_mail(sent: emailed::Sent, now: Timestamp) -> Option<Problem> {
    match sent {
        emailed::Sent::Closed(rejection) => Some(factor::problem(rejection, Kind::Email, now)),
        other => email::problem(other),
    }
}

/// Why no code was sent, where that is a problem to show.
pub(super) fn problem(sent: &Sent, now: Timestamp) -> Option<Problem> {
    match sent {
        Sent::Closed(rejection) => Some(factor::problem(*rejection, Kind::Sms, now)),
        other => sms::problem(other),
    }
}
