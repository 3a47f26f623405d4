//! The secret that a caller shows, and what is kept of it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq as _;

/// How every token begins, so that people and scanners of leaked secrets know it.
pub(crate) const TOKEN_PREFIX: &str = "tq-";

/// So many bytes of chance are in a token: nobody finds one by trying, so one round of SHA-256 is enough.
const CHANCE: usize = 24;

/// A new token.
///
/// # Errors
/// Where the system has no chance to give.
pub(super) fn token() -> Result<SecretString, NoChance> {
    let mut bytes = [0; CHANCE];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoChance)?;
    let text = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    Ok(SecretString::from(text))
}

/// The system has no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes, so no key can be made")]
pub struct NoChance;

/// SHA-256 of a token: all that is kept of it. Written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) struct Hash([u8; 32]);

const ALGORITHM: &str = "sha256:";

impl Hash {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Hash(bytes)
    }

    /// By what keys are found. The rest is compared in constant time.
    pub(super) fn place(&self) -> [u8; 8] {
        let mut place = [0; 8];
        place.copy_from_slice(&self.0[..8]);
        place
    }

    fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ALGORITHM)?;
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[place..place + 2], 16).ok()?;
        }
        Some(Hash(bytes))
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Hash {}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::read(&text).ok_or_else(|| {
            // Not repeated: somebody may have put the key itself there.
            de::Error::custom("a hash is `sha256:` and 64 hexadecimal digits")
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard_and_reads_back() {
        let hash = Hash::of("abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(Hash::read(text), Some(hash));
        assert_eq!(format!("{hash:?}"), "Hash(…)");
        for wrong in ["", "sha256:", &text[7..], &text[..70], "sha256:é"] {
            assert_eq!(Hash::read(wrong), None, "{wrong}");
        }
        assert_eq!(Hash::read(&text.replace('b', "g")), None);
    }

    #[test]
    fn no_token_is_like_another() {
        let one = token().unwrap();
        let one = one.expose_secret();
        assert!(
            one.starts_with(TOKEN_PREFIX) && one.len() == 3 + 32,
            "{one}"
        );
        assert_ne!(one, token().unwrap().expose_secret());
        assert_ne!(Hash::of(one), Hash::of("tq-"));
    }
}
