//! A chat for signed-in users over a WebSocket; without script, a form and a list.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{Html, Redirect, Response};
use axum::routing::get;
use http::HeaderMap;
use tokio::sync::broadcast::{self, error::RecvError};

use super::intranet::{a_line, escaped, page, script, typed, who};

/// The page, its script, and the WebSocket.
pub(super) fn router() -> Router {
    Router::new()
        .route("/chat", get(room).post(post))
        .route("/chat.js", get(async || script(include_str!("chat.js"))))
        .route("/chat/ws", get(join))
        .with_state(Arc::new(Chat::new()))
}

/// The messages and the listeners.
struct Chat {
    /// The latest messages, newest last.
    said: Mutex<VecDeque<Line>>,
    news: broadcast::Sender<Line>,
}

#[derive(Clone)]
struct Line {
    by: String,
    text: String,
}

impl Chat {
    /// How many messages are kept, and how far a listener may fall behind.
    const KEPT: usize = 20;

    fn new() -> Self {
        Self { said: Mutex::default(), news: broadcast::Sender::new(Self::KEPT) }
    }

    fn say(&self, by: String, text: String) {
        let line = Line { by, text };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == Self::KEPT {
            said.pop_front();
        }
        said.push_back(line.clone());
        // There may be no listener. Send under the lock, so that a new listener gets each line
        // once.
        self.news.send(line).ok();
    }

    /// The messages so far, and all later ones.
    fn listen(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (said.iter().cloned().collect(), self.news.subscribe())
    }
}

impl Line {
    fn message(&self) -> Message {
        Message::text(serde_json::json!({ "by": self.by, "text": self.text }).to_string())
    }
}

async fn room(State(chat): State<Arc<Chat>>, headers: HeaderMap) -> Html<String> {
    let (said, _) = chat.listen();
    let said = said.iter().fold(String::new(), |mut all, line| {
        let (by, text) = (escaped(&line.by), escaped(&line.text));
        write!(all, "<li><b>{by}:</b> {text}</li>").ok();
        all
    });
    page(
        &headers,
        "Chat",
        &format!(
            "<ul id=\"said\" role=\"log\">{said}</ul><form method=\"post\" id=\"say\"><p><input \
             name=\"text\" size=\"40\" maxlength=\"200\" autocomplete=\"off\" aria-label=\"Your \
             line\"> <button>Say it</button></p></form><p id=\"state\" role=\"status\">Reload the \
             page to see new lines. If scripts are allowed, they arrive by WebSocket.</p>\
             <p id=\"ended\" hidden>When you sign out, the gateway closes this connection. \
             <a href=\"/chat\">Open the chat again</a></p>\
             <script src=\"/chat.js\"></script>"
        ),
    )
}

async fn post(State(chat): State<Arc<Chat>>, headers: HeaderMap, body: Bytes) -> Redirect {
    if let Some(text) = typed(&body) {
        chat.say(who(&headers), text);
    }
    Redirect::to("/chat")
}

async fn join(
    State(chat): State<Arc<Chat>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // As with any request, the gateway names the user once, and binds the connection to them.
    let by = who(&headers);
    upgrade.max_message_size(LONGEST).on_upgrade(async move |socket| {
        // The connection has ended; nobody is left to tell.
        talk(&chat, &by, socket).await.ok();
    })
}

/// Sends a listener all messages, and everybody the listener's messages, until the listener leaves.
async fn talk(chat: &Chat, by: &str, mut socket: WebSocket) -> Result<(), axum::Error> {
    let (said, mut news) = chat.listen();
    for line in said {
        socket.send(line.message()).await?;
    }
    loop {
        tokio::select! {
            heard = socket.recv() => match heard.transpose()? {
                Some(Message::Text(text)) => {
                    if let Some(text) = a_line(&text) {
                        chat.say(by.to_owned(), text);
                    }
                }
                Some(Message::Binary(_) | Message::Ping(_) | Message::Pong(_)) => {}
                Some(Message::Close(_)) | None => return Ok(()),
            },
            line = news.recv() => match line {
                Ok(line) => socket.send(line.message()).await?,
                // Too slow for every message; the next one is there already.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// In bytes; a line is two hundred characters at most.
const LONGEST: usize = 4 * 1024;
