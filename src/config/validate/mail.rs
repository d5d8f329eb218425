//! Validates the mail settings, and what setting up the first second factor requires.

use super::{Judge, below};
use crate::config::mail::{Mail, MailTls, Mailbox};
use crate::config::written;
use crate::domain::set_up::SetUpProof;

impl Judge<'_> {
    /// How e-mail is sent. `None` is an error; `Some(None)` means no mail.
    #[expect(clippy::option_option, reason = "`Some(None)` is no mail, `None` an error")]
    pub(super) fn mail(&mut self, mail: Option<&written::Mail>) -> Option<Option<Mail>> {
        let Some(mail) = mail else { return Some(None) };
        let server = mail.server.as_deref().and_then(|server| self.mail_server(server));
        let from = mail.from.as_deref().and_then(|from| self.parsed::<Mailbox>("mail.from", from));
        let credentials = self.mail_credentials(mail);
        let authority =
            mail.authority.as_deref().map(|file| self.certificate_file("mail.authority", file));
        let (host, port) = server?;
        if mail.tls == MailTls::None && !is_here(&host) {
            let what = "codes and password links would be sent over the network unencrypted";
            self.refuse(
                "mail.tls",
                what,
                "write `starttls` or `implicit`, or use a mail server on \
                                           this machine",
            );
            return None;
        }
        let (from, credentials) = (from?, credentials?);
        Some(Some(Mail { host, port, tls: mail.tls, from, credentials, authority }))
    }

    fn mail_server(&mut self, server: &str) -> Option<(String, u16)> {
        let split = server.rsplit_once(':');
        let found = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let host = found.map(|(host, port): (&str, u16)| {
            (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
        });
        let sound = |host: &str| {
            let messages = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
            !host.is_empty() && host.bytes().all(messages)
        };
        let host = host.filter(|(host, port)| sound(host) && *port > 0);
        if host.is_none() {
            let what = format!("`{server}` is not a host with a port");
            self.refuse("mail.server", what, "write one, such as `smtp.example.com:587`");
        }
        host
    }

    #[expect(clippy::option_option, reason = "`Some(None)` is no credentials, `None` an error")]
    fn mail_credentials(
        &mut self,
        mail: &written::Mail,
    ) -> Option<Option<(String, crate::domain::secret::Secret)>> {
        let written = (mail.password.as_deref(), mail.password_file.as_deref());
        let password = match written {
            (None, None) => None,
            (None, Some(file)) => Some(self.secret_in_file(
                "mail.password_file",
                file,
                "write the password of the mail account into this file",
            )),
            (Some(named), None) => Some(self.secret_in_environment("mail.password", named)),
            (Some(_), Some(_)) => {
                let what = "`password_file` is set, too";
                self.refuse("mail.password", what, "keep one of them");
                return None;
            }
        };
        match (mail.user.clone(), password) {
            (None, None) => Some(None),
            (Some(user), Some(password)) => Some(Some((user, password?))),
            (Some(_), None) => {
                let what = "`user` is set without a password";
                self.refuse("mail.user", what, "add `password_file`, or remove `user`");
                None
            }
            (None, Some(_)) => {
                let at = if written.0.is_some() { "password" } else { "password_file" };
                let what = "a password is set without `user`";
                self.refuse(&below("mail", at), what, "add `user`");
                None
            }
        }
    }

    /// What setting up the first second factor requires besides the password. The default is a
    /// mailed code if there is mail, and otherwise a link from an administrator. Nothing more is
    /// required only if every host is `local`, because only people at this machine can reach those.
    /// `local` is `None` if the hosts are unknown because of errors.
    ///
    /// The listening address says nothing about who can reach us: a proxy on this machine may
    /// forward everybody.
    pub(super) fn set_up_proof(
        &mut self,
        written: &written::SetUp,
        mails: bool,
        local: Option<bool>,
    ) -> SetUpProof {
        match written.proof {
            Some(SetUpProof::Mail) if !mails => {
                let what = "codes cannot be mailed: `mail` is not set";
                self.refuse("set_up.proof", what, "add `mail`, or write `link`");
                SetUpProof::Link
            }
            Some(SetUpProof::None) => {
                let what = "a stolen password is enough to set up the second factor of a user who \
                            has none; `mail` or `link` prevents that";
                self.warn("set_up.proof", what);
                SetUpProof::None
            }
            Some(proof) => proof,
            None if mails => SetUpProof::Mail,
            None => match local {
                Some(true) => SetUpProof::None,
                Some(false) => {
                    let what = "`mail` is not set, so users need a link from an administrator \
                                (`doorward user passwd NAME`) to set up their second factor: write \
                                `set_up: { proof: link }` if you want that, or add `mail`";
                    self.warn_of_missing("mail", what);
                    SetUpProof::Link
                }
                None => SetUpProof::Link,
            },
        }
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
