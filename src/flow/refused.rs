//! What is told of an answer that was refused.

use super::caller::Caller;
use crate::domain::device::BrowserId;
use crate::domain::event::What;
use crate::domain::factor::Rejection;
use crate::store::Transaction;

/// Events for a wrong answer, and for a lock if it was one too many. Nobody can guess what
/// `is_signed` by a key: it begins no lock, and tells of none that has begun.
pub(super) fn tell_refused(
    caller: &Caller,
    tx: &mut Transaction,
    browser: Option<BrowserId>,
    is_signed: bool,
    rejection: Rejection,
) {
    let user = tx.user.id();
    match rejection {
        Rejection::Doubted { .. } => return tell_doubted(caller, tx, rejection),
        Rejection::Wrong | Rejection::Expired => {}
        _ => return,
    }
    tx.tell(caller.event(user, What::SecondFactorRefused));
    if is_signed {
        return;
    }
    if tx.user.is_to_hear_of_wrong_codes(browser, caller.now) {
        tx.tell(caller.event(user, What::CodesGuessed));
    }
    match tx.user.answers_closed(browser, caller.now) {
        Some(Rejection::Locked) => tx.tell(caller.event(user, What::Locked)),
        Some(_) => tx.tell(caller.event(user, What::WaitBegan)),
        None => {}
    }
}

/// The event for a key that may have been copied. The owner is told by mail, too: once.
pub(super) fn tell_doubted(caller: &Caller, tx: &mut Transaction, rejection: Rejection) {
    let news = rejection == (Rejection::Doubted { since: caller.now });
    let what = if news { What::KeyDoubted } else { What::SecondFactorRefused };
    tx.tell(caller.event(tx.user.id(), what));
}
