//! Refuses a store that is older than the one used before, or voids what may have been used up
//! since.

use super::api::written;
use super::not_started::NotStarted;
use crate::flow::Env;
use crate::store::progress::Progress;

/// The commit after which the store must continue, with everything void that may have been used up:
/// if the operator says that it is an older one (the whole folder may have been restored, with its
/// mark), and if it is empty, which revives nothing.
pub(super) fn refuse_older_store(
    progress: &Progress,
    accept: bool,
) -> Result<Option<u64>, NotStarted> {
    let (mark, commit) = (progress.mark()?, progress.commit());
    let Some(mark) = mark.filter(|mark| mark.commit > commit) else {
        return Ok(accept.then_some(commit));
    };
    if accept || commit == 0 {
        return Ok(Some(mark.commit));
    }
    Err(NotStarted::OlderStore { commit, noted: mark.commit, at: written(mark.at) })
}

/// Makes a store that may be an older one harmless, and lets it continue `behind` this commit. Only
/// then is its mark saved: if this is interrupted, the next start refuses it again.
pub(super) async fn void_what_is_older(
    env: &Env,
    progress: &Progress,
    behind: Option<u64>,
) -> Result<(), NotStarted> {
    let Some(behind) = behind else { return Ok(()) };
    let now = env.now().map_err(|_| NotStarted::ClockPutBack)?;
    let settings = env.config.second_factor;
    let people = env.store.void_what_may_have_been_used(settings, now).await;
    let people = people.map_err(NotStarted::unreadable)?;
    progress.advance_to(behind).await.map_err(NotStarted::unreadable)?;
    progress.note();
    if people > 0 {
        tracing::warn!(
            people,
            "older store accepted: all links, codes, trusted devices, recovery codes and sessions \
             are revoked; passwords and disabled users are as in the backup: check them with \
             `doorward user list`"
        );
    }
    Ok(())
}
