//! Policies as operators write them for the sites of [`super::sites`], and what they mean, in words
//! of their own: they know nothing of how the gateway judges.

use doorward::policy::pattern::{Case, Pattern};

use super::asking::Ran;
use super::ways::shorter;

pub(crate) struct Policy {
    pub name: &'static str,
    /// Each rule's paths, and what it asks.
    rules: &'static [(&'static [&'static str], &'static str)],
    otherwise: &'static str,
}

pub(crate) const POLICIES: &[Policy] = &[
    Policy {
        name: "scripts",
        rules: &[
            (&["/xmlrpc.php", "/cgi-bin/secret.cgi"], "nobody"),
            (&["/admin.php", "/secret.php", "/app/admin.php"], "sign-in"),
            (&["/panel/", "/app/panel/", "/panel2/index.php", "/users/"], "second-factor"),
            (&["/admin/", "/app/users/"], "sign-in"),
        ],
        otherwise: "nothing",
    },
    Policy {
        name: "names",
        rules: &[
            (
                &["/secret", "/panel2/", "/users", "/users/5", "/admin", "/admin/settings"],
                "sign-in",
            ),
            (&["/panel/users", "/app/panel/users", "/admin/users", "/xmlrpc", "/"], "nothing"),
        ],
        otherwise: "nothing",
    },
    Policy {
        name: "anywhere",
        rules: &[
            (&["/**/secret.php", "/**/admin.php", "/**/panel/", "/**/secret.cgi"], "nobody"),
            (&["/*/settings", "/*/users.php"], "sign-in"),
        ],
        otherwise: "nothing",
    },
    Policy {
        name: "islands",
        rules: &[(&["/**/static/", "/public.php", "/index.php", "/about.html"], "nothing")],
        otherwise: "sign-in",
    },
    Policy {
        name: "strict",
        rules: &[
            (&["/public.php", "/**/static/"], "nothing"),
            (&["/secret.php", "/cgi-bin/"], "nobody"),
        ],
        otherwise: "second-factor",
    },
    Policy {
        name: "front controllers",
        rules: &[(&["/index.php/panel/", "/app/index.php/users/"], "sign-in")],
        otherwise: "nothing",
    },
];

impl Policy {
    /// As the configuration of an application with this number.
    pub(crate) fn app(&self, number: usize, upstream: &str) -> String {
        let rules = self.rules.iter().map(|(paths, require)| {
            format!("      - {{ paths: [{}], require: {require} }}\n", quoted(paths))
        });
        format!(
            "  - name: p{number}\n    hosts: ['http://{}']\n    upstream: http://{upstream}\n    \
             rules:\n{}    otherwise: {}\n",
            host(number),
            rules.collect::<String>(),
            self.otherwise
        )
    }

    /// Whether this asks something of everybody for whom this runs: by the name it stands for, or by
    /// another name that a rule has for one of the `handlers`, such as its path behind the front
    /// controller. Any path may lead to a fallback: a rule must have its own name.
    pub(crate) fn protects(&self, ran: &Ran, handlers: &[&str]) -> bool {
        let asks = |name: &str| self.governs(name).is_some_and(|asks| asks != "nothing");
        if ran.as_fallback {
            return asks(&ran.path);
        }
        let is_known = handlers.contains(&ran.path.as_str());
        let mut others = if is_known { shorter(&ran.path) } else { Vec::new() };
        let is_routed = handlers.contains(&"/index.php") && !ran.path.contains(".php");
        for folder in ["", "/app"].into_iter().filter(|_| is_routed) {
            let route = ran.path.strip_prefix(folder).filter(|route| route.starts_with('/'));
            others.extend(route.map(|route| format!("{folder}/index.php{route}")));
        }
        self.names(&ran.path) || others.iter().any(|name| asks(name))
    }

    /// Whether this asks something of everybody who asks for `path`, as it is.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.governs(path).unwrap_or(self.otherwise) != "nothing"
    }

    /// Whether it asks nothing where no rule is.
    pub(crate) fn is_open(&self) -> bool {
        self.otherwise == "nothing"
    }

    /// What the first rule for `path` asks.
    fn governs(&self, path: &str) -> Option<&'static str> {
        let matches = |pattern: &&str| {
            pattern.parse::<Pattern>().unwrap().matches(path.as_bytes(), Case::Exact)
        };
        self.rules.iter().find(|(paths, _)| paths.iter().any(&matches)).map(|rule| rule.1)
    }
}

/// The host of the application with this number.
pub(crate) fn host(number: usize) -> String {
    format!("p{number}.localhost:8080")
}

fn quoted(paths: &[&str]) -> String {
    paths.iter().map(|path| format!("'{path}'")).collect::<Vec<_>>().join(", ")
}
