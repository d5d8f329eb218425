//! What was measured, as a table and as JSON.

use serde_json::{Value, json};

use super::drive::{Answered, LARGE, SMALL, Wire};

/// What one of the measured cost, in one kind of traffic.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) wire: Wire,
    /// Of an answer, in bytes; `None`: what we answer ourselves.
    pub(crate) body: Option<usize>,
    pub(crate) rounds: Vec<Round>,
    /// Resident, in KiB, at the end of the last round.
    pub(crate) resident: u64,
}

/// One round of it.
pub(crate) struct Round {
    /// Processor time of a request, in microseconds.
    pub(crate) cost: f64,
    /// How much of it was in the program: 0 to 1.
    pub(crate) share_of_user: f64,
    pub(crate) answered: Answered,
}

/// A promise, and what came of it.
pub(crate) struct Bound {
    pub(crate) what: &'static str,
    pub(crate) is: f64,
    pub(crate) limit: f64,
    /// Whether it must not be above, or not below.
    pub(crate) at_most: bool,
}

impl Bound {
    pub(crate) fn at_most(what: &'static str, is: f64, limit: f64) -> Self {
        Self { what, is, limit, at_most: true }
    }

    pub(crate) fn at_least(what: &'static str, is: f64, limit: f64) -> Self {
        Self { what, is, limit, at_most: false }
    }

    fn holds(&self) -> bool {
        if self.at_most { self.is <= self.limit } else { self.is >= self.limit }
    }
}

/// Memory of an idle connection.
pub(crate) struct Idle {
    pub(crate) name: &'static str,
    /// KiB each.
    pub(crate) each: f64,
}

pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) programs: String,
    pub(crate) profile: String,
    pub(crate) pinned: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) bounds: Vec<Bound>,
    /// Why the figures are not to be believed.
    pub(crate) disturbed: Option<String>,
}

impl Row {
    /// Microseconds of processor time of a request: the median of the rounds.
    pub(crate) fn cost(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.cost))
    }

    fn user(&self) -> f64 {
        self.cost() * median(self.rounds.iter().map(|round| round.share_of_user))
    }

    pub(crate) fn per_second(&self) -> f64 {
        median(
            self.rounds.iter().map(|round| {
                round.answered.took.len() as f64 / round.answered.within.as_secs_f64()
            }),
        )
    }

    /// By how much the rounds differ: half of them lie within so much of the median.
    pub(crate) fn spread(&self) -> f64 {
        let cost = self.cost();
        median(self.rounds.iter().map(|round| (round.cost - cost).abs())) / cost
    }

    /// Percentiles of all answers, in microseconds.
    fn percentiles(&self) -> [f64; 4] {
        let mut all: Vec<u64> =
            self.rounds.iter().flat_map(|round| &round.answered.took).copied().collect();
        all.sort_unstable();
        [0.5, 0.9, 0.99, 0.999].map(|part| {
            let at = ((all.len() - 1) as f64 * part) as usize;
            all.get(at).map_or(0.0, |nanos| *nanos as f64 / 1000.0)
        })
    }

    fn how(&self) -> String {
        let wire = match self.wire {
            Wire::Plain => "HTTP/1.1",
            Wire::Tls => "HTTP/1.1 TLS",
            Wire::Http2 => "HTTP/2 TLS",
        };
        match self.body {
            Some(SMALL) => format!("{wire}, 1 KiB"),
            Some(LARGE) => format!("{wire}, 1 MiB"),
            _ => wire.to_owned(),
        }
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

impl Report {
    /// The first row of that name.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{}\n{}; {} build; {}\n\n",
            self.machine,
            self.programs,
            self.profile,
            if self.pinned { "everything on one processor" } else { "on all processors" }
        );
        table += "who                      how                    CPU µs  (user  system)   × bare   req/s   \
                  p50 ms   p90   p99  p99.9    MiB\n";
        let mut how = String::new();
        for row in &self.rows {
            if row.how() != how {
                how = row.how();
                table.push('\n');
            }
            let bare = self.rows.iter().find(|other| other.name == BARE && other.how() == how);
            let bare = bare.or_else(|| self.row(BARE)).map_or(f64::NAN, Row::cost);
            let [p50, p90, p99, p999] = row.percentiles().map(|micros| micros / 1000.0);
            table += &format!(
                "{:<24} {:<20} {:>8.1} {:>7.1} {:>7.1} {:>8.2} {:>8.0} {p50:>8.2} {p90:>6.2} {p99:>6.2} {p999:>6.2} {:>6.1}\n",
                row.name,
                how,
                row.cost(),
                row.user(),
                row.cost() - row.user(),
                row.cost() / bare,
                row.per_second(),
                row.resident as f64 / 1024.0
            );
        }
        if !self.idle.is_empty() {
            table += "\nmemory of an idle keep-alive connection, KiB\n\n";
            for idle in &self.idle {
                table += &format!("{:<24} {:>8.1}\n", idle.name, idle.each);
            }
        }
        if !self.bounds.is_empty() {
            table.push('\n');
        }
        for bound in &self.bounds {
            let (most, holds) = (if bound.at_most { "most" } else { "least" }, bound.holds());
            table += &format!(
                "{:<52} {:>6.3}  (at {most} {:.2}: {})\n",
                bound.what,
                bound.is,
                bound.limit,
                if holds { "holds" } else { "DOES NOT HOLD" }
            );
        }
        if let Some(why) = &self.disturbed {
            let warning = "Warning: something else used the machine during this run";
            table += &format!("\n{warning}: {why}\n");
        }
        table
    }

    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let [p50, p90, p99, p999] = row.percentiles().map(rounded);
                let least = row.rounds.iter().map(|round| round.cost).fold(f64::MAX, f64::min);
                let most = row.rounds.iter().map(|round| round.cost).fold(0.0, f64::max);
                json!({
                    "name": row.name,
                    "protocol": if row.wire == Wire::Http2 { "HTTP/2" } else { "HTTP/1.1" },
                    "tls": row.wire != Wire::Plain,
                    "body_bytes": row.body,
                    "cpu_us": rounded(row.cost()),
                    "cpu_us_least": rounded(least),
                    "cpu_us_most": rounded(most),
                    "user_us": rounded(row.user()),
                    "system_us": rounded(row.cost() - row.user()),
                    "requests_per_second": row.per_second().round(),
                    "p50_us": p50,
                    "p90_us": p90,
                    "p99_us": p99,
                    "p999_us": p999,
                    "resident_mib": rounded(row.resident as f64 / 1024.0),
                    "rounds": row.rounds.len(),
                })
            })
            .collect();
        let idle: Vec<Value> = self
            .idle
            .iter()
            .map(|idle| json!({ "name": idle.name, "idle_connection_kib": rounded(idle.each) }))
            .collect();
        let bounds: Vec<Value> = self
            .bounds
            .iter()
            .map(|bound| {
                let most = if bound.at_most { "at_most" } else { "at_least" };
                json!({
                    "what": bound.what, "is": rounded(bound.is), most: bound.limit,
                    "holds": bound.holds(),
                })
            })
            .collect();
        json!({
            "machine": self.machine,
            "programs": self.programs,
            "profile": self.profile,
            "pinned": self.pinned,
            "rows": rows,
            "idle": idle,
            "bounds": bounds,
            "disturbed": self.disturbed,
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

pub(crate) const BARE: &str = "bare pingora";
pub(crate) const STOCK: &str = "stock pingora";
