//! What users and operators do, one file per operation: load, decide, write, report.
//!
//! A flow knows neither HTTP nor pages. It takes the input and the cookies, lets the domain decide,
//! writes the decision, and returns the result.

mod acting;
pub mod administer;
pub mod admit;
pub mod answer;
mod caller;
pub mod challenge;
pub mod clock;
pub mod confirm;
pub mod connect;
pub mod deliver;
pub mod devices;
pub mod email;
pub mod emailed;
pub mod enter;
pub mod env;
pub mod factors;
pub mod foresee;
pub mod forgot;
pub mod import;
pub mod keys;
pub mod log_throttle;
pub mod link;
pub mod mailed_code;
pub mod next;
pub mod not_me;
pub mod offer;
pub mod passkey;
pub mod password;
mod password_attempt;
pub mod provider;
pub mod recovery_codes;
mod refused;
pub mod renew;
pub mod request_id;
pub mod rp_id;
pub mod sessions;
pub mod set_up;
pub mod sign_in;
pub mod sign_out;
pub mod signed_out_there;
mod take_over;
pub mod texts;
pub mod trial;
pub mod turn_off;
mod host_session;
pub mod decision_log;

pub use acting::Acting;
pub use admit::{
    Admission, AuthenticatedRequest, Before, Still, admit, admit_still, authenticate, decided_by,
};
pub use answer::Submitted;
pub use caller::{Caller, Carried, ClientAddress, DeviceCookie, Given, KnownCookie, Next};
pub use env::{Clock, Env, LeftOut, Line, LogThrottle};
pub use foresee::{Foreseen, foresee};
