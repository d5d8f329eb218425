//! Argon2id (RFC 9106) with reused memory.

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::elsewhere;
use super::job::{Done, Job, Task};
use crate::domain::digest::{Digest, Effort, Scheme};
use crate::domain::password::{Password, PasswordHash};
use crate::domain::rng::SharedRng;
use crate::identity::{Broken, Verified};

/// The Argon2 parameters.
#[derive(Clone, Debug)]
pub struct Cost(Params);

impl Cost {
    /// 19 MiB, two passes, one lane: the minimum of OWASP's Password Storage Cheat Sheet.
    pub const OWASP: Self = Self(Params::DEFAULT);

    /// The smallest possible parameters: 8 KiB, one pass. For tests only.
    pub const LEAST: Self = match Params::new(8, 1, 1, None) {
        Ok(params) => Self(params),
        Err(_) => Self::OWASP,
    };

    /// `memory` KiB, with this many passes and lanes. `None` if RFC 9106 §3.1 does not allow them.
    pub fn new(memory: u32, passes: u32, lanes: u32) -> Option<Self> {
        Params::new(memory, passes, lanes, None).ok().map(Self)
    }
}

/// Runs jobs, one at a time in each thread.
pub(super) struct Argon {
    cost: Params,
    /// A hash that no password matches, verified against if nothing is stored.
    nobodys: PasswordHash,
    rng: SharedRng,
}

impl Argon {
    pub(super) fn new(Cost(cost): Cost, rng: SharedRng) -> Self {
        let (salt, output) = rng.draw(|rng| {
            let mut bytes = ([0; SALT], [0; OUTPUT]);
            rng.fill_bytes(&mut bytes.0);
            rng.fill_bytes(&mut bytes.1);
            bytes
        });
        let nobodys = PasswordHash::new(phc_string(&cost, &salt, &output).unwrap_or_default());
        Self { cost, nobodys, rng }
    }

    /// Runs `job`, unless nobody waits for it any more.
    pub(super) fn work(&self, job: &Job, memory: &mut Memory) {
        if !job.is_wanted() {
            job.give_up();
            return;
        }
        job.answer(match &job.task {
            Task::Verify { password, stored, alike } => {
                Done::Verified(self.verify(password, stored.as_ref(), alike, memory))
            }
            Task::Hash(password) => {
                let hash = self.hash(password.expose(), memory);
                Done::Hashed(hash.map(PasswordHash::new))
            }
            Task::TakeOver(Digest { scheme, digest }) => {
                let hash = self.hash(digest.expose(), memory);
                Done::Hashed(hash.map(|hash| PasswordHash::over(scheme.clone(), hash)))
            }
        });
    }

    fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
        alike: &[Effort],
        memory: &mut Memory,
    ) -> Result<Verified, Broken> {
        let scheme = stored.and_then(PasswordHash::scheme);
        let kept = Kept::parse(stored.unwrap_or(&self.nobodys)).ok_or(NO_HASH)?;
        let digested = scheme.map(|scheme| elsewhere::digest(scheme, password));
        elsewhere::take_as_long(alike, scheme, password);
        let input = digested.as_ref().map_or(password.expose(), |digest| digest.expose());
        let mut output = Zeroizing::new(vec![0; kept.output.as_bytes().len()]);
        let argon = Argon2::new(kept.algorithm, kept.version, kept.cost.clone());
        fill(&argon, input, &kept.salt, &mut output, memory)?;
        let same: bool = output.ct_eq(kept.output.as_bytes()).into();
        // Some systems also stored digests of the empty password.
        let right = same && stored.is_some() && !password.expose().is_empty();
        // bcrypt uses only the first 72 bytes. The rest of a longer password was never compared and
        // may differ next time, so we cannot hash it.
        let is_partly_known = matches!(scheme, Some(Scheme::Bcrypt { .. }))
            && password.expose().len() >= elsewhere::BCRYPT_BYTES;
        let is_outdated = scheme.is_some() || kept.is_less_than(&self.cost);
        let rehashed = if right && is_outdated && !is_partly_known {
            Some(PasswordHash::new(self.hash(password.expose(), memory)?))
        } else {
            None
        };
        Ok(Verified { right, rehashed })
    }

    /// Hashes `input` with a new salt; returns a PHC string.
    fn hash(&self, input: &[u8], memory: &mut Memory) -> Result<String, Broken> {
        let salt: [u8; SALT] = self.rng.draw(|rng| {
            let mut salt = [0; SALT];
            rng.fill_bytes(&mut salt);
            salt
        });
        let mut output = Zeroizing::new([0; OUTPUT]);
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.clone());
        fill(&argon, input, &salt, output.as_mut_slice(), memory)?;
        phc_string(&self.cost, &salt, output.as_slice()).ok_or(UNFIT)
    }
}

fn fill(
    argon: &Argon2<'_>,
    input: &[u8],
    salt: &[u8],
    output: &mut [u8],
    memory: &mut Memory,
) -> Result<(), Broken> {
    let blocks = memory.blocks(argon.params().block_count());
    argon.hash_password_into_with_memory(input, salt, output, blocks).map_err(|_| UNFIT)
}

/// The fields of one of our PHC strings.
struct Kept {
    algorithm: Algorithm,
    version: Version,
    cost: Params,
    salt: Salt,
    output: Output,
}

impl Kept {
    fn parse(stored: &PasswordHash) -> Option<Self> {
        let parsed = phc::PasswordHash::new(stored.expose()).ok()?;
        Some(Self {
            algorithm: Algorithm::try_from(parsed.algorithm.as_str()).ok()?,
            version: Version::try_from(parsed.version?).ok()?,
            cost: Params::try_from(&parsed).ok()?,
            salt: parsed.salt?,
            output: parsed.hash?,
        })
    }

    fn is_less_than(&self, cost: &Params) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.cost.m_cost() < cost.m_cost()
            || self.cost.t_cost() < cost.t_cost()
            || self.output.as_bytes().len() < OUTPUT
    }
}

fn phc_string(cost: &Params, salt: &[u8], output: &[u8]) -> Option<String> {
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(cost).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(Output::new(output).ok()?),
    };
    Some(hash.to_string())
}

/// The working memory of one thread.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    dirty: bool,
}

impl Memory {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.blocks.len() < count {
            self.give_back();
            // Reserve more than we touch: allocations above 32 MiB always get their own mapping and
            // go back to the system when freed.
            self.blocks.reserve_exact(count.max(MAPPED));
            self.blocks.resize(count, Block::new());
        }
        self.dirty = true;
        &mut self.blocks[..count]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether it contains data derived from a password.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Erases data derived from passwords.
    pub(super) fn wipe(&mut self) {
        self.blocks.iter_mut().for_each(Zeroize::zeroize);
        self.dirty = false;
    }

    /// Returns the memory to the system.
    pub(super) fn give_back(&mut self) {
        self.wipe();
        self.blocks = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

const NO_HASH: Broken = Broken("the stored password hash is not an Argon2 hash");
const UNFIT: Broken = Broken("Argon2 rejected its parameters");

/// The length of a salt in bytes (RFC 9106 §3.1 recommends 16).
const SALT: usize = 16;

/// The length of the output in bytes.
const OUTPUT: usize = 32;

/// The number of 1 KiB blocks above which an allocation always gets its own mapping.
const MAPPED: usize = 33 * 1024;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn argon(cost: Cost) -> Argon {
        Argon::new(cost, SharedRng::new(StdRng::seed_from_u64(5)))
    }

    #[test]
    fn the_parameters_are_those_of_owasp() {
        let hash = argon(Cost::OWASP).nobodys;
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
    }

    /// Made by the reference command: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
    /// -e`.
    #[test]
    fn hashes_made_elsewhere_are_understood() {
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                      CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let stored = PasswordHash::new(stored.to_owned());
        let argon = argon(Cost::LEAST);
        let mut memory = Memory::default();
        let mut right = |text: &str| {
            argon.verify(&Password::typed(text), Some(&stored), &[], &mut memory).unwrap().right
        };
        assert!(right("password"));
        assert!(!right("Password"));
    }

    #[test]
    fn what_nobody_has_is_verified_like_what_somebody_has() {
        let argon = argon(Cost::LEAST);
        let mut memory = Memory::default();
        let somebodys = PasswordHash::new(argon.hash(b"x", &mut memory).unwrap());
        let form = |hash: &PasswordHash| {
            let kept = Kept::parse(hash).unwrap();
            (kept.cost.block_count(), kept.cost.t_cost(), kept.salt.len(), kept.output.len())
        };
        assert_eq!(form(&argon.nobodys), form(&somebodys));
    }

    #[test]
    fn memory_is_used_again_wiped_and_given_back() {
        let mut memory = Memory::default();
        let argon = argon(Cost::LEAST);
        argon.hash(b"x", &mut memory).unwrap();
        let place = memory.blocks.as_ptr();
        argon.hash(b"y", &mut memory).unwrap();
        assert_eq!(memory.blocks.as_ptr(), place);
        assert!(memory.is_dirty());
        let left =
            |memory: &Memory| memory.blocks.iter().any(|b| b.as_ref().iter().any(|w| *w != 0));
        assert!(left(&memory));
        memory.wipe();
        assert!(!left(&memory));
        memory.give_back();
        assert!(memory.is_empty());
    }
}
