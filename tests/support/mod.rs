//! What tests have in common.

pub(crate) mod away;
pub(crate) mod before_commit;
pub(crate) mod checks;
pub(crate) mod exact;
pub(crate) mod forgetful;
pub(crate) mod free_address;
pub(crate) mod gate;
pub(crate) mod held;
pub(crate) mod instance;
pub(crate) mod overtaken;
pub(crate) mod post_office;
pub(crate) mod provider;
pub(crate) mod refusing;
pub(crate) mod security_key;
pub(crate) mod sms_provider;
pub(crate) mod spellings;
pub(crate) mod upstream;
pub(crate) mod window;
pub(crate) mod wire;
