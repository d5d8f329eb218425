//! Removes chunked encoding from answers to HTTP/1.0 visitors, who do not support it (RFC 9112
//! §6.1): the end of the connection marks the end of the answer.
//!
//! If an application answers over HTTP/2 without a length, Pingora decides on chunks after the last
//! filter has run. So the chunks are removed where the answer is written.

use bytes::BytesMut;

/// How far the answer has been parsed.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Unchunk {
    at: At,
    /// The current line, not complete yet.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Head,
    Size,
    /// This many bytes of the chunk are left.
    Content(usize),
    /// At the line break after a chunk.
    Break,
    End,
}

impl Unchunk {
    /// Writes `bytes` to `out` without chunks: the head without its `Transfer-Encoding`, and the
    /// content.
    pub(in crate::proxy) fn write(&mut self, mut bytes: &[u8], out: &mut BytesMut) {
        while let Some((&first, rest)) = bytes.split_first() {
            if let At::Content(left) = self.at {
                let (now, later) = bytes.split_at(left.min(bytes.len()));
                out.extend_from_slice(now);
                self.at = if now.len() == left { At::Break } else { At::Content(left - now.len()) };
                bytes = later;
                continue;
            }
            bytes = rest;
            self.line.push(first);
            if self.line.ends_with(b"\r\n") {
                self.at = self.after_line(out);
                self.line.clear();
            }
        }
    }

    fn after_line(&self, out: &mut BytesMut) -> At {
        let line = self.line.as_slice();
        match self.at {
            At::Head => {
                let is_coding =
                    line.get(..CODING.len()).is_some_and(|name| name.eq_ignore_ascii_case(CODING));
                if !is_coding {
                    out.extend_from_slice(line);
                }
                if line == b"\r\n" { At::Size } else { At::Head }
            }
            At::Size => {
                let size = std::str::from_utf8(line.trim_ascii()).ok();
                match size.and_then(|size| usize::from_str_radix(size, 16).ok()) {
                    Some(size @ 1..) => At::Content(size),
                    // What follows the last chunk is not content.
                    Some(0) | None => At::End,
                }
            }
            At::Break => At::Size,
            At::Content(_) | At::End => self.at,
        }
    }
}

const CODING: &[u8] = b"transfer-encoding:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_same_without_chunks_however_it_is_cut() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n\
                        5\r\nhe\r\nl\r\nA\r\n0123456789\r\n0\r\n\r\n";
        for size in 1..chunked.len() {
            let (mut unchunk, mut out) = (Unchunk::default(), BytesMut::new());
            for part in chunked.chunks(size) {
                unchunk.write(part, &mut out);
            }
            assert_eq!(&out[..], b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhe\r\nl0123456789");
        }
    }
}
