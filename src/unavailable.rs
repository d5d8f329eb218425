//! Why the gateway cannot do what it was asked to do: one error, whose kind says what is broken.
//!
//! Visitors are told the same for all kinds, and nobody is let through. Operators are told the kind,
//! the causes and what to do: in the log, in `doorward_unavailable_total`, at `/readyz` and by
//! commands.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Something on our side is broken or away.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {what}")]
pub struct Unavailable {
    kind: Kind,
    what: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is broken or away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The store cannot be read or written at present. It is tried again and again.
    Store,
    /// The content of the store is damaged; only a backup helps.
    Damage,
    /// One record of the store cannot be read: it has another form, or other keys.
    Record,
    /// The system clock went back. Waits, sessions and one-time codes need one that does not.
    Clock,
    /// A password could not be hashed.
    Hashing,
    /// A request handler or another task panicked, which is a bug.
    Panic,
    /// The mail server cannot be reached, or mail is not set up in a usable way.
    Mail,
    /// The provider of text messages fails, or is not set up in a usable way.
    Sms,
}

impl Unavailable {
    /// `what` describes the problem for operators, here and in the others: lower case, no full
    /// stop.
    pub const fn new(kind: Kind, what: &'static str) -> Self {
        Self { kind, what: Cow::Borrowed(what), source: None }
    }

    /// The store cannot be read or written.
    pub const fn store(what: &'static str) -> Self {
        Self::new(Kind::Store, what)
    }

    /// A record of the store cannot be read or made.
    pub const fn record(what: &'static str) -> Self {
        Self::new(Kind::Record, what)
    }

    /// A handler or a task panicked with `payload`.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let what = Cow::Owned(panic_message(payload));
        Self { kind: Kind::Panic, what, source: None }
    }

    /// The same, with its cause.
    #[must_use]
    pub fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// What is broken or away.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the content of the store is damaged, so that only a backup helps.
    pub fn is_damage(&self) -> bool {
        self.kind == Kind::Damage
    }

    /// What is wrong, with all its causes, in one line.
    pub fn told(&self) -> String {
        let (mut told, mut next) = (self.to_string(), self.source());
        while let Some(cause) = next {
            told = format!("{told}: {cause}");
            next = cause.source();
        }
        told
    }

    /// Logs this error. `failed` is what could not be done: "request refused".
    ///
    /// Each kind is logged at a place of its own, because the log limits how much one place may
    /// write: a flood of one kind must not hide the others.
    pub fn log(&self, failed: &str) {
        // As text: logs in JSON would leave the causes out.
        let (error, help) = (self.told(), self.kind.help());
        match self.kind {
            Kind::Store => tracing::error!(%error, help, "{failed}: the store is unavailable"),
            Kind::Damage => tracing::error!(%error, help, "{failed}: the store is damaged"),
            Kind::Record => {
                tracing::error!(%error, help, "{failed}: a record of the store cannot be read");
            }
            Kind::Clock => tracing::error!(%error, help, "{failed}: the system clock went back"),
            Kind::Hashing => tracing::error!(%error, help, "{failed}: password hashing failed"),
            Kind::Panic => tracing::error!(%error, help, "{failed}: a task panicked"),
            Kind::Mail => tracing::error!(%error, help, "{failed}: mail cannot be sent"),
            Kind::Sms => tracing::error!(%error, help, "{failed}: text messages cannot be sent"),
        }
    }
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Store,
        Self::Damage,
        Self::Record,
        Self::Clock,
        Self::Hashing,
        Self::Panic,
        Self::Mail,
        Self::Sms,
    ];

    /// Its label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Damage => "store-damaged",
            Self::Record => "record",
            Self::Clock => "clock",
            Self::Hashing => "hashing",
            Self::Panic => "panic",
            Self::Mail => "mail",
            Self::Sms => "sms",
        }
    }

    /// What an operator does about it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Store => {
                "check the disk of the state folder; writing is tried again every few seconds"
            }
            Self::Damage => "stop doorward and restore the store from a backup",
            Self::Record => {
                "check that the keys file belongs to this store, and that no newer version wrote it"
            }
            Self::Clock => {
                "set the clock; if it is right now and was ahead before, restart once with --accept-clock"
            }
            Self::Hashing => "check the memory of the machine, then restart doorward",
            Self::Panic => "this is a bug: report it with the log lines around this one",
            Self::Mail => "check `mail` in the configuration with `doorward mail test`",
            Self::Sms => "check `sms` in the configuration with `doorward sms test`",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "the store is unavailable",
            Self::Damage => "the store is damaged",
            Self::Record => "a record of the store cannot be read",
            Self::Clock => "the system clock went back",
            Self::Hashing => "password hashing failed",
            Self::Panic => "a task panicked",
            Self::Mail => "mail cannot be sent",
            Self::Sms => "text messages cannot be sent",
        })
    }
}

/// The message that a panic was raised with; empty if it is not text.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_operator_is_told_every_cause_in_one_line() {
        let full = io::Error::other("no space left");
        let why = Unavailable::store("cannot commit").because(full);
        assert_eq!(why.told(), "the store is unavailable: cannot commit: no space left");
    }

    #[test]
    fn a_panic_is_told_in_its_own_words_whether_they_were_formatted_or_not() {
        let panics: [fn(); 2] = [|| panic!("{} is odd", 3), || panic!("out of luck")];
        let told = panics.map(|panics| {
            Unavailable::panicked(&*std::panic::catch_unwind(panics).unwrap_err()).to_string()
        });
        let begin = |end| format!("a task panicked: {end}");
        assert_eq!(told, [begin("3 is odd"), begin("out of luck")]);
    }

    #[test]
    fn each_kind_has_a_label_and_a_help_of_its_own() {
        let labels: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::name).into();
        let helps: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::help).into();
        assert_eq!((labels.len(), helps.len()), (Kind::ALL.len(), Kind::ALL.len()));
    }
}
