//! Whether a configuration moves the RP ID away from the security keys that people have.

use std::fmt;

use crate::config::Config;
use crate::store::Store;
use crate::unavailable::Unavailable;

/// People have keys for one RP ID, and a configuration has another one, for which these keys cannot
/// be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The RP ID of their keys.
    pub from: String,
    /// The configured one; `None` if the portal can use no keys.
    pub to: Option<String>,
    /// How many people have keys.
    pub people: usize,
}

/// Whether `config` moves the RP ID away from keys that people have.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read.
pub async fn moved(store: &Store, config: &Config) -> Result<Option<Moved>, Unavailable> {
    moved_to(store, config.relying_party.as_ref().map(|party| party.id.as_str())).await
}

/// The same for this RP ID. If none was in use lately, the last one that was counts.
///
/// # Errors
/// Like [`moved`].
pub async fn moved_to(store: &Store, to: Option<&str>) -> Result<Option<Moved>, Unavailable> {
    let known = store.rp_ids().await?;
    let is_back = known.last.is_some() && known.last.as_deref() == to;
    if is_back || known.in_use.as_ref().is_some_and(|id| id.as_deref() == to) {
        return Ok(None);
    }
    let left = store.keys_left_behind(known.last.as_deref(), to).await?;
    Ok(left.map(|(from, people)| Moved { from, to: to.map(str::to_owned), people }))
}

/// Notes the RP ID of `config` with every key, and stores it.
///
/// # Errors
/// [`Unavailable`] if the store cannot be read or written. It may be repeated then.
pub async fn note(store: &Store, config: &Config) -> Result<(), Unavailable> {
    store.use_rp_id(config.relying_party.as_ref().map(|party| party.id.as_str())).await
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        match to {
            Some(to) => write!(f, "the RP ID would change from `{from}` to `{to}`")?,
            None => write!(f, "the portal could no longer use the RP ID `{from}`")?,
        }
        write!(f, ": the security keys of {} would stop working", self.whose())
    }
}

impl Moved {
    /// What has happened once it was accepted.
    pub fn accepted(&self) -> String {
        let Self { from, to, .. } = self;
        let whose = self.whose();
        match to {
            Some(to) => {
                format!(
                    "RP ID changed from `{from}` to `{to}`: security keys of {whose} no longer work"
                )
            }
            None => format!("RP ID `{from}` given up: security keys of {whose} no longer work"),
        }
    }

    fn whose(&self) -> String {
        match self.people {
            1 => "one person".to_owned(),
            people => format!("{people} people"),
        }
    }

    /// What to do about it.
    pub fn cure(&self) -> String {
        let from = &self.from;
        format!(
            "keep the portal at or below `{from}` (`second_factor: {{ security_keys: {{ rp_id: \
             {from} }} }}`), or start once with `doorward serve --accept-new-rp-id`: people then \
             need another factor or a recovery code to sign in, and set up their keys again"
        )
    }
}
