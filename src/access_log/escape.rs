//! Text of visitors inside quotes, so that it cannot end the quotes or the line.

/// Adds `text` as it stands between the quotes of a JSON string (RFC 8259 §7). Quotes, backslashes,
/// control characters, and characters that change how a line looks (such as U+2028 or those of
/// bidirectional text) are escaped. Bytes that are not UTF-8 become `%E9`, as in a URL.
pub(super) fn put_quoted(line: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| is_plain(*byte)) {
        line.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            put_letter(line, letter);
        }
        for byte in chunk.invalid() {
            line.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

/// Whether a text line may contain `text` without quotes: it has no space, nothing that is escaped,
/// no `=`, and is not the mark for "nothing".
pub(super) fn is_bare(text: &[u8]) -> bool {
    let fits = |byte: &u8| is_plain(*byte) && !matches!(byte, b' ' | b'=');
    !text.is_empty() && text != b"-" && text.iter().all(fits)
}

fn put_letter(line: &mut Vec<u8>, letter: char) {
    match letter {
        '"' | '\\' => line.extend_from_slice(&[b'\\', letter as u8]),
        ' '..='~' => line.push(letter as u8),
        _ if letter.is_alphanumeric() => {
            line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let [high, low] = unit.to_be_bytes();
                let digits = [high >> 4, high & 15, low >> 4, low & 15].map(hex);
                line.extend_from_slice(b"\\u");
                line.extend_from_slice(&digits);
            }
        }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

const fn hex(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        _ => b'A' + digit - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(b"/plain path", "/plain path")]
    #[case(b"/a\"b\\c", "/a\\\"b\\\\c")]
    #[case(b"/a\r\n\x1b[0m\x7f", "/a\\u000D\\u000A\\u001B[0m\\u007F")]
    #[case("/Zoë/東".as_bytes(), "/Zoë/東")]
    #[case("/\u{85}\u{2028}\u{202e}\u{1f600}".as_bytes(), "/\\u0085\\u2028\\u202E\\uD83D\\uDE00")]
    #[case(b"/caf\xe9\xff", "/caf%E9%FF")]
    fn what_could_end_a_line_or_change_its_look_is_escaped(
        #[case] text: &[u8],
        #[case] escaped: &str,
    ) {
        let mut line = Vec::new();
        put_quoted(&mut line, text);
        assert_eq!(String::from_utf8(line).unwrap(), escaped);
    }

    #[test]
    fn only_a_word_stands_without_quotes() {
        assert!(is_bare(b"/orders/7.pdf"));
        for text in [&b""[..], b"-", b"a b", b"a=b", b"a\"b", b"a\nb", "ä".as_bytes()] {
            assert!(!is_bare(text), "{text:?}");
        }
    }
}
