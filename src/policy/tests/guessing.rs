//! What guesses add for paths with scripts, index files, formats and unusual names; and what they
//! leave open.

use rstest::rstest;

use super::hostile::{STRANGER, rule};
use crate::domain::assurance::{Level, Requirement};
use crate::policy::explain::Asks;
use crate::policy::reach::{Depth, OtherTarget, Role};
use crate::policy::{Options, Policy, Request, Rule, Sent};

fn policy(rules: Vec<Rule>, otherwise: Requirement) -> Policy {
    let options = Options { scripts: vec!["/cgi-bin/".parse().unwrap()], ..Options::default() };
    Policy::with(rules, otherwise, options)
}

/// Open, except for these paths.
fn open_but(paths: &[&str]) -> Policy {
    policy(vec![rule(paths, Requirement::second_factor())], Requirement::nothing())
}

fn asks(policy: &Policy, target: &str) -> Level {
    let request = Request::read(target.as_bytes()).unwrap_or_else(|why| panic!("{target}: {why}"));
    policy.requirement(&request, &STRANGER).requirement.level
}

#[rstest]
#[case::behind_a_script(&["/admin.php"], "/admin.php/x")]
#[case::behind_a_script_in_other_letters(&["/admin.php"], "//ADMIN.php//x.css")]
#[case::behind_an_encoded_dot(&["/admin.php"], "/static/../admin%2ephp/x/y")]
#[case::through_a_front_controller(&["/panel/"], "/index.php/panel/users")]
#[case::through_a_front_controller_below(&["/app/panel/"], "/app/index.php/panel/users")]
#[case::through_an_unknown_script(&["/panel/"], "/main.foo/panel/users")]
#[case::through_a_controller_without_extension(&["/panel/"], "/index/panel/users")]
#[case::through_a_controller_that_a_rule_names(&["/panel/", "/app.php"], "/app/panel/users")]
#[case::behind_a_cgi_script(&["/cgi-bin/secret.cgi"], "/cgi-bin/secret.cgi/x")]
#[case::behind_a_cgi_script_without_extension(&["/cgi-bin/secret"], "/cgi-bin/secret/x")]
#[case::index_file_of_a_folder(&["/panel2/index.php"], "/panel2/")]
#[case::index_file_of_a_folder_without_slash(&["/panel2/index.php"], "/panel2")]
#[case::index_file_of_the_root(&["/index.php"], "/")]
#[case::index_file_further_up(&["/panel2/index.php"], "/panel2/no/such/page")]
#[case::default_file(&["/panel2/Default.aspx"], "/panel2/")]
#[case::stem_of_a_script_with_more_behind(&["/secret"], "/secret.php/x")]
#[case::without_the_front_controller(&["/index.php/panel/"], "/panel/users")]
#[case::path_in_the_query(&["/panel/"], "/index.php?/panel/users&x=1")]
#[case::path_in_the_query_encoded(&["/panel/"], "/index.php?/x/..%2fpanel/users")]
#[case::view_of_zope(&["/folder/admin"], "/folder/@@admin")]
#[case::namespace_of_zope(&["/admin"], "/++view++admin")]
#[case::virtual_host_of_zope(&["/admin"], "/VirtualHostBase/http/x:80/VirtualHostRoot/admin")]
#[case::method_of_struts(&["/admin.action"], "/admin!list.action")]
#[case::method_of_struts_without_extension(&["/admin"], "/admin!list")]
#[case::method_of_struts_whose_action_has_none(&["/admin"], "/admin!list.action")]
#[case::script_below_a_folder_of_scripts(&["/cgi-bin/mailman/admin"], "/cgi-bin/mailman/admin/x")]
#[case::index_file_under_a_star(&["/*/index.php"], "/panel2/")]
#[case::folder_of_an_index_file(&["/panel2"], "/panel2/index.html")]
#[case::extension_that_servers_add(&["/secret.php"], "/secret")]
#[case::extension_with_more_behind(&["/secret.php"], "/secret/x")]
#[case::extension_anywhere(&["/**/secret.php"], "/a/b/secret")]
#[case::format(&["/admin/"], "/admin.html")]
#[case::format_with_parameter(&["/users/"], "/users.json;x")]
#[case::format_in_an_escape(&["/users"], "/users%2ejson")]
#[case::format_and_slash(&["/users"], "/users.json/")]
#[case::two_formats(&["/users"], "/users.tar.gz")]
#[case::format_of_any_text(&["/admin/"], "/admin.1")]
#[case::format_of_any_text_and_slash(&["/admin/"], "/admin._x/")]
#[case::format_behind_a_script(&["/admin/"], "/index.php/admin.json")]
#[case::format_behind_a_script_below(&["/app/admin/"], "/app/index.php/admin.json/")]
#[case::short_name(&["/administrator/"], "/ADMINI~1/x")]
#[case::short_name_of_a_short_name(&["/admin/"], "/ADMIN~1/x")]
#[case::short_name_of_a_file(&["/secret.aspx"], "/SECRET~1.ASP")]
#[case::stream(&["/secret.aspx"], "/secret.aspx::$DATA")]
#[case::stream_of_a_folder(&["/admin/"], "/admin:$i30:$INDEX_ALLOCATION/x")]
#[case::session_in_the_path(&["/admin/"], "/(S(abc))/admin/x")]
#[case::tickets_in_the_path(&["/admin/"], "/(A(x)S(y))/admin/x")]
#[case::one_of_a_set(&["/odata/Users/"], "/odata/Users(1)/Name")]
#[case::session_within_a_segment(&["/web/protected/"], "/web/(S(X))/prot/(S(X))ected/x.aspx")]
#[case::session_within_the_first_segment(&["/admin/"], "/(S(X))admin/x")]
#[case::comma(&["/admin/"], "/admin,x=1/users")]
#[case::plus(&["/admin/"], "/admin+")]
#[case::plus_as_space(&["/my files/"], "/my+files/x")]
#[case::full_width(&["/admin/"], "/%EF%BD%81dmin/x")]
#[case::full_width_slash(&["/admin/"], "/x%EF%BC%8F..%EF%BC%8Fadmin")]
#[case::no_break_space(&["/admin/"], "/admin%C2%A0")]
#[case::mark(&["/admin/"], "/admin%E2%80%8E")]
#[case::soft_hyphen(&["/admin/"], "/ad%C2%ADmin/")]
#[case::decomposed(&["/geh\u{e4}lter/"], "/geha%CC%88lter/")]
#[case::accent(&["/admin/"], "/a%CC%81dmin")]
#[case::dotless(&["/admin/"], "/adm%C4%B1n")]
#[case::latin_1(&["/b%FCro/"], "/b%C3%BCro/")]
#[case::utf_8_for_latin_1(&["/b\u{fc}ro/"], "/b%FCro/")]
#[case::bytes_that_are_dropped(&["/admin/"], "/adm%FFin/")]
#[case::utf_16(&["/admin/"], "/%25u0061dmin/")]
#[case::utf_16_slash(&["/admin/"], "/x%25u002fadmin/..%25u002f..%25u002fadmin")]
fn what_a_path_may_be_taken_for_is_asked_too(#[case] named: &[&str], #[case] target: &str) {
    assert_eq!(asks(&open_but(named), target), Level::SecondFactor);
}

#[rstest]
#[case("/.well-known/x")]
#[case("/static/v1.2/app.js")]
#[case("/@scope/pkg.js/v1")]
#[case("/user/john.doe/profile")]
#[case("/file.tar.gz/info")]
#[case("/index.php/2024/hello/")]
#[case("/report~1.pdf")]
#[case("/Products(1)")]
#[case("/wiki/Special:ListUsers")]
#[case("/wiki/%E6%97%A5%E6%9C%AC%E8%AA%9E")]
#[case("/cafe%CC%81/")]
#[case("/administrators/")]
#[case("/x/admin/")]
#[case("/blog/index.php/2024/05/panel-discussion")]
#[case("/C++/a+b")]
#[case("/v1.2")]
#[case("/docs/1.0")]
#[case("/user/john.doe/report.1")]
#[case("/wiki/Rust_(language)/x")]
fn ordinary_public_paths_stay_open(#[case] target: &str) {
    let named =
        ["/admin/", "/admin.php", "/panel/", "/wp-admin/", "/secret.php", "/cgi-bin/secret.cgi"];
    assert_eq!(asks(&open_but(&named), target), Level::Nothing);
}

/// A folder under another name includes everything in it.
#[rstest]
#[case::short_name("PROPFIND", "/LONGFO~1", &[])]
#[case::stream("DELETE", "/longfolder::$INDEX_ALLOCATION", &[])]
#[case::compatible_letters("DELETE", "/%EF%BD%8Congfolder", &[])]
#[case::decomposed("MOVE", "/bu%CC%88ro", &[])]
#[case::latin_1("DELETE", "/b%FCro", &[])]
#[case::behind_a_script("DELETE", "/index.php/longfolder", &[])]
#[case::destination("COPY", "/open", &["/bu%CC%88ro"])]
#[case::destination_by_its_short_name("MOVE", "/open", &["/LONGFO~1/"])]
fn what_lies_below_a_guess_is_asked_of_who_acts_on_the_whole(
    #[case] method: &str,
    #[case] target: &str,
    #[case] written: &[&str],
) {
    let rules =
        || vec![rule(&["/longfolder/secret/", "/büro/geheim/"], Requirement::second_factor())];
    let options = Options { webdav: true, ..Options::default() };
    let policy = Policy::with(rules(), Requirement::sign_in(), options);
    let destination = |target: &&str| {
        let target = target.as_bytes().to_vec();
        OtherTarget { header: "Destination", role: Role::Written, target }
    };
    let written: Vec<_> = written.iter().map(destination).collect();
    let ask = |method| {
        let sent = Sent { target: target.as_bytes(), method, overrides: &[] };
        let request = Request::read_sent(&sent).unwrap();
        let request = request.reaching(Depth::Infinity, &written).unwrap();
        let asked = policy.requirement(&request, &STRANGER).requirement;
        assert_eq!(Asks::of(&asked), policy.explain(&request, &STRANGER).asks);
        asked.level
    };
    assert_eq!(ask(method), Level::SecondFactor);
    if written.is_empty() {
        assert_eq!(ask("PUT"), Level::SignIn, "that is about the folder alone");
    }
}

/// Rules that name a file govern it, whatever else it might stand for.
#[test]
fn a_rule_that_names_a_file_governs_it() {
    let rules = vec![
        rule(&["/wp-admin/admin-ajax.php", "/docs/index.html"], Requirement::nothing()),
        rule(&["/wp-admin/", "/docs/"], Requirement::second_factor()),
    ];
    let policy = policy(rules, Requirement::nothing());
    assert_eq!(asks(&policy, "/wp-admin/admin-ajax.php"), Level::Nothing);
    assert_eq!(asks(&policy, "/docs/index.html"), Level::Nothing);
    assert_eq!(asks(&policy, "/wp-admin/admin-ajax.php/x"), Level::SecondFactor);
    assert_eq!(asks(&policy, "/docs/"), Level::SecondFactor);
}

/// Rules that name an index file after `*` do not apply to every folder.
#[test]
fn an_index_file_in_any_folder_is_not_looked_for_further_up() {
    let policy = open_but(&["/*/index.php", "/*/settings"]);
    assert_eq!(asks(&policy, "/.well-known/acme-challenge/t0k3n"), Level::Nothing);
    assert_eq!(asks(&policy, "/about.html"), Level::Nothing);
    assert_eq!(asks(&policy, "/panel/"), Level::SecondFactor);
    assert_eq!(asks(&policy, "/v.one/"), Level::SecondFactor);
    assert_eq!(
        asks(&open_but(&["/index.php"]), "/.well-known/acme-challenge/t0k3n"),
        Level::Nothing
    );
}

/// A rule that opens a script opens neither the paths behind it nor other scripts.
#[test]
fn guesses_open_nothing() {
    let open = |paths: &[&str]| {
        let rules = vec![rule(paths, Requirement::nothing())];
        policy(rules, Requirement::second_factor())
    };
    for (paths, target) in [
        (&["/index.php"][..], "/index.php/panel/"),
        (&["/**/static/"], "/secret.php/static/x"),
        (&["/**/static/"], "/cgi-bin/secret/static/x"),
        (&["/static/"], "/static/foo.php/panel"),
        (&["/login.html"], "/login"),
        (&["/public/"], "/public.html"),
        (&["/public/index.html"], "/public/"),
        (&["/**/static/", "/public.php", "/index.php"], "/admin/index.php/static/x"),
    ] {
        assert_eq!(asks(&open(paths), target), Level::SecondFactor, "{target}");
    }
    for (paths, target) in [
        (&["/index.php/"][..], "/index.php/panel/"),
        (&["/static/"], "/static/v1.2/app.js"),
        (&["/static/"], "/static/app.bundle.js/map"),
        (&["/cgi-bin/status/"], "/cgi-bin/status/x"),
    ] {
        assert_eq!(asks(&open(paths), target), Level::Nothing, "{target}");
    }
}

/// A guess is governed as if it were sent: an exception before a rule counts.
#[test]
fn a_guess_is_governed_by_the_first_rule_that_takes_it() {
    let rules = vec![
        rule(&["/admin/help/"], Requirement::nothing()),
        rule(&["/admin/"], Requirement::second_factor()),
    ];
    let policy = policy(rules, Requirement::nothing());
    assert_eq!(asks(&policy, "/index.php/admin/help/a"), Level::Nothing);
    assert_eq!(asks(&policy, "/index.php/admin/users"), Level::SecondFactor);
}

#[test]
fn a_public_wordpress_stays_open_and_its_admin_pages_do_not() {
    let rules = vec![
        rule(&["/wp-admin/", "/wp-login.php"], Requirement::second_factor()),
        rule(&["/xmlrpc.php"], Requirement::nobody()),
    ];
    let policy = policy(rules, Requirement::nothing());
    for (target, level) in [
        ("/index.php/2024/hello/", Level::Nothing),
        ("/index.php/wp-admin/", Level::SecondFactor),
        ("/wp-login.php/x", Level::SecondFactor),
        ("/wp-login", Level::SecondFactor),
        ("/xmlrpc.php/x", Level::Nobody),
        ("/wp-content/themes/x/style.css", Level::Nothing),
        ("/wp-json/wp/v2/posts", Level::Nothing),
    ] {
        assert_eq!(asks(&policy, target), level, "{target}");
    }
}
