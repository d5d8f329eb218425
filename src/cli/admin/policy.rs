//! What operators ask about the policy of a running gateway.

use axum::body::Bytes;
use axum::extract::State;

use super::{Answer, AppState, Operator, Refused, json, read};
use crate::cli::api::{KeysMoved, Outcome, RefusedRequests, RpId, Stopped, Which, Why, written};
use crate::flow::rp_id::moved_to;

/// Reloads the configuration.
pub(super) async fn reload(State(state): State<AppState>, Operator(by): Operator) -> Answer {
    tracing::info!(by, "configuration reload requested");
    match state.live()?.reload().await {
        Ok(reloaded) => Ok(json(&reloaded)),
        Err(kept) => Err(Refused::kept(kept.to_string())),
    }
}

/// Says whether an RP ID would move away from the security keys that people have.
pub(super) async fn rp_id(State(state): State<AppState>, _: Operator, body: Bytes) -> Answer {
    let RpId { rp_id } = read(&body)?;
    let env = state.live()?.env();
    let moved = moved_to(&env.store, rp_id.as_deref()).await?;
    let people = moved.as_ref().map_or(0, |moved| moved.people);
    Ok(json(&KeysMoved { from: moved.map(|moved| moved.from), people }))
}

/// Says why a request was refused, or failed.
pub(super) async fn why(State(state): State<AppState>, _: Operator, body: Bytes) -> Answer {
    let Which { request_id } = read(&body)?;
    let request_id = request_id.trim();
    let decision_log = &state.live()?.env().decision_log;
    let refused = decision_log.why(request_id).map(|refusal| (Outcome::Refused, refusal));
    let failed = || Some((Outcome::Failed, decision_log.why_failed(request_id)?));
    let (outcome, refusal) = refused.or_else(failed).ok_or_else(|| Refused::unknown(request_id))?;
    Ok(json(&Why {
        request_id: refusal.request_id,
        outcome,
        at: written(refusal.at),
        from: refusal.from.to_string(),
        user: refusal.user,
        app: refusal.app,
        method: refusal.method,
        path: refusal.path,
        readings: refusal.readings,
        rule: refusal.rule,
        reason: refusal.reason,
    }))
}

/// Summarizes what observe mode would have stopped.
pub(super) async fn report(State(state): State<AppState>, _: Operator) -> Answer {
    let report = state.live()?.env().decision_log.report();
    let stopped = report.into_iter().map(|(what, seen)| Stopped {
        app: what.app,
        rule: what.rule,
        verdict: what.verdict.to_owned(),
        user: what.user,
        count: seen.count,
        first: written(seen.first),
        last: written(seen.last),
        example: seen.example,
    });
    Ok(json(&stopped.collect::<Vec<_>>()))
}

/// Summarizes what was refused.
pub(super) async fn refused(State(state): State<AppState>, _: Operator) -> Answer {
    let refusals = state.live()?.env().decision_log.refusals();
    let refused = refusals.into_iter().map(|kind| RefusedRequests {
        app: kind.last.app,
        rule: kind.last.rule,
        reason: kind.last.reason,
        user: kind.last.user,
        count: kind.count,
        first: written(kind.first),
        last: written(kind.last.at),
        request_id: kind.last.request_id,
        host: kind.last.host,
        method: kind.last.method,
        path: kind.last.path,
    });
    Ok(json(&refused.collect::<Vec<_>>()))
}
