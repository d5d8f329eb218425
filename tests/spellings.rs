//! Spellings of a protected path, a hundred thousand of them: whatever software could take for it is
//! judged as it.

use crate::support::spellings::{Decoder, Dice};
use doorward::domain::assurance::{Level, Requirement};
use doorward::policy::{Asker, Policy, Request, Rule};

const PLACES: [&str; 3] = ["/admin/", "/crm/admin/panel/", "/a b/secret.html/"];

fn policy() -> Policy {
    let paths = PLACES.iter().map(|place| place.parse().unwrap()).collect();
    Policy::new(vec![Rule::new(paths, Requirement::second_factor())], Requirement::nothing())
}

#[test]
fn no_decoder_reaches_a_protected_place_that_was_judged_open() {
    let policy = policy();
    let decoders: Vec<Decoder> = Decoder::all().collect();
    let mut dice = Dice(20_261_124);
    let (mut reached, mut refused) = (0_u32, 0_u32);
    for _ in 0..120_000 {
        let place = PLACES[dice.below(PLACES.len())];
        let target = dice.spelling(place.trim_end_matches('/'));
        let Ok(request) = Request::read(target.as_bytes()) else {
            refused += 1;
            continue;
        };
        let level = policy.requirement(&request, &Asker::default()).requirement.level;
        let seen = decoders.iter().find(|decoder| {
            PLACES.iter().any(|place| decoder.reaches(target.as_bytes(), place.as_bytes()))
        });
        if let Some(decoder) = seen {
            reached += 1;
            assert_ne!(level, Level::Nothing, "{target} is open, and reached by {decoder:?}");
        }
    }
    // The generator must hit what it aims at, or it would prove nothing.
    assert!(reached > 40_000, "{reached} spellings reach a place, {refused} are refused");
}

#[test]
fn a_decoder_undoes_what_real_software_undoes() {
    let decoder = |percent, dots, parameters, backslash, caseless| Decoder {
        percent,
        dots,
        parameters,
        backslash,
        caseless,
    };
    let seen = |decoder: Decoder, target: &str| {
        String::from_utf8(decoder.decode(target.as_bytes())).unwrap()
    };
    let plain = decoder(0, false, false, false, false);
    assert_eq!(seen(plain, "/%61/../b?c"), "/%61/../b");
    assert_eq!(seen(decoder(1, true, false, false, false), "/x/%2e%2e/%61"), "/a");
    assert_eq!(seen(decoder(2, true, false, false, false), "/%2561"), "/a");
    assert_eq!(seen(decoder(0, true, true, false, false), "/x/..;a/b;c/"), "/b/");
    assert_eq!(seen(decoder(0, true, false, true, true), "/x\\..\\A"), "/a");
}
