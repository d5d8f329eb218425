//! The keys file, which holds all secret keys of an installation.
//!
//! ```text
//! doorward keys 1
//! name <base64>
//! sealing 1 <base64>
//! cookie 1 <base64>
//! ```
//!
//! The name key never changes, because names are looked up by their HMAC. Sealing and cookie keys
//! have ids, so that new ones can be added below the old ones: the last one is used, all are
//! accepted. The file is created at the first start and parsed strictly afterwards. A store without
//! its keys is not opened, because everything in it would look damaged.

use std::fmt;
use std::io::Read;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::state_folder::{StateError, StateFolder};
use crate::domain::secret::Secret;

/// The id of a key among those for the same purpose: starts at 1 and increases.
pub type KeyId = u8;

/// All keys of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    name: NameKey,
    sealing: Ring,
    cookie: Ring,
}

impl Keys {
    /// Reads the keys in `state`. Creates them if there are neither keys nor a store.
    ///
    /// The keys are on disk when this returns. Two processes that start at the same time get the
    /// same keys.
    ///
    /// # Errors
    /// [`StateError::KeysMissing`] if there is a store without its keys, [`StateError::Exposed`] or
    /// [`StateError::Foreign`] if others own the file or may access it,
    /// [`StateError::KeysUnreadable`] if it is malformed, and [`StateError::Io`].
    pub fn of(state: &StateFolder, rng: &mut dyn CryptoRng) -> Result<Self, StateError> {
        let path = state.keys_file();
        let at = |doing| {
            let path = path.clone();
            move |source| StateError::Io { doing, path, source }
        };
        let _lock = state.lock().map_err(at("lock the folder of"))?;
        if let Some(file) = state.open_private(&path)? {
            let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_FILE));
            file.take(LONGEST_FILE as u64).read_to_end(&mut text).map_err(at("read"))?;
            return Self::parse(&text).map_err(|(line, what)| StateError::KeysUnreadable {
                path,
                line,
                what,
            });
        }
        if state.store_file().try_exists().map_err(at("look beside"))? {
            return Err(StateError::KeysMissing { path });
        }
        let keys = Self::random(rng);
        state.write_private(&path, keys.expose_text().as_bytes()).map_err(at("write"))?;
        Ok(keys)
    }

    /// New keys.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self {
            name: NameKey(Key::random(rng)),
            sealing: Ring { older: Vec::new(), newest: (1, Key::random(rng)) },
            cookie: Ring { older: Vec::new(), newest: (1, Key::random(rng)) },
        }
    }

    /// The key for the HMACs of names.
    pub fn name(&self) -> &NameKey {
        &self.name
    }

    /// The keys that sign cookies, oldest first. The last one signs; all are accepted.
    pub fn cookie(&self) -> Vec<(KeyId, Secret)> {
        let all = self.cookie.older.iter().chain([&self.cookie.newest]);
        all.map(|(id, key)| (*id, Secret::new(key.expose().to_vec()))).collect()
    }

    /// The key for sealing, and the older keys that are only used to open.
    pub(super) fn sealing(&self) -> (&(KeyId, Key), &[(KeyId, Key)]) {
        (&self.sealing.newest, &self.sealing.older)
    }

    /// The text of the keys file.
    fn expose_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
        text.push_str(TITLE);
        text.push_str("\nname ");
        self.name.0.expose_onto(&mut text);
        for (purpose, ring) in [("sealing", &self.sealing), ("cookie", &self.cookie)] {
            for (id, key) in ring.older.iter().chain([&ring.newest]) {
                for part in ["\n", purpose, " ", &id.to_string(), " "] {
                    text.push_str(part);
                }
                key.expose_onto(&mut text);
            }
        }
        text.push('\n');
        text
    }

    /// Parses the output of [`Keys::expose_text`]. The error is the line and what is wrong with it.
    fn parse(bytes: &[u8]) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| (1, "this is not a doorward keys file: it is not text"))?;
        let mut lines = text.split_terminator('\n').zip(1..);
        if lines.next().is_none_or(|(title, _)| title != TITLE) {
            return Err((
                1,
                "this is not a doorward keys file: it does not begin with `doorward keys 1`",
            ));
        }
        let mut name = None;
        let (mut sealing, mut cookie) = (Vec::new(), Vec::new());
        let mut last = 1;
        for (line, number) in lines {
            last = number;
            let at = |what| (number, what);
            let words: Vec<_> = line.split(' ').collect();
            match words.as_slice() {
                ["name", key] if name.is_none() => name = Some(Key::parse(key).map_err(at)?),
                ["name", _] => return Err(at("there is more than one name key")),
                ["sealing", id, key] => add(&mut sealing, id, key).map_err(at)?,
                ["cookie", id, key] => add(&mut cookie, id, key).map_err(at)?,
                _ => return Err(at("expected `name KEY`, `sealing ID KEY` or `cookie ID KEY`")),
            }
        }
        if !text.ends_with('\n') {
            return Err((last, "the last line is not complete"));
        }
        let lacks = |what| move || (last + 1, what);
        Ok(Self {
            name: NameKey(name.ok_or_else(lacks("the name key is missing"))?),
            sealing: Ring::of(sealing).ok_or_else(lacks("a sealing key is missing"))?,
            cookie: Ring::of(cookie).ok_or_else(lacks("a cookie key is missing"))?,
        })
    }
}

fn add(ring: &mut Vec<(KeyId, Key)>, id: &str, key: &str) -> Result<(), &'static str> {
    let wanted = id.parse::<KeyId>().ok().filter(|parsed| *parsed > 0 && parsed.to_string() == id);
    let id = wanted.ok_or("a key id is a number from 1 to 255")?;
    if ring.last().is_some_and(|(before, _)| *before >= id) {
        return Err("key ids must increase from line to line");
    }
    ring.push((id, Key::parse(key)?));
    Ok(())
}

const TITLE: &str = "doorward keys 1";
/// The maximum size of the file in bytes; enough for 510 keys and the name key.
const LONGEST_FILE: usize = 64 << 10;

/// The keys for one purpose. The ids increase, and the newest key is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ring {
    older: Vec<(KeyId, Key)>,
    newest: (KeyId, Key),
}

impl Ring {
    fn of(mut keys: Vec<(KeyId, Key)>) -> Option<Self> {
        keys.pop().map(|newest| Self { older: keys, newest })
    }
}

/// Computes the keys of name records from names, so that somebody who steals the store does not
/// learn the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKey(Key);

impl NameKey {
    /// The record key of a normalised name: HMAC-SHA-256 (RFC 2104).
    pub fn of(&self, normalised_name: &str) -> [u8; 32] {
        self.mac(&[b"doorward name 1\0", normalised_name.as_bytes()])
    }

    /// The key of the record with the failed attempts of a user or of an unknown name. It does not
    /// reveal which of the two it is. `of` is the user id or the record key of the name.
    pub fn of_attempts(&self, of: &[u8]) -> [u8; 32] {
        self.mac(&[b"doorward attempts 1\0", of])
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // RFC 2104 §2: a key shorter than a block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        for (byte, of_key) in block.iter_mut().zip(self.0.expose()) {
            *byte = *of_key;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Thirty-two secret bytes. Wiped from memory when dropped.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    fn parse(base64: &str) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(base64.as_bytes()).map(Zeroizing::new).ok();
        let bytes = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or("a key is 32 bytes in base64")
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn expose_onto(&self, text: &mut String) {
        BASE64.encode_append(self.expose(), text);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_slice(), other.0.as_slice()).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tempfile::TempDir;

    use super::*;

    const K: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn rng(seed: u64) -> StdRng {
        StdRng::seed_from_u64(seed)
    }

    fn first_start() -> (TempDir, StateFolder, Keys) {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&home.path().join("state")).unwrap();
        let keys = Keys::of(&state, &mut rng(1)).unwrap();
        (home, state, keys)
    }

    #[test]
    fn the_keys_of_the_first_start_are_those_of_the_second() {
        let (_home, state, keys) = first_start();
        assert_eq!(Keys::of(&state, &mut rng(2)).unwrap(), keys);
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
        let refused = Keys::of(&state, &mut rng(2)).unwrap_err();
        assert!(matches!(refused, StateError::Exposed { mode: 0o640, .. }), "{refused}");
    }

    #[test]
    fn a_store_without_its_keys_is_not_opened_with_new_ones() {
        let (_home, state, _) = first_start();
        fs::write(state.store_file(), b"sealed").unwrap();
        fs::remove_file(state.keys_file()).unwrap();
        let refused = Keys::of(&state, &mut rng(2)).unwrap_err();
        assert!(refused.to_string().starts_with("there is a store but its keys file"), "{refused}");
        assert!(!state.keys_file().exists());
    }

    #[test]
    fn what_a_crash_left_of_a_first_start_does_no_harm() {
        let home = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&home.path().join("state")).unwrap();
        fs::write(state.path().join("keys.new"), b"doorward ke").unwrap();
        let keys = Keys::of(&state, &mut rng(1)).unwrap();
        assert_eq!(Keys::of(&state, &mut rng(2)).unwrap(), keys);
    }

    #[test]
    fn a_new_key_is_used_and_the_old_ones_are_honoured() {
        let other = K.replace("AAEC", "BBEC");
        let text = format!(
            "{TITLE}\nname {K}\nsealing 1 {K}\nsealing 3 {other}\ncookie 1 {K}\ncookie 2 {other}\n"
        );
        let keys = Keys::parse(text.as_bytes()).unwrap();
        let (newest, older) = keys.sealing();
        assert_eq!((newest.0, older.len()), (3, 1));
        assert_eq!(keys.cookie().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(keys.expose_text().as_str(), text);
    }

    #[test]
    fn a_keys_file_is_read_to_the_letter() {
        let whole = format!("{TITLE}\nname {K}\nsealing 1 {K}\ncookie 1 {K}\n");
        assert!(Keys::parse(whole.as_bytes()).is_ok());
        let faults = [
            (String::new(), 1),
            (whole.replace("keys 1", "keys 2"), 1),
            (whole.replace("sealing 1", "sealing  1"), 3),
            (whole.replace("sealing 1", "sealing 0"), 3),
            (whole.replace("sealing 1", "sealing 01"), 3),
            (whole.replace("sealing 1", "sealing 256"), 3),
            (whole.replace("sealing", "ceiling"), 3),
            (whole.replacen("Hh8=", "Hh9=", 1), 2),
            (whole.replacen("Hh8=", "", 1), 2),
            (whole.replace(&format!("sealing 1 {K}\n"), ""), 4),
            (whole.replace(&format!("name {K}\n"), ""), 4),
            (format!("{whole}name {K}\n"), 5),
            (format!("{whole}cookie 1 {K}\n"), 5),
            (format!("{whole}\n"), 5),
            (whole.trim_end().to_owned(), 4),
            (whole.replace('\n', "\r\n"), 1),
        ];
        for (text, line) in faults {
            assert_eq!(Keys::parse(text.as_bytes()).map_err(|(line, _)| line), Err(line), "{text}");
        }
    }

    #[test]
    fn no_key_is_printed() {
        let keys = Keys::random(&mut rng(1));
        let text = keys.expose_text();
        let printed = format!("{keys:?} {:?}", keys.cookie());
        for word in text.split([' ', '\n']).filter(|word| word.len() > 40) {
            assert!(!printed.contains(word));
        }
        assert!(printed.contains("Key(…)"));
    }

    #[test]
    fn a_name_is_kept_under_its_keyed_hash() {
        let keys =
            Keys::parse(format!("{TITLE}\nname {K}\nsealing 1 {K}\ncookie 1 {K}\n").as_bytes())
                .unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&std::array::from_fn::<u8, 32, _>(|i| {
            u8::try_from(i).unwrap()
        }))
        .unwrap();
        mac.update(b"doorward name 1\0ada");
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(keys.name().of("ada"), expected);
        assert_ne!(keys.name().of("ada"), keys.name().of("Ada"));
    }
}
