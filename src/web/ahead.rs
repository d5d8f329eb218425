//! What the URL that the visitor is going to will require, for pages that announce it. The URL may
//! be in an application, here or on another host, or one of our own pages. The decision is the same
//! as for the request itself.

use std::sync::Arc;

use super::app_state::AppState;
use super::guard::Guest;
use super::pages::{Standing, Trust};
use super::return_to::ReturnTo;
use super::routes;
use crate::config::{App, Host};
use crate::domain::assurance::{
    Evidence, Kinds, Level, Proof, Requirement, Verdict, Visitor, judge,
};
use crate::domain::factor::{FactorId, Kind};
use crate::flow::{Foreseen, foresee};
use crate::policy::{OwnPage, Request, Sent};

/// Which state of the visitor to assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The visitor as they are.
    Now,
    /// The visitor after a second factor: some rules know users only then.
    Shown,
}

impl AppState {
    /// Whether this guest gets in without a code here, and whether the URL they are going to asks
    /// for one anyway.
    pub(super) fn standing(&self, guest: &Guest, place: &ReturnTo) -> Standing {
        let evidence = self.evidence(guest, None, When::Now);
        match judge(&Requirement::sign_in(), &evidence, guest.caller.now) {
            Verdict::Pass(_) | Verdict::SaveCodes(_) => {}
            _ => return Standing::Outside,
        }
        match self.ahead(guest, place, When::Now).verdict {
            Verdict::Challenge => Standing::AskedAgain,
            _ => Standing::Inside,
        }
    }

    /// Whether the start page of `app` would not refuse this guest, whatever else they have to show
    /// first.
    pub(super) fn is_open_to(&self, guest: &Guest, app: &App) -> bool {
        let there = self.ahead_in(Some(app), guest, &ReturnTo::root(), When::Now);
        !matches!(there.verdict, Verdict::Refused)
    }

    /// Whether this guest may already open the URL they are going to. `false` if they came for this
    /// page itself.
    pub(super) fn owes_nothing(&self, guest: &Guest, place: &ReturnTo) -> bool {
        let passes = |verdict| matches!(verdict, Verdict::Pass(_) | Verdict::SaveCodes(_));
        *place != ReturnTo::root() && passes(self.ahead(guest, place, When::Now).verdict)
    }

    /// The kinds of second factor that the URL accepts, of this guest, to which they are going.
    pub(super) fn kinds_ahead(&self, guest: &Guest, place: &ReturnTo) -> Kinds {
        let requirement = self.ahead(guest, place, When::Shown).requirement;
        match self.evidence(guest, None, When::Now) {
            Some(visitor) => requirement.kinds_for(&visitor),
            None => requirement.kinds,
        }
    }

    /// Whether the URL asks for a kind of factor that this guest, who has others, must set up first.
    pub(super) fn asks_for_another_factor(&self, guest: &Guest, place: &ReturnTo) -> bool {
        let has = guest
            .authenticated
            .as_ref()
            .is_some_and(|authenticated| authenticated.user.user.has_second_factor());
        has && matches!(self.ahead(guest, place, When::Now).verdict, Verdict::SetUp)
    }

    /// The offer to trust this device. `None` if the URL asks for a code anyway, or if the device
    /// is trusted already.
    pub(super) fn offer_of_trust(
        &self,
        guest: &Guest,
        place: &ReturnTo,
        ticked: bool,
    ) -> Option<Trust> {
        let asked = self.ahead(guest, place, When::Shown).requirement;
        let stands_in = Kind::all().any(|kind| kind.is_factor() && asked.kinds.has_any(kind));
        let accepted = asked.trusted_device && asked.within.is_none() && stands_in;
        (accepted && guest.trusted_until().is_none())
            .then(|| Trust { lasts: self.env.config.trusted_devices.lasting, ticked })
    }

    /// Whether the URL that this guest is going to requires a second factor of everybody.
    pub(super) fn wants_second_factor(&self, guest: &Guest, place: &ReturnTo) -> bool {
        self.ahead(guest, place, When::Shown).requirement.level == Level::SecondFactor
    }

    /// Whether this guest, as they are, is refused at `place` on this host.
    pub(super) fn is_refused_at(&self, host: &Host, guest: &Guest, place: &ReturnTo) -> bool {
        let there = self.ahead_in(host.app.as_deref(), guest, place, When::Now);
        matches!(there.verdict, Verdict::Refused)
    }

    /// The application that the visitor is going to, if it is one.
    pub(super) fn app_at(&self, place: &ReturnTo) -> Option<Arc<App>> {
        match self.destination(place) {
            Some(destination) => destination.host.app,
            None => self.host.app.clone(),
        }
    }

    /// The other origins where a visitor on the way to `place` may end up: those of its
    /// application, which may redirect between its hosts, and that of the provider to which the
    /// sign-in page leads at once.
    pub(super) fn leads_to(&self, place: &ReturnTo) -> Vec<String> {
        let hosts = self.app_at(place).map(|app| app.hosts.clone()).unwrap_or_default();
        let others = hosts.iter().filter(|origin| **origin != self.host.origin);
        let providers = self.only_provider().into_iter().flat_map(|provider| provider.origins());
        others.map(ToString::to_string).chain(providers).collect()
    }

    fn ahead(&self, guest: &Guest, place: &ReturnTo, when: When) -> Foreseen {
        let Some(destination) = self.destination(place) else {
            return self.ahead_in(self.host.app.as_deref(), guest, place, when);
        };
        // The ticket is issued for what that host asked; then that host asks again.
        let app = destination.host.app.as_deref();
        let asked = destination.ask.map_or_else(Requirement::sign_in, |ask| ask.requirement);
        let for_ticket = judge(&asked, &self.evidence(guest, app, when), guest.caller.now);
        let there = self.ahead_in(app, guest, &destination.back, when);
        let verdict = match for_ticket {
            Verdict::Pass(_) => there.verdict,
            owed => owed,
        };
        Foreseen { requirement: asked.and(&there.requirement), verdict }
    }

    /// The requirement at `place`, on the host of `app`.
    fn ahead_in(&self, app: Option<&App>, guest: &Guest, place: &ReturnTo, when: When) -> Foreseen {
        let now = guest.caller.now;
        let target = place.as_str();
        let read = Request::read(target.as_bytes());
        match (read.as_ref().map(Request::own_page), app) {
            (Ok(OwnPage::No), Some(app)) => {
                let sent =
                    Sent { target: target.as_bytes(), method: place.method(), overrides: &[] };
                let evidence = self.evidence(guest, Some(app), when);
                foresee(app, &sent, guest.caller.visitor, evidence, now)
            }
            (Ok(OwnPage::Page(_)), _) => {
                let path = target.split('?').next().unwrap_or_default();
                let evidence = self.evidence(guest, None, when);
                match routes::ROUTES.iter().find(|route| route.is_at(path)) {
                    Some(route) => Foreseen {
                        requirement: route.asks.requirement(&self.env.config),
                        verdict: self.judge_at(route, evidence, now),
                    },
                    None => Foreseen {
                        requirement: Requirement::nothing(),
                        verdict: judge(&Requirement::nothing(), &evidence, now),
                    },
                }
            }
            (Ok(OwnPage::No), None) => Foreseen {
                requirement: Requirement::nothing(),
                verdict: judge(&Requirement::nothing(), &None, now),
            },
            (Ok(OwnPage::Odd) | Err(_), _) => {
                Foreseen { requirement: Requirement::nobody(), verdict: Verdict::Refused }
            }
        }
    }

    fn evidence(&self, guest: &Guest, app: Option<&App>, when: When) -> Evidence {
        let authenticated = guest.authenticated.as_ref()?;
        let now = guest.caller.now;
        let visitor = authenticated.visitor(&self.env, app, now);
        Some(match when {
            When::Now => visitor,
            When::Shown => Visitor {
                proofs: Kind::all()
                    .filter(|kind| kind.is_factor())
                    .fold(visitor.proofs.clone(), |proofs, kind| {
                        proofs.with(Proof::Factor(kind, FactorId::from([0; 16])), now)
                    }),
                has_second_factor: true,
                has: Kinds::ALL,
                demanded: false,
                ..visitor
            },
        })
    }
}
