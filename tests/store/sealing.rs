//! What the seal keeps: content from thieves, records in their places.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use data_encoding::HEXLOWER;
use doorward::domain::time::Timestamp;
use doorward::store::sealing::Broken;
use doorward::store::{Keys, Kind, Sealer, StateFolder};
use doorward::unavailable::Unavailable;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::cases;

const K1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const K2: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn sealer() -> Sealer {
    Sealer::new(&Keys::random(&mut rng(1), NOW))
}

/// A sealer with these keys, as they stand in a keys file.
fn sealer_with(keys: &[(u8, &str)]) -> Sealer {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&home.path().join("state")).unwrap();
    let since = "2027-01-15T08:00:00Z";
    let sealing = keys.iter().map(|(id, key)| format!("sealing {id} {since} {key}\n"));
    let text = format!("doorward keys 1\nnames 1 {since} {K1}\n{}", sealing.collect::<String>());
    fs::write(state.keys_file(), text).unwrap();
    fs::set_permissions(state.keys_file(), Permissions::from_mode(0o600)).unwrap();
    Sealer::new(&Keys::of(&state, &mut rng(1), NOW).unwrap())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn bytes(at_most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=at_most)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_sealed_opens_in_its_place(
        kind in kinds(), key in bytes(40), body in bytes(500), seed: u64,
    ) {
        let sealed = sealer().seal(&mut rng(seed), kind, &key, &body).unwrap();
        prop_assert_eq!(sealed.len(), body.len() + 42);
        let opened = sealer().open(kind, &key, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), body);
    }

    #[test]
    fn one_flipped_bit_anywhere_breaks_the_seal(
        kind in kinds(), key in bytes(40), body in bytes(100), at: prop::sample::Index, bit in 0..8,
    ) {
        let mut sealed = sealer().seal(&mut rng(1), kind, &key, &body).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(sealer().open(kind, &key, &sealed).is_err());
    }

    #[test]
    fn a_record_opens_nowhere_but_in_its_place(
        kinds in (kinds(), kinds()), keys in (bytes(8), bytes(8)), body in bytes(50),
    ) {
        let sealed = sealer().seal(&mut rng(1), kinds.0, &keys.0, &body).unwrap();
        let opened = sealer().open(kinds.1, &keys.1, &sealed);
        prop_assert_eq!(opened.is_ok(), kinds.0 == kinds.1 && keys.0 == keys.1);
    }

    #[test]
    fn bytes_that_nobody_sealed_do_not_open(junk in bytes(200)) {
        prop_assert!(sealer().open(Kind::User, b"ada", &junk).is_err());
    }

    #[test]
    fn no_beginning_of_a_sealed_record_opens(body in bytes(20), at: prop::sample::Index) {
        let sealed = sealer().seal(&mut rng(1), Kind::User, b"ada", &body).unwrap();
        let beginning = &sealed[..at.index(sealed.len())];
        prop_assert!(sealer().open(Kind::User, b"ada", beginning).is_err());
    }
}

#[test]
fn the_same_body_is_never_sealed_to_the_same_bytes() {
    let mut rng = rng(1);
    let mut seal = || sealer().seal(&mut rng, Kind::User, b"ada", b"engines").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn the_newest_key_seals_and_the_older_ones_still_open() {
    let before = sealer_with(&[(1, K1)]);
    let after = sealer_with(&[(1, K1), (2, K2)]);
    let old = before.seal(&mut rng(1), Kind::User, b"ada", b"engines").unwrap();
    assert_eq!(after.open(Kind::User, b"ada", &old).unwrap().expose(), b"engines");
    let new = after.seal(&mut rng(1), Kind::User, b"ada", b"engines").unwrap();
    assert_eq!(before.open(Kind::User, b"ada", &new).unwrap_err(), Broken::Key(2));
    assert_eq!(after.open(Kind::User, b"ada", &new).unwrap().expose(), b"engines");
}

#[test]
fn another_key_of_the_same_id_opens_nothing_and_the_operator_learns_why() {
    let sealed = sealer_with(&[(1, K1)]).seal(&mut rng(1), Kind::User, b"a", b"b").unwrap();
    let broken = sealer_with(&[(1, K2)]).open(Kind::User, b"a", &sealed).unwrap_err();
    assert_eq!(broken, Broken::Seal);
    let unavailable = Unavailable::from(broken);
    let source = std::error::Error::source(&unavailable).unwrap().to_string();
    assert!(source.starts_with("a record cannot be authenticated"), "{source}");
}

#[test]
fn what_the_first_version_sealed_is_opened_for_ever() {
    let sealed = HEXLOWER
        .decode(
            b"0101611830d3641a68f94a690dcc25d1f4b0dac948325ac18f6d4f3ce6ad736dcaaec2160b46573752\
              655356df224e9b3c",
        )
        .unwrap();
    let opened = sealer_with(&[(1, K1)]).open(Kind::User, b"ada", &sealed).unwrap();
    assert_eq!(opened.expose(), b"engines");
}
