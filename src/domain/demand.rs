//! Who must have a second factor, wherever the place itself would not ask for one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::assurance::Only;

/// Every demand of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Of everyone.
    pub everyone: bool,
    /// Of whoever belongs to one of these groups.
    pub groups: BTreeSet<String>,
    /// Of these users, by normalised name.
    pub users: BTreeSet<String>,
    /// Of whoever uses one of these applications, there.
    pub apps: BTreeSet<String>,
    /// Of whoever may enter a place whose rule demands it. Each list admits whom all of its
    /// parts admit; an empty one admits everyone.
    pub places: Vec<Vec<Only>>,
    /// How long people have to set one up, from when the demand was first loaded, or they were
    /// added.
    pub grace: Duration,
}
