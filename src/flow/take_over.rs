//! Taking over what a provider tells of a user for whom it answers.

use super::env::{Env, Line};
use super::factors::lost_backup;
use crate::domain::event::{Event, What};
use crate::domain::provider::Told;
use crate::domain::time::Timestamp;
use crate::domain::user::UserId;
use crate::identity::Provider;
use crate::store::Changed;
use crate::unavailable::Unavailable;

/// Takes over what `provider` tells of `user`. `event` makes the events. An address that is somebody
/// else's here is left out, with an event.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written.
pub(super) async fn take_over(
    env: &Env,
    provider: &Provider,
    user: UserId,
    told: &Told,
    now: Timestamp,
    event: impl Fn(What) -> Event,
) -> Result<(), Unavailable> {
    let people = &provider.settings().people;
    let take = async |told: &Told, before: Option<What>| {
        let changed = env.store.change_user(user, |user| {
            let had_backup = user.mailbox().is_some();
            let is_new = user.take_told(told, people, now);
            let changed = is_new.then_some(What::EmailChanged);
            let lost = lost_backup(had_backup, user);
            ((), before.into_iter().chain(changed).chain(lost).map(&event).collect())
        });
        changed.await
    };
    if take(told, None).await? == Some(Changed::EmailTaken) {
        let without = Told { email: None, ..told.clone() };
        take(&without, Some(What::ProviderNameTaken)).await?;
        if let Some(left_out) = env.log_throttle.due(Line::Provider, now) {
            let (provider, subject) = (&provider.settings().name, told.account.subject());
            tracing::warn!(
                provider,
                subject,
                left_out,
                "the new e-mail address belongs to another user; the old one stays"
            );
        }
    }
    Ok(())
}
