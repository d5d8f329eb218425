//! The progress of a long command: a bar on a terminal, or else a line for each tenth.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress.
pub(super) struct Progress {
    all: usize,
    done: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// None of `all` is done yet.
    pub(super) fn of(all: usize) -> Self {
        Self { all, done: 0, bar: io::stderr().is_terminal().then(|| bar(all)) }
    }

    /// Counts this many as done.
    ///
    /// # Errors
    /// If a line cannot be written.
    pub(super) fn goes_on(&mut self, more: usize, notes: &mut dyn Write) -> io::Result<()> {
        let before = self.tenths();
        self.done += more;
        match &self.bar {
            Some(bar) => bar.set_position(self.done as u64),
            None if self.tenths() > before => {
                writeln!(notes, "{} of {} done", self.done, self.all)?;
            }
            None => {}
        }
        Ok(())
    }

    /// Clears the bar before other output.
    pub(super) fn ends(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn tenths(&self) -> usize {
        self.done * 10 / self.all.max(1)
    }
}

fn bar(all: usize) -> ProgressBar {
    let form = "{wide_bar} {pos} of {len}, {eta} left";
    let style = ProgressStyle::with_template(form).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(all as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_line_tells_of_every_tenth() {
        let mut progress = Progress { all: 40, done: 0, bar: None };
        let mut notes = Vec::new();
        for more in [1, 2, 1, 30, 6] {
            progress.goes_on(more, &mut notes).unwrap();
        }
        let told = String::from_utf8(notes).unwrap();
        assert_eq!(told, "4 of 40 done\n34 of 40 done\n40 of 40 done\n");
    }
}
