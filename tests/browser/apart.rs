//! Own pages share an origin with the application, and keep their secrets from its scripts all the
//! same: by no road that a browser offers can a script of the application read one.

use doorward::web::routes::ROUTES;
use doorward::web::{On, Serves};
use serde_json::Value;

use super::application;
use super::chromium::Browser;
use super::codes::{saves_codes, sets_up};
use super::main_job::joins;
use crate::support::instance::Instance;

#[test]
fn a_script_of_the_application_cannot_read_own_pages() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    browser.visits("/.doorward/set-up").sees("#secret");
    let secret = browser.texts("#secret span").concat();

    browser.visits("/open/");
    is_kept_from("/.doorward/set-up", &browser);
    sets_up(&browser, &instance);
    let code = browser.text(".recovery-code");
    browser.visits("/open/");
    is_kept_from("/.doorward/set-up/recovery-codes", &browser);
    is_kept_from("/.doorward/recovery-codes.txt", &browser);

    let told = browser.runs("return await (await fetch('/.doorward/whoami')).text()");
    let told = told.as_str().unwrap();
    assert!(!told.contains(&code) && !told.contains(&secret), "{told}");
}

#[test]
fn no_page_of_ours_is_read_by_a_script_of_the_application_and_none_is_put_in_its_place() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    joins(&browser, &instance);
    sets_up(&browser, &instance);
    saves_codes(&browser);
    let pages =
        ROUTES.iter().filter(|route| route.serves == Serves::Page && route.on != On::Others);
    for page in pages {
        let none = |path: String, part| path.replace(part, "none");
        let path = ["{token}", "{id}", "{name}"].into_iter().fold(page.path.to_owned(), none);
        browser.visits("/open/");
        // What only takes posts shows nothing to read.
        let is_shown = browser.runs(&format!("return (await fetch('{path}')).status")) != 405;
        if is_shown {
            is_kept_from(&path, &browser);
        }
        let posted = browser.runs(&format!(
            "const form = new URLSearchParams({{ csrf: '', code: '000000', saved: 'yes' }});
             const answer = await fetch('{path}', {{ method: 'POST', body: form }});
             return [answer.status, await answer.text()]"
        ));
        let status = posted[0].as_u64().unwrap();
        assert!(status == 403 || status == 405, "{path}: {posted}");
        assert!(tells_nothing(&posted[1]), "{path}: {posted}");
    }
    let worker = browser.runs(
        "return await navigator.serviceWorker.register('/worker.js').then(() => 'in', () => 'out')",
    );
    assert_eq!(worker, "out", "a service worker could answer in our place");
}

/// Asserts that nothing of this page can be fetched, framed, or read through its window.
fn is_kept_from(page: &str, browser: &Browser) {
    let fetched = browser.runs(&format!(
        "const answer = await fetch('{page}', {{ headers: {{ Accept: 'text/html' }} }});
         return [answer.status, await answer.text()]"
    ));
    assert_eq!(fetched[0], 403, "{page}: {fetched}");
    assert!(tells_nothing(&fetched[1]), "{page}: {fetched}");

    browser.runs(&format!(
        "const frame = document.createElement('iframe');
         frame.src = '{page}';
         document.body.replaceChildren(frame);"
    ));
    let framed = browser.until(&format!("see {page} in a frame"), || {
        let shown = browser.runs("return window[0].document.body?.innerHTML ?? ''");
        shown.as_str().is_some_and(|shown| shown.contains("Open in a full window")).then_some(shown)
    });
    assert!(tells_nothing(&framed), "{page} in a frame: {framed}");

    browser.runs(&format!("window.opened = window.open('{page}')"));
    browser.until(&format!("lose hold of {page} in a window"), || {
        (browser.runs("return window.opened.closed") == true).then_some(())
    });
}

fn tells_nothing(shown: &Value) -> bool {
    let shown = shown.as_str().unwrap();
    !["id=\"secret\"", "recovery-code\"", "csrf"].iter().any(|telling| shown.contains(telling))
}

#[test]
fn a_part_of_a_page_that_needs_a_sign_in_leads_out_of_its_frame() {
    let instance = Instance::before(application::start());
    let browser = Browser::before(&instance);
    browser.visits("/open/").runs(
        "const frame = document.createElement('iframe');
         frame.src = '/page';
         document.body.append(frame);",
    );
    browser.enters_frame().clicks("Open in a full window").leaves_frame();
    browser.comes_to("/.doorward/sign-in?return_to=%2Fpage");
}
