//! A running gateway before a provider in every mood: its outbox, its circuit breaker, and what visitors
//! are told.

use std::net::SocketAddr;
use std::time::Duration;

use rstest::rstest;

use super::http;
use crate::support::free_address::free_address;
use crate::support::instance::{Instance, PASSWORD};
use crate::support::sms_provider::{ACCEPTED, Mood, Request, SmsProvider};
use crate::support::upstream::Upstream;
use crate::support::window::Window;
use crate::support::wire::Wire;

/// A provider that works.
const WORKS: Mood = Mood::Says(200, ACCEPTED);
const CHALLENGE: &str = "/.doorward/challenge?kind=sms&return_to=%2Fstrict%2F";
/// What visitors are told while the provider does not work.
const AWAY: &str = "Text messages cannot be sent at the moment.";
const ON_ITS_WAY: &str = "A code is on its way";

/// A gateway whose texts go to `provider`.
fn instance(application: &Upstream, provider: SocketAddr) -> Instance {
    let more = format!("sms: {}\nset_up: {{ proof: none }}\n", http(provider));
    Instance::with_more(application.address, &more)
}

/// Somebody with a phone.
struct Person {
    name: String,
    number: String,
}

impl Person {
    fn new(instance: &Instance, provider: &SmsProvider, of: u32) -> Self {
        let person = Self { name: format!("user{of}"), number: format!("+4179123450{of}") };
        let mut window = instance.window();
        window.visits(&instance.adds(&person.name)).posts(&[("password", PASSWORD)]);
        window.opens("/.doorward/set-up?kind=sms");
        window.posts(&[("text", "yes"), ("number", &person.number)]);
        let code = person.code_after(provider, 0);
        window.posts(&[("code", &code)]);
        assert_eq!(window.recovery_codes().len(), 12, "{}", window.answer.body);
        window.posts(&[("saved", "yes")]);
        person
    }

    /// Signs in and presses the button that sends a code. What the page says then.
    fn presses(&self, instance: &Instance) -> Window {
        let mut window = instance.window();
        window.visits("/strict/");
        window.posts(&[("username", &self.name), ("password", PASSWORD)]);
        window.opens(CHALLENGE).posts(&[("text", "yes")]);
        window
    }

    /// The texts for this person among what a provider got.
    fn texts(&self, requests: &[Request]) -> Vec<String> {
        let mine = requests.iter().filter(|one| one.field("to").as_ref() == Some(&self.number));
        mine.map(|one| one.field("text").unwrap()).collect()
    }

    /// The code in the newest text, once there are more of them than `before`.
    fn code_after(&self, provider: &SmsProvider, before: usize) -> String {
        let requests = provider.got_when(|requests| self.texts(requests).len() > before);
        let newest = self.texts(&requests).pop().unwrap();
        newest.split(' ').next().unwrap().to_owned()
    }
}

/// Waits until the metrics have this line.
#[expect(clippy::disallowed_methods, reason = "a running gateway is waited for")]
fn counts(instance: &Instance, line: &str) {
    let asked = "GET /metrics HTTP/1.1\r\nHost: operators\r\nConnection: close\r\n\r\n";
    let metrics = || Wire::to(instance.operators).asks(asked).body;
    let end = std::time::Instant::now() + PATIENCE;
    while !metrics().contains(&format!("{line}\n")) {
        assert!(std::time::Instant::now() < end, "{line}: {}", metrics());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How often texts were not sent, and whether the provider works, as far as is known.
fn refused(instance: &Instance, count: usize) {
    counts(
        instance,
        &format!("doorward_texts_total{{outcome=\"refused\",country=\"CH\"}} {count}"),
    );
}

/// Three people press while the provider fails; the fourth is told at once to use another way, and signs in
/// with a text when it is well again. Nobody gets a text twice.
fn fails_and_comes_back(
    instance: &Instance,
    people: &[Person; 4],
    is_well_again: impl FnOnce() -> SmsProvider,
    is_certain: bool,
) {
    let [three @ .., fourth] = people;
    let mut windows: Vec<_> = three.iter().map(|person| person.presses(instance)).collect();
    for window in &windows {
        assert!(window.answer.body.contains(ON_ITS_WAY), "{}", window.answer.body);
    }
    // However long the provider takes, this comes: no hand-over waits for longer than its deadline.
    refused(instance, 3);
    counts(instance, "doorward_unavailable_total{kind=\"sms\"} 1");
    for window in &mut windows {
        let page = &window.opens(CHALLENGE).answer.body;
        let says = page.contains("The text message could not be sent.");
        assert_eq!(says, is_certain, "only where the provider certainly refused it: {page}");
    }
    let told = fourth.presses(instance).answer.body;
    assert!(told.contains(AWAY) && told.contains("Use a recovery code instead"), "{told}");

    let provider = is_well_again();
    let then = counts_texts(people, &provider);
    instance.waits(Duration::from_secs(61));
    let mut window = fourth.presses(instance);
    assert!(window.answer.body.contains(ON_ITS_WAY), "{}", window.answer.body);
    let code = fourth.code_after(&provider, then[3]);
    window.sends_to("/.doorward/challenge", &[("code", &code)]).follows();
    assert_eq!((window.answer.status, window.at.as_str()), (200, "/strict/"));
    counts(instance, "doorward_outbox_texts 0");
    let now = counts_texts(people, &provider);
    assert_eq!(now, [then[0], then[1], then[2], then[3] + 1], "nothing is sent again");
}

/// How many texts the provider got for each of these people.
fn counts_texts(people: &[Person; 4], provider: &SmsProvider) -> [usize; 4] {
    let requests = provider.requests();
    std::array::from_fn(|of| people[of].texts(&requests).len())
}

#[rstest]
#[case::silent(Mood::Silent, false)]
#[case::dripping(Mood::Drips, false)]
#[case::endless(Mood::Endless, false)]
#[case::hanging_up(Mood::Hangs, false)]
#[case::reset_in_the_middle(Mood::Resets, false)]
#[case::refusing_with_200(Mood::Says(200, "{\"status\":\"no credit\"}"), true)]
#[case::refusing_with_503(Mood::Says(503, ""), true)]
#[case::refusing_with_401(Mood::Says(401, "{}"), true)]
fn while_the_provider_fails_visitors_are_told_and_when_it_is_well_texts_go_out(
    #[case] mood: Mood,
    #[case] is_certain: bool,
) {
    let provider = SmsProvider::opens(WORKS);
    let application = Upstream::start();
    let instance = instance(&application, provider.address);
    let people = [1, 2, 3, 4].map(|of| Person::new(&instance, &provider, of));
    instance.waits(Duration::from_secs(61));
    provider.feels(mood);
    let is_well_again = || {
        provider.feels(WORKS);
        provider.clone()
    };
    fails_and_comes_back(&instance, &people, is_well_again, is_certain);
    assert_eq!(counts_texts(&people, &provider), [2; 4], "each press was handed over once");
}

#[test]
fn a_provider_that_is_down_is_used_again_when_it_is_back() {
    let works = SmsProvider::opens(WORKS);
    let application = Upstream::start();
    let instance = instance(&application, works.address);
    let people = [1, 2, 3, 4].map(|of| Person::new(&instance, &works, of));
    instance.waits(Duration::from_secs(61));
    let down = free_address();
    let moves = |file: String| file.replace(&works.address.to_string(), &down.to_string());
    instance.reloads_with(moves).unwrap();
    let is_well_again = || SmsProvider::opens_at(down, WORKS);
    fails_and_comes_back(&instance, &people, is_well_again, false);
}

#[rstest]
#[case::slow(Mood::Slow)]
#[case::answering_twice(Mood::Twice)]
fn a_provider_that_is_only_odd_is_understood(#[case] mood: Mood) {
    let provider = SmsProvider::opens(mood);
    let application = Upstream::start();
    let instance = instance(&application, provider.address);
    let people = [1, 2, 3, 4].map(|of| Person::new(&instance, &provider, of));
    instance.waits(Duration::from_secs(61));
    for person in &people {
        let mut window = person.presses(&instance);
        let code = person.code_after(&provider, 1);
        window.sends_to("/.doorward/challenge", &[("code", &code)]).follows();
        assert_eq!((window.answer.status, window.at.as_str()), (200, "/strict/"));
    }
    assert_eq!(counts_texts(&people, &provider), [2; 4], "once for each press");
    counts(&instance, "doorward_texts_total{outcome=\"sent\",country=\"CH\"} 8");
    refused(&instance, 0);
}

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
