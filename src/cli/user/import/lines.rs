//! Reads a file of users, and finds everything that is wrong with it.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::Format;
use crate::cli::api::NewUser;
use crate::domain::digest::{Digest, DigestError};
use crate::domain::name::{Email, FullName, Group, Name, NameError};

/// A user, and the line of the file, counted from 1.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) who: NewUser,
    /// A supported password hash.
    pub(super) digest: Option<String>,
}

/// A problem with a line, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) line: u64,
    pub(super) what: String,
    pub(super) cure: String,
}

/// The format, detected from the name or else the first line.
pub(super) fn format_of(file: &Path, bytes: &[u8]) -> Option<Format> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        return Some(Format::Csv);
    }
    if name.contains("htpasswd") {
        return Some(Format::Htpasswd);
    }
    if is_utf16(bytes) {
        // Whatever it is, that is what is wrong with it.
        return Some(Format::Csv);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().find(|line| !is_blank(line.as_bytes()) && !line.starts_with('#'))?;
    if separator(first).or_else(|| told_separator(first.as_bytes())).is_some() {
        return Some(Format::Csv);
    }
    first.contains(':').then_some(Format::Htpasswd)
}

/// All valid users in `bytes`, and the problems of the other lines.
pub(super) fn read(format: Format, bytes: &[u8]) -> (Vec<Line>, Vec<Problem>) {
    let mut sheet = Sheet::default();
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match format {
        _ if is_utf16(bytes) => sheet.is_wrong(1, "the file is UTF-16", "save it as UTF-8"),
        Format::Csv => sheet.read_csv(bytes),
        Format::Htpasswd => sheet.read_htpasswd(bytes),
    }
    sheet.find_twins();
    sheet.problems.sort_by_key(|problem| problem.line);
    (sheet.people, sheet.problems)
}

/// Whether text begins with a byte order mark of UTF-16, or with a letter of it.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..])
}

/// Whether a line of a table is empty, or all its fields are.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| byte.is_ascii_whitespace() || b",;".contains(byte))
}

#[derive(Default)]
struct Sheet {
    people: Vec<Line>,
    problems: Vec<Problem>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Email,
    FullName,
    Groups,
    /// It has no title. Spreadsheets write columns that were used once.
    Nothing,
}

fn columns<'t>(header: impl Iterator<Item = &'t str>) -> Vec<Option<Column>> {
    let column = |title: &str| {
        let messages = title.chars().filter(|c| c.is_alphanumeric());
        match messages.collect::<String>().to_lowercase().as_str() {
            "name" | "user" | "username" | "login" => Some(Column::Name),
            "email" | "mail" | "emailaddress" => Some(Column::Email),
            "fullname" | "displayname" => Some(Column::FullName),
            "group" | "groups" => Some(Column::Groups),
            "" if title.trim().is_empty() => Some(Column::Nothing),
            _ => None,
        }
    };
    header.map(column).collect()
}

/// The separator of the header line: spreadsheets write semicolons, in countries with decimal
/// commas, or tabs. `None` if no column is `name`.
fn separator(header: &str) -> Option<u8> {
    let titles = |separator: u8| header.trim().split(char::from(separator));
    let has_name = |separator: &u8| columns(titles(*separator)).contains(&Some(Column::Name));
    b",;\t".iter().copied().find(has_name)
}

/// The separator that Excel's own first line tells: `sep=;`.
fn told_separator(line: &[u8]) -> Option<u8> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(line);
    match line.split_at_checked(4)? {
        (word, [separator, ..]) if word.eq_ignore_ascii_case(b"sep=") => Some(*separator),
        // A tab at the end was trimmed.
        (word, []) if word.eq_ignore_ascii_case(b"sep=") => Some(b'\t'),
        _ => None,
    }
}

impl Sheet {
    fn is_wrong(&mut self, line: u64, what: impl Into<String>, cure: impl Into<String>) {
        self.problems.push(Problem { line, what: what.into(), cure: cure.into() });
    }

    fn read_csv(&mut self, bytes: &[u8]) {
        let lines = || bytes.split(|byte| *byte == b'\n').filter(|line| !is_blank(line));
        let told = lines().next().and_then(told_separator);
        let header = lines().nth(usize::from(told.is_some()));
        let found = header.and_then(|header| separator(&String::from_utf8_lossy(header)));
        let separator = told.or(found).unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(bytes);
        let (mut columns, mut is_told) = (None, told.is_some());
        for record in reader.byte_records() {
            // Reading from memory cannot fail, and any number of fields is accepted.
            let Ok(record) = record else { continue };
            let is_empty = record.iter().all(|field| field.trim_ascii().is_empty());
            if is_empty || std::mem::take(&mut is_told) {
                continue;
            }
            let number = number_of(&record, bytes);
            let fields: Option<Vec<&str>> =
                record.iter().map(|field| std::str::from_utf8(field).ok().map(str::trim)).collect();
            match (fields, &columns) {
                (None, _) => self.is_wrong(number, "it is not UTF-8", "save the file as UTF-8"),
                (Some(fields), None) => match self.header(number, &fields) {
                    Some(found) => columns = Some(found),
                    None => return,
                },
                (Some(fields), Some(columns)) => self.row(number, columns, &fields, separator),
            }
        }
        if columns.is_none() && self.problems.is_empty() {
            self.is_wrong(1, "the file is empty", HEADER);
        }
    }

    fn header(&mut self, number: u64, titles: &[&str]) -> Option<Vec<Column>> {
        let found = columns(titles.iter().copied());
        if !found.contains(&Some(Column::Name)) {
            self.is_wrong(number, "the header line has no column `name`", HEADER);
            return None;
        }
        for (place, (title, column)) in titles.iter().zip(&found).enumerate() {
            if column.is_none() {
                let what = format!("unknown column `{title}`");
                self.is_wrong(
                    number,
                    what,
                    "remove it: the columns are name, e-mail, full name and groups",
                );
            } else if *column != Some(Column::Nothing) && found[..place].contains(column) {
                self.is_wrong(number, format!("there are two columns for `{title}`"), "remove one");
            }
        }
        // Report a problem of the header once, not again for every line.
        let unknown = found.iter().map(|column| column.unwrap_or(Column::Groups));
        (self.problems.is_empty()).then(|| unknown.collect())
    }

    fn row(&mut self, number: u64, columns: &[Column], fields: &[&str], separator: u8) {
        let (fields, more) = fields.split_at_checked(columns.len()).unwrap_or((fields, &[]));
        if fields.len() != columns.len() || more.iter().any(|field| !field.is_empty()) {
            let (count, separator) = (fields.len() + more.len(), name_of(separator));
            let what = format!("the line has {count} fields, the header has {}", columns.len());
            let cure = format!("put a field that holds a {separator} between double quotes");
            self.is_wrong(number, what, cure);
            return;
        }
        let untitled = columns
            .iter()
            .zip(fields)
            .find(|(column, field)| **column == Column::Nothing && !field.is_empty());
        if let Some((_, field)) = untitled {
            let what = format!("`{}` is in a column without a title", field.escape_debug());
            self.is_wrong(number, what, "give the column a title, or remove it");
            return;
        }
        let field = |column| {
            let found = columns.iter().position(|one| *one == column);
            found.and_then(|place| fields.get(place).copied()).filter(|text| !text.is_empty())
        };
        let before = self.problems.len();
        let name = self.value(number, "name", Some(field(Column::Name).unwrap_or("")), Name::parse);
        let email = self.value(number, "e-mail", field(Column::Email), Email::parse);
        let full_name = self.value(number, "full name", field(Column::FullName), FullName::parse);
        let texts = field(Column::Groups).unwrap_or_default().split(';').map(str::trim);
        let groups = texts
            .filter(|text| !text.is_empty())
            .filter_map(|text| self.value(number, "groups", Some(text), Group::parse))
            .collect();
        if let Some(name) = name.filter(|_| self.problems.len() == before) {
            let who = NewUser { name, full_name, email, groups };
            self.people.push(Line { number, who, digest: None });
        }
    }

    fn value<T>(
        &mut self,
        number: u64,
        title: &str,
        text: Option<&str>,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        match parse(text?) {
            Ok(value) => Some(value),
            Err(why) => {
                let what = format!("{title} `{}`: {why}", text.unwrap_or_default().escape_debug());
                self.is_wrong(number, what, "correct it, or remove the line");
                None
            }
        }
    }

    fn read_htpasswd(&mut self, bytes: &[u8]) {
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let Ok(line) = std::str::from_utf8(line) else {
                self.is_wrong(number, "it is not UTF-8", "save the file as UTF-8");
                continue;
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, digest)) = line.split_once(':') else {
                self.is_wrong(
                    number,
                    "the line has no colon",
                    "write name, colon and password hash",
                );
                continue;
            };
            if is_htdigest(digest) {
                let what = "it is a line of htdigest, whose hashes are for HTTP Digest only";
                self.is_wrong(number, what, NEEDS_LINK);
                continue;
            }
            let name = self.value(number, "name", Some(name), Name::parse);
            match (name, Digest::parse(digest)) {
                (Some(name), Ok(_)) => self.people.push(Line {
                    number,
                    who: NewUser { name, full_name: None, email: None, groups: [].into() },
                    digest: Some(digest.to_owned()),
                }),
                (_, Ok(_)) => {}
                (_, Err(why)) => self.is_wrong(number, why.to_string(), cure(why)),
            }
        }
        if self.people.is_empty() && self.problems.is_empty() {
            self.is_wrong(
                1,
                "the file is empty",
                "write name, colon and password hash on each line",
            );
        }
    }

    /// No user may have the name or address of an earlier one as name or address.
    fn find_twins(&mut self) {
        let mut called: HashMap<String, u64> = HashMap::new();
        let mut twins = Vec::new();
        for Line { number, who, .. } in &self.people {
            let email = who.email.as_ref().map(|email| email.key().to_owned());
            let name = who.name.as_str().to_owned();
            let keys = [Some(name.clone()), email.filter(|email| *email != name)];
            for key in keys.into_iter().flatten() {
                match called.get(&key) {
                    Some(first) => twins.push((*number, key, *first)),
                    None => drop(called.insert(key, *number)),
                }
            }
        }
        for (number, key, first) in twins {
            let what = format!("{key} is already in line {first}");
            self.is_wrong(
                number,
                what,
                "a name or address must occur only once; remove one of the two",
            );
        }
    }
}

/// The line in which a record begins. The reader counts from the end of the previous record, and
/// empty lines may be between.
fn number_of(record: &csv::ByteRecord, bytes: &[u8]) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let blank = bytes.iter().skip(start).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

/// Whether a realm and an MD5 digest follow the name, as Apache's htdigest writes them.
fn is_htdigest(rest: &str) -> bool {
    let digest = rest.rsplit_once(':').map_or("", |(_, digest)| digest);
    digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn name_of(separator: u8) -> String {
    match separator {
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", char::from(other)),
    }
}

const fn cure(why: DigestError) -> &'static str {
    match why {
        DigestError::Broken(_) => "copy the whole line again, or remove it",
        DigestError::Nothing
        | DigestError::Des
        | DigestError::Plain
        | DigestError::Unknown
        | DigestError::Costly(_)
        | DigestError::ManyRounds(_) => NEEDS_LINK,
    }
}

const NEEDS_LINK: &str = "remove the line, and give this user a link: doorward user add NAME";
const HEADER: &str = "begin with the line: name,e-mail,full name,groups";

#[cfg(test)]
mod tests {
    use super::*;

    fn people(format: Format, text: &str) -> Vec<Line> {
        let (people, problems) = read(format, text.as_bytes());
        assert_eq!(problems, []);
        people
    }

    /// Line, problem and cure of everything that is wrong.
    fn wrong(format: Format, bytes: &[u8]) -> String {
        let problems = read(format, bytes).1;
        problems.iter().fold(String::new(), |told, Problem { line, what, cure }| {
            format!(
                "{told}{line}: {what}
   {cure}
"
            )
        })
    }

    #[test]
    fn columns_stand_in_any_order_and_fields_may_be_quoted() {
        let text = "\u{feff}Groups,Full Name,E-Mail,Name\r\n\
                    staff; engine,\"Lovelace, Ada\",ada@example.com,Ada\r\n\r\n,,,bob\r\n";
        let [ada, bob] = &people(Format::Csv, text)[..] else { panic!("two people") };
        assert_eq!((ada.number, ada.who.name.as_str()), (2, "ada"));
        assert_eq!(ada.who.full_name.as_ref().unwrap().as_str(), "Lovelace, Ada");
        assert_eq!(ada.who.email.as_ref().unwrap().as_str(), "ada@example.com");
        let groups: Vec<&str> = ada.who.groups.iter().map(Group::as_str).collect();
        assert_eq!(groups, ["engine", "staff"]);
        assert_eq!((bob.number, bob.who.name.as_str()), (4, "bob"));
        assert_eq!((&bob.who.full_name, &bob.who.email), (&None, &None));
    }

    #[test]
    fn every_problem_of_a_table_is_told_with_its_line() {
        let text = b"name,e-mail,full name,groups\n\
            ada,ada@example.com,Ada,staff\n\
            a b,nowhere,\"tab\there\",\"a,b;ok\"\n\
            bob,bob@example.com,Bob\n\
            Ada,x@example.com,,\n\
            eve,ADA@example.com,,\n\
            caf\xe9,,,\n\
            ,x@y.test,,\n";
        insta::assert_snapshot!("import_csv_problems", wrong(Format::Csv, text));
    }

    #[test]
    fn columns_may_be_told_apart_as_spreadsheets_do() {
        for text in [
            "name,e-mail,groups\nada,ada@x.test,a;b\n",
            "\u{feff}name;e-mail;groups\r\nada;ada@x.test;\"a;b\"\r\n",
            "\u{feff}\nname\te-mail\tgroups\nada\tada@x.test\ta;b\n",
        ] {
            let (people, problems) = read(Format::Csv, text.as_bytes());
            assert!(problems.is_empty(), "{text}: {problems:?}");
            let [ada] = &people[..] else { panic!("{text}") };
            assert!(ada.who.email.is_some() && ada.who.groups.len() == 2, "{text}");
            assert_eq!(format_of(Path::new("people"), text.as_bytes()), Some(Format::Csv));
        }
    }

    #[test]
    fn what_spreadsheets_add_changes_nothing() {
        for text in [
            "name;email;;\nada;ada@x.test;;\n;;;\n; ;;\n",
            "name,,email\nada,,ada@x.test\n,,\n",
            ";;\nname;email;\nada;ada@x.test;;;\n",
            "sep=;\r\nname;email\r\nada;ada@x.test\r\n",
            "\u{feff}SEP=,\nname,email\nada,ada@x.test\n",
            "\"sep=;\"\nname;email\nada;ada@x.test\n",
            "sep=\t\nname\temail\nada\tada@x.test\n",
            "sep=|\nname|email\nada|ada@x.test\n",
        ] {
            let (people, problems) = read(Format::Csv, text.as_bytes());
            assert!(problems.is_empty(), "{text}: {problems:?}");
            let [ada] = &people[..] else { panic!("{text}") };
            assert_eq!(ada.who.email.as_ref().map(Email::as_str), Some("ada@x.test"), "{text}");
            assert_eq!(format_of(Path::new("-"), text.as_bytes()), Some(Format::Csv), "{text}");
        }
        assert_eq!(
            wrong(Format::Csv, b"sep=;\nname;email;\nada;ada@x.test;x\nbob;a;b;c\n"),
            "3: `x` is in a column without a title\n   give the column a title, or remove it\n\
             4: the line has 4 fields, the header has 3\n   \
             put a field that holds a semicolon between double quotes\n",
        );
    }

    #[test]
    fn a_file_in_utf_16_has_one_problem() {
        let text: Vec<u8> =
            "name,email\nada,\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xff\xfe", &*text].concat();
        for (format, bytes) in
            [(Format::Csv, &text), (Format::Csv, &marked), (Format::Htpasswd, &marked)]
        {
            assert_eq!(wrong(format, bytes), "1: the file is UTF-16\n   save it as UTF-8\n");
        }
    }

    #[test]
    fn a_header_that_is_none_is_the_only_problem() {
        for text in ["", "ada,x\nbob,y\n", "name,password\nada,x,y\n", "name,user\n"] {
            assert_eq!(read(Format::Csv, text.as_bytes()).1.len(), 1, "{text}");
        }
    }

    #[test]
    fn every_problem_of_htpasswd_is_told_and_no_password_repeated() {
        let text = "# people\n\
            ada:{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=\n\n\
            bob:open sesame\n\
            eve:rqXexS6ZhobKA\n\
            a,b:{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=\n\
            no colon\n\
            ADA:$apr1$saltsalt$wcCrwJ/vlWbVlRUm2Aa0l1\n\
            max:$2y$15$0123456789abcdefghijkOVADbYVm/zyFr2QSUJsHa7tpbXnXIIPu\n\
            tim:{SHA}OYBaeO2\n\
            dig:Staff only:939e7578ed9e3c518a452acee763bce9\n";
        let told = wrong(Format::Htpasswd, text.as_bytes());
        assert!(!told.contains("sesame") && !told.contains("rqX"), "{told}");
        assert!(!told.contains("939e"), "{told}");
        insta::assert_snapshot!("import_htpasswd_problems", told);
    }

    #[test]
    fn what_a_file_is_shows_in_its_name_or_its_first_line() {
        let told = |name: &str, text: &str| format_of(Path::new(name), text.as_bytes());
        assert_eq!(told("people.CSV", ""), Some(Format::Csv));
        assert_eq!(told("/etc/apache2/.htpasswd", ""), Some(Format::Htpasswd));
        assert_eq!(told("-", "\u{feff}E-mail,User name\n"), Some(Format::Csv));
        assert_eq!(told("-", "\n# people\nada:{SHA}x\n"), Some(Format::Htpasswd));
        assert_eq!(told("-", "who knows"), None);
        assert_eq!(told("-", ""), None);
    }
}
