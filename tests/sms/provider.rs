//! A provider in every mood.

use std::net::SocketAddr;

use doorward::config::Config;
use doorward::domain::phone::Number;
use doorward::messages::sms::{Provider, Refused};

use socket2::{Domain, Socket, Type};

use super::{ACCEPTS, config};
use crate::support::gate::CONFIG;
use crate::support::sms_provider::{Mood, Request, SmsProvider};

/// Sends a text as `configured`, with `token` in the environment.
async fn sent(configured: &str, text: &str) -> Result<(), Refused> {
    let environment = |name: &str| (name == "TOKEN").then(|| "s&3 \"cret".to_owned());
    let config = Config::read_in(&environment, "test.yaml", configured);
    let config = config.unwrap_or_else(|why| panic!("{why}"));
    let number = Number::parse("+41 79 123 45 67", None).unwrap();
    Provider::of(&config.sms.unwrap()).unwrap().send(&number, text).await.map(drop)
}

async fn sent_in(mood: Mood) -> (Result<(), Refused>, SmsProvider) {
    let provider = SmsProvider::opens(mood);
    (sent(&config(provider.address), "hello").await, provider)
}

fn only(provider: &SmsProvider) -> Request {
    let requests = provider.requests();
    assert_eq!(requests.len(), 1);
    requests[0].clone()
}

/// A configuration with these settings of `sms`.
fn with(sms: &str) -> String {
    format!("{CONFIG}set_up: {{ proof: none }}\nsms: {sms}\n")
}

#[tokio::test]
async fn one_request_hands_over_one_text_whatever_comes_back() {
    for (mood, accepted) in [
        (Mood::Says(200, ACCEPTS), true),
        (Mood::Twice, true),
        (Mood::Says(200, "{\"status\":\"rejected\"}"), false),
        (Mood::Says(200, "not JSON"), false),
        (Mood::Says(302, ACCEPTS), false),
        (Mood::Says(400, "{\"message\":\"bad number\"}"), false),
        (Mood::Says(503, ""), false),
        (Mood::Hangs, false),
        (Mood::Endless, false),
    ] {
        let (came, provider) = sent_in(mood.clone()).await;
        assert_eq!(came.is_ok(), accepted, "{mood:?}: {came:?}");
        let request = only(&provider);
        assert_eq!(request.line, "POST /send HTTP/1.1");
        assert_eq!(request.field("to").unwrap(), "+41791234567");
        assert_eq!(request.field("text").unwrap(), "hello");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_silent_provider_for_longer_than_ten_seconds() {
    let (came, provider) = sent_in(Mood::Silent).await;
    assert_eq!(came.unwrap_err().to_string(), "no complete answer within 10 seconds");
    only(&provider);
}

#[tokio::test]
async fn a_provider_that_is_down_is_its_own_problem() {
    // Nobody listens on a socket that is only bound, and nobody else gets its address.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let refused = sent(&config(address), "hello").await.unwrap_err();
    assert!(refused.is_about_the_provider(), "{refused}");
}

#[tokio::test]
async fn every_value_is_escaped_for_its_place() {
    let text = "\"},{\"x\":\"&to=+1 é\n";
    let provider = SmsProvider::opens(Mood::Says(200, "{}"));
    let address = provider.address;
    let form = format!(
        "{{ provider: http, url: 'http://{address}/a?b=c', account: me, token: '${{TOKEN}}', method: \
         put, headers: {{ X-Key: 'k {{token}}', Authorization: 'Basic {{basic}}' }}, form: {{ p: \
         '{{to_digits}}', q: '{{text}}', 'r&s': '{{token}}' }}, countries: [CH] }}"
    );
    sent(&with(&form), text).await.unwrap();
    let json = format!(
        "{{ provider: http, url: 'http://{address}/', token: '${{TOKEN}}', json: '{{\"a\": [\"{{to}}\", \
         1, {{\"b\": \"<{{text}}>\", \"c\": \"{{token}}\"}}]}}', countries: [CH] }}"
    );
    sent(&with(&json), text).await.unwrap();
    let [first, second] = &provider.requests()[..] else { panic!("two requests") };
    assert_eq!(first.line, "PUT /a?b=c HTTP/1.1");
    assert!(first.head.contains(&"x-key: k s&3 \"cret".to_owned()), "{:?}", first.head);
    assert!(first.head.contains(&"authorization: Basic bWU6cyYzICJjcmV0".to_owned()));
    assert_eq!(first.field("p").unwrap(), "41791234567");
    assert_eq!(first.field("q").unwrap(), text);
    assert_eq!(first.field("r&s").unwrap(), "s&3 \"cret");
    let said: serde_json::Value = serde_json::from_str(&second.body).unwrap();
    assert_eq!(said["a"][0], "+41791234567");
    assert_eq!(said["a"][1], 1);
    assert_eq!(said["a"][2]["b"], format!("<{text}>"));
    assert_eq!(said["a"][2]["c"], "s&3 \"cret");
}

#[tokio::test]
async fn twilio_gets_what_its_messages_api_asks_for() {
    let provider = SmsProvider::opens(Mood::Says(201, r#"{"status":"queued","error_code":null}"#));
    let address = provider.address;
    let twilio = format!(
        "{{ provider: twilio, url: 'http://{address}', account: AC12, token: '${{TOKEN}}', from: \
         '+41795550000', countries: [CH] }}"
    );
    sent(&with(&twilio), "hello").await.unwrap();
    let request = only(&provider);
    assert_eq!(request.line, "POST /2010-04-01/Accounts/AC12/Messages.json HTTP/1.1");
    assert!(request.head.contains(&"authorization: Basic QUMxMjpzJjMgImNyZXQ=".to_owned()));
    let fields = ["To", "From", "Body"].map(|name| request.field(name).unwrap());
    assert_eq!(fields, ["+41791234567", "+41795550000", "hello"]);
}

#[tokio::test]
async fn vonage_says_200_to_everything_and_is_read_all_the_same() {
    let provider = SmsProvider::opens(Mood::Says(200, r#"{"messages":[{"status":"0"}]}"#));
    let address = provider.address;
    let vonage = with(&format!(
        "{{ provider: vonage, url: 'http://{address}', account: abc, token: '${{TOKEN}}', from: \
         Example, countries: [CH] }}"
    ));
    sent(&vonage, "hello").await.unwrap();
    let request = only(&provider);
    assert_eq!(request.line, "POST /sms/json HTTP/1.1");
    let fields = ["api_key", "api_secret", "from", "to", "text"];
    let fields = fields.map(|name| request.field(name).unwrap());
    assert_eq!(fields, ["abc", "s&3 \"cret", "Example", "41791234567", "hello"]);
    provider.feels(Mood::Says(200, r#"{"messages":[{"status":"2","error-text":"Missing to"}]}"#));
    let refused = sent(&vonage, "hello").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the provider answered 200, but the answer says: status 2: Missing to"
    );
}

#[tokio::test]
async fn what_a_provider_repeats_of_the_secret_is_not_shown() {
    let says = r#"{"message":"no s&3 \"cret, no bWU6cyYzICJjcmV0, no s%263+%22cret"}"#;
    let provider = SmsProvider::opens(Mood::Says(401, says));
    let http = format!(
        "{{ provider: http, url: 'http://{}/', account: me, token: '${{TOKEN}}', headers: {{ \
         Authorization: 'Basic {{basic}}' }}, form: {{ to: '{{to}}', text: '{{text}}' }}, countries: \
         [CH] }}",
        provider.address
    );
    let refused = sent(&with(&http), "hello").await.unwrap_err();
    assert_eq!(refused.to_string(), "the provider answered 401: no …, no …, no …");
}
