//! Passkeys on the pages that ask for the first factor: what the browser is told to ask, and the
//! answer.
//!
//! A stranger's challenge is no record: the page carries a signed value for its browser, and the key
//! signs the digest of that.

use sha2::{Digest, Sha256};

use super::app_state::AppState;
use super::factor::security_key;
use super::form::Trouble;
use super::guard::Guest;
use super::pages::Passkey;
use crate::domain::factor::Begun;
use crate::domain::factor::security_key::SignInChallenge;
use crate::domain::signed::Kind;
use crate::domain::time::Timestamp;
use crate::flow::passkey::{ask, has_passkey, sign_in};
use crate::flow::sign_in::SignIn;
use crate::identity::Assertion;

/// The browser's name, the time in milliseconds, and a nonce.
const TOKEN: usize = 16 + 8 + 16;

impl AppState {
    /// What a sign-in page asks a passkey; `None` if passkeys do not sign in here.
    pub(super) fn passkey_for_sign_in(&self, guest: &Guest) -> Option<Passkey> {
        let party = self.env.config.relying_party.as_ref().filter(|_| self.env.config.passkeys)?;
        let mut payload = [0; TOKEN];
        payload[..16].copy_from_slice(&guest.browser);
        payload[16..24].copy_from_slice(&guest.caller.now.millis().to_be_bytes());
        self.env.rng.draw(|rng| rng.fill_bytes(&mut payload[24..]));
        let token = self.env.signer.sign(Kind::Passkey, self.host.origin.host(), &payload);
        let options = security_key::any_passkey(party, &digest(&token).into());
        Some(Passkey { fields: security_key::passkey_fields(options, true), token })
    }

    /// What the sign-in page of this browser asked with this value.
    fn asked_for_sign_in(&self, guest: &Guest, token: &str) -> Option<SignInChallenge> {
        let host = self.host.origin.host();
        let payload: [u8; TOKEN] = self.env.signer.open(Kind::Passkey, host, token)?;
        let (browser, rest) = payload.split_first_chunk::<16>()?;
        let (millis, _) = rest.split_first_chunk::<8>()?;
        let mut browsers = guest.caller.carried.browsers.iter().chain([&guest.browser]);
        let ours = browsers.any(|ours| ours == browser);
        let asked = Timestamp::from_millis(u64::from_be_bytes(*millis));
        ours.then(|| SignInChallenge { challenge: digest(token).into(), asked })
    }

    /// Signs in with what the script of the sign-in page sent.
    pub(super) async fn sign_in_by_passkey(
        &self,
        guest: &Guest,
        token: &str,
        sent: &str,
    ) -> Result<SignIn, Trouble> {
        let Some(sent) = Assertion::read(sent) else { return Ok(SignIn::Refused) };
        let asked = self.asked_for_sign_in(guest, token);
        Ok(sign_in(&self.env, &guest.caller, asked, &sent).await?)
    }

    /// What the page that asks for the first factor again asks a passkey; `None` if this guest has
    /// none.
    pub(super) async fn passkey_for_confirm(
        &self,
        guest: &Guest,
    ) -> Result<Option<Passkey>, Trouble> {
        let Some(authenticated) = &guest.authenticated else { return Ok(None) };
        let user = &authenticated.user.user;
        let party = self.env.config.relying_party.as_ref();
        let may = self.env.config.passkeys && has_passkey(user, guest.caller.now);
        let Some(party) = party.filter(|_| may) else { return Ok(None) };
        let begun = ask(guest.acting(&self.env, authenticated)).await?;
        let Some(Begun::SecurityKey(challenge)) = begun else { return Ok(None) };
        let options = security_key::own_passkey(party, user, &challenge);
        let fields = security_key::passkey_fields(options, false);
        Ok(Some(Passkey { fields, token: String::new() }))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
