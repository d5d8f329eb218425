//! The outbox workers: they send a message as soon as it is written, and try again later if needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::reload::Live;
use super::upkeep;
use crate::config::{Config, Sms};
use crate::domain::time::Timestamp;
use crate::flow::Env;
use crate::flow::deliver::{Came, deliver};
use crate::flow::texts::{self, hand_over};
use crate::messages::{Smtp, sms};
use crate::store::{Change, Kind};
use crate::unavailable::{self, Unavailable};

/// The workers. Messages that are left when they end are sent after the next start.
pub(super) struct OutboxWorkers {
    /// Whether they are to end.
    closing: watch::Sender<bool>,
    workers: JoinSet<()>,
    texts: JoinSet<()>,
}

impl OutboxWorkers {
    /// Starts the workers.
    pub(super) fn open(live: &Arc<Live>) -> Self {
        let (closing, closed) = watch::channel(false);
        let (mut workers, mut texts) = (JoinSet::new(), JoinSet::new());
        for _ in 0..WORKERS {
            let closed = closed.clone();
            workers.spawn(upkeep::without_end(Arc::clone(live), move |live| {
                send_messages(live, closed.clone())
            }));
        }
        for _ in 0..TEXTS_AT_ONCE {
            let closed = closed.clone();
            texts.spawn(upkeep::without_end(Arc::clone(live), move |live| {
                send_texts(live, closed.clone())
            }));
        }
        workers.spawn(upkeep::without_end(Arc::clone(live), move |live| {
            count_messages(live, closed.clone())
        }));
        Self { closing, workers, texts }
    }

    /// Starts no more messages.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Lets messages in progress be sent, up to a time limit: the others are sent again later.
    pub(super) async fn end(mut self) {
        self.close();
        let all = async { while self.workers.join_next().await.is_some() {} };
        let texts = async { while self.texts.join_next().await.is_some() {} };
        let (all, texts) = tokio::join!(timeout(UNDER_WAY, all), timeout(sms::WITHIN, texts));
        if all.is_err() {
            tracing::warn!(
                "shutdown timeout: an e-mail may be sent twice: it is tried again in ten minutes"
            );
        }
        if texts.is_err() {
            tracing::warn!(
                "shutdown timeout: a text message may not have been sent, and is not sent again"
            );
        }
    }
}

/// Sends messages until the workers end, each with the configuration of that time.
async fn send_messages(live: Arc<Live>, mut closed: watch::Receiver<bool>) {
    let mut written = live.env().store.watch();
    let mut smtp: Option<(Arc<Config>, Smtp)> = None;
    while !*closed.borrow() {
        // Messages written so far are found by looking.
        while !matches!(written.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        let env = live.env();
        if smtp.as_ref().is_none_or(|(config, _)| !Arc::ptr_eq(config, &env.config)) {
            smtp = server(&env).map(|smtp| (Arc::clone(&env.config), smtp));
        }
        let came = match &smtp {
            Some((_, smtp)) => deliver(&env, smtp).await.unwrap_or_else(|error| {
                env.report(&error, "cannot read the outbox");
                Came::Away
            }),
            None => Came::Nothing,
        };
        let again = async {
            match came {
                Came::Sent | Came::GivenUp | Came::PutOff => {}
                Came::Nothing => {
                    drop(timeout(AGAIN, is_written(&mut written, Kind::Message)).await);
                }
                Came::Away => sleep(AGAIN).await,
            }
        };
        tokio::select! {
            () = again => {}
            _ = closed.changed() => {}
        }
    }
}

/// Hands text messages over until the workers end, each with the configuration of that time.
async fn send_texts(live: Arc<Live>, mut closed: watch::Receiver<bool>) {
    let mut written = live.env().store.watch();
    let mut provider: Option<(Arc<Config>, sms::Provider)> = None;
    while !*closed.borrow() {
        while !matches!(written.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        let env = live.env();
        if provider.as_ref().is_none_or(|(config, _)| !Arc::ptr_eq(config, &env.config)) {
            let new = env.config.sms.as_ref().and_then(|sms| sms_provider(&env, sms));
            provider = new.map(|provider| (Arc::clone(&env.config), provider));
        }
        let came = match &provider {
            Some((_, provider)) => hand_over(&env, provider).await.unwrap_or_else(|error| {
                env.report(&error, "cannot read the text messages that wait");
                texts::Came::Nothing
            }),
            None => texts::Came::Nothing,
        };
        if came != texts::Came::Nothing {
            continue;
        }
        tokio::select! {
            _ = timeout(AGAIN, is_written(&mut written, Kind::Text)) => {}
            _ = closed.changed() => {}
        }
    }
}

/// The provider of text messages, if it can be used.
fn sms_provider(env: &Env, sms: &Sms) -> Option<sms::Provider> {
    let provider = sms::Provider::of(sms);
    provider
        .map_err(|error| {
            let away = Unavailable::new(unavailable::Kind::Sms, "its configuration does not work");
            env.report(&away.because(error), "text messages stay in the outbox");
        })
        .ok()
}

/// Waits until a message of this `kind` is written or another worker releases one.
async fn is_written(changes: &mut Receiver<Arc<Change>>, of: Kind) {
    loop {
        match changes.recv().await {
            Ok(change) if change.touched.iter().all(|(kind, _)| *kind != of) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The mail server, if there is a usable one.
fn server(env: &Env) -> Option<Smtp> {
    Smtp::of(&env.config).unwrap_or_else(|error| {
        let away = Unavailable::new(unavailable::Kind::Mail, "its configuration does not work")
            .because(error);
        env.report(&away, "e-mails stay in the outbox");
        None
    })
}

/// Counts the waiting messages and texts at regular intervals.
async fn count_messages(live: Arc<Live>, mut closed: watch::Receiver<bool>) {
    while !*closed.borrow() {
        let env = live.env();
        if let Ok(now) = env.now() {
            let age = |oldest: Option<Timestamp>| {
                oldest.map_or(Duration::ZERO, |written| written.until(now))
            };
            if let Ok((waiting, oldest)) = env.store.outbox(COUNTED).await {
                env.metrics.outbox(waiting, age(oldest));
            }
            if let Ok((waiting, oldest)) = env.store.texts_outbox(COUNTED).await {
                env.metrics.texts_outbox(waiting, age(oldest));
            }
        }
        timeout(AGAIN, closed.changed()).await.ok();
    }
}

/// How many messages are sent at the same time.
const WORKERS: usize = 2;
/// How many texts are handed over at once, so that a slow provider (ten seconds at most) delays
/// few others.
const TEXTS_AT_ONCE: usize = 4;
/// How often postponed messages are looked for.
const AGAIN: Duration = Duration::from_secs(15);
/// How long the end of the process waits for messages in progress.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// The most messages that are counted.
const COUNTED: usize = 100_000;
