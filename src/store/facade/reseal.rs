//! Sealing records anew, so that nothing rests on an older key.

use super::Store;
use super::rotation::Moved;
use crate::store::batch::{Batch, Expect, Step, Then};
use crate::store::record::{Entry, Kind};
use crate::unavailable::Unavailable;

impl Store {
    /// Seals those of `page` with the current key that are sealed with an older one. What somebody
    /// else has written meanwhile has the current key already.
    pub(super) async fn reseal(&self, kind: Kind, page: Vec<Entry>) -> Result<Moved, Unavailable> {
        let sealer = self.keyring.sealer();
        let (mut steps, mut done) = (Vec::new(), Moved::default());
        for Entry { key, record } in page {
            if sealer.is_current(&record.body) {
                continue;
            }
            done.moved += 1;
            let expect = Expect::Version(record.version);
            let then = Then::Put { expires: record.expires, body: record.body };
            let step = self.sealed_anew(Step { kind, key, expect, then });
            steps.extend(done.unless_unreadable(step)?);
        }
        let whole = steps.iter().cloned().fold(Batch::new(), Batch::with);
        if steps.is_empty() || self.commit(whole, &[], None).await? {
            return Ok(done);
        }
        for step in steps {
            self.commit(Batch::new().with(step), &[], None).await?;
        }
        Ok(done)
    }

    /// `batch` as it may be committed: nothing in it is sealed with an older key, also if the key
    /// was rotated since it was made.
    pub(super) fn sealed_with_the_current_key(&self, batch: Batch) -> Result<Batch, Unavailable> {
        let sealer = self.keyring.sealer();
        let is_older = |step: &Step| match &step.then {
            Then::Put { body, .. } => !sealer.is_current(body),
            Then::Keep | Then::Delete => false,
        };
        if !batch.steps().iter().any(is_older) {
            return Ok(batch);
        }
        let steps = batch.steps().iter().cloned();
        steps
            .map(|step| self.sealed_anew(step))
            .try_fold(Batch::new(), |batch, step| Ok(batch.with(step?)))
    }

    fn sealed_anew(&self, step: Step) -> Result<Step, Unavailable> {
        let Then::Put { expires, body } = &step.then else { return Ok(step) };
        let sealer = self.keyring.sealer();
        let opened = sealer.open(step.kind, &step.key, body)?;
        let body = self.rng.draw(|rng| sealer.seal(rng, step.kind, &step.key, opened.expose()))?;
        Ok(Step { then: Then::Put { expires: *expires, body }, ..step })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::domain::rng::SharedRng;
    use crate::domain::time::Timestamp;
    use crate::store::keys::{Keys, Purpose};
    use crate::store::memory::Memory;
    use crate::store::records::Records;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[tokio::test]
    async fn what_was_sealed_before_a_rotation_is_committed_with_the_new_key() {
        let rng = SharedRng::new(StdRng::seed_from_u64(1));
        let keys = rng.draw(|rng| Keys::random(rng, NOW));
        let records = Arc::new(Memory::new());
        let store = Store::new(Arc::<Memory>::clone(&records), &keys, rng);
        let batch = Batch::new();
        let batch = store.put(batch, Kind::Setting, b"late", Expect::Absent, None, &NOW).unwrap();
        store.rotate(Purpose::Sealing, "root", NOW).await.unwrap();
        assert!(store.commit(batch, &[], None).await.unwrap());
        let record = records.get(Kind::Setting, b"late").await.unwrap().unwrap();
        assert_eq!(record.body[1], 2);
        assert_eq!(store.open::<Timestamp>(Kind::Setting, b"late", &record).unwrap(), NOW);
    }
}
