//! `doorward user import`: adds many users at once, from a CSV file or an htpasswd file of Apache.
//!
//! Every line is checked before any user is added. Then users are added in batches, each as a whole
//! or not at all, so that an interrupted import can be run again.

mod lines;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Console;
use crate::cli::api::{Import as Batch, Imported, LinkMade, Names, Newcomer, Standing, path};
use crate::cli::failure::{Failure, unwritten};
use crate::cli::progress::Progress;
use crate::domain::name::Group;
use lines::{Line, Problem};

/// Whom to take over, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(in crate::cli) struct Import {
    /// The file; `-` is standard input
    file: PathBuf,
    /// The format; if not given, it is detected from the file name or the first line
    #[arg(long)]
    format: Option<Format>,
    /// A group for everybody in the file; can be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Group>,
    /// Skip users whose name already exists, instead of refusing the file
    #[arg(long)]
    skip_existing: bool,
    /// Print a link to set the password for every added user, as CSV: name and link
    #[arg(long)]
    links: bool,
    /// Only check the file, and add nobody
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header line names the columns: name, e-mail, full name, groups (separated by `;`)
    Csv,
    /// Lines of name, colon and password hash, as Apache's htpasswd writes them
    Htpasswd,
}

/// The result.
#[derive(Debug, Default, Serialize)]
struct Summary {
    valid: bool,
    problems: Vec<Problem>,
    dry_run: bool,
    /// How many were added, or would have been.
    added: usize,
    /// How many were skipped because they already exist.
    skipped: usize,
    /// The links, if they were requested.
    links: Vec<LinkMade>,
}

/// Imports the users of a file.
///
/// # Errors
/// Why not all users were added, for the operator.
pub(super) async fn run(import: Import, console: &mut Console<'_>) -> Result<(), Failure> {
    let file = import.file.display().to_string();
    let bytes = read(&import.file)?;
    let format = import.format.or_else(|| lines::format_of(&import.file, &bytes));
    let Some(format) = format else {
        return Err(Failure::new(format!("cannot tell the format of {file}"))
            .cure("add `--format csv` or `--format htpasswd`"));
    };
    if import.links && format == Format::Htpasswd {
        return Err(Failure::new("users from an htpasswd file have a password and need no link")
            .cure("remove `--links`"));
    }
    let (mut people, mut problems) = lines::read(format, &bytes);
    let everybody: BTreeSet<Group> = import.groups.iter().cloned().collect();
    for line in &mut people {
        line.who.groups.extend(everybody.iter().cloned());
    }

    let mut summary = Summary { dry_run: import.dry_run, ..Summary::default() };
    if console.client.may_know_somebody() {
        let before = people.len();
        people = those_who_are_new(people, import.skip_existing, &mut problems, console).await?;
        summary.skipped = before - people.len();
    }
    problems.sort_by_key(|problem| problem.line);
    summary.valid = problems.is_empty();
    if !problems.is_empty() {
        return refuse(&file, problems, import.json, console);
    }
    let ended = if import.dry_run {
        summary.added = people.len();
        Ok(())
    } else {
        add(people, &import, &mut summary, console).await
    };
    tell(&summary, import.json, console)?;
    ended
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.map_err(|error| Failure::new(format!("cannot read {}", file.display())).because(error))
}

/// The users of `people` whose names are free. Taken names are problems, but users of the same name
/// are skipped if that was requested.
async fn those_who_are_new(
    people: Vec<Line>,
    skip: bool,
    problems: &mut Vec<Problem>,
    console: &mut Console<'_>,
) -> Result<Vec<Line>, Failure> {
    let mut new = Vec::with_capacity(people.len());
    let mut rest = people.into_iter().peekable();
    while rest.peek().is_some() {
        let some: Vec<Line> = rest.by_ref().take(CHECKED_AT_ONCE).collect();
        let names =
            |line: &Line| Names { name: line.who.name.clone(), email: line.who.email.clone() };
        let asked: Vec<Names> = some.iter().map(names).collect();
        let standings: Vec<Standing> = console.ask(path::KNOWN, &asked).await?;
        for (line, standing) in some.into_iter().zip(standings) {
            let name = &line.who.name;
            match standing {
                Standing::New => new.push(line),
                Standing::There if skip => {}
                Standing::There => problems.push(Problem {
                    line: line.number,
                    what: format!("there is already a user {name}"),
                    cure: "remove the line, or skip existing users with --skip-existing".into(),
                }),
                Standing::NameIsEmail => problems.push(Problem {
                    line: line.number,
                    what: format!("{name} is already the e-mail address of a user"),
                    cure: "choose another name".into(),
                }),
                Standing::EmailTaken => problems.push(Problem {
                    line: line.number,
                    what: "another user already has this e-mail address".into(),
                    cure:
                        "remove the address here, or from the other user with `doorward user set \
                           NAME --no-email`"
                            .into(),
                }),
            }
        }
    }
    Ok(new)
}

async fn add(
    people: Vec<Line>,
    import: &Import,
    summary: &mut Summary,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut progress = Progress::of(people.len());
    let (mut taken, mut rest) = (Vec::new(), people.into_iter().peekable());
    if import.links && !import.json {
        console.row(["name", "link"])?;
    }
    while let Some(first) = rest.peek() {
        let at_once = if first.digest.is_some() { HASHED_AT_ONCE } else { ADDED_AT_ONCE };
        let newcomer = |line: Line| Newcomer { who: line.who, digest: line.digest };
        let people: Vec<Newcomer> = rest.by_ref().take(at_once).map(newcomer).collect();
        let names: Vec<_> = people.iter().map(|newcomer| newcomer.who.name.clone()).collect();
        let batch = Batch { people, links: import.links };
        let made: Vec<Imported> = match console.ask(path::IMPORT, &batch).await {
            Ok(made) => made,
            Err(failure) => {
                progress.ends();
                return Err(failure.cure("run it again with --skip-existing to add the rest"));
            }
        };
        for (name, made) in names.iter().zip(made) {
            match made {
                Imported::Added(link) => {
                    summary.added += 1;
                    if let Some(link) = link.as_ref().filter(|_| !import.json) {
                        console.row([&link.name, &link.link])?;
                    }
                    summary.links.extend(link);
                }
                Imported::Taken => taken.push(name.as_str().to_owned()),
            }
        }
        progress.goes_on(names.len(), console.notes).map_err(unwritten)?;
    }
    progress.ends();
    if import.skip_existing {
        summary.skipped += taken.len();
    } else if !taken.is_empty() {
        let names = taken.join(", ");
        return Err(Failure::new(format!(
            "these names or addresses were taken during the import: \
                                         {names}"
        ))
        .cure("the others were added; choose another name or address for these"));
    }
    Ok(())
}

impl Console<'_> {
    /// A line of CSV (RFC 4180).
    fn row(&mut self, fields: [&str; 2]) -> Result<(), Failure> {
        let written = csv::Writer::from_writer(&mut *self.out).write_record(fields);
        written.map_err(|error| unwritten(error.into()))
    }
}

fn refuse(
    file: &str,
    problems: Vec<Problem>,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let count = problems.len();
    let summary = Summary { problems, ..Summary::default() };
    console.print(json, &summary, |out| {
        summary.problems.iter().try_for_each(|Problem { line, what, cure }| {
            writeln!(out, "{file}:{line}: {what}\n  {cure}")
        })
    })?;
    Err(Failure::new(match count {
        1 => "the file has a problem; nobody was added".to_owned(),
        count => format!("the file has {count} problems; nobody was added"),
    }))
}

/// Only links go to standard output, so that they can be piped.
fn tell(summary: &Summary, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    if json {
        return console.print(true, summary, |_| Ok(()));
    }
    let Summary { dry_run, added, skipped, links, .. } = summary;
    let people = |count: usize| match count {
        1 => "one user".to_owned(),
        count => format!("{count} users"),
    };
    let mut text = match (dry_run, added) {
        (true, added) => format!("the file is valid: {} would be added", people(*added)),
        (false, added) => format!("{} added", people(*added)),
    };
    if *skipped > 0 {
        text = format!("{text}, {} skipped because they already exist", people(*skipped));
    }
    let told = if links.is_empty() {
        writeln!(console.out, "{text}.")
    } else {
        writeln!(
            console.notes,
            "{text}. Each link sets a password, works once, and expires in seven days."
        )
    };
    told.map_err(unwritten)
}

/// How many names are looked up at a time.
const CHECKED_AT_ONCE: usize = 1_000;

/// How many users are written at a time.
const ADDED_AT_ONCE: usize = 500;

/// How many passwords are hashed at a time: about half a second.
const HASHED_AT_ONCE: usize = 25;

pub(super) const EXAMPLES: &str = "\
Examples:
  doorward user import people.csv --dry-run
  doorward user import people.csv --group staff --links > links.csv
  doorward user import /etc/apache2/.htpasswd --skip-existing

A CSV file has a header line, with these columns in any order; only `name` is needed:
  name,e-mail,full name,groups
  ada,ada@example.com,Ada Lovelace,staff;engine
These users have no password until they use a link: `--links` prints one for each.

An htpasswd file may contain hashes by bcrypt (up to cost 14), apr1, SHA-1, SHA-256 crypt and
SHA-512 crypt: the passwords keep working. A hash is never stored as it is: it is hashed once more,
which takes about 20 ms, and replaced by a hash of the password itself at the first sign-in.

Every line is checked before anybody is added. If an import was interrupted, run it again with
`--skip-existing`; with `--links`, write to another file.
Exit codes: 0 all users exist now, 1 the file has problems, or not all users were added.";
