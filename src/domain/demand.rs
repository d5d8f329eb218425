//! Demands: who must have a second factor even where the matched rule does not ask for one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::assurance::Only;
use super::identity::Identity;
use super::time::Timestamp;

/// Everything that the operator demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Everyone must have one.
    pub everyone: bool,
    /// Members of any of these groups must have one.
    pub groups: BTreeSet<String>,
    /// These users must have one; names are normalised.
    pub users: BTreeSet<String>,
    /// Users of these apps must have one, when they use the app.
    pub apps: BTreeSet<String>,
    /// Users who may enter a part of an app whose rule demands one. A user is admitted by an inner
    /// list if every condition in it admits them; an empty list admits everyone.
    pub places: Vec<Vec<Only>>,
    /// How long people may take to set one up. Counted from when the demand was first loaded or
    /// from when the user was added, whichever is later.
    pub grace: Duration,
}

/// The demand that applies to a user, as it is explained to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Applies to everyone.
    Everyone,
    /// Applies to everyone in this group.
    Group(String),
    /// Applies to this user by name.
    You,
    /// Applies to everyone who may enter a certain part of an app, which includes this user.
    Place,
    /// Applies to users of this app, when they use it.
    App(String),
}

/// When each demand was first loaded, by the demand's name.
pub type Since = BTreeMap<String, Timestamp>;

impl Demands {
    /// The name of every demand. It stays the same as long as the same is demanded of the same
    /// people.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let everyone = self.everyone.then(|| EVERYONE.to_owned());
        let groups = self.groups.iter().map(|group| of_group(group));
        let users = self.users.iter().map(|user| of_user(user));
        let apps = self.apps.iter().map(|app| of_app(app));
        let places = self.places.iter().map(|parts| of_place(parts));
        everyone.into_iter().chain(groups).chain(users).chain(apps).chain(places)
    }

    /// The broadest demand that applies to this user `now`, everywhere or in one app. `made` is
    /// when the user was added. A demand does not apply before its grace period is over.
    pub fn on(
        &self,
        identity: &Identity,
        made: Timestamp,
        since: &Since,
        now: Timestamp,
    ) -> Option<Demand> {
        let admits = |parts: &&Vec<Only>| parts.iter().all(|part| part.admits(identity));
        let everyone = self.everyone.then(|| (EVERYONE.to_owned(), Demand::Everyone));
        let groups = self.groups.intersection(&identity.groups);
        let groups = groups.map(|group| (of_group(group), Demand::Group(group.clone())));
        let user = self.users.get(&identity.name).map(|user| (of_user(user), Demand::You));
        let places = self.places.iter().filter(admits);
        let places = places.map(|parts| (of_place(parts), Demand::Place));
        let apps = self.apps.iter().map(|app| (of_app(app), Demand::App(app.clone())));
        let all = everyone.into_iter().chain(groups).chain(user).chain(places).chain(apps);
        let mut holding = all.filter(|(name, _)| self.from(name, made, since) <= now);
        holding.next().map(|(_, demand)| demand)
    }

    /// When the demand with this name starts to apply to a user who was added at `made`. A demand
    /// whose first load is not recorded yet counts as loaded long ago.
    fn from(&self, name: &str, made: Timestamp, since: &Since) -> Timestamp {
        since.get(name).copied().unwrap_or_default().max(made).plus(self.grace)
    }

    /// When this user, who was added at `made`, must have a second factor in `app`, or, if `app` is
    /// `None`, everywhere. `None` if nothing demands one.
    pub fn due(
        &self,
        identity: &Identity,
        made: Timestamp,
        app: Option<&str>,
        since: &Since,
    ) -> Option<Timestamp> {
        self.applying(identity, app).map(|name| self.from(&name, made, since)).min()
    }

    /// The broadest demand in force for a user of `app` of whom one is demanded, in the words of the
    /// configuration: `second_factor.demanded_of (group staff)`.
    pub fn asking(
        &self,
        identity: &Identity,
        app: &str,
        since: &Since,
        now: Timestamp,
    ) -> Option<String> {
        // The demand is in force, so the user was added long enough ago.
        let made = Timestamp::default();
        let mut asking = self.applying(identity, Some(app));
        let name = asking.find(|name| self.from(name, made, since) <= now)?;
        Some(if name.starts_with(PLACE) {
            "a rule with `demand: true`".to_owned()
        } else {
            format!("second_factor.demanded_of ({name})")
        })
    }

    /// The names of the demands on this user in `app`, or, if that is `None`, everywhere; the broadest
    /// first.
    fn applying<'a>(
        &'a self,
        identity: &'a Identity,
        app: Option<&str>,
    ) -> impl Iterator<Item = String> + 'a {
        let everyone = self.everyone.then(|| EVERYONE.to_owned());
        let groups = self.groups.intersection(&identity.groups).map(|group| of_group(group));
        let user = self.users.get(&identity.name).map(|user| of_user(user));
        let app = app.and_then(|app| self.apps.get(app)).map(|app| of_app(app));
        let admits = |parts: &&Vec<Only>| parts.iter().all(|part| part.admits(identity));
        let places = self.places.iter().filter(admits).map(|parts| of_place(parts));
        everyone.into_iter().chain(groups).chain(user).chain(app).chain(places)
    }
}

const EVERYONE: &str = "everyone";
const PLACE: &str = "place ";

fn of_group(group: &str) -> String {
    format!("group {group}")
}

fn of_user(user: &str) -> String {
    format!("user {user}")
}

fn of_app(app: &str) -> String {
    format!("app {app}")
}

fn of_place(parts: &[Only]) -> String {
    let list =
        |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let part = |only: &Only| format!("[{}/{}]", list(&only.users), list(&only.groups));
    format!("{PLACE}{}", parts.iter().map(part).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::UserId;

    fn ada() -> Identity {
        Identity {
            user: UserId::from([1; 16]),
            name: "ada".to_owned(),
            written: "ada".to_owned(),
            full_name: None,
            email: None,
            groups: ["staff".to_owned()].into(),
        }
    }

    fn one(name: &str) -> BTreeSet<String> {
        [name.to_owned()].into()
    }

    fn due(demands: &Demands, app: Option<&str>) -> bool {
        demands.due(&ada(), Timestamp::default(), app, &Since::new()).is_some()
    }

    #[test]
    fn a_demand_is_on_whom_it_names() {
        let none = Demands::default;
        let place = |user: &str, group: &str| {
            vec![vec![
                Only { users: one(user), groups: BTreeSet::new() },
                Only { users: BTreeSet::new(), groups: one(group) },
            ]]
        };
        assert!(!due(&none(), Some("crm")));
        assert!(due(&Demands { everyone: true, ..none() }, None));
        assert!(due(&Demands { groups: one("staff"), ..none() }, None));
        assert!(!due(&Demands { groups: one("clients"), ..none() }, None));
        assert!(due(&Demands { users: one("ada"), ..none() }, None));
        assert!(!due(&Demands { users: one("grace"), ..none() }, None));
        assert!(due(&Demands { apps: one("crm"), ..none() }, Some("crm")));
        assert!(!due(&Demands { apps: one("crm"), ..none() }, Some("wiki")));
        assert!(!due(&Demands { apps: one("crm"), ..none() }, None));
        assert!(due(&Demands { places: place("ada", "staff"), ..none() }, None));
        assert!(!due(&Demands { places: place("ada", "clients"), ..none() }, None));
        assert!(due(&Demands { places: vec![vec![]], ..none() }, None));
    }

    #[test]
    fn whoever_has_a_demand_on_them_is_told_which() {
        let on = |demands: &Demands| {
            demands.on(&ada(), Timestamp::default(), &Since::new(), Timestamp::default())
        };
        let mut demands = Demands { apps: one("crm"), ..Demands::default() };
        assert_eq!(on(&demands), Some(Demand::App("crm".to_owned())));
        demands.places = vec![vec![]];
        assert_eq!(on(&demands), Some(Demand::Place));
        demands.users = one("ada");
        assert_eq!(on(&demands), Some(Demand::You));
        demands.groups = one("staff");
        assert_eq!(on(&demands), Some(Demand::Group("staff".to_owned())));
        demands.everyone = true;
        assert_eq!(on(&demands), Some(Demand::Everyone));
        let others = Demands { groups: one("clients"), users: one("bob"), ..Demands::default() };
        assert_eq!(on(&others), None);
    }

    #[test]
    fn a_demand_holds_when_its_grace_is_over_and_one_that_holds_already_is_told_first() {
        let at = Timestamp::from_secs;
        let grace = Duration::from_secs(100);
        let demands = Demands { everyone: true, apps: one("crm"), grace, ..Demands::default() };
        let since = Since::from([("everyone".to_owned(), at(50)), ("app crm".to_owned(), at(0))]);
        let on = |now| demands.on(&ada(), at(0), &since, at(now));
        assert_eq!(on(99), None);
        assert_eq!(on(100), Some(Demand::App("crm".to_owned())));
        assert_eq!(on(150), Some(Demand::Everyone));
    }

    #[test]
    fn grace_counts_from_the_demand_or_from_the_person_whichever_is_later() {
        let at = Timestamp::from_secs;
        let grace = Duration::from_secs(100);
        let demands = Demands { everyone: true, users: one("ada"), grace, ..Demands::default() };
        let since = |everyone, user| {
            Since::from([("everyone".to_owned(), at(everyone)), ("user ada".to_owned(), at(user))])
        };
        let due = |made, since| demands.due(&ada(), at(made), None, &since);
        assert_eq!(due(0, since(1_000, 2_000)), Some(at(1_100)));
        assert_eq!(due(1_500, since(1_000, 2_000)), Some(at(1_600)));
        assert_eq!(due(0, Since::new()), Some(at(100)));
    }

    #[test]
    fn every_demand_has_a_name_of_its_own() {
        let demands = Demands {
            everyone: true,
            groups: one("x"),
            users: one("x"),
            apps: one("x"),
            places: vec![vec![], vec![Only { users: one("x"), groups: one("y") }]],
            ..Demands::default()
        };
        let names: BTreeSet<String> = demands.names().collect();
        assert_eq!(names.len(), 6);
    }
}
