//! Tag values of bounded length.

use std::sync::Arc;

/// Longer values are cut to this many bytes.
const LONGEST_VALUE: usize = 256;

/// A value of bounded length: one that is too long is cut, and ends with a digest of the whole.
pub(crate) fn bounded(value: Arc<str>) -> Arc<str> {
    if value.len() <= LONGEST_VALUE {
        return value;
    }
    let longest = LONGEST_VALUE - "~".len() - 32;
    let end = (0..=longest)
        .rev()
        .find(|end| value.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}~{:032x}", &value[..end], digest(value.as_bytes())).into()
}

/// FNV-1a in 128 bits: the same in every process, so that counts can be kept and read again.
fn digest(bytes: &[u8]) -> u128 {
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(START, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::{Tag, Tags};

    #[test]
    fn long_values_are_cut_and_told_apart_and_others_are_not_touched() {
        let cut = |text: String| {
            Tags::new()
                .with(Tag::Agent, text)
                .get(&Tag::Agent)
                .map(str::to_owned)
        };
        let long = |end: &str| cut("ü".repeat(500_000) + end);
        let (a, b) = (long("a").unwrap(), long("b").unwrap());
        assert!(a.len() <= LONGEST_VALUE && a.starts_with("üü"), "{a}");
        assert_ne!(a, b);
        assert_eq!(Some(a), long("a"));
        let fits = "x".repeat(LONGEST_VALUE);
        assert_eq!(cut(fits.clone()), Some(fits));
        // A published vector of FNV-1a.
        assert_eq!(digest(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
