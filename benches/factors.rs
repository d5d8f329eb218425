//! What proving oneself costs, piece by piece: a cookie, a one-time code, a recovery code, a password,
//! and a record on its way to disk and back.
//!
//! `cargo bench --bench factors`. The password is by far the most, and is meant to be (OWASP, Password
//! Storage: Argon2id with 19 MiB and two passes); of the rest, only the cookie is on the way of every
//! request.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use doorward::domain::factor::recovery::RecoveryCodes;
use doorward::domain::factor::totp::Key;
use doorward::domain::secret::{Secret, Token};
use doorward::domain::signed::{Kind, Signer};
use doorward::domain::time::Timestamp;
use doorward::os;
use doorward::store::{self, Keys, Sealer, StateFolder};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOST: &str = "crm.example.com";

fn cookie(criterion: &mut Criterion) {
    let signer = Signer::new([(1, &Secret::new(vec![1; 32]))]).unwrap();
    let token = Token::from_bytes(&[7; 16]).unwrap();
    let cookie = signer.sign(Kind::Session, HOST, token.expose());
    criterion.bench_function("signed cookie, opened", |bencher| {
        bencher.iter(|| signer.open::<{ Token::LENGTH }>(Kind::Session, HOST, black_box(&cookie)));
    });
    criterion.bench_function("session id, hashed", |bencher| {
        bencher.iter(|| black_box(&token).hash());
    });
}

fn codes(criterion: &mut Criterion) {
    let key = Key::from_bytes(&[7; 20]).unwrap();
    criterion.bench_function("one-time code", |bencher| {
        bencher.iter(|| black_box(&key).code_at(NOW));
    });
    let (set, other) = os::rng()
        .draw(|rng| (RecoveryCodes::random(rng, 12, NOW), RecoveryCodes::random(rng, 1, NOW)));
    let wrong = other.unused().next().unwrap().clone();
    let mut set = set;
    criterion.bench_function("wrong recovery code, of twelve", |bencher| {
        bencher.iter(|| set.check(black_box(&wrong), NOW));
    });
}

fn password(criterion: &mut Criterion) {
    let argon = argon2::Argon2::default();
    let mut memory = vec![argon2::Block::default(); argon.params().block_count()];
    let mut out = [0; 32];
    let mut group = criterion.benchmark_group("password");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("Argon2id, 19 MiB, two passes", |bencher| {
        bencher.iter(|| {
            argon.hash_password_into_with_memory(
                black_box(b"three wet umbrellas"),
                &[7; 16],
                &mut out,
                &mut memory,
            )
        });
    });
}

fn record(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&home.path().join("state")).unwrap();
    let keys = os::rng().draw(|rng| Keys::of(&state, rng, os::system_time())).unwrap();
    let (ours, kind, key) = (Sealer::new(&keys), store::Kind::User, [7; 16]);
    let body = vec![7; 600];
    let seal = || os::rng().draw(|rng| ours.seal(rng, kind, &key, &body).unwrap());
    criterion.bench_function("record of 600 bytes, sealed", |bencher| bencher.iter(seal));
    let sealed = seal();
    criterion.bench_function("record of 600 bytes, opened", |bencher| {
        bencher.iter(|| ours.open(kind, &key, black_box(&sealed)).is_ok());
    });
}

criterion_group!(benches, cookie, codes, password, record);
criterion_main!(benches);
