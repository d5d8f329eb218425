//! Bodies over HTTP/2 on their way to an application of HTTP/1.1 (RFC 9113 §8.1, RFC 9112 §6): one
//! request stays one, however its frames are cut.

use std::time::Duration;

use rstest::rstest;
use tokio::time::Instant;

use super::frames::{
    DATA, END_HEADERS, END_STREAM, Fate, Frames, HEADERS, PADDED, RST_STREAM, fields, frame,
};
use super::means::{HOST, certificate, visitor};
use crate::support::exact::{Bodies, Exact};
use crate::support::instance::Instance;

/// A gateway before `upstream` that keeps connections to it whatever they have carried.
fn before(upstream: &Exact) -> Instance {
    Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        super::means::config(upstream.address, folder, "")
            .replace("    otherwise", "    upstream_reuse_after_body: true\n    otherwise")
    })
}

fn post(more: &[(&str, &str)]) -> Vec<u8> {
    let mut all =
        vec![(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/open/a")];
    all.extend(more);
    frame(HEADERS, END_HEADERS, 1, &fields(&all))
}

fn data(flags: u8, body: &[u8]) -> Vec<u8> {
    frame(DATA, flags, 1, body)
}

fn trailers() -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x-sum", "1")]))
}

const NO_LENGTH: &[(&str, &str)] = &[];

/// Pingora's issue 935: a last frame that is empty was written as two last chunks, and the second was
/// read as the start of the next visitor's request.
#[rstest]
#[case::the_last_frame_is_empty(NO_LENGTH, &[data(0, b"body"), data(END_STREAM, b"")], "body")]
#[case::the_only_frame_is_empty(NO_LENGTH, &[data(END_STREAM, b"")], "")]
#[case::all_frames_are_empty(NO_LENGTH, &[data(0, b""), data(0, b""), data(END_STREAM, b"")], "")]
#[case::frames_in_the_middle_are_empty(
    NO_LENGTH,
    &[data(0, b""), data(0, b"bo"), data(0, b""), data(0, b"dy"), data(0, b""), data(END_STREAM, b"")],
    "body"
)]
#[case::the_last_frame_is_full(NO_LENGTH, &[data(0, b"bo"), data(END_STREAM, b"dy")], "body")]
#[case::the_last_frame_is_padding(
    NO_LENGTH,
    &[data(0, b"body"), data(END_STREAM | PADDED, b"\x02\0\0")],
    "body"
)]
#[case::trailers_end_it(NO_LENGTH, &[data(0, b"body"), trailers()], "body")]
#[case::trailers_end_it_behind_an_empty_frame(NO_LENGTH, &[data(0, b"body"), data(0, b""), trailers()], "body")]
#[case::trailers_are_all(NO_LENGTH, &[trailers()], "")]
#[case::with_a_length(&[("content-length", "4")], &[data(0, b"body"), data(END_STREAM, b"")], "body")]
#[case::with_a_length_of_zero(&[("content-length", "0")], &[data(END_STREAM, b"")], "")]
#[case::with_a_length_and_trailers(&[("content-length", "4")], &[data(0, b"body"), trailers()], "body")]
fn a_body_ends_once_however_its_frames_are_cut(
    #[case] more: &[(&str, &str)],
    #[case] sent: &[Vec<u8>],
    #[case] arrives: &str,
) {
    let upstream = Exact::start(Bodies::Read);
    let instance = before(&upstream);
    for together in [true, false] {
        let mut frames = Frames::to(&instance);
        let mut all = vec![post(more)];
        all.extend_from_slice(sent);
        if together {
            frames.sends(&all.concat());
        } else {
            for (index, part) in all.iter().enumerate() {
                // Whatever was sent before has been read by then.
                assert!(index == 0 || frames.goes_on());
                frames.sends(part);
            }
        }
        assert_eq!(frames.fate(), Fate::Answered(200));
        let mut next = visitor(&instance, HOST);
        let answer = next.asks(format!("GET /open/next HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "GET /open/next"));
    }
    let heard = upstream.heard();
    let asked: Vec<_> = heard.iter().map(|heard| (heard.asks(), heard.body.as_str())).collect();
    let each = [("POST /open/a".to_owned(), arrives), ("GET /open/next".to_owned(), "")];
    assert_eq!(asked, [each.clone(), each].concat());
}

/// What breaks off is not ended as if it were whole, and what was begun with it serves nobody else.
#[rstest]
#[case::reset(NO_LENGTH, &[data(0, b"bo"), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])])]
#[case::reset_behind_an_empty_frame(NO_LENGTH, &[data(0, b"bo"), data(0, b""), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])])]
#[case::shorter_than_its_length(&[("content-length", "9")], &[data(0, b"body"), data(END_STREAM, b"")])]
#[case::shorter_than_its_length_in_one(&[("content-length", "9")], &[data(END_STREAM, b"body")])]
#[case::shorter_than_its_length_by_trailers(&[("content-length", "9")], &[data(0, b"body"), trailers()])]
#[case::longer_than_its_length(&[("content-length", "2")], &[data(END_STREAM, b"body")])]
#[case::longer_than_its_length_in_two(&[("content-length", "2")], &[data(0, b"bo"), data(END_STREAM, b"dy")])]
#[case::longer_than_nothing(&[("content-length", "0")], &[data(END_STREAM, b"body")])]
fn a_body_that_breaks_off_is_no_request_and_no_part_of_the_next(
    #[case] more: &[(&str, &str)],
    #[case] sent: &[Vec<u8>],
) {
    let upstream = Exact::start(Bodies::Read);
    let instance = before(&upstream);
    for together in [true, false] {
        let mut frames = Frames::to(&instance);
        frames.sends(&post(more));
        if together {
            frames.sends(&sent.concat());
        } else {
            for part in sent {
                frames.sends(part);
                frames.goes_on();
            }
        }
        frames.goes_on();
        let mut next = visitor(&instance, HOST);
        let answer = next.asks(format!("GET /open/next HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "GET /open/next"));
    }
    // One that has all that its length promises was whole before it went on.
    let whole = |asked: &String| asked == "POST /open/a" && !more.is_empty();
    let asked: Vec<_> = upstream.asked().into_iter().filter(|asked| !whole(asked)).collect();
    assert_eq!(asked, ["GET /open/next", "GET /open/next"]);
}

/// The refusal of an upload over HTTP/2 is followed by no reset as long as the visitor sends: curl 7.88
/// would discard it.
#[test]
fn the_refusal_of_an_upload_is_followed_by_no_reset() {
    let upstream = Exact::start(Bodies::Read);
    let instance = before(&upstream);
    let refused = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/orders/upload"),
        ("content-length", "100000"),
    ];
    // A machine that stands still for seconds sees the end of our patience.
    let is_patient = (0..5).any(|_| {
        let mut frames = Frames::to(&instance);
        frames.sends(&frame(HEADERS, END_HEADERS, 1, &fields(&refused)));
        frames.sends(&data(0, &[b'x'; 10_000]));
        // 401 is Huffman-coded.
        assert!(matches!(frames.fate(), Fate::Answered(_)));
        assert!(frames.goes_on());
        (0..9).for_each(|at| frames.sends(&data(u8::from(at == 8), &[b'x'; 10_000])));
        assert!(frames.goes_on());
        !frames.has_kept(RST_STREAM)
    });
    assert!(is_patient);
    assert!(upstream.asked().is_empty());
}

/// Otherwise nothing would limit how many refused uploads one address may leave open.
#[test]
fn a_refused_upload_has_a_place_of_its_address_as_long_as_we_read_on() {
    let upstream = Exact::start(Bodies::Read);
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        let more = "limits: { requests_per_address: 16 }\ndeadlines: { queue: 1m }";
        super::means::config(upstream.address, folder, more)
    });
    let uploads = |stream| {
        let head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/orders/upload"),
        ];
        frame(HEADERS, END_HEADERS, stream, &fields(&head))
    };
    let mut frames = Frames::to(&instance);
    let began = Instant::now();
    let mut others: Vec<_> = (0..15).map(|_| Frames::to(&instance)).collect();
    for frames in &mut others {
        frames.sends(&uploads(1));
    }
    assert!(others.iter_mut().all(|frames| matches!(frames.fate(), Fate::Answered(_))));
    frames.sends(&uploads(1));
    assert!(matches!(frames.fate(), Fate::Answered(_)));
    // Somebody else there waits until the first of these is over.
    let mut next = Frames::to(&instance);
    next.sends(&uploads(1));
    assert!(matches!(next.fate(), Fate::Answered(_)));
    assert!(began.elapsed() > Duration::from_millis(1_900), "{:?}", began.elapsed());
}

/// A visitor who is answered before their body has ended may still end it, in whatever frames.
#[rstest]
#[case::empty(&[data(END_STREAM, b"")])]
#[case::full(&[data(0, b"body"), data(END_STREAM, b"")])]
#[case::trailers(&[trailers()])]
#[case::reset(&[frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])])]
fn a_body_behind_an_early_answer_is_no_part_of_the_next_request(#[case] sent: &[Vec<u8>]) {
    let upstream = Exact::start(Bodies::Unread);
    let instance = Instance::with(|folder| {
        certificate(folder, "all", &[HOST, "id.example.com"]);
        certificate(folder, "wiki", &["wiki.example.com"]);
        super::means::config(upstream.address, folder, "")
    });
    let mut frames = Frames::to(&instance);
    frames.sends(&post(NO_LENGTH));
    assert_eq!(frames.fate(), Fate::Answered(200));
    frames.sends(&sent.concat());
    assert!(frames.goes_on());
    for _ in 0..3 {
        let mut next = visitor(&instance, HOST);
        let answer = next.asks(format!("GET /open/next HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "GET /open/next"));
    }
    assert_eq!(
        upstream.asked(),
        ["POST /open/a"].into_iter().chain(["GET /open/next"; 3]).collect::<Vec<_>>()
    );
}
