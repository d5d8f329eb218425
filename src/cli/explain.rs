//! `doorward explain`: what is asked of a request, why, and what would come of it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use clap::Args;
use serde_json::json;
use url::Url;

use super::failure::{Failure, unwritten};
use crate::config::{App, Config, Origin, Shown, TestVisitor};
use crate::domain::assurance::Visitor;
use crate::domain::name::{Group, Name};
use crate::domain::time::Timestamp;
use crate::flow::admit::{Admission, decide};
use crate::flow::trial;
use crate::policy::{Asker, Request, Sent};

/// A request that nobody sends.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// Where to: a URL of an application, as browsers see it
    #[arg(long)]
    url: String,
    /// By which method
    #[arg(long, default_value = "GET")]
    method: String,
    /// From which address
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))]
    from: IpAddr,
    /// As whom; their groups are named with --group
    #[arg(long, value_name = "NAME")]
    user: Option<Name>,
    /// A group of theirs; can be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Group>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is asked and what would come of it.
///
/// # Errors
/// If the URL leads to no application.
pub(super) fn run(
    config: &Config,
    question: &Question,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (app, target) = destination(config, &question.url)?;
    let method = question.method.to_ascii_uppercase();
    let sent = Sent { target: target.as_bytes(), method: &method, overrides: &[] };
    let request = match trial::read(app, &sent) {
        Ok(request) => request,
        Err(why) if question.json => {
            return print(out, &json!({ "refused": why.to_string() }));
        }
        Err(why) => {
            return writeln!(out, "{method} {target} is always refused: {why}").map_err(unwritten);
        }
    };
    let cases = cases(question);
    let decided: Vec<(&str, Admission)> = cases
        .iter()
        .map(|(name, visitor)| {
            let evidence = trial::evidence(config, app, visitor.as_ref(), now);
            (*name, decide(app, &request, Some(question.from), evidence, now))
        })
        .collect();
    let explained = explained(config, app, &request, question, &cases, now);
    if question.json {
        let verdicts = decided.iter().map(|(name, admission)| {
            json!({ "who": name, "verdict": admission.verdict.name(),
                "rule": admission.ruling.raised_by.to_string(),
                "watched": admission.watched.as_ref().map(|(verdict, _)| verdict.name()) })
        });
        let answer = json!({
            "app": app.name,
            "explanation": explained,
            "verdicts": verdicts.collect::<Vec<_>>(),
        });
        return print(out, &answer);
    }
    let Question { from, .. } = question;
    let said = || -> std::io::Result<()> {
        writeln!(out, "{method} {target} of {} from {from}\n\n{explained}", app.name)?;
        for (name, admission) in &decided {
            let verdict = admission.verdict.name();
            write!(out, "{name:32} {verdict:12} by {}", admission.ruling.raised_by)?;
            match &admission.watched {
                Some((watched, ruling)) => writeln!(
                    out,
                    "; only watched: would be {} by {}",
                    watched.name(),
                    ruling.raised_by
                )?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    };
    let mut said = said;
    said().map_err(unwritten)
}

/// The explanation for whoever has shown everything, or, if nobody is named, for a stranger.
fn explained(
    config: &Config,
    app: &App,
    request: &Request,
    question: &Question,
    cases: &[(&str, Option<TestVisitor>)],
    now: Timestamp,
) -> crate::policy::Explanation {
    let full = cases.last().and_then(|(_, visitor)| visitor.as_ref());
    let visitor = question.user.as_ref().and(full);
    let evidence = trial::evidence(config, app, visitor, now);
    let known = evidence.as_ref().and_then(Visitor::known);
    app.policy.explain(request, &Asker { address: Some(question.from), known })
}

fn cases(question: &Question) -> Vec<(&'static str, Option<TestVisitor>)> {
    let user = question.user.as_ref().map_or("somebody", Name::as_str);
    let visitor = |has_second_factor, shown: &[Shown]| {
        Some(TestVisitor {
            user: user.to_owned(),
            groups: question.groups.iter().map(|group| group.as_str().to_owned()).collect(),
            has_second_factor,
            shown: shown.to_vec(),
        })
    };
    let password = Shown::Password;
    vec![
        ("a stranger", None),
        ("signed in, without two-factor", visitor(false, &[password])),
        ("signed in, second factor owed", visitor(true, &[password])),
        ("signed in on a trusted device", visitor(true, &[password, Shown::TrustedDevice])),
        ("by a recovery code", visitor(true, &[password, Shown::RecoveryCode])),
        ("second factor shown", visitor(true, &[password, Shown::Totp])),
    ]
}

/// Which application a URL leads to, and its path and query, as typed.
fn destination<'a>(config: &'a Config, typed: &'a str) -> Result<(&'a App, &'a str), Failure> {
    let hosts = || {
        let hosts = config.apps.iter().flat_map(|app| &app.hosts);
        hosts.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let origin = Url::parse(typed).ok().filter(Url::has_host);
    let origin = origin.and_then(|url| url.origin().ascii_serialization().parse::<Origin>().ok());
    let app = origin.and_then(|origin| config.app_at(&origin)).ok_or_else(|| {
        Failure::new(format!("{typed} is no URL of an application"))
            .cure(format!("the applications are at {}", hosts()))
    })?;
    let after = typed.split_once("://").map_or("", |(_, rest)| rest);
    Ok((app, after.find('/').map_or("/", |slash| &after[slash..])))
}

fn print(out: &mut dyn Write, answer: &serde_json::Value) -> Result<(), Failure> {
    writeln!(out, "{answer:#}").map_err(unwritten)
}
