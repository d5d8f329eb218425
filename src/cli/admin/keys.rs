//! What operators do to keys.

use axum::body::Bytes;
use axum::extract::State;

use super::{Answer, AppState, Operator, Refused, Runs, json, read};
use crate::cli::api::{
    CarriedOn, Key, KeyRing, KeyState, RotateKey, RotatedKey, Rotation, written,
};
use crate::flow::keys::{self, Older};
use crate::store::{Left, Purpose, Rotated, RotationProgress};

pub(super) async fn list(State(state): State<AppState>, _: Operator) -> Answer {
    Ok(json(&Purpose::ALL.iter().map(|purpose| state.key_ring(*purpose)).collect::<Vec<_>>()))
}

pub(super) async fn rotate(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Bytes,
) -> Answer {
    let RotateKey { purpose, drop_old } = read(&body)?;
    let purpose = Purpose::named(&purpose)
        .ok_or_else(|| Refused::misunderstood(&format!("there are no keys for `{purpose}`")))?;
    if drop_old && purpose.accepted_for().is_none() {
        return Err(Refused::misunderstood(&format!(
            "older keys for `{purpose}` are dropped once no record needs them, and not before: run it without --drop-old"
        )));
    }
    let older = if drop_old { Older::End } else { Older::Accepted };
    match keys::rotate(&state.env(), &by, purpose, older).await? {
        Rotated::Now(_) => {}
        Rotated::Unfinished => return Err(Refused::conflict(state.unfinished(purpose))),
        Rotated::Full => return Err(Refused::conflict(state.full(purpose))),
    }
    Ok(json(&RotatedKey { ring: state.key_ring(purpose), gateway: state.live().is_ok() }))
}

/// Does a part of what older keys wait for. A gateway does it by itself: then this only says how far
/// it is.
pub(super) async fn carry_on(State(state): State<AppState>, _: Operator) -> Answer {
    if let Runs::Alone(env) = &state.runs {
        let left = match keys::carry_on(env).await? {
            Left::Nothing => None,
            Left::Work(progress) => Some(rotation(progress)),
            Left::Unreadable(progress) => Some(Rotation { stuck: true, ..rotation(progress) }),
        };
        return Ok(json(&CarriedOn { gateway: false, left }));
    }
    let mut rings = Purpose::ALL.iter().map(|purpose| state.key_ring(*purpose));
    let left = rings.find_map(|ring| ring.rotation);
    Ok(json(&CarriedOn { gateway: true, left }))
}

impl AppState {
    fn key_ring(&self, purpose: Purpose) -> KeyRing {
        let store = &self.env().store;
        let (ring, progress) = (store.keyring().ring(purpose), store.rotation_progress());
        let is_unfinished = purpose.accepted_for().is_none() && !ring.older().is_empty();
        let progress = progress.filter(|progress| progress.purpose == purpose);
        let begins = RotationProgress { purpose, done: 0, all: 0, unreadable: 0 };
        let older = ring.older().iter().map(|held| {
            let replaced = ring.replaced(held.id).unwrap_or(held.since);
            let until = purpose.accepted_for().map(|life| written(replaced.plus(life)));
            Key { id: held.id, since: written(held.since), state: KeyState::Accepted, until }
        });
        let current = ring.current();
        let since = written(current.since);
        let current = Key { id: current.id, since, state: KeyState::Current, until: None };
        KeyRing {
            purpose: purpose.word().to_owned(),
            about: purpose.about().to_owned(),
            keys: older.chain([current]).collect(),
            rotation: is_unfinished.then(|| rotation(progress.unwrap_or(begins))),
        }
    }

    fn unfinished(&self, purpose: Purpose) -> String {
        let next = match &self.runs {
            Runs::Gateway(_) => "wait until `doorward keys list` shows one key".to_owned(),
            Runs::Alone(_) => format!("first run: doorward keys rotate {purpose} --resume"),
        };
        format!("the last rotation of `{purpose}` is not finished, so no key was added; {next}")
    }

    fn full(&self, purpose: Purpose) -> String {
        let ring = self.key_ring(purpose);
        let until = ring.keys.first().and_then(|key| key.until.clone()).unwrap_or_default();
        let count = ring.keys.len();
        format!(
            "`{purpose}` has {count} keys that are still accepted, and there cannot be more; the \
             oldest one is dropped at {until}: try again then"
        )
    }
}

fn rotation(progress: RotationProgress) -> Rotation {
    let RotationProgress { purpose: _, done, all, unreadable } = progress;
    Rotation { done, all, unreadable, stuck: unreadable > 0 && done == all }
}
