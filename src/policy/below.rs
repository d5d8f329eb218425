//! Which rules may govern what is below a path.

use super::pattern::{Case, Pattern, Segment, split};
use super::reach::Reach;
use super::rule::{Fit, Found, Look, Rule};

/// The rules that an operation on everything below a path must meet.
#[derive(Debug)]
pub(super) struct Below {
    /// Every rule that may govern something there, in file order, and those that add something.
    pub(super) rules: Vec<Found>,
    /// Whether `otherwise` may govern something there.
    pub(super) otherwise: bool,
}

/// A rule is compared with at most this many patterns before it. So a rule that never governs may
/// also have to be met.
const MOST_TAKEN: usize = 32;

impl Below {
    /// Goes through `rules` in file order. A rule never governs if patterns before it match
    /// everything there that it matches. `is_sent`: whether the parameters that a rule looks for
    /// were sent.
    pub(super) fn of<'r>(
        rules: impl Iterator<Item = (usize, &'r Rule)>,
        path: &[u8],
        case: Case,
        look: &Look<'_>,
        reach: Reach,
        is_sent: impl Fn(usize) -> bool,
    ) -> Self {
        // Deleting one thing does not need to meet `otherwise`.
        let otherwise = reach != Reach::Literally;
        let mut below = Self { rules: Vec::new(), otherwise };
        // The patterns before, whose rules always govern what they match; and whether they match
        // everything.
        let (mut taken, mut is_all_taken): (Vec<&Pattern>, bool) = (Vec::new(), false);
        for (position, rule) in rules {
            let lies_there = |pattern: &&Pattern| pattern.lies_below(path, case, reach);
            let mut there = rule.paths.iter().filter(lies_there).peekable();
            if there.peek().is_none() {
                continue;
            }
            let Some(fit) = rule.fits(look) else { continue };
            if rule.only_adds() {
                below.rules.extend(is_sent(position).then_some(Found {
                    position,
                    fit,
                    is_named: there.any(Pattern::is_named),
                }));
                continue;
            }
            let is_taken =
                |pattern: &Pattern| is_all_taken || taken.iter().any(|taken| taken.covers(pattern));
            let new: Vec<&Pattern> = there.filter(|pattern| !is_taken(pattern)).collect();
            if new.is_empty() {
                continue;
            }
            let is_named = new.iter().any(|pattern| pattern.is_named());
            below.rules.push(Found { position, fit, is_named });
            if fit == Fit::Wholly {
                is_all_taken = new.iter().any(|pattern| pattern.takes_all_below(path, case));
                below.otherwise &= !is_all_taken;
                let free = MOST_TAKEN.saturating_sub(taken.len());
                taken.extend(new.into_iter().take(free));
            }
        }
        below
    }

    /// What counts if the path is only a guess: rules that name a path segment.
    pub(super) fn of_guess(mut self) -> Self {
        self.rules.retain(|found| found.is_named);
        Self { otherwise: false, ..self }
    }
}

/// The positions in a pattern at which a path may end, one bit each.
type Places = u128;

impl Pattern {
    /// Whether this pattern matches a path below `path`, as far as `reach` says. A last slash of
    /// `path` is ignored.
    pub(super) fn lies_below(&self, path: &[u8], case: Case, reach: Reach) -> bool {
        let segments = self.segments();
        if reach == Reach::Path {
            return false;
        }
        if segments.len() >= 127 {
            return true;
        }
        let places = ends(segments, path, case);
        (0..segments.len()).filter(|at| places & (1 << at) != 0).any(|at| match reach {
            Reach::Path => false,
            Reach::Literally => {
                let is_literal = matches!(segments[at], Segment::Literal { .. });
                is_literal && (at == 0 || segments[at - 1] != Segment::Any)
            }
            Reach::Children => {
                segments[at..].iter().filter(|segment| **segment != Segment::Any).count() <= 1
            }
            Reach::Below => true,
        })
    }
}

impl Pattern {
    /// Whether this pattern matches everything below `path`.
    fn takes_all_below(&self, path: &[u8], case: Case) -> bool {
        match self.segments() {
            segments @ [.., Segment::Any] if segments.len() < 127 => {
                ends(segments, path, case) & (1 << (segments.len() - 1)) != 0
            }
            _ => false,
        }
    }
}

/// The positions in a pattern that matching `path` may lead to.
fn ends(segments: &[Segment], path: &[u8], case: Case) -> Places {
    let mut places = with_skipped(segments, 1);
    let slashes = path.iter().rev().take_while(|byte| **byte == b'/').count();
    let path = &path[..path.len() - slashes];
    let mut rest = path.strip_prefix(b"/");
    while let Some(path) = rest {
        let (name, after) = split(path);
        let mut next = 0;
        for (at, segment) in segments.iter().enumerate().filter(|(at, _)| places & (1 << at) != 0) {
            next |= match segment {
                Segment::Any => 1 << at,
                segment if segment.takes(name, case) => 1 << (at + 1),
                _ => 0,
            };
        }
        places = with_skipped(segments, next);
        if places == 0 {
            break;
        }
        rest = after;
    }
    places
}

/// `**` may match no segment.
fn with_skipped(segments: &[Segment], mut places: Places) -> Places {
    for (at, _) in segments.iter().enumerate().filter(|(_, one)| **one == Segment::Any) {
        if places & (1 << at) != 0 {
            places |= 1 << (at + 1);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/data/secret/", "/data", "below children literally")]
    #[case("/data/secret/", "/data/", "below children literally")]
    #[case("/data/secret/", "/", "below literally")]
    #[case("/data/secret/", "/data/secret", "below children")]
    #[case("/data/secret/", "/data/secret/x/y", "below children")]
    #[case("/data/secret/", "/data/other", "")]
    #[case("/data/secret/", "/dat", "")]
    #[case("/data", "/data", "")]
    #[case("/data/a/b", "/data", "below literally")]
    #[case("/files/*/edit", "/files/7", "below children literally")]
    #[case("/files/*/edit", "/files", "below")]
    #[case("/**/internal/", "/orders/7", "below children")]
    #[case("/a/**/b/c", "/a/x", "below")]
    #[case("/a/**/b/c", "/a/x/b", "below children literally")]
    #[case("/", "/x", "below children")]
    fn a_pattern_lies_below_a_path(
        #[case] pattern: &str,
        #[case] path: &str,
        #[case] reaches: &str,
    ) {
        let pattern: Pattern = pattern.parse().unwrap();
        let reach = [
            ("below", Reach::Below),
            ("children", Reach::Children),
            ("literally", Reach::Literally),
            ("path", Reach::Path),
        ];
        let found = reach
            .into_iter()
            .filter(|(_, reach)| pattern.lies_below(path.as_bytes(), Case::Exact, *reach));
        assert_eq!(found.map(|(name, _)| name).collect::<Vec<_>>().join(" "), reaches);
    }
}
