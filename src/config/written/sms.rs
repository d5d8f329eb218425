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
    pub(in crate::config) limits: SmsLimits,
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

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct SmsLimits {
    pub(in crate::config) number_hour: u32,
    pub(in crate::config) number_day: u32,
    pub(in crate::config) address_hour: u32,
    pub(in crate::config) day: u32,
    pub(in crate::config) brake_after: u32,
}

impl Default for SmsLimits {
    fn default() -> Self {
        let limits = crate::domain::texts::Limits::default();
        Self {
            number_hour: limits.number_hour,
            number_day: limits.number_day,
            address_hour: limits.address_hour,
            day: limits.day,
            brake_after: limits.brake_after,
        }
    }
}
