//! Other ways in which software writes letters that are not ASCII, by which one name may become
//! another.
//!
//! File systems and databases compose or decompose letters (NFC, NFD: macOS). IIS and Java fold
//! compatible forms (full width, ligatures: NFKC). Old Windows interfaces choose the most similar
//! letter of a code page ("best fit", Microsoft's table for code page 1252). Much software drops
//! invisible characters or invalid UTF-8, or reads UTF-8 as Latin-1.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The work for each byte of a path, in units.
pub(super) const COST: usize = 24;

/// Calls `each` with other spellings of `path`, which contains bytes that are not ASCII.
pub(super) fn spellings(path: &[u8], mut each: impl FnMut(Vec<u8>)) {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut add = |spelling: Vec<u8>| {
        if spelling != path && !found.contains(&spelling) {
            found.push(spelling.clone());
            each(spelling);
        }
    };
    let text = if let Ok(text) = str::from_utf8(path) {
        if let Some(latin) = as_latin_1(text) {
            add(latin);
        }
        text.to_owned()
    } else {
        add(path.iter().map(|byte| char::from(*byte)).collect::<String>().into());
        let text = valid(path);
        add(text.clone().into());
        text
    };
    add(text.nfc().collect::<String>().into());
    add(cleaned(text.nfkc()));
    add(cleaned(text.nfkd().filter(|letter| !is_combining_mark(*letter)).map(best_fit)));
}

/// The rest of `path` when invalid UTF-8 is dropped.
fn valid(path: &[u8]) -> String {
    path.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

fn as_latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

/// Drops invisible characters, white space around segments and dot segments: these may have been
/// written with other letters, too.
fn cleaned(letters: impl Iterator<Item = char>) -> Vec<u8> {
    let path: String = letters.filter(|letter| !is_ignorable(*letter)).collect();
    let path = path.replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1).map(str::trim) {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/")).into()
}

/// `Default_Ignorable_Code_Point` of Unicode, and the control characters of Latin-1.
fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffd}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The ASCII character that Windows uses for one that its code page does not have, unless Unicode
/// compatibility gives the same.
fn best_fit(letter: char) -> char {
    match letter {
        '\u{2b9}' | '\u{2bc}' | '\u{2c8}' | '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => {
            '\''
        }
        '\u{2cb}' | '\u{2035}' => '`',
        '\u{2ba}' | '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
        '\u{2c4}' | '\u{2c6}' | '\u{2303}' => '^',
        '\u{2cd}' | '\u{2017}' => '_',
        '\u{2dc}' | '\u{223c}' => '~',
        '\u{1c0}' | '\u{2223}' | '\u{2758}' => '|',
        '\u{1c3}' => '!',
        '\u{37e}' => ';',
        '\u{589}' | '\u{2236}' => ':',
        '\u{66a}' => '%',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
        '\u{2216}' | '\u{29f5}' => '\\',
        '\u{2217}' => '*',
        '\u{2039}' | '\u{2329}' | '\u{3008}' => '<',
        '\u{203a}' | '\u{232a}' | '\u{3009}' => '>',
        '\u{110}' | '\u{189}' | '\u{d0}' => 'D',
        '\u{111}' | '\u{3b4}' | '\u{f0}' => 'd',
        '\u{126}' => 'H',
        '\u{127}' | '\u{4bb}' => 'h',
        '\u{131}' | '\u{269}' => 'i',
        '\u{197}' => 'I',
        '\u{141}' => 'L',
        '\u{142}' | '\u{19a}' => 'l',
        '\u{166}' | '\u{398}' | '\u{1ae}' => 'T',
        '\u{167}' | '\u{1ab}' | '\u{3c4}' => 't',
        '\u{180}' => 'b',
        '\u{1b6}' => 'z',
        '\u{1e5}' | '\u{261}' => 'g',
        '\u{d8}' => 'O',
        '\u{f8}' => 'o',
        '\u{393}' => 'G',
        '\u{3a3}' => 'S',
        '\u{3a6}' => 'F',
        '\u{3b1}' => 'a',
        '\u{3b5}' => 'e',
        '\u{3c0}' => 'p',
        '\u{3c3}' => 's',
        '\u{3c6}' | '\u{192}' => 'f',
        '\u{207f}' | '\u{2229}' => 'n',
        '\u{221a}' => 'v',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/a\u{301}dmin", "/\u{e1}dmin")]
    #[case("/a\u{301}dmin", "/admin")]
    #[case("/\u{ff41}dmin", "/admin")]
    #[case("/ad\u{ad}min", "/admin")]
    #[case("/admin\u{200e}", "/admin")]
    #[case("/admin\u{a0}/x", "/admin/x")]
    #[case("/admin\u{3000}", "/admin")]
    #[case("/adm\u{131}n", "/admin")]
    #[case("/\u{3b1}dmin/", "/admin/")]
    #[case("/x\u{ff0f}admin", "/x/admin")]
    #[case("/x/\u{ff0e}\u{ff0e}/admin", "/admin")]
    #[case("/x\u{2216}..\u{ff3c}admin", "/admin")]
    fn letters_are_written_in_other_ways(#[case] path: &str, #[case] other: &str) {
        let mut found = Vec::new();
        spellings(path.as_bytes(), |spelling| {
            found.push(String::from_utf8_lossy(&spelling).into_owned());
        });
        assert!(found.iter().any(|spelling| spelling == other), "{found:?}");
    }

    #[rstest]
    #[case(b"/adm\xffin", b"/admin")]
    #[case(b"/caf\xe9", b"/caf\xc3\xa9")]
    #[case(b"/caf\xc3\xa9", b"/caf\xe9")]
    fn bytes_that_are_no_utf_8_are_dropped_or_read_as_latin_1(
        #[case] path: &[u8],
        #[case] other: &[u8],
    ) {
        let mut found = Vec::new();
        spellings(path, |spelling| found.push(spelling));
        assert!(found.iter().any(|spelling| spelling == other), "{found:?}");
    }
}
