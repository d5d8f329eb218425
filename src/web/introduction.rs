//! What an application is told about the user of a request, as headers: the identity facts.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};
use smallvec::SmallVec;

use crate::config::IdentityHeaders;
use crate::domain::assurance::{Amr, Permit};
use crate::domain::fact::{FACTS, Fact, Holds};
use crate::domain::identity::Identity;

/// The facts that an application is told, each with its header.
#[derive(Debug)]
pub struct Told(Vec<(HeaderName, &'static Fact)>);

/// The headers that tell one user's facts.
#[derive(Debug)]
pub struct Introduction {
    /// The user and the factors that the headers are for.
    identity: Option<Arc<Identity>>,
    amr: Amr,
    /// Whether one of the facts depends on the factors.
    holds: Holds,
    headers: SmallVec<[(HeaderName, HeaderValue); FACTS.len()]>,
}

impl Told {
    /// What the configuration says.
    ///
    /// # Errors
    /// A name is not valid.
    pub fn of(headers: &IdentityHeaders) -> Result<Self, InvalidHeaderName> {
        let told = headers.facts().map(|(fact, name)| {
            // A static name is cheaper to clone.
            let usual = FACTS.iter().find(|usual| usual.header.eq_ignore_ascii_case(name));
            let name = match usual {
                Some(usual) => HeaderName::from_static(usual.header),
                None => HeaderName::from_bytes(name.as_bytes())?,
            };
            Ok((name, fact))
        });
        Ok(Self(told.collect::<Result<_, _>>()?))
    }

    /// The headers for `permit`; none if it is for nobody.
    ///
    /// # Errors
    /// A value is not valid in a header. The request must not be passed on.
    pub fn about(&self, permit: &Permit) -> Result<Introduction, InvalidHeaderValue> {
        let (identity, amr) = (permit.identity().cloned(), permit.amr());
        let mut headers = SmallVec::new();
        if let Some(identity) = &identity {
            for (name, fact) in &self.0 {
                let value = (fact.value)(identity, amr);
                // Leave out a header without a value: an empty one means "nobody" to some
                // applications and "anybody" to others.
                if !value.is_empty() {
                    headers.push((name.clone(), HeaderValue::from_bytes(value.as_bytes())?));
                }
            }
        }
        let by_factors = self.0.iter().any(|(_, fact)| fact.holds == Holds::ForFactors);
        let holds = if by_factors { Holds::ForFactors } else { Holds::ForRecord };
        Ok(Introduction { identity, amr, holds, headers })
    }
}

impl Introduction {
    /// The headers.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Whether these headers are also the ones for `permit`.
    pub fn is_of(&self, permit: &Permit) -> bool {
        match (&self.identity, permit.identity()) {
            (None, None) => true,
            // An identity is made anew whenever the record changes.
            (Some(this), Some(that)) => {
                Arc::ptr_eq(this, that)
                    && (self.holds == Holds::ForRecord || self.amr == permit.amr())
            }
            _ => false,
        }
    }
}
