//! What operators ask and do about text messages.

use axum::extract::State;

use super::{Answer, AppState, Operator, json};
use crate::cli::api::TextsOfCountry;
use crate::domain::texts::{Ledger, LedgerKey, Limits};

/// The text messages of the last day, by country.
pub(super) async fn report(State(state): State<AppState>, _: Operator) -> Answer {
    let live = state.live()?;
    let env = live.env();
    let limits = env.config.sms.as_ref().map_or_else(Limits::default, |sms| sms.limits);
    let countries = env.store.ledger().await?.by_country(limits, env.now()?);
    let countries = countries.into_iter().map(|one| TextsOfCountry {
        country: one.country,
        codes: one.codes,
        entered: one.entered,
        refused: one.refused,
        notices: one.notices,
        braked: one.is_braked,
    });
    Ok(json(&countries.collect::<Vec<_>>()))
}

/// Resets the limits, also if what they count cannot be read.
pub(super) async fn reset_limits(State(state): State<AppState>, Operator(by): Operator) -> Answer {
    state.env().store.forget::<Ledger>(&LedgerKey).await?;
    tracing::warn!(by, "the limits of text messages were reset: texts sent before do not count");
    Ok(json(&()))
}
