//! Which special bytes a path or a query has, found out in one pass: ordinary ones have none, and
//! need none of the searches for them.

/// Which special bytes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// A control character, or a space.
    pub(super) const CONTROL: Self = Self(1);
    /// `#`.
    pub(super) const FRAGMENT: Self = Self(1 << 1);
    /// `%`.
    pub(super) const PERCENT: Self = Self(1 << 2);
    /// `&`.
    pub(super) const AMPERSAND: Self = Self(1 << 3);
    /// `\`, `;`, and what overlong UTF-8 begins with.
    pub(super) const ODD: Self = Self(1 << 4);
    /// `h` or `H`, which is the rarest letter of `_method`.
    const H: Self = Self(1 << 5);
    /// What is not ASCII.
    const NOT_ASCII: Self = Self(1 << 6);

    /// Those of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0, |marks, byte| marks | MARKS[usize::from(*byte)]))
    }

    /// These and others.
    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether one of `these` is there.
    pub(super) const fn any(self, these: Self) -> bool {
        self.0 & these.0 != 0
    }

    /// Whether a query with these marks may contain `_method`, in any reading; `false` is certain.
    pub(super) const fn may_override_method(self) -> bool {
        self.any(Self::H.and(Self::PERCENT).and(Self::NOT_ASCII))
    }
}

/// The marks of each byte.
static MARKS: [u8; 256] = {
    let (mut marks, mut byte) = ([of(0); 256], 0);
    while byte < u8::MAX {
        byte += 1;
        marks[byte as usize] = of(byte);
    }
    marks
};

const fn of(byte: u8) -> u8 {
    let marks = match byte {
        0..=b' ' | 0x7F => Marks::CONTROL,
        b'#' => Marks::FRAGMENT,
        b'%' => Marks::PERCENT,
        b'&' => Marks::AMPERSAND,
        b'\\' | b';' => Marks::ODD,
        b'h' | b'H' => Marks::H,
        0xC0 | 0xC1 | 0xE0 | 0xF0 => Marks::ODD.and(Marks::NOT_ASCII),
        0x80.. => Marks::NOT_ASCII,
        _ => Marks(0),
    };
    marks.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::method::Methods;
    use super::*;

    /// Pieces of `_method`, in the spellings that some software reads, and of other queries.
    fn queries() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop::sample::select(vec![
            &b"_method"[..],
            b"_",
            b"met",
            b"h",
            b"H",
            b"od",
            b"=delete",
            b"&",
            b";",
            b"[",
            b"]",
            b".",
            b" ",
            b"+",
            b"%5f",
            b"%48",
            b"%u0068",
            b"\xe2\x84\x8e",
            b"\xef\xbd\x88",
            b"\0",
            b"a=1",
            b"\xff",
        ]);
        prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn without_these_marks_no_query_overrides_the_method(query in queries()) {
            let read = |query| Methods::read("POST", &[], query);
            if !Marks::of(&query).may_override_method() {
                prop_assert_eq!(read(Some(&query)), read(None));
            }
        }

        #[test]
        fn marks_are_what_a_search_for_each_byte_finds(bytes: Vec<u8>) {
            let has = |wanted: fn(u8) -> bool| bytes.iter().copied().any(wanted);
            let marks = Marks::of(&bytes);
            prop_assert_eq!(marks.any(Marks::CONTROL), has(|b| b.is_ascii_control() || b == b' '));
            prop_assert_eq!(marks.any(Marks::FRAGMENT), has(|b| b == b'#'));
            prop_assert_eq!(marks.any(Marks::PERCENT), has(|b| b == b'%'));
            prop_assert_eq!(marks.any(Marks::AMPERSAND), has(|b| b == b'&'));
            prop_assert_eq!(
                marks.any(Marks::ODD),
                has(|b| matches!(b, b'\\' | b';' | 0xC0 | 0xC1 | 0xE0 | 0xF0))
            );
        }
    }
}
