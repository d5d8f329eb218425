//! Computes imported kinds of digests (bcrypt, apr1, SHA-1, crypt(3)) of typed passwords.

use std::hint::black_box;

use data_encoding::{BitOrder, Encoding, Specification};
use md5::Md5;
use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use sha1::Sha1;
use sha2::Digest as _;
use zeroize::Zeroizing;

use crate::domain::digest::{Effort, How, Scheme};
use crate::domain::password::Password;
use crate::domain::secret::Secret;

/// The digest of `password` by `scheme`, in the form that [`Scheme`] describes.
///
/// A password that is longer than [`AT_MOST`] bytes or contains a zero byte cannot have had a
/// digest elsewhere. For it the same work is done on a prefix, and the result is empty, which
/// matches nothing.
pub(super) fn digest(scheme: &Scheme, password: &Password) -> Secret {
    let typed = password.expose();
    // C programs end a string at a zero byte. bcrypt repeats the key cyclically, so it would accept
    // `a\0a` for the password `a`.
    let whole = typed.len() <= AT_MOST && !typed.contains(&0);
    let typed = &typed[..typed.len().min(AT_MOST)];
    let digest = match scheme {
        Scheme::Bcrypt { cost, salt } => bcrypt_of(typed, *cost, **salt),
        Scheme::Apr1 { salt } => apr1_of(typed, salt.as_bytes()),
        Scheme::Sha1 => Sha1::digest(typed).to_vec(),
        Scheme::Sha256Crypt { salt, rounds } => Params::new(*rounds).map_or_else(
            |_| Vec::new(),
            |params| symbols(&sha256_crypt(typed, salt.as_bytes(), params), &SHA256_ORDER),
        ),
        Scheme::Sha512Crypt { salt, rounds } => Params::new(*rounds).map_or_else(
            |_| Vec::new(),
            |params| symbols(&sha512_crypt(typed, salt.as_bytes(), params), &SHA512_ORDER),
        ),
    };
    let digest = Secret::new(digest);
    if whole { digest } else { Secret::new(Vec::new()) }
}

/// Does the work of all of `alike` for `password`, minus the work that `scheme` has already done.
/// Afterwards the total work is the same for every scheme in `alike`, and for users without an
/// imported digest.
pub(super) fn take_as_long(alike: &[Effort], scheme: Option<&Scheme>, password: &Password) {
    for scheme in rest(alike, scheme) {
        black_box(digest(&scheme, password));
    }
}

/// The remaining work of `alike` after a digest by `done`, as schemes whose results are discarded.
fn rest(alike: &[Effort], done: Option<&Scheme>) -> Vec<Scheme> {
    let rest = alike.iter().flat_map(|effort| {
        let done = done.filter(|done| {
            let done = done.effort();
            (done.how, done.salt) == (effort.how, effort.salt)
        });
        let salt = || "x".repeat(effort.salt.into());
        // Each kind gets two digests with a fixed total of rounds, because one digest cannot have
        // fewer than the minimum.
        let rounds = |own: Option<u32>| {
            let all = effort.rounds + FEWEST_ROUNDS;
            match own {
                Some(own) => vec![all.saturating_sub(own).max(FEWEST_ROUNDS)],
                None => vec![effort.rounds, FEWEST_ROUNDS],
            }
        };
        match effort.how {
            How::Bcrypt => {
                let most = effort.rounds.checked_ilog2().unwrap_or(0);
                let own = match done {
                    Some(Scheme::Bcrypt { cost, .. }) => Some(u32::from(*cost)),
                    _ => None,
                };
                // 2^n is the sum of all smaller powers of two, with the smallest counted twice. So
                // the digests of the costs in between add up to the difference.
                let costs = own.map_or(most..most + 1, |own| own..most);
                let schemes = costs.filter_map(|cost| u8::try_from(cost).ok());
                schemes.map(|cost| Scheme::Bcrypt { cost, salt: [0; 16].into() }).collect()
            }
            How::Apr1 if done.is_none() => vec![Scheme::Apr1 { salt: salt() }],
            How::Sha1 if done.is_none() => vec![Scheme::Sha1],
            How::Apr1 | How::Sha1 => Vec::new(),
            How::Sha256Crypt => {
                let own = match done {
                    Some(Scheme::Sha256Crypt { rounds, .. }) => Some(*rounds),
                    _ => None,
                };
                let rest = rounds(own).into_iter();
                rest.map(|rounds| Scheme::Sha256Crypt { salt: salt(), rounds }).collect()
            }
            How::Sha512Crypt => {
                let own = match done {
                    Some(Scheme::Sha512Crypt { rounds, .. }) => Some(*rounds),
                    _ => None,
                };
                let rest = rounds(own).into_iter();
                rest.map(|rounds| Scheme::Sha512Crypt { salt: salt(), rounds }).collect()
            }
        }
    });
    rest.collect()
}

/// The minimum number of rounds in the schemes of crypt(3).
const FEWEST_ROUNDS: u32 = 1_000;

/// How many bytes of a password bcrypt uses.
pub(super) const BCRYPT_BYTES: usize = 72;

/// bcrypt uses at most 72 bytes, including the terminating zero.
fn bcrypt_of(typed: &[u8], cost: u8, salt: [u8; 16]) -> Vec<u8> {
    let mut key = Zeroizing::new(typed.to_vec());
    key.push(0);
    key.truncate(BCRYPT_BYTES);
    // The domain refuses such a cost; the crate would panic.
    if cost > Scheme::BCRYPT_COST_AT_MOST {
        return Vec::new();
    }
    bcrypt::bcrypt(cost.into(), salt, &key)[..23].to_vec()
}

/// Apache's variant of Poul-Henning Kamp's MD5 crypt (`apr_md5_encode` of apr-util).
fn apr1_of(typed: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut inner = Md5::new();
    inner.update(typed);
    inner.update(salt);
    inner.update(typed);
    let inner = inner.finalize();

    let mut state = Md5::new();
    state.update(typed);
    state.update(b"$apr1$");
    state.update(salt);
    for start in (0..typed.len()).step_by(16) {
        state.update(&inner[..(typed.len() - start).min(16)]);
    }
    let mut bits = typed.len();
    while bits > 0 {
        // Either a zero or the first byte: a bug of the first implementation that all others keep.
        let first = typed.first().copied().unwrap_or(0);
        state.update([if bits & 1 == 1 { 0 } else { first }]);
        bits >>= 1;
    }
    let mut state = state.finalize();

    for round in 0..1_000 {
        let mut next = Md5::new();
        let odd = round & 1 == 1;
        next.update(if odd { typed } else { &state[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(typed);
        }
        next.update(if odd { &state[..] } else { typed });
        state = next.finalize();
    }
    symbols(&state, &MD5_ORDER)
}

/// Encodes the bytes of `digest`, in this order, with the alphabet of crypt(3).
fn symbols(digest: &[u8], order: &[u8]) -> Vec<u8> {
    let bytes: Vec<u8> =
        order.iter().filter_map(|place| digest.get(usize::from(*place)).copied()).collect();
    crypt_encoding().map(|encoding| encoding.encode(&bytes).into_bytes()).unwrap_or_default()
}

fn crypt_encoding() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    specification.bit_order = BitOrder::LeastSignificantFirst;
    specification.encoding().ok()
}

/// The limit of crypt(3) (libxcrypt's `CRYPT_MAX_PASSPHRASE_SIZE`, minus the terminating zero);
/// htpasswd's limit is half of it. The time of crypt(3) grows with rounds and length, so longer
/// passwords would make each guess cost seconds.
const AT_MOST: usize = 511;

const MD5_ORDER: [u8; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

/// Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", step 22.
const SHA256_ORDER: [u8; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28,
    18, 29, 19, 9, 30, 31,
];

/// The same step for SHA-512.
const SHA512_ORDER: [u8; 64] = [
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8,
    50, 51, 30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58,
    37, 38, 17, 59, 60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::digest::{Digest, Imported};

    fn makes(password: &str, text: &str) -> bool {
        let found = Digest::parse(text).unwrap();
        digest(&found.scheme, &Password::typed(password)) == found.digest
    }

    /// Made by `openssl passwd -apr1`, `-5` and `-6`, `openssl dgst -sha1`, and Debian's crypt(3).
    const MADE_ELSEWHERE: [(&str, [&str; 6]); 3] = [
        (
            "three wet umbrellas",
            [
                "$apr1$saltsalt$wcCrwJ/vlWbVlRUm2Aa0l1",
                "$5$saltsalt$49NZi4tA9ulkl2Jr4Tbhs0te3lh0ffdX.t.Ndv4n5pC",
                "$6$saltsaltsaltsalt$vUWGZp7eENkGlij86rRY7AwoG2gKbPiGrk.3xbryfBZcvG7VxUkvb7Rs2/5p.lvVPCX6hQbk3ECMVufjcwpxl.",
                "{SHA}OYBaeO2HwcCGoTlnV52HQ2SqtxE=",
                "$2y$05$0123456789abcdefghijkOVADbYVm/zyFr2QSUJsHa7tpbXnXIIPu",
                "$5$rounds=1500$pepper$Vq63spGN75ySs2ERXkLwrXysJ0zeTghxDZg3jY8SGE1",
            ],
        ),
        (
            "żółw",
            [
                "$apr1$saltsalt$kEIzeFsDOXFFi.ORx2fID/",
                "$5$saltsalt$IHl.T1YZkIDLwlxWKEzJvHotFO7vNbTuYOgmE3dvTf/",
                "$6$saltsaltsaltsalt$2iVo/gWbVMuJVbT8D.MNaXiLLvk2oNbynKk6AHbbDc8tHG42ajMvp4WiMPW1ikQ4uoA26XbmpNOqNY5hpL4yf.",
                "{SHA}owXv9aVJl8vaTmf4sxislroZS90=",
                "$2y$05$0123456789abcdefghijkOZ8bAHShSlZ0r.AtZ/26/1Md7wKU5Hbu",
                "$5$rounds=1500$pepper$ALIleumX2ZkE2BbeGl1YiZ3wQwoeT.7vrqYL470D246",
            ],
        ),
        (
            "a long one that goes on and on and on, beyond the seventy-two bytes at which bcrypt stops looking at it",
            [
                "$apr1$saltsalt$kFYCrBA46u8LAZc7YPCSx1",
                "$5$saltsalt$S/ftZWDT/gZtCT0nyi8uL3VZ1DZaZzpv1pVOh7VZ9p/",
                "$6$saltsaltsaltsalt$Bdotqs2dGDtuix/RiWQTKghUDSyImAgfEmU.zCAJCDNndeFkVpRddqWFr9Gz7plYa9PKtCIERzP/strY9aMwH0",
                "{SHA}GocrXLWEEqfzS1ByWwZvQaWKgFw=",
                "$2y$05$0123456789abcdefghijkOce/KsKCv6M/834uUzRfhpAS4kbHYdgC",
                "$5$rounds=1500$pepper$yJDf9JjlMVfVysg6gUfQfG7LjlTTY2RPCh2HJwXZlQA",
            ],
        ),
    ];

    /// How many rounds of each kind are computed for a user whose digest was made by `scheme`.
    fn done(alike: &[Effort], scheme: Option<&Scheme>) -> BTreeMap<(How, u8), u32> {
        let mut all = BTreeMap::new();
        for scheme in rest(alike, scheme).iter().chain(scheme) {
            let rounds = match scheme {
                Scheme::Bcrypt { cost, .. } => 1 << cost,
                Scheme::Sha256Crypt { rounds, .. } | Scheme::Sha512Crypt { rounds, .. } => *rounds,
                Scheme::Apr1 { .. } | Scheme::Sha1 => 1,
            };
            let effort = scheme.effort();
            *all.entry((effort.how, effort.salt)).or_default() += rounds;
            assert!(rounds >= FEWEST_ROUNDS || effort.how < How::Sha256Crypt, "{scheme:?}");
        }
        all
    }

    #[test]
    fn whatever_somebody_has_the_same_work_is_done() {
        let salt = |length: usize| "s".repeat(length);
        let schemes = [
            Scheme::Bcrypt { cost: 5, salt: [1; 16].into() },
            Scheme::Bcrypt { cost: 12, salt: [1; 16].into() },
            Scheme::Bcrypt { cost: 10, salt: [1; 16].into() },
            Scheme::Apr1 { salt: salt(8) },
            Scheme::Sha1,
            Scheme::Sha256Crypt { salt: salt(16), rounds: 5_000 },
            Scheme::Sha512Crypt { salt: salt(16), rounds: 5_000 },
            Scheme::Sha512Crypt { salt: salt(16), rounds: 656_000 },
            Scheme::Sha512Crypt { salt: salt(8), rounds: 120_000 },
        ];
        let mut imported = Imported::default();
        for scheme in &schemes {
            imported.change(None, Some(scheme));
        }
        let alike = imported.dearest();
        let nobody = done(&alike, None);
        assert_eq!(nobody.len(), 6);
        for scheme in &schemes {
            assert_eq!(done(&alike, Some(scheme)), nobody, "{scheme:?}");
        }
        assert_eq!(done(&[], None), BTreeMap::new(), "nobody is left who has one");
    }

    #[test]
    fn the_same_digest_is_made_as_elsewhere() {
        for (password, digests) in MADE_ELSEWHERE {
            for text in digests {
                assert!(makes(password, text), "{password}: {text}");
                assert!(!makes("three wet umbrella", text), "{text}");
            }
        }
    }

    #[test]
    fn bcrypt_looks_at_the_first_72_bytes_only_as_elsewhere() {
        let (password, digests) = MADE_ELSEWHERE[2];
        for text in digests {
            assert_eq!(makes(&password[..72], text), text.starts_with("$2y$"), "{text}");
        }
    }

    #[test]
    fn what_holds_a_zero_is_nobodys_password() {
        let (password, digests) = MADE_ELSEWHERE[0];
        for text in digests {
            assert!(makes(password, text));
            for typed in [
                format!("{password}\0"),
                format!("{password}\0{password}"),
                format!("{password}\0x"),
                format!("\0{password}"),
            ] {
                assert!(!makes(&typed, text), "{typed:?}: {text}");
            }
        }
        // A digest of a text with a zero byte does not match either.
        let sha1 = format!("{{SHA}}{}", data_encoding::BASE64.encode(&Sha1::digest(b"a\0b")));
        assert!(!makes("a\0b", &sha1));
    }

    #[test]
    fn every_scheme_makes_something_of_nothing() {
        for text in MADE_ELSEWHERE[0].1 {
            assert!(!makes("", text), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_to_be_digested_whole_is_nobodys_password() {
        let beginning = "x".repeat(AT_MOST);
        let sha1 = format!("{{SHA}}{}", data_encoding::BASE64.encode(&Sha1::digest(&beginning)));
        assert!(makes(&beginning, &sha1));
        assert!(!makes(&format!("{beginning}x"), &sha1));
    }
}
