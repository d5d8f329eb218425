//! What a request runs is asked of real servers: nothing that a rule protects runs for a stranger,
//! however the request is spelt, and what is open stays so.

use std::collections::BTreeSet;

use super::asking::{Ran, get};
use super::policies::{POLICIES, host};
use super::sites::{self, Site};
use super::ways;
use crate::support::instance::Instance;
use crate::support::spellings::Dice;

/// Makes a test of it on each site, by itself.
macro_rules! on_every_site {
    (#[rstest] $vis:vis fn $name:ident($site:ident: Site) $body:block) => {
        #[rstest::rstest]
        #[case::php_builtin(sites::php_builtin())]
        #[case::php_router(sites::php_router())]
        #[case::nginx_try_files(sites::nginx_try_files())]
        #[case::nginx_path_info(sites::nginx_path_info())]
        #[case::nginx_extension(sites::nginx_extension())]
        #[case::apache_php(sites::apache_php())]
        #[case::apache_multiviews(sites::apache_multiviews())]
        #[case::apache_cgi(sites::apache_cgi())]
        #[case::apache_fpm(sites::apache_fpm())]
        #[case::lighttpd(sites::lighttpd())]
        #[case::python_cgi(sites::python_cgi())]
        #[case::flask(sites::framework("flask"))]
        #[case::django(sites::framework("django"))]
        #[case::bottle(sites::framework("bottle"))]
        #[case::pyramid(sites::framework("pyramid"))]
        #[case::falcon(sites::framework("falcon"))]
        #[case::cherrypy(sites::framework("cherrypy"))]
        #[case::tornado(sites::framework("tornado"))]
        #[case::starlette(sites::framework("starlette"))]
        #[case::aiohttp(sites::framework("aiohttp"))]
        #[case::express(sites::express())]
        #[case::sinatra(sites::sinatra())]
        #[case::rails(sites::rails())]
        #[ignore = "needs Java: make test-servers"]
        #[case::tomcat(sites::tomcat())]
        #[ignore = "needs Java: make test-servers"]
        #[case::jetty(sites::jetty())]
        #[ignore = "needs npm: make test-servers"]
        #[case::express5(sites::npm("express5.js"))]
        #[ignore = "needs npm: make test-servers"]
        #[case::koa(sites::npm("koa.js"))]
        #[ignore = "needs npm: make test-servers"]
        #[case::fastify(sites::npm("fastify.js"))]
        #[ignore = "needs npm: make test-servers"]
        #[case::hapi(sites::npm("hapi.js"))]
        #[ignore = "needs PyPI: make test-servers"]
        #[case::fastapi(sites::fastapi())]
        $vis fn $name(#[case] $site: Site) $body
    };
}

on_every_site! {
    #[rstest]
    fn a_handler_that_a_rule_protects_does_not_run_for_a_stranger_by_its_own_name(site: Site) {
        let instance = before(&site);
        let runs = |handler: &&&str| {
            let ran = get(site.server.address, &host(0), handler).ran();
            ran.len() == 1 && ran[0].path == **handler
        };
        let named: Vec<_> = site.handlers.iter().filter(runs).collect();
        // Some are reached through the front controller alone.
        assert!(named.len() * 2 > site.handlers.len(), "the site has only {named:?}");
        for handler in named {
            for (number, _) in POLICIES.iter().enumerate().filter(|it| it.1.names(handler)) {
                let ran = get(instance.address, &host(number), handler).ran();
                assert_eq!(ran, [], "{handler}, {}", POLICIES[number].name);
            }
        }
    }
}

on_every_site! {
    #[rstest]
    fn ordinary_paths_stay_open_to_strangers(site: Site) {
        let instance = before(&site);
        let mut closed = Vec::new();
        for target in include_str!("ordinary.txt").lines() {
            for (number, policy) in POLICIES.iter().enumerate().filter(|it| it.1.is_open()) {
                let direct = get(site.server.address, &host(number), target);
                let through = get(instance.address, &host(number), target);
                if through != direct {
                    closed.push(format!("{}: {target}, {direct:?} but {through:?}", policy.name));
                }
            }
        }
        assert!(closed.is_empty(), "{} are closed:\n{}", closed.len(), closed.join("\n"));
    }
}

on_every_site! {
    #[rstest]
    fn nothing_that_a_rule_protects_runs_for_a_stranger(site: Site) {
        let hunt = Hunt::over(&site);
        // It must hit what it aims at, or it would prove nothing.
        assert!(hunt.missed.is_empty(), "never reached: {:?}", hunt.missed);
        let found = hunt.ways_round;
        assert!(found.is_empty(), "{} of {}:\n{}", found.len(), hunt.aimed, found.join("\n"));
    }
}

/// What a search for ways round the rules of all policies found on a site.
struct Hunt {
    /// How many requests ran something protected when no gateway was asked.
    aimed: usize,
    ways_round: Vec<String>,
    /// Protected handlers that no request reached.
    missed: Vec<&'static str>,
}

impl Hunt {
    fn over(site: &Site) -> Self {
        let instance = before(site);
        let mut dice = Dice(15);
        let mut hunt = Self { aimed: 0, ways_round: Vec::new(), missed: Vec::new() };
        let mut reached = BTreeSet::new();
        for handler in &site.handlers {
            for target in ways::to(handler, site.rounds, &mut dice) {
                let direct = get(site.server.address, &host(0), &target).ran();
                reached.extend(direct.iter().map(|ran| ran.path.clone()));
                for (number, policy) in POLICIES.iter().enumerate() {
                    let is_protected = |ran: &&Ran| policy.protects(ran, &site.handlers);
                    if !direct.iter().any(|ran| is_protected(&ran)) {
                        continue;
                    }
                    hunt.aimed += 1;
                    let through = get(instance.address, &host(number), &target).ran();
                    if let Some(Ran { path, .. }) = through.iter().find(is_protected) {
                        hunt.ways_round.push(format!("{}: {target} runs {path}", policy.name));
                    }
                }
            }
        }
        let all = site.handlers.iter().copied();
        hunt.missed = all.filter(|handler| !reached.contains(*handler)).collect();
        hunt
    }
}

/// A gateway before the site, with an application for each policy.
fn before(site: &Site) -> Instance {
    let upstream = site.server.address.to_string();
    let apps = POLICIES.iter().enumerate().map(|(number, policy)| policy.app(number, &upstream));
    let apps: String = apps.collect();
    Instance::with(|folder| {
        format!(
            "
listen: [{{ address: '127.0.0.1:0' }}]
operators: {{ address: '127.0.0.1:0' }}
state: {}
shutdown: {{ within: 1s }}
portal: http://id.localhost:8080
apps:
{apps}",
            folder.join("state").display()
        )
    })
}
