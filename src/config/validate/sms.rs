//! Validates how text messages are sent.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::{Judge, below, items};
use crate::config::sms::{
    Placeholder, Sms, SmsBody, SmsProvider, SmsRequest, SmsSuccess, SmsValues, Template,
};
use crate::config::written::{self, SmsMethod};
use crate::domain::phone::{Accepted, Country, Number};
use crate::domain::reach::is_local_name;
use crate::domain::secret::Secret;
use crate::domain::texts::Limits;

const AT: &str = "sms";

impl Judge<'_> {
    /// How texts are sent. `None` is an error; `Some(None)` means no texts.
    #[expect(clippy::option_option, reason = "`Some(None)` is no texts, `None` an error")]
    pub(super) fn sms(&mut self, written: Option<&written::Sms>) -> Option<Option<Sms>> {
        let Some(sms) = written else { return Some(None) };
        let accepted = self.accepted_numbers(sms);
        let provider = match sms.provider? {
            written::SmsProvider::Twilio => SmsProvider::Twilio,
            written::SmsProvider::Vonage => SmsProvider::Vonage,
            written::SmsProvider::Http => SmsProvider::Http,
        };
        let request = self.sms_request(provider, sms);
        let authority = sms.authority.as_deref();
        let authority = authority.map(|file| self.certificate_file(&below(AT, "authority"), file));
        let limits = Limits {
            number_hour: sms.limits.number_hour,
            number_day: sms.limits.number_day,
            address_hour: sms.limits.address_hour,
            day: sms.limits.day,
            brake_after: sms.limits.brake_after,
        };
        let (accepted, request) = (accepted?, request?);
        let at = (AT.to_owned(), self.place(AT));
        Some(Some(Sms { provider, request, accepted, limits, authority, at }))
    }

    fn accepted_numbers(&mut self, sms: &written::Sms) -> Option<Accepted> {
        let problems = self.problems.len();
        if sms.countries.is_empty() && !self.has_refused(&below(AT, "countries")) {
            let cure = "name the countries of your people, such as `[CH]`";
            self.refuse_empty(&below(AT, "countries"), cure);
        }
        let mut countries = Vec::new();
        for (at, text) in items(&below(AT, "countries"), &sms.countries) {
            countries.extend(self.parsed::<Country>(&at, text));
        }
        let at = below(AT, "default_country");
        let default_country = sms.default_country.as_deref();
        let default_country = default_country.and_then(|text| self.parsed::<Country>(&at, text));
        if let Some(country) = default_country.filter(|country| !countries.contains(country)) {
            let what = format!("no texts are sent to {country}");
            self.refuse(&at, what, "add it to `countries`, or remove it here");
        }
        let mut own = Vec::new();
        for (at, text) in items(&below(AT, "own_numbers"), &sms.own_numbers) {
            match Number::parse(text, default_country) {
                Ok(number) => own.push(number),
                Err(why) => {
                    let what = format!("`{text}` is {why}");
                    self.refuse(&at, what, "write it with its country code");
                }
            }
        }
        (self.problems.len() == problems).then_some(Accepted { default_country, countries, own })
    }

    fn sms_request(&mut self, provider: SmsProvider, sms: &written::Sms) -> Option<SmsRequest> {
        let token = self.sms_token(sms)?;
        let known = SmsValues {
            account: sms.account.clone().unwrap_or_default(),
            token,
            from: sms.from.clone().unwrap_or_default(),
        };
        if provider != SmsProvider::Http {
            self.sms_account(sms, &known)?;
            self.refuse_keys_of_http(provider, sms)?;
        }
        match provider {
            SmsProvider::Twilio => self.twilio(sms, known),
            SmsProvider::Vonage => self.vonage(sms, known),
            SmsProvider::Http => self.http(sms, known),
        }
    }

    #[expect(clippy::option_option, reason = "`Some(None)` is no token, `None` an error")]
    fn sms_token(&mut self, sms: &written::Sms) -> Option<Option<Secret>> {
        match (sms.token.as_deref(), sms.token_file.as_deref()) {
            (None, None) => Some(None),
            (None, Some(file)) => self
                .secret_in_file(
                    &below(AT, "token_file"),
                    file,
                    "write the token that the provider shows into this file",
                )
                .map(Some),
            (Some(named), None) => self.secret_in_environment(&below(AT, "token"), named).map(Some),
            (Some(_), Some(_)) => {
                self.refuse(&below(AT, "token"), "`token_file` is set, too", "keep one of them");
                None
            }
        }
    }

    /// Twilio and Vonage need an account and its secret.
    fn sms_account(&mut self, sms: &written::Sms, known: &SmsValues) -> Option<()> {
        if sms.account.is_none() {
            self.refuse(AT, "the account is missing", "add `account`, as the provider shows it");
            return None;
        }
        if known.token.is_none() {
            let cure = "add `token_file`, a file with the secret that the provider shows";
            self.refuse(AT, "the secret of the account is missing", cure);
            return None;
        }
        Some(())
    }

    fn refuse_keys_of_http(&mut self, provider: SmsProvider, sms: &written::Sms) -> Option<()> {
        let set = [
            ("method", sms.method.is_some()),
            ("headers", !sms.headers.is_empty()),
            ("form", !sms.form.is_empty()),
            ("json", sms.json.is_some()),
            ("success", sms.success.is_some()),
        ];
        let (name, _) = set.iter().find(|(_, is_set)| *is_set).copied().unzip();
        let Some(name) = name else { return Some(()) };
        let what = format!("{provider} needs no `{name}`");
        self.refuse(&below(AT, name), what, "remove it, or write `provider: http`");
        None
    }

    /// The Messages resource: <https://www.twilio.com/docs/messaging/api/message-resource>.
    fn twilio(&mut self, sms: &written::Sms, known: SmsValues) -> Option<SmsRequest> {
        let from = sms.from.as_ref().filter(|from| !from.is_empty());
        let sender = match (from, &sms.messaging_service) {
            (Some(from), None) => ("From", from),
            (None, Some(service)) => ("MessagingServiceSid", service),
            (Some(_), Some(_)) => {
                let what = "`from` is set, too";
                self.refuse(&below(AT, "messaging_service"), what, "keep one of them");
                return None;
            }
            (None, None) => {
                let cure = "add `from`, a number of yours at Twilio, or `messaging_service`";
                self.refuse(AT, "the sender is missing", cure);
                return None;
            }
        };
        let sid = &known.account;
        if sid.is_empty() || !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let what = format!("`{sid}` is not an account SID");
            self.refuse(&below(AT, "account"), what, "write the one that begins with AC");
            return None;
        }
        let origin = self.sms_origin(sms.url.as_deref().unwrap_or("https://api.twilio.com"))?;
        let url =
            format!("{}/2010-04-01/Accounts/{sid}/Messages.json", origin.trim_end_matches('/'));
        let form = vec![
            ("To".to_owned(), Template::of(Placeholder::To)),
            (sender.0.to_owned(), Template::literal(sender.1)),
            ("Body".to_owned(), Template::of(Placeholder::Text)),
        ];
        Some(SmsRequest {
            url,
            method: Method::POST,
            headers: vec![(AUTHORIZATION, sensitive(&basic(&known))?)],
            body: SmsBody::Form(form),
            success: SmsSuccess::Twilio,
            known,
        })
    }

    /// The SMS API: <https://developer.vonage.com/en/api/sms>.
    fn vonage(&mut self, sms: &written::Sms, known: SmsValues) -> Option<SmsRequest> {
        if known.from.is_empty() {
            let cure = "add `from`: a number of yours at Vonage, or a name of up to 11 letters";
            self.refuse(AT, "the sender is missing", cure);
            return None;
        }
        if sms.messaging_service.is_some() {
            let what = "only Twilio has messaging services";
            self.refuse(&below(AT, "messaging_service"), what, "remove it");
            return None;
        }
        let origin = self.sms_origin(sms.url.as_deref().unwrap_or("https://rest.nexmo.com"))?;
        let form = [
            ("api_key", Placeholder::Account),
            ("api_secret", Placeholder::Token),
            ("from", Placeholder::From),
            ("to", Placeholder::ToDigits),
            ("text", Placeholder::Text),
        ];
        Some(SmsRequest {
            url: format!("{}/sms/json", origin.trim_end_matches('/')),
            method: Method::POST,
            headers: Vec::new(),
            body: SmsBody::Form(
                form.into_iter().map(|(name, of)| (name.to_owned(), Template::of(of))).collect(),
            ),
            success: SmsSuccess::Vonage,
            known,
        })
    }

    fn http(&mut self, sms: &written::Sms, known: SmsValues) -> Option<SmsRequest> {
        if sms.messaging_service.is_some() {
            let what = "only Twilio has messaging services";
            self.refuse(&below(AT, "messaging_service"), what, "remove it");
        }
        let url = sms.url.as_deref().and_then(|url| self.sms_url(url));
        if sms.url.is_none() && !self.has_refused(&below(AT, "url")) {
            let cure = "add it, such as `url: https://sms.example.com/send`";
            self.refuse(AT, "the URL is missing", cure);
        }
        if url.as_ref().is_some_and(|url| url.contains('?')) {
            let what = "logs on the way show the query: it must contain no secret";
            self.warn(&below(AT, "url"), what);
        }
        let headers = self.sms_headers(sms, &known);
        let body = self.sms_body(sms, &known);
        let success = match &sms.success {
            None => Some(SmsSuccess::Status),
            Some(success) => self.sms_success(success),
        };
        let method = match sms.method {
            None | Some(SmsMethod::Post) => Method::POST,
            Some(SmsMethod::Put) => Method::PUT,
        };
        let (url, headers, body, success) = (url?, headers?, body?, success?);
        self.warn_of_unused(sms);
        Some(SmsRequest { url, method, headers, body, success, known })
    }

    /// A URL to which a path is appended: it has no query.
    fn sms_origin(&mut self, text: &str) -> Option<String> {
        let url = self.sms_url(text)?;
        if url.contains('?') {
            let what = "has a query, but a path is appended to it";
            self.refuse(&below(AT, "url"), what, "remove the query, or remove `url`");
            return None;
        }
        Some(url)
    }

    /// A URL without placeholders, credentials or a fragment: URLs are logged on the way.
    fn sms_url(&mut self, text: &str) -> Option<String> {
        let at = below(AT, "url");
        let cure = "write scheme, host and path, such as https://sms.example.com/send";
        let url = Url::parse(text).ok().filter(Url::has_host);
        let Some(url) = url.filter(|_| !text.contains(['{', '}'])) else {
            self.refuse(&at, format!("`{}` is not a URL", without_secrets(text)), cure);
            return None;
        };
        let is_here = url.host_str().is_some_and(is_local_name);
        if !(url.scheme() == "https" || (url.scheme() == "http" && is_here)) {
            let what = "codes and the secret would be sent over the network unencrypted";
            self.refuse(&at, what, "use https; http is accepted for localhost only");
            return None;
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if url.fragment().is_some() || has_credentials {
            self.refuse(&at, "has a fragment or credentials, which logs would show", cure);
            return None;
        }
        Some(url.to_string())
    }

    fn sms_headers(
        &mut self,
        sms: &written::Sms,
        known: &SmsValues,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let problems = self.problems.len();
        let mut headers = Vec::new();
        for (name, value) in &sms.headers {
            let at = format!("{AT}.headers.{name}");
            let Some(value) = value else { continue };
            let parsed =
                name.parse::<HeaderName>().ok().filter(|name| !RESERVED.contains(&name.as_str()));
            let Some(header) = parsed else {
                let what = format!("`{name}` is not a header that can be set here");
                let cure = "remove it: what concerns the connection and the body is set for you";
                self.refuse(&at, what, cure);
                continue;
            };
            if headers.iter().any(|(other, _)| *other == header) {
                self.refuse(&at, format!("`{header}` is set twice"), "keep one of them");
                continue;
            }
            let Some(template) = self.template(&at, value, known) else { continue };
            let of_text = [Placeholder::To, Placeholder::ToDigits, Placeholder::Text];
            if template.placeholders().any(|one| of_text.contains(&one)) {
                let what = "a header cannot contain the number or the text";
                self.refuse(&at, what, "put them into the body");
                continue;
            }
            let secrets = [Placeholder::Token, Placeholder::Basic];
            let has_secret = template.placeholders().any(|one| secrets.contains(&one));
            if header == AUTHORIZATION && !has_secret {
                let what = "its secret must not be in the configuration";
                let cure = "write it to `sms.token_file`, and `{token}` or `{basic}` here";
                self.refuse(&at, what, cure);
                continue;
            }
            let filled = template.fill(|one| known.value(one).unwrap_or_default());
            match sensitive(&filled) {
                Some(value) => headers.push((header, value)),
                None => self.refuse(&at, "the value is not valid in a header", "use ASCII"),
            }
        }
        (self.problems.len() == problems).then_some(headers)
    }

    fn sms_body(&mut self, sms: &written::Sms, known: &SmsValues) -> Option<SmsBody> {
        let (body, templates) = match (&sms.json, sms.form.is_empty()) {
            (Some(json), true) => {
                let at = below(AT, "json");
                let Ok(value) = serde_json::from_str::<Value>(json) else {
                    let cure = r#"write it in single quotes: '{"to": "{to}", "text": "{text}"}'"#;
                    self.refuse(&at, "is not JSON", cure);
                    return None;
                };
                let mut templates = Vec::new();
                for text in texts(&value) {
                    templates.push(self.template(&at, text, known)?);
                }
                (SmsBody::Json(value), templates)
            }
            (None, false) => {
                let mut form = Vec::new();
                for (name, value) in &sms.form {
                    let Some(value) = value else { continue };
                    let at = format!("{AT}.form.{name}");
                    form.push((name.clone(), self.template(&at, value, known)?));
                }
                let templates = form.iter().map(|(_, template)| template.clone()).collect();
                (SmsBody::Form(form), templates)
            }
            (Some(_), false) => {
                self.refuse(&below(AT, "json"), "`form` is set, too", "keep one of them");
                return None;
            }
            (None, true) => {
                if !self.mentions(AT, &["json", "form"]) {
                    let cure = "add `form: { to: \"{to}\", text: \"{text}\" }`, or `json`";
                    self.refuse(AT, "the body is missing", cure);
                }
                return None;
            }
        };
        let has = |of: &[Placeholder]| {
            templates.iter().flat_map(Template::placeholders).any(|one| of.contains(&one))
        };
        if !has(&[Placeholder::Text]) || !has(&[Placeholder::To, Placeholder::ToDigits]) {
            let at = if sms.json.is_some() { "json" } else { "form" };
            let what = "the body has no `{text}`, or neither `{to}` nor `{to_digits}`";
            self.refuse(&below(AT, at), what, "add what is missing");
            return None;
        }
        Some(body)
    }

    /// Warns of values that no template contains.
    fn warn_of_unused(&mut self, sms: &written::Sms) {
        let json = sms.json.as_deref().and_then(|json| serde_json::from_str::<Value>(json).ok());
        let of_json = json.iter().flat_map(texts);
        let of_form = sms.headers.values().chain(sms.form.values()).flatten().map(String::as_str);
        let templates = of_json.chain(of_form).filter_map(|text| Template::parse(text).ok());
        let used: Vec<Placeholder> =
            templates.flat_map(|template| template.placeholders().collect::<Vec<_>>()).collect();
        let contains = |one: Placeholder| used.contains(&one);
        let has_basic = contains(Placeholder::Basic);
        let has_token = contains(Placeholder::Token) || has_basic;
        for (key, is_set, is_used) in [
            ("account", sms.account.is_some(), contains(Placeholder::Account) || has_basic),
            ("token", sms.token.is_some(), has_token),
            ("token_file", sms.token_file.is_some(), has_token),
            ("from", sms.from.is_some(), contains(Placeholder::From)),
        ] {
            if is_set && !is_used {
                let place = if key == "token_file" { "token" } else { key };
                let what = format!("has no effect: no header and no value contains `{{{place}}}`");
                self.warn(&below(AT, key), &what);
            }
        }
    }

    fn template(&mut self, at: &str, text: &str, known: &SmsValues) -> Option<Template> {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(why) => {
                self.refuse(at, why.to_string(), "correct it");
                return None;
            }
        };
        for (placeholder, key, is_known) in [
            (Placeholder::Account, "account", !known.account.is_empty()),
            (Placeholder::Token, "token", known.token.is_some()),
            (Placeholder::Basic, "token", known.token.is_some()),
            (Placeholder::From, "from", !known.from.is_empty()),
        ] {
            if !is_known && template.placeholders().any(|one| one == placeholder) {
                let what = format!("`{key}` is not set");
                self.refuse(at, what, &format!("add `sms.{key}`"));
                return None;
            }
        }
        Some(template)
    }

    fn sms_success(&mut self, success: &written::SmsSuccess) -> Option<SmsSuccess> {
        let (pointer, value) = (success.pointer.clone()?, success.value.clone()?);
        if !pointer.starts_with('/') {
            let what = format!("`{pointer}` is not a JSON pointer");
            self.refuse(&below(AT, "success.pointer"), what, "begin it with a slash");
            return None;
        }
        Some(SmsSuccess::Equals { pointer, value })
    }
}

/// The part of a malformed URL that contains no secret: nothing behind `?` or `#`, and no credentials.
fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (shown, hidden) = text.split_at(end);
    if shown.contains('@') {
        return "…".to_owned();
    }
    if hidden.is_empty() { shown.to_owned() } else { format!("{shown}…") }
}

/// Headers of the connection and the body, which the client sets itself, and those for a proxy.
const RESERVED: [&str; 10] = [
    "content-type",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
];

/// All texts in `value`.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The value of `Authorization` (RFC 7617).
fn basic(known: &SmsValues) -> String {
    format!("Basic {}", known.value(Placeholder::Basic).unwrap_or_default())
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
