//! The 8.3 names under which Windows also finds files (`ADMINI~1`, `REPORT~2.PDF`): six letters of
//! the name, a tilde and a number, and three letters of the extension. From the fifth file with the
//! same beginning on, NTFS uses two letters and four hexadecimal digits of a hash.

/// The parts of an 8.3 name, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShortName<'s> {
    base: &'s [u8],
    extension: Option<&'s [u8]>,
}

/// Parses a segment, in lower case, as an 8.3 name; `None` if it is not one.
pub(super) fn read(segment: &[u8]) -> Option<ShortName<'_>> {
    let tilde = segment.iter().position(|byte| *byte == b'~')?;
    let (base, rest) = (&segment[..tilde], &segment[tilde + 1..]);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at(digits);
    let extension = match rest {
        [] => None,
        [b'.', extension @ ..] if extension.len() <= 3 => Some(extension),
        _ => return None,
    };
    let fits = !base.is_empty() && !number.is_empty() && base.len() + 1 + number.len() <= 8;
    fits.then_some(ShortName { base, extension })
}

impl ShortName<'_> {
    /// The beginning of every name that it may stand for, except for names with a dot or a space
    /// among their first letters.
    pub(super) fn beginning(&self) -> &[u8] {
        if self.is_hashed() { &self.base[..2] } else { self.base }
    }

    /// Whether it may stand for `name`, which is in lower case.
    pub(super) fn is_of(&self, name: &[u8]) -> bool {
        let dot = name.iter().rposition(|byte| *byte == b'.');
        let extension = dot.map(|dot| &name[dot + 1..]);
        let extension = extension.map(|extension| &extension[..extension.len().min(3)]);
        name.starts_with(self.beginning())
            && (self.extension.is_none() || self.extension == extension)
    }

    fn is_hashed(&self) -> bool {
        self.base.len() == 6 && self.base[2..].iter().all(u8::is_ascii_hexdigit)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("admini~1", "administrator", true)]
    #[case("admin~1.asp", "admin.aspx", true)]
    #[case("admin~1", "admin", true)]
    #[case("ad3f9c~1", "administrator", true)]
    #[case("report~12.pdf", "report-2024.pdf", false)]
    #[case("repor~12.pdf", "report-2024.pdf", true)]
    #[case("report~1.pdf", "report-2024.txt", false)]
    #[case("report~1.pdf", "admin", false)]
    #[case("~ada", "ada", false)]
    #[case("a~b", "a", false)]
    fn a_short_name_stands_for_names_that_begin_like_it(
        #[case] short: &str,
        #[case] name: &str,
        #[case] stands: bool,
    ) {
        let read = read(short.as_bytes());
        assert_eq!(read.is_some_and(|short| short.is_of(name.as_bytes())), stands);
    }
}
