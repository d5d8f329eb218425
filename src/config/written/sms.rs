//! The `sms` section as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::List;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Sms {
    pub(in crate::config) provider: Option<SmsProvider>,
    pub(in crate::config) account: Option<String>,
    pub(in crate::config) token: Option<String>,
    pub(in crate::config) token_file: Option<String>,
    pub(in crate::config) from: Option<String>,
    pub(in crate::config) messaging_service: Option<String>,
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) method: Option<SmsMethod>,
    pub(in crate::config) headers: BTreeMap<String, Option<String>>,
    pub(in crate::config) form: BTreeMap<String, Option<String>>,
    pub(in crate::config) json: Option<String>,
    pub(in crate::config) success: Option<SmsSuccess>,
    pub(in crate::config) authority: Option<String>,
    pub(in crate::config) countries: List<String>,
    pub(in crate::config) default_country: Option<String>,
    pub(in crate::config) own_numbers: List<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SmsProvider {
    Twilio,
    Vonage,
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SmsMethod {
    Post,
    Put,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct SmsSuccess {
    pub(in crate::config) pointer: Option<String>,
    pub(in crate::config) value: Option<String>,
}
