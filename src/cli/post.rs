//! Sending letters beside everything else: whenever one is written, and again while some wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::live::Live;
use crate::config::Config;
use crate::flow::Env;
use crate::flow::deliver::deliver;
use crate::messages::Smtp;
use crate::store::Kind;

/// Sends letters until it is dropped. What waits when the process ends is sent by the next.
pub(super) async fn send_letters(live: Arc<Live>) {
    let mut written = live.env().store.watch();
    let mut post: Option<(Arc<Config>, Server)> = None;
    loop {
        let env = live.env();
        if post.as_ref().is_none_or(|(config, _)| !Arc::ptr_eq(config, &env.config)) {
            post = server(&env).map(|server| (Arc::clone(&env.config), server));
        }
        if let Some((_, Server::Named(smtp))) = &post
            && let Err(error) = deliver(&env, smtp.as_ref()).await
        {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "letters wait: the store is unavailable");
        }
        let woken = async {
            loop {
                match written.recv().await {
                    Ok(change) if !change.touched.iter().any(|(kind, _)| *kind == Kind::Letter) => {
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::time::timeout(AGAIN, woken).await.ok();
    }
}

/// Where letters go.
enum Server {
    /// To this one.
    Named(Box<Smtp>),
    /// The configuration names none.
    Unnamed,
}

/// The mail server. `None`: it cannot be set up now, and is tried again.
fn server(env: &Env) -> Option<Server> {
    match Smtp::of(&env.config) {
        Ok(Some(smtp)) => Some(Server::Named(Box::new(smtp))),
        Ok(None) => Some(Server::Unnamed),
        Err(error) => {
            tracing::error!(%error, "no letter can be sent");
            None
        }
    }
}

/// How often letters that were put off are looked for.
const AGAIN: Duration = Duration::from_secs(15);
