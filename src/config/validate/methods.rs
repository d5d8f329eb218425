//! Validates HTTP methods in rules and in app settings.

use std::collections::BTreeSet;

use crate::config::problem::{listed, meant};
use crate::config::written::List;
use crate::policy::{Rule, is_standard};

use super::{Judge, below, items};

impl Judge<'_> {
    pub(super) fn methods(&mut self, at: &str, methods: &List<String>) -> BTreeSet<String> {
        if methods.is_empty() {
            self.refuse_empty(at, "add a method, such as `POST`, or remove the key for all");
        }
        let read = self.method_names(at, methods);
        let tunnelled = ["PUT", "PATCH", "DELETE"].iter().any(|method| read.contains(*method));
        if tunnelled && !read.contains("POST") {
            self.advise(
                at,
                "PUT, PATCH and DELETE without POST: forms send them as POST with the method in \
                 the body, which Doorward does not read",
                "add `POST`",
            );
        }
        read
    }

    /// Methods that are not standard but have no more effect than GET.
    pub(super) fn safe_methods(
        &mut self,
        at: &str,
        methods: &List<String>,
        rules: &[Rule],
    ) -> BTreeSet<String> {
        for (at, written) in items(at, methods) {
            let method = written.to_ascii_uppercase();
            let known = if is_standard(&method) {
                "it is a standard method"
            } else if rules.iter().any(|rule| rule.methods.contains(&method)) {
                "a rule names it"
            } else {
                continue;
            };
            let what = format!("`{written}` has no effect here: {known}");
            self.advise(&at, what, "remove it");
        }
        self.method_names(at, methods)
    }

    /// Methods are case-sensitive (RFC 9110 §9.1), but nobody relies on that, so we fold them to
    /// upper case.
    fn method_names(&mut self, at: &str, methods: &List<String>) -> BTreeSet<String> {
        let mut read = BTreeSet::new();
        for (at, written) in items(at, methods) {
            let method = written.to_ascii_uppercase();
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let known = || METHODS.iter().find(|known| known.eq_ignore_ascii_case(&method));
            if method.is_empty() || !method.bytes().all(token) {
                self.refuse(
                    &at,
                    format!("`{written}` is not a method"),
                    "write one such as `POST`",
                );
            } else if matches!(method.as_str(), "CONNECT" | "TRACE" | "TRACK") {
                let what = format!("`{method}` is always refused");
                self.refuse(&at, what, "remove it");
            } else if known().is_none() {
                match meant(&method, METHODS.iter().copied()) {
                    Some(near) if near.len().abs_diff(method.len()) <= 1 => {
                        let what = format!("`{written}` is not a known method");
                        self.refuse(
                            &at,
                            what,
                            &format!("did you mean `{}`?", near.to_ascii_uppercase()),
                        );
                    }
                    _ => self.warn(&at, format!("`{method}` is not a known method")),
                }
                read.insert(method);
            } else if !read.insert(method) {
                self.warn(&at, format!("`{written}` is listed twice"));
            }
        }
        read
    }

    /// Warns about rules that miss `WebDAV` methods.
    pub(super) fn warn_of_webdav(&mut self, at: &str, webdav: bool, rules: &[Rule]) {
        for (index, rule) in rules.iter().enumerate() {
            let names = |method: &&str| rule.methods.contains(method);
            if !(WRITING.iter().any(names) || webdav && names(&"PUT")) {
                continue;
            }
            let missing: Vec<&str> = WRITING.into_iter().filter(|method| !names(method)).collect();
            if !missing.is_empty() {
                let what =
                    format!("{} can change the same files, but are not listed", listed(missing));
                let at = format!("{}[{index}].methods", below(at, "rules"));
                self.advise(&at, what, "add them");
            }
        }
        let reports = rules.iter().any(|rule| rule.methods.contains("REPORT"));
        if webdav && !reports {
            let what = "request bodies are not checked: REPORT, SEARCH and BIND name other paths \
                        there";
            let cure = "protect a collection as a whole, or refuse them: `methods: [REPORT, SEARCH, \
                        BIND]`, `require: nobody`";
            self.advise(&below(at, "webdav"), what, cure);
        }
    }
}

/// The methods that change collections (RFC 4918 §9), except PUT and DELETE.
const WRITING: [&str; 5] = ["MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK"];

/// The methods of RFC 9110 §9 and RFC 5789 that apps receive, and those of RFC 4918, 3253, 3744,
/// 4791, 5323, 5842 and 2068 that some apps receive.
const METHODS: [&str; 31] = [
    "get",
    "head",
    "post",
    "put",
    "patch",
    "delete",
    "options",
    "propfind",
    "proppatch",
    "mkcol",
    "copy",
    "move",
    "lock",
    "unlock",
    "report",
    "search",
    "acl",
    "mkcalendar",
    "bind",
    "unbind",
    "rebind",
    "checkout",
    "checkin",
    "merge",
    "update",
    "label",
    "link",
    "unlink",
    "purge",
    "query",
    "subscribe",
];
