//! A QR code as one path of an SVG picture.

use std::fmt::Write as _;

use fast_qr::{ECL, QRBuilder};

/// Light modules that a reader needs on every side (ISO/IEC 18004 §6.3.8, "quiet zone").
const QUIET: usize = 4;

/// A QR code, to be drawn as a dark path on a light square of `size` by `size` units.
#[derive(Clone)]
pub struct Qr {
    /// Width and height of the picture in modules, quiet zone included.
    pub size: usize,
    /// The dark modules, as the `d` attribute of an SVG `path`: one rectangle for each run in a
    /// row.
    pub path: String,
}

/// Draws `text` with error correction level M (15 %: a screen is not a scratched label).
///
/// `None` where the text is longer than a QR code can hold (2331 bytes); a page then shows the
/// secret alone.
pub fn svg_path(text: &str) -> Option<Qr> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let mut path = String::new();
    for row in 0..code.size {
        let mut column = 0;
        while column < code.size {
            let run = code[row][column..].iter().take_while(|module| module.value()).count();
            if run > 0 {
                // Writing to a String cannot fail.
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", column + QUIET, row + QUIET);
            }
            column += run + 1;
        }
    }
    Some(Qr { size: code.size + 2 * QUIET, path })
}
