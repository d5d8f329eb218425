//! What is known of the apps although some of them may be refused.
//!
//! A problem in one app must not hide what is wrong between apps: a host that two of them have, a
//! listener that one of them cannot use.

use crate::config::{Origin, Upstream};

/// What is known of all apps.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    /// One for each app that could be read at all, in file order.
    pub(super) all: Vec<Outline>,
    /// Whether every app and all their hosts are known.
    pub(super) is_complete: bool,
}

/// What is known of one app.
#[derive(Debug)]
pub(super) struct Outline {
    /// Its position in the file, from 0.
    pub(super) index: usize,
    /// Its hosts; `None` for one that was refused.
    pub(super) hosts: Vec<Option<Origin>>,
    /// Its upstreams that were not refused.
    pub(super) upstreams: Vec<Upstream>,
    /// Whether it names a certificate of its own, valid or not.
    pub(super) has_certificate: bool,
}

impl Outlines {
    /// The hosts that are known, in file order.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Origin> {
        self.all.iter().flat_map(|app| app.hosts.iter().flatten())
    }
}

impl Outline {
    /// Whether all its hosts are known, and it has one.
    pub(super) fn has_all_hosts(&self) -> bool {
        !self.hosts.is_empty() && self.hosts.iter().all(Option::is_some)
    }

    /// Its known hosts with their key paths.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (String, &Origin)> {
        let index = self.index;
        let numbered = self.hosts.iter().enumerate();
        numbered.filter_map(move |(number, host)| {
            Some((format!("apps[{index}].hosts[{number}]"), host.as_ref()?))
        })
    }

    /// Whether it has this host.
    pub(super) fn has(&self, host: &Origin) -> bool {
        self.hosts.iter().flatten().any(|own| own == host)
    }
}
