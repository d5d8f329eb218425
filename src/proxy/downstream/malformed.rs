//! Requests that the HTTP/2 library resets as malformed, before anybody else sees them.
//!
//! The library tells nobody but its own log why, at level debug. So one layer of our log listens to
//! those records, and a connection collects what is recorded while it is polled.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::pin::pin;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

thread_local! {
    /// Why requests were reset during this poll; `None` while no visitor's connection is polled, so
    /// connections to applications are left out.
    static FOUND: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `work`, which polls an HTTP/2 connection, and calls `tell` for every request that the
/// library resets meanwhile. It learns of them only if [`layer`] is part of the log.
pub(in crate::proxy) async fn listening_for_resets<W: Future>(
    work: W,
    tell: impl Fn(&str),
) -> W::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _collecting = Collecting::begin();
        let polled = work.as_mut().poll(context);
        for why in Collecting::found() {
            tell(&why);
        }
        polled
    })
    .await
}

/// While it exists, what is recorded on this thread is collected. It ends even if the poll panics:
/// otherwise whatever else runs on this thread would be collected for ever.
struct Collecting;

impl Collecting {
    fn begin() -> Self {
        FOUND.set(Some(Vec::new()));
        Self
    }

    /// What was collected so far; nothing more is.
    fn found() -> Vec<String> {
        FOUND.take().unwrap_or_default()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        FOUND.try_with(RefCell::take).ok();
    }
}

/// The layer that listens to the library. It needs no more than the few records about faults, so
/// all others stay as cheap as they are.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Listener.with_filter(filter_fn(may_tell_a_fault).with_max_level_hint(LevelFilter::DEBUG))
}

/// Records about frames have fields; those about faults are plain text.
fn may_tell_a_fault(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
        && *metadata.level() == Level::DEBUG
        && metadata.target().starts_with("h2::")
        && metadata.fields().iter().all(|field| field.name() == "message")
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A thread that is ending may record something when this is gone.
        let found = FOUND.try_with(|found| {
            let mut found = found.borrow_mut();
            let Some(found) = found.as_mut() else { return };
            let mut text = Text::default();
            event.record(&mut text);
            found.extend(fault(&text.0).map(str::to_owned));
        });
        found.ok();
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{value:?}").ok();
    }
}

/// The fault of a stream, without what the visitor sent; `None` if the record is about something
/// else. A fault of the whole connection is returned by the library.
fn fault(record: &str) -> Option<&str> {
    let fault = match record.strip_prefix("stream error ") {
        Some(fault) => fault.split_once(" -- ").map_or(fault, |(_, fault)| fault),
        None => record.starts_with("malformed headers: ").then_some(record)?,
    };
    let end = [" (", "; stream="].iter().filter_map(|mark| fault.find(mark)).min();
    Some(fault[..end.unwrap_or(fault.len())].trim_end_matches(';'))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Mutex, OnceLock};
    use std::task::{self, Poll};

    use rstest::rstest;
    use tokio::io::AsyncWriteExt;
    use tracing::Dispatch;
    use tracing::subscriber::NoSubscriber;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    /// With one subscriber alone, another test may decide that a record is of no interest.
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();

    /// Header fields as literals without indexing (RFC 7541 §6.2.2).
    fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in fields {
            bytes.push(0);
            for text in [name, value] {
                bytes.push(u8::try_from(text.len()).unwrap());
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    #[rstest]
    #[case(&[("te", "gzip")], "malformed header block")]
    #[case(&[("connection", "close")], "malformed header block")]
    #[case(&[("content-length", "s3cret")], "could not parse content-length")]
    #[case(&[(":path", "/s3cret\"<")], "malformed headers: malformed path")]
    #[tokio::test]
    async fn a_request_that_the_library_resets_is_told_with_the_reason(
        #[case] odd: &[(&str, &str)],
        #[case] why: &str,
    ) {
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        let _guard = tracing::subscriber::set_default(registry().with(layer()));
        let (mut visitor, ours) = tokio::io::duplex(64 * 1024);
        let usual =
            [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")];
        let usual = usual.into_iter().filter(|(name, _)| odd.iter().all(|(odd, _)| odd != name));
        let (pseudo, rest): (Vec<_>, Vec<_>) =
            usual.chain(odd.iter().copied()).partition(|(name, _)| name.starts_with(':'));
        let block = fields(&[pseudo, rest].concat());
        visitor.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 4, 0, 0, 0, 1];
        frame.extend(block);
        visitor.write_all(&frame).await.unwrap();
        let mut connection = h2::server::handshake(ours).await.unwrap();
        visitor.shutdown().await.unwrap();
        let heard = Mutex::new(Vec::new());
        let hears = |why: &str| heard.lock().unwrap().push(why.to_owned());
        let accepted = listening_for_resets(connection.accept(), hears);
        assert!(!matches!(accepted.await, Some(Ok(_))));
        assert_eq!(*heard.lock().unwrap(), [why]);
    }

    #[test]
    fn nothing_is_collected_after_a_poll_that_panicked() {
        let work = std::future::poll_fn(|_| -> Poll<()> { panic!("at work") });
        let mut work = Box::pin(listening_for_resets(work, |_| {}));
        let mut context = task::Context::from_waker(task::Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
        assert!(polled.is_err());
        assert_eq!(FOUND.take(), None);
    }

    #[test]
    fn records_about_anything_else_are_no_faults() {
        assert_eq!(fault("received settings ACK; applying Settings"), None);
        assert_eq!(fault("connection error PROTOCOL_ERROR -- invalid stream ID 0;"), None);
    }
}
