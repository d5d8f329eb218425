//! Validates the operator's own tests of the policy.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::problem::listed;
use crate::config::written::{self, List, TestUser};
use crate::config::{Origin, PolicyTest, Shown, TestVisitor};
use crate::domain::assurance::Kinds;
use crate::domain::factor::Kind;
use crate::domain::name::Name;
use crate::policy::{OwnPage, Request};

use super::outline::Outlines;
use super::{Judge, below, items};

/// The client address of tests that do not name one (RFC 5737: an address for documentation).
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

impl Judge<'_> {
    pub(super) fn tests(
        &mut self,
        tests: &List<written::Test>,
        apps: &Outlines,
    ) -> Vec<PolicyTest> {
        let read = items("tests", tests);
        read.filter_map(|(at, test)| self.test(&at, test, apps)).collect()
    }

    fn test(&mut self, at: &str, test: &written::Test, apps: &Outlines) -> Option<PolicyTest> {
        let written::Test { visitor, from, get, post, put, patch, delete, expect, while_observed } =
            test;
        let ways =
            [("get", get), ("post", post), ("put", put), ("patch", patch), ("delete", delete)];
        let mut ways = ways.into_iter().filter_map(|(key, url)| Some((key, url.as_deref()?)));
        let way = ways.next();
        if let Some((key, _)) = ways.next() {
            self.refuse(&below(at, key), "a test has one request", "write one test for each");
        }
        let from = from.as_deref().map(|from| {
            let parsed = from.parse::<IpAddr>().ok();
            if parsed.is_none() {
                let what = format!("`{from}` is not an address");
                self.refuse(&below(at, "from"), what, "write one such as `192.0.2.1`");
            }
            parsed
        });
        let visitor = visitor.as_ref().and_then(|visitor| match visitor {
            written::TestVisitor::Word(_) => Some(None),
            written::TestVisitor::Map(user) => self.test_visitor(&below(at, "as"), user).map(Some),
        });
        let Some((method, url)) = way else {
            if !self.mentions(at, &["get", "post", "put", "patch", "delete"]) {
                self.refuse(at, "there is no request", "add `get: https://crm.example.com/`");
            }
            return None;
        };
        let (app, target) = self.test_target(&below(at, method), url, apps)?;
        Some(PolicyTest {
            at: (at.to_owned(), self.place(at)),
            visitor: visitor?,
            from: from.unwrap_or(Some(SOMEWHERE))?,
            method: method.to_ascii_uppercase(),
            app,
            target,
            expect: (*expect)?,
            while_observed: *while_observed,
        })
    }

    fn test_visitor(&mut self, at: &str, user: &TestUser) -> Option<TestVisitor> {
        let name: Name = self.parsed(&below(at, "user"), user.user.as_deref()?)?;
        let groups = self.groups(&below(at, "groups"), &user.groups, false);
        let proofs = match &user.shown {
            Some(shown) => shown.iter().flatten().copied().collect(),
            None => vec![Shown::Password],
        };
        let kinds = user.has.iter().flatten().map(|kind| kind.0);
        let has: Kinds = kinds.chain([Kind::RecoveryCode]).collect();
        let has_second_factor = user.has.iter().flatten().any(|kind| kind.0.is_factor());
        let is_of_their_own = |shown: &Shown| !matches!(shown, Shown::Password | Shown::Provider);
        let shows = proofs.iter().any(is_of_their_own);
        if shows && !has_second_factor {
            let what = "the user shows a second factor or a trusted device, but has no second \
                        factor";
            self.refuse(&below(at, "shown"), what, "add `has: [totp]`");
        }
        Some(TestVisitor {
            user: name.as_str().to_owned(),
            groups,
            has_second_factor,
            has,
            shown: proofs,
        })
    }

    /// The app that a URL belongs to, and its path and query as written.
    fn test_target(&mut self, at: &str, written: &str, apps: &Outlines) -> Option<(usize, String)> {
        let (origin, target) = Origin::of_url(written).unzip();
        let app = origin.as_ref().and_then(|origin| apps.all.iter().find(|app| app.has(origin)));
        // It may be the URL of an app that was refused.
        if app.is_none() && origin.is_some() && !apps.is_complete {
            return None;
        }
        let Some((app, target)) = app.map(|app| app.index).zip(target) else {
            let hosts: Vec<String> = apps.hosts().map(ToString::to_string).collect();
            if hosts.is_empty() {
                // Every host was refused, so there is no URL that we could name.
                return None;
            }
            let what = format!("`{written}` is not a URL of an application");
            let cure =
                format!("write one that begins with {}", listed(hosts.iter().map(String::as_str)));
            self.refuse(at, what, &cure);
            return None;
        };
        match Request::read(target.as_bytes()) {
            Ok(request) if request.own_page() == OwnPage::No => Some((app, target)),
            Ok(_) => {
                self.refuse(
                    at,
                    "is one of Doorward's own pages, which have no rules",
                    "test a path of the application",
                );
                None
            }
            Err(why) => {
                self.refuse(at, format!("is always refused: {why}"), "test another path");
                None
            }
        }
    }
}
