//! The dashboard and the alert rules of `config/monitoring`, and the metrics in `README.md`: they name
//! just what a running gateway exports, with its labels.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use super::means;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;

const DASHBOARD: &str = include_str!("../../config/monitoring/grafana-dashboard.json");
const RULES: &str = include_str!("../../config/monitoring/prometheus-rules.yaml");
const README: &str = include_str!("../../README.md");

#[test]
fn dashboard_and_alerts_ask_only_for_what_a_gateway_exports() {
    let exported = Exported::by_a_gateway();
    let wrong: Vec<String> = asked().iter().flat_map(|one| exported.lacks(one)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_metric_is_listed_in_the_readme_and_no_other() {
    let exported = Exported::by_a_gateway();
    let (_, section) = README.split_once("### Metrics\n").unwrap();
    let (section, _) = section.split_once("\n#").unwrap();
    let listed: BTreeSet<&str> = section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("doorward_") || word.starts_with("process_"))
        .collect();
    let names: BTreeSet<&str> = exported.families().collect();
    assert_eq!(listed, names);
}

#[test]
fn every_metric_is_on_the_dashboard_or_in_an_alert() {
    let exported = Exported::by_a_gateway();
    let asked = asked();
    let asked: BTreeSet<&str> = asked
        .iter()
        .flat_map(|one| &one.query.selectors)
        .map(|selector| family(&selector.name))
        .collect();
    let unseen: Vec<&str> = exported.families().filter(|name| !asked.contains(name)).collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
}

#[test]
fn what_is_not_exported_would_be_found() {
    let exported = Exported::of(
        "# TYPE doorward_requests counter\n\
         doorward_requests_total{app=\"crm\",verdict=\"pass\"} 1\n\
         # TYPE doorward_wait_seconds histogram\n\
         doorward_wait_seconds_bucket{le=\"0.1\"} 1\n",
    );
    let lacks = |promql: &str, text: &str| {
        exported.lacks(&Asked {
            place: "here".to_owned(),
            query: Query::read(promql),
            texts: vec![text.to_owned()],
        })
    };
    for (promql, text, is_lacking) in [
        ("rate(doorward_request_total[5m])", "", "doorward_request_total"),
        ("doorward_wait_seconds", "", "doorward_wait_seconds"),
        ("doorward_requests_total{aps=\"crm\"}", "", "aps"),
        ("doorward_requests_total{verdict=\"passed\"}", "", "passed"),
        ("doorward_requests_total{verdict=~\"pass|sign\"}", "", "sign"),
        ("sum by (host) (doorward_requests_total)", "", "host"),
        ("1 - sum(rate(doorward_requests_total[5m])) without (host)", "", "host"),
        ("sum by (app) (doorward_requests_total)", "{{verdict}}", "verdict"),
        ("sum by (app) (doorward_requests_total)", "{{ $labels.instance }}", "instance"),
        ("doorward_requests_total", "{{ $labels.kind }}", "kind"),
    ] {
        let found = lacks(promql, text);
        assert!(found.len() == 1 && found[0].contains(is_lacking), "{promql}: {found:?}");
    }
    for (promql, text) in [
        ("histogram_quantile(0.9, sum by (le) (rate(doorward_wait_seconds_bucket[5m])))", "90 %"),
        ("doorward_requests_total{app=~\"$app\",verdict!=\"pass\"} offset 1d > 2e3", "{{app}}"),
        ("up{job=\"doorward\"} == 0 or absent(up)", "{{ $labels.instance }} {{ $value }}"),
        ("time() - doorward_requests_total and on (instance) up", "{{instance}}"),
    ] {
        assert_eq!(lacks(promql, text), Vec::<String>::new(), "{promql}");
    }
}

/// The metrics of a gateway: the labels of each sample, with the values that they have.
struct Exported {
    samples: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Exported {
    /// By one with TLS, before two applications.
    fn by_a_gateway() -> Self {
        let upstream = Upstream::start();
        let sms = "sms: { provider: http, url: 'http://127.0.0.1:9/', countries: [CH], form: { to: '{to}', \
                   text: '{text}' } }";
        let instance = means::instance(&upstream, sms);
        let asked = "GET /metrics HTTP/1.1\r\nHost: operators\r\nConnection: close\r\n\r\n";
        Self::of(&Wire::to(instance.operators).asks(asked).body)
    }

    fn of(text: &str) -> Self {
        let mut samples: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let found = samples.entry(name.to_owned()).or_default();
            for pair in labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once("=\"").unwrap();
                let value = value.trim_end_matches('"').to_owned();
                found.entry(label.to_owned()).or_default().insert(value);
            }
        }
        Self { samples }
    }

    /// The names by which people know the metrics.
    fn families(&self) -> impl Iterator<Item = &str> {
        let families: BTreeSet<&str> = self.samples.keys().map(|name| family(name)).collect();
        families.into_iter()
    }

    /// What it does not have of what is asked for.
    fn lacks(&self, Asked { place, query, texts }: &Asked) -> Vec<String> {
        let (mut lacks, none) = (Vec::new(), BTreeMap::new());
        let mut labels: BTreeSet<&str> = OF_PROMETHEUS.into();
        for Selector { name, matchers } in &query.selectors {
            let has = match self.samples.get(name) {
                Some(has) => has,
                // Prometheus adds it.
                None if name == "up" => &none,
                None => {
                    lacks.push(format!("{place}: `{name}` is not exported"));
                    continue;
                }
            };
            labels.extend(has.keys().map(String::as_str));
            for (label, values) in matchers.iter().filter(|(l, _)| !OF_PROMETHEUS.contains(&&**l)) {
                let Some(known) = has.get(label) else {
                    lacks.push(format!("{place}: `{name}` has no label `{label}`"));
                    continue;
                };
                let values = values.split('|').filter(|value| !value.contains('$'));
                let unknown = values.filter(|value| !known.contains(*value));
                lacks.extend(
                    unknown
                        .map(|value| format!("{place}: `{label}` of `{name}` is never `{value}`")),
                );
            }
        }
        let grouped = query.grouped.iter().chain(&query.kept);
        let unknown = grouped.filter(|label| !labels.contains(label.as_str()));
        lacks.extend(unknown.map(|label| format!("{place}: there is no label `{label}`")));
        if lacks.is_empty() && !query.kept.is_empty() {
            labels = query.kept.iter().map(String::as_str).collect();
        }
        if lacks.is_empty() {
            let told = texts.iter().flat_map(|text| labels_in(text));
            let unknown = told.filter(|label| !labels.contains(label.as_str()));
            lacks.extend(unknown.map(|label| format!("{place}: the result has no `{label}`")));
        }
        lacks
    }
}

/// What people call a metric: a histogram by the name that its samples share.
fn family(sample: &str) -> &str {
    let shared = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end));
    shared.unwrap_or(sample)
}

/// The labels that Prometheus adds to every sample.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// A query, where it stands, and the texts that show its result.
struct Asked {
    place: String,
    query: Query,
    texts: Vec<String>,
}

/// All queries of the dashboard and of the alerts.
fn asked() -> Vec<Asked> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            all.push(Asked {
                place: format!("panel {}", panel["title"]),
                query: Query::read(target["expr"].as_str().unwrap()),
                texts: vec![target["legendFormat"].as_str().unwrap().to_owned()],
            });
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        all.push(Asked {
            place: format!("annotation {}", annotation["name"]),
            query: Query::read(annotation["expr"].as_str().unwrap()),
            texts: vec![annotation["textFormat"].as_str().unwrap().to_owned()],
        });
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(values) = variable["definition"].as_str() else { continue };
        let values = values.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (name, label) = values.split_once(", ").unwrap();
        all.push(Asked {
            place: format!("variable {}", variable["name"]),
            query: Query::read(name),
            texts: vec![format!("{{{{{label}}}}}")],
        });
    }
    let rules: Value = serde_yaml::from_str(RULES).unwrap();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let texts = rule["annotations"].as_object().unwrap().values();
            all.push(Asked {
                place: format!("alert {}", rule["alert"]),
                query: Query::read(rule["expr"].as_str().unwrap()),
                texts: texts.map(|text| text.as_str().unwrap().to_owned()).collect(),
            });
        }
    }
    assert!(all.len() > 60, "{}", all.len());
    all
}

/// The labels that a legend (`{{app}}`) or the text of an alert (`{{ $labels.app }}`) shows.
fn labels_in(text: &str) -> Vec<String> {
    let shown = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim());
    let names = shown.filter_map(|shown| match shown.strip_prefix('$') {
        Some(value) => value.strip_prefix("labels."),
        None => Some(shown),
    });
    names.map(str::to_owned).collect()
}

/// The names in a query of `PromQL`.
#[derive(Debug, Default)]
struct Query {
    selectors: Vec<Selector>,
    /// The labels that an aggregation keeps (`by`), and those that others name (`on`, `without`).
    kept: Vec<String>,
    grouped: Vec<String>,
}

/// A metric, and what its labels must be.
#[derive(Debug)]
struct Selector {
    name: String,
    matchers: Vec<(String, String)>,
}

impl Query {
    fn read(promql: &str) -> Self {
        let mut query = Self::default();
        let mut rest = promql.chars().peekable();
        while let Some(&sign) = rest.peek() {
            if sign == '[' {
                rest.by_ref().find(|sign| *sign == ']');
            } else if sign == '{' {
                rest.next();
                let matchers = matchers(&mut rest);
                query.selectors.last_mut().unwrap().matchers = matchers;
            } else if sign.is_ascii_digit() {
                // A number, or a duration.
                word(&mut rest);
            } else if sign.is_ascii_alphabetic() || sign == '_' {
                let name = word(&mut rest);
                match name.as_str() {
                    "by" => query.kept.extend(names(&mut rest)),
                    "on" | "ignoring" | "without" | "group_left" | "group_right" => {
                        query.grouped.extend(names(&mut rest));
                    }
                    "and" | "or" | "unless" | "offset" => {}
                    _ if FUNCTIONS.contains(&name.as_str()) => {}
                    _ => query.selectors.push(Selector { name, matchers: Vec::new() }),
                }
            } else {
                rest.next();
            }
        }
        query
    }
}

type Signs<'s> = Peekable<Chars<'s>>;

fn word(rest: &mut Signs<'_>) -> String {
    let is_part = |sign: &char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | ':' | '.');
    std::iter::from_fn(|| rest.next_if(is_part)).collect()
}

/// The names between the next parentheses.
fn names(rest: &mut Signs<'_>) -> Vec<String> {
    rest.by_ref().find(|sign| *sign == '(').unwrap();
    let inside: String = rest.by_ref().take_while(|sign| *sign != ')').collect();
    inside.split(',').map(|name| name.trim().to_owned()).collect()
}

/// What stands in braces, up to the one that ends it: labels, and what they must be.
fn matchers(rest: &mut Signs<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    while let Some(&sign) = rest.peek() {
        if sign == '}' {
            rest.next();
            return all;
        }
        if sign.is_ascii_alphabetic() {
            let label = word(rest);
            rest.by_ref().find(|sign| *sign == '"').unwrap();
            all.push((label, rest.by_ref().take_while(|sign| *sign != '"').collect()));
        } else {
            rest.next();
        }
    }
    panic!("braces without an end")
}

const FUNCTIONS: [&str; 12] = [
    "absent",
    "changes",
    "count",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "predict_linear",
    "rate",
    "sum",
    "time",
    "topk",
];
