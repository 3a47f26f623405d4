//! What is made once of the same values, and found by them.

use std::hash::{BuildHasher as _, Hash, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

/// So many are kept. With one more all are made anew: callers and providers may name what they like.
const MOST: usize = 2_048;
/// Of a longer value nothing is kept.
const LONGEST: usize = 256;

/// What is kept by texts and a kind.
#[derive(Debug)]
pub(super) struct Series<K, T> {
    table: RwLock<HashTable<Kept<K, T>>>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Kept<K, T> {
    hash: u64,
    kind: K,
    texts: Box<[Box<str>]>,
    value: T,
}

impl<K, T> Default for Series<K, T> {
    fn default() -> Self {
        Series {
            table: RwLock::default(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<K: Hash + Eq, T> Series<K, T> {
    /// Uses what there is of these, made where there is nothing.
    pub(super) fn with<'t>(
        &self,
        kind: K,
        texts: impl Iterator<Item = &'t str> + Clone,
        make: impl Fn() -> T,
        used: impl Fn(&T),
    ) {
        let mut hasher = self.hasher.build_hasher();
        kind.hash(&mut hasher);
        texts.clone().for_each(|text| text.hash(&mut hasher));
        let hash = hasher.finish();
        let is = |kept: &Kept<K, T>| {
            let same = texts.clone().eq(kept.texts.iter().map(|text| &**text));
            kept.kind == kind && same
        };
        if let Some(kept) = self.table.read().find(hash, is) {
            return used(&kept.value);
        }
        let value = make();
        used(&value);
        if texts.clone().any(|text| text.len() > LONGEST) {
            return;
        }
        let texts = texts.map(Box::from).collect();
        let mut table = self.table.write();
        if table.len() >= MOST {
            table.clear();
        }
        let kept = Kept {
            hash,
            kind,
            texts,
            value,
        };
        // Another thread may have made it meanwhile: both are the same.
        table.insert_unique(hash, kept, |kept| kept.hash);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_the_same_is_made_once_and_what_differs_apart() {
        let (series, made, used) = (Series::default(), Cell::new(0), Cell::new(0));
        let all: [(u8, &[&str]); 5] = [
            (0, &[]),
            (1, &[]),
            (0, &["ab", "c"]),
            (0, &["a", "bc"]),
            (0, &["a", "bc", ""]),
        ];
        for round in 1..4 {
            for (number, (kind, texts)) in all.iter().enumerate() {
                let make = || {
                    made.set(made.get() + 1);
                    number
                };
                series.with(*kind, texts.iter().copied(), make, |found| {
                    assert_eq!(*found, number);
                    used.set(used.get() + 1);
                });
            }
            assert_eq!((made.get(), used.get()), (all.len(), round * all.len()));
        }
    }

    #[test]
    fn neither_many_nor_long_ones_fill_the_memory() {
        let series = Series::default();
        for number in 0..=MOST {
            let text = number.to_string();
            series.with((), [&*text].into_iter(), || (), |()| ());
        }
        assert_eq!(series.table.read().len(), 1);
        let long = "x".repeat(LONGEST + 1);
        series.with((), [&*long].into_iter(), || (), |()| ());
        assert_eq!(series.table.read().len(), 1);
    }
}
