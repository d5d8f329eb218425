//! Queries as PHP, Express, node, Python and Rack read them: each is asked what it makes of thousands
//! of spellings. Whatever one of them takes for a parameter that a rule looks for, the rule finds.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use doorward::domain::assurance::{Level, Requirement};
use doorward::policy::{Asker, Parameter, Policy, Request, Rule};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rstest::rstest;

const VALUE: &str = "delete";

/// How many spellings each program is asked about.
const SPELLINGS: usize = 6_000;

/// A rule that looks for `name`, with any value, or with [`VALUE`].
fn finds(name: &str, value: bool) -> Policy {
    let values = value.then(|| VALUE.to_owned()).into_iter().collect();
    let query = vec![Parameter { name: name.to_owned(), values }];
    let rule = Rule::new(vec!["/".parse().unwrap()], Requirement::second_factor());
    Policy::new(vec![Rule { query, ..rule }], Requirement::nothing())
}

fn is_found(policy: &Policy, query: &[u8]) -> bool {
    let request = Request::read(&[b"/?", query].concat()).unwrap();
    policy.requirement(&request, &Asker::default()).requirement.level == Level::SecondFactor
}

fn messages(text: &str, rng: &mut StdRng, out: &mut Vec<u8>) {
    for message in text.bytes() {
        let odd = rng.random_range(0..40);
        match (message, odd) {
            (b'.' | b'_', 0..20) => {
                let other = ["_", ".", "+", "%20", "%2e", "[", "%5B", "%5f"].choose(rng).unwrap();
                out.extend(other.bytes());
            }
            (message, 0..4) => out.extend(format!("%{message:02x}").bytes()),
            (message, 4) => out.extend([message.to_ascii_uppercase()]),
            (message, _) => out.push(message),
        }
    }
}

/// A query in which somebody may read `name`, near to how they read it.
fn spelling(name: &str, rng: &mut StdRng) -> Vec<u8> {
    let mut out = Vec::new();
    let before =
        ["", "", "", "", "", "", "", "", "a=1&", "a=1;", "&&", "?", "a=1?", "a[]=1&a[b]=2&", "=&"];
    out.extend(before.choose(rng).unwrap().bytes());
    let around = [
        "", "", "", "", "", "", "", "", "", "", "", "", "+", "%20", "%20%20", "%00", "[", "[[",
        "%5b", "[]", "%09", ".", "!",
    ];
    out.extend(around.choose(rng).unwrap().bytes());
    messages(name, rng, &mut out);
    let behind = [
        "", "", "", "", "", "", "", "", "", "", "", "", "%00", "%00x", "[", "[]", "[x]", "[x",
        "%5B%5D", "%5bx%5d", "]", ".", "%20", "+", "[x][y]", "[[x]", ".x", "[]x", "[x][", "]x",
        "%5D%5B", "[%00]", " [x]", "%", "%4",
    ];
    let behind = behind.choose(rng).unwrap().replace(' ', "%20");
    out.extend(behind.bytes());
    if rng.random_range(0..10) > 0 {
        out.push(b'=');
        let wrap = ["", "", "", "", "+", "%20", "%09", "%0a", "x"];
        out.extend(wrap.choose(rng).unwrap().bytes());
        messages(VALUE, rng, &mut out);
        out.extend(["", "", "+", "%20", "&b=2", ";b", "x", "%00"].choose(rng).unwrap().bytes());
    }
    out
}

#[rstest]
#[case::php("php", &["-n", "ask.php"])]
#[case::express("node", &["ask.js", "qs"])]
#[case::node("node", &["ask.js", "node"])]
#[case::python("python3", &["ask.py", "&"])]
#[case::older_python("python3", &["ask.py", ";"])]
#[case::rack("ruby", &["ask.rb"])]
fn what_software_takes_for_a_parameter_the_rule_finds(
    #[case] program: &str,
    #[case] arguments: &[&str],
    #[values("action", "user_id", "my.debug")] name: &str,
) {
    let mut rng = StdRng::seed_from_u64(15);
    let queries: Vec<Vec<u8>> = (0..SPELLINGS).map(|_| spelling(name, &mut rng)).collect();
    let answers = asks(program, arguments, name, &queries);
    let (any, with_value) = (finds(name, false), finds(name, true));
    let mut read = [0; 3];
    for (query, answer) in queries.iter().zip(&answers) {
        let shown = String::from_utf8_lossy(query);
        read[*answer] += 1;
        assert!(*answer == 0 || is_found(&any, query), "{program} reads {name} in ?{shown}");
        assert!(*answer < 2 || is_found(&with_value, query), "{program} reads a value in ?{shown}");
    }
    // The spellings must hit what they aim at, or they would prove nothing.
    assert!(read[1] > 100 && read[2] > 150, "{program} reads {name}: {read:?}");
}

/// What `program` makes of each query.
fn asks(program: &str, arguments: &[&str], name: &str, queries: &[Vec<u8>]) -> Vec<usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parameters");
    let mut command = Command::new(program);
    command.args(arguments).args([name, VALUE]).current_dir(folder);
    command.env("NODE_PATH", "/usr/share/nodejs").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut asked = command
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is missing: run .ci/needs test ({error})"));
    let mut stdin = asked.stdin.take().unwrap();
    let lines: String = queries.iter().map(|query| hexadecimal(query) + "\n").collect();
    let writes = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = asked.wait_with_output().unwrap();
    writes.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<usize> = answers.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), queries.len(), "{program} answers every query");
    answers
}

fn hexadecimal(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
