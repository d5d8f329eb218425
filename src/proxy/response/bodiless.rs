//! Responses that announce content although they must not have any (RFC 9110 §6.4.1).

use http::header::TRANSFER_ENCODING;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, Result};

use super::local_reply;
use crate::proxy::failure::USED_UP;

/// Passes on an answer that announces content but must not have any, and closes the connection that
/// it came over. A server with this fault may send the content after all, and the next visitor on
/// the connection would receive it as their answer. Only an error makes Pingora close it, so the
/// visitor's connection ends as well.
///
/// # Errors
/// Always: [`USED_UP`] once the answer has been sent.
pub(in crate::proxy) async fn end_with_its_connection(
    session: &mut Session,
    head: &ResponseHeader,
) -> Result<()> {
    let mut head = head.clone();
    head.remove_header(&TRANSFER_ENCODING);
    session.set_keepalive(None);
    local_reply::write_head_alone(session, head).await.map_err(Error::into_down)?;
    Error::e_explain(USED_UP, "the response was already sent").map_err(Error::into_up)
}
