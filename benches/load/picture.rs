//! The table as a picture: what a request costs, by whom.

use super::drive::Wire;
use super::report::{Report, Row};

/// Bars, the cheapest first. Light and dark as whoever looks at it likes.
pub(crate) fn draw(report: &Report) -> String {
    let mut rows: Vec<&Row> = Vec::new();
    for row in report.rows.iter().filter(|row| row.wire == Wire::Plain) {
        let is_first = !rows.iter().any(|other| other.name == row.name);
        // What is not a proxied request would need another scale, or another question.
        if is_first && !LEFT_OUT.contains(&row.name) {
            rows.push(row);
        }
    }
    rows.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
    let longest = rows.last().map_or(1.0, |row| row.cost());
    let height = TOP + rows.len() * STEP + 44;
    let mut bars = String::new();
    for (number, row) in rows.iter().enumerate() {
        let (y, width) = (TOP + number * STEP, row.cost() / longest * WIDEST);
        let (x, middle) = (LEFT as f64 + width + 8.0, y + 15);
        let class = if ["signed-in", "refused"].contains(&row.name) { "ours" } else { "others" };
        bars += &format!(
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"20\" rx=\"3\"/>\
             <text x=\"{x:.1}\" y=\"{middle}\">{:.1}</text>\n",
            LEFT - 10,
            label(row.name),
            row.cost()
        );
    }
    let pinned = if report.pinned { ", everything on one processor" } else { "" };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" role=\"img\" \
         aria-labelledby=\"title\">\n\
         <title id=\"title\">Processor time of a request, in microseconds</title>\n\
         <style>\
         text{{font:14px system-ui,sans-serif;fill:#24292f}}.note{{font-size:12px;fill:#57606a}}\
         .others{{fill:#9aa5b1}}.ours{{fill:#0b6e4f}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.note{{fill:#9198a1}}\
         .others{{fill:#57606a}}.ours{{fill:#3fb68b}}}}\
         </style>\n\
         <text x=\"{LEFT}\" y=\"24\">Processor time of a request, µs (less is better)</text>\n\
         {bars}<text class=\"note\" x=\"10\" y=\"{}\">HTTP/1.1, 1 KiB, keep-alive{pinned}</text>\n\
         <text class=\"note\" x=\"10\" y=\"{}\">{}</text>\n</svg>\n",
        height - 24,
        height - 8,
        report.machine
    )
}

fn label(name: &str) -> String {
    match name {
        "signed-in" => "Doorward, two-factor".to_owned(),
        "refused" => "Doorward, a stranger refused".to_owned(),
        "auth_request" => "nginx auth_request, floor".to_owned(),
        other => other.to_owned(),
    }
}

const LEFT_OUT: [&str; 4] = ["own page", "sign-in", "nothing asked", "refused script"];
const LEFT: usize = 240;
const TOP: usize = 40;
const STEP: usize = 28;
const WIDEST: f64 = 420.0;
