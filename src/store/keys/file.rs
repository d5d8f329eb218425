//! The keys file, which holds all secret keys of an installation.
//!
//! ```text
//! doorward keys 1
//! names 1 2027-01-15T08:00:00Z <base64>
//! sealing 1 2027-01-15T08:00:00Z <base64>
//! sealing 2 2027-03-01T07:30:00Z <base64>
//! cookies 1 2027-01-15T08:00:00Z <base64>
//! csrf 1 2027-01-15T08:00:00Z <base64>
//! ```
//!
//! A line has the purpose of a key, its id, since when it is used, and the key. Of several keys for
//! one purpose the last one is used, and the others are accepted. The file is created at the first
//! start and parsed strictly afterwards. A store without its keys is not opened, because everything
//! in it would look damaged.

use std::io::{self, Read};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::purpose::Purpose;
use super::ring::{Held, Key, KeyId, Ring};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::state_folder::{StateError, StateFolder};

/// All keys of an installation: a ring for each purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// In the order of [`Purpose::ALL`].
    rings: Vec<Ring>,
}

impl Keys {
    /// Reads the keys in `state`. Creates them if there are neither keys nor a store, and those of a
    /// purpose that the file does not have yet, if nothing in a store rests on them.
    ///
    /// The keys are on disk when this returns. Two processes that start at the same time get the
    /// same keys.
    ///
    /// # Errors
    /// [`StateError::KeysMissing`] if there is a store without its keys, [`StateError::Exposed`] or
    /// [`StateError::Foreign`] if others own the file or may access it,
    /// [`StateError::KeysUnreadable`] if it is malformed, and [`StateError::Io`].
    pub fn of(
        state: &StateFolder,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let path = state.keys_file();
        let at = |doing| {
            let path = path.clone();
            move |source| StateError::Io { doing, path, source }
        };
        let _lock = state.lock().map_err(at("lock the folder of"))?;
        let Some(file) = state.open_private(&path)? else {
            if state.store_file().try_exists().map_err(at("look beside"))? {
                return Err(StateError::KeysMissing { path });
            }
            let keys = Self::random(rng, now);
            keys.put_into(state).map_err(at("write"))?;
            return Ok(keys);
        };
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_FILE));
        file.take(LONGEST_FILE as u64).read_to_end(&mut text).map_err(at("read"))?;
        let (keys, is_whole) = Self::parse(&text, rng, now).map_err(|(line, what)| {
            StateError::KeysUnreadable { path: path.clone(), line, what }
        })?;
        if !is_whole {
            keys.put_into(state).map_err(at("write"))?;
        }
        Ok(keys)
    }

    /// Replaces the keys file in `state`. It is on disk when this returns; after an error it is as
    /// before or, if only waiting for the disk has failed, the new one.
    pub(super) fn write(&self, state: &StateFolder) -> io::Result<()> {
        let _lock = state.lock()?;
        self.put_into(state)
    }

    fn put_into(&self, state: &StateFolder) -> io::Result<()> {
        state.write_private(&state.keys_file(), self.expose_text().as_bytes())
    }

    /// New keys, one for each purpose.
    pub fn random(rng: &mut dyn CryptoRng, now: Timestamp) -> Self {
        Self { rings: Purpose::ALL.iter().map(|_| Ring::new(rng, now)).collect() }
    }

    /// The keys for one purpose.
    pub fn ring(&self, purpose: Purpose) -> &Ring {
        &self.rings[purpose as usize]
    }

    /// The keys for one purpose as bytes with their ids, oldest first. The last one signs; all are
    /// accepted.
    pub fn secrets(&self, purpose: Purpose) -> Vec<(KeyId, Secret)> {
        let all = self.ring(purpose).all();
        all.map(|held| (held.id, Secret::new(held.key.expose().to_vec()))).collect()
    }

    /// The same with a new key for one purpose. `None` if it has as many keys as there are ids.
    pub(in crate::store) fn rotated(
        &self,
        purpose: Purpose,
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Option<Self> {
        Some(self.with(purpose, self.ring(purpose).rotated(rng, now)?))
    }

    /// The same without those older keys for one purpose that are not to be kept.
    pub(in crate::store) fn keeping(&self, purpose: Purpose, keep: impl Fn(&Held) -> bool) -> Self {
        self.with(purpose, self.ring(purpose).keeping(keep))
    }

    fn with(&self, purpose: Purpose, ring: Ring) -> Self {
        let mut rings = self.rings.clone();
        rings[purpose as usize] = ring;
        Self { rings }
    }

    /// The text of the keys file.
    fn expose_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
        text.push_str(TITLE);
        for purpose in Purpose::ALL {
            for held in self.ring(*purpose).all() {
                let since = written(held.since);
                for part in ["\n", purpose.word(), " ", &held.id.to_string(), " ", &since, " "] {
                    text.push_str(part);
                }
                held.key.expose_onto(&mut text);
            }
        }
        text.push('\n');
        text
    }

    /// Parses the output of [`Keys::expose_text`]. Also says whether it had a key for each purpose:
    /// those that nothing in a store rests on are created.
    ///
    /// # Errors
    /// The line and what is wrong with it.
    fn parse(
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> Result<(Self, bool), (usize, &'static str)> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| (1, "this is not a doorward keys file: it is not text"))?;
        let mut lines = text.split_terminator('\n').zip(1..);
        if lines.next().is_none_or(|(title, _)| title != TITLE) {
            return Err((
                1,
                "this is not a doorward keys file: it does not begin with `doorward keys 1`",
            ));
        }
        let mut found: Vec<Vec<Held>> = Purpose::ALL.iter().map(|_| Vec::new()).collect();
        let mut last = 1;
        for (line, number) in lines {
            last = number;
            let (purpose, held) = key_of(line).map_err(|what| (number, what))?;
            let keys = &mut found[purpose as usize];
            if keys.iter().any(|before| before.id == held.id) {
                return Err((number, "another key of this purpose has the same id"));
            }
            keys.push(held);
        }
        if !text.ends_with('\n') {
            return Err((last, "the last line is not complete"));
        }
        let (mut rings, mut is_whole) = (Vec::new(), true);
        for (purpose, keys) in Purpose::ALL.iter().zip(found) {
            let found = Ring::of(keys);
            if found.is_none() && purpose.is_rested_on() {
                return Err((last + 1, purpose.lacks()));
            }
            is_whole &= found.is_some();
            rings.push(found.unwrap_or_else(|| Ring::new(rng, now)));
        }
        Ok((Self { rings }, is_whole))
    }
}

fn key_of(line: &str) -> Result<(Purpose, Held), &'static str> {
    let words: Vec<_> = line.split(' ').collect();
    let [purpose, id, since, key] = words.as_slice() else {
        return Err("expected `PURPOSE ID TIME KEY`");
    };
    let purpose =
        Purpose::named(purpose).ok_or("this version of doorward knows no keys for this purpose")?;
    let is_id = |parsed: &KeyId| *parsed > 0 && parsed.to_string() == *id;
    let id = id.parse().ok().filter(is_id).ok_or("a key id is a number from 1 to 255")?;
    let time = since.parse::<jiff::Timestamp>().ok();
    let time = time.and_then(|time| u64::try_from(time.as_second()).ok());
    let time = time.map(Timestamp::from_secs).filter(|time| written(*time) == *since);
    let since = time.ok_or("a time is written as in 2027-01-15T08:00:00Z")?;
    Ok((purpose, Held { id, since, key: Key::parse(key)? }))
}

/// RFC 3339, in UTC, to the second.
fn written(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

const TITLE: &str = "doorward keys 1";
/// The maximum size of the file in bytes; enough for 255 keys of each of ten purposes.
const LONGEST_FILE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tempfile::TempDir;

    use super::*;

    const K: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const SINCE: &str = "2027-01-15T08:00:00Z";
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn rng(seed: u64) -> StdRng {
        StdRng::seed_from_u64(seed)
    }

    fn read(state: &StateFolder) -> Result<Keys, StateError> {
        Keys::of(state, &mut rng(2), NOW)
    }

    fn parsed(text: &str) -> Result<(Keys, bool), (usize, &'static str)> {
        Keys::parse(text.as_bytes(), &mut rng(2), NOW)
    }

    fn first_start() -> (TempDir, StateFolder, Keys) {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&home.path().join("state")).unwrap();
        let keys = Keys::of(&state, &mut rng(1), NOW).unwrap();
        (home, state, keys)
    }

    /// A file with one key for each purpose.
    fn whole() -> String {
        let line = |purpose: &Purpose| format!("{purpose} 1 {SINCE} {K}\n");
        format!("{TITLE}\n{}", Purpose::ALL.iter().map(line).collect::<String>())
    }

    #[test]
    fn the_keys_of_the_first_start_are_those_of_the_second() {
        let (_home, state, keys) = first_start();
        assert_eq!(read(&state).unwrap(), keys);
    }

    #[test]
    fn only_we_can_read_the_keys_file() {
        let (_home, state, _) = first_start();
        let mode = fs::metadata(state.keys_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_keys_file_that_others_can_read_is_refused() {
        let (_home, state, _) = first_start();
        fs::set_permissions(state.keys_file(), fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read(&state).unwrap_err();
        assert!(matches!(refused, StateError::Exposed { mode: 0o640, .. }), "{refused}");
    }

    #[test]
    fn a_store_without_its_keys_is_not_opened_with_new_ones() {
        let (_home, state, _) = first_start();
        fs::write(state.store_file(), b"sealed").unwrap();
        fs::remove_file(state.keys_file()).unwrap();
        let refused = read(&state).unwrap_err();
        assert!(refused.to_string().starts_with("there is a store but its keys file"), "{refused}");
        assert!(!state.keys_file().exists());
    }

    #[test]
    fn what_a_crash_left_of_a_first_start_does_no_harm() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&home.path().join("state")).unwrap();
        fs::write(state.path().join("keys.new"), b"doorward ke").unwrap();
        let keys = read(&state).unwrap();
        assert_eq!(read(&state).unwrap(), keys);
    }

    #[test]
    fn a_new_key_is_used_and_the_old_ones_are_accepted() {
        let other = K.replace("AAEC", "BBEC");
        let later = "2027-03-01T07:30:00Z";
        let text = whole()
            .replace("sealing 1", &format!("sealing 7 {SINCE} {other}\nsealing 1"))
            .replace("csrf 1", &format!("csrf 255 {later} {other}\ncsrf 1"));
        let (keys, is_whole) = parsed(&text).unwrap();
        assert!(is_whole);
        let ids = |purpose| keys.ring(purpose).all().map(|held| held.id).collect::<Vec<_>>();
        assert_eq!(ids(Purpose::Sealing), [7, 1]);
        assert_eq!(
            keys.secrets(Purpose::Csrf).iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [255, 1]
        );
        assert_eq!(keys.expose_text().as_str(), text);
    }

    #[test]
    fn a_purpose_that_the_file_does_not_have_yet_gets_a_key_unless_a_store_rests_on_it() {
        let (_home, state, _) = first_start();
        for purpose in Purpose::ALL {
            let without = whole().replace(&format!("{purpose} 1 {SINCE} {K}\n"), "");
            fs::write(state.keys_file(), &without).unwrap();
            let read = read(&state);
            if purpose.is_rested_on() {
                let refused = read.unwrap_err().to_string();
                assert!(refused.contains(purpose.lacks()), "{refused}");
                assert_eq!(fs::read_to_string(state.keys_file()).unwrap(), without);
            } else {
                let written = fs::read_to_string(state.keys_file()).unwrap();
                assert_eq!(read.unwrap().expose_text().as_str(), written);
                assert!(written.contains(&format!("\n{purpose} 1 ")), "{written}");
            }
        }
    }

    #[test]
    fn a_keys_file_is_read_to_the_letter() {
        let whole = whole();
        assert!(parsed(&whole).is_ok());
        let last = 1 + Purpose::ALL.len();
        let faults = [
            (String::new(), 1),
            (whole.replace("keys 1", "keys 2"), 1),
            (whole.replace("sealing 1", "sealing  1"), 3),
            (whole.replace("sealing 1", "sealing 0"), 3),
            (whole.replace("sealing 1", "sealing 01"), 3),
            (whole.replace("sealing 1", "sealing 256"), 3),
            (whole.replace("sealing", "ceiling"), 3),
            (whole.replacen("2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", 1), 2),
            (whole.replacen("2027-01-15T08:00:00Z", "yesterday", 1), 2),
            (whole.replacen("2027-01-15T08:00:00Z ", "", 1), 2),
            (whole.replacen("Hh8=", "Hh9=", 1), 2),
            (whole.replacen("Hh8=", "", 1), 2),
            (whole.replace(&format!("sealing 1 {SINCE} {K}\n"), ""), last),
            (whole.replace(&format!("names 1 {SINCE} {K}\n"), ""), last),
            (format!("{whole}cookies 1 {SINCE} {K}\n"), last + 1),
            (format!("{whole}\n"), last + 1),
            (whole.trim_end().to_owned(), last),
            (whole.replace('\n', "\r\n"), 1),
        ];
        for (text, line) in faults {
            assert_eq!(parsed(&text).map_err(|(line, _)| line), Err(line), "{text}");
        }
    }

    #[test]
    fn no_key_is_printed() {
        let keys = Keys::random(&mut rng(1), NOW);
        let text = keys.expose_text();
        let printed = format!("{keys:?} {:?}", keys.secrets(Purpose::Cookies));
        for word in text.split([' ', '\n']).filter(|word| word.len() > 40) {
            assert!(!printed.contains(word));
        }
        assert!(printed.contains("Key(…)"));
    }
}
