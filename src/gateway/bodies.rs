//! The memory that the bodies of calls take: all of them together have a bound, and so have those of each key, that no caller
//! takes what all have.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use axum::body::Body;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::call::BODY_CAP;

/// Memory for bodies. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Bodies(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    /// In bytes.
    most: usize,
    /// The same for the bodies of one key, beside those of others: half of it, and in any case one body of the longest.
    most_of_key: usize,
    /// The same where no other key has any: all but one body of the longest, with which another one can begin.
    most_alone: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Those that take nothing are not in it.
    by_key: HashMap<Box<str>, usize>,
}

/// What the body of one call takes, until the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Share(Arc<Part>);

#[derive(Debug)]
struct Part {
    of: Bodies,
    /// By which key its caller calls; none where there are no keys.
    key: OnceLock<Box<str>>,
    bytes: AtomicUsize,
    /// What is not read of a body that was to be longer than there is room for.
    cut: Mutex<Option<Cut>>,
}

/// A body that was cut.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) why: NoMemory,
    pub(super) rest: Body,
}

/// There is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoMemory {
    #[error(
        "the bodies of the calls that are here take the {} MiB that there are for them: come again in a moment, or have \
         whoever runs this gateway raise `gateway.body_memory_mib` or let fewer calls wait by `rate_limiting.queue.max_waiting`",
        .most >> 20
    )]
    All { most: usize },
    #[error(
        "the bodies of this key's calls take the {} MiB that there are for those of one key: come again in a moment, make \
         fewer calls at once, or have whoever runs this gateway raise `gateway.body_memory_mib`",
        .most >> 20
    )]
    OfKey { most: usize },
}

impl Bodies {
    /// So much, and as much at least as one body may be.
    pub(super) fn of_mib(mib: u32) -> Self {
        let bytes = usize::try_from(mib).map_or(usize::MAX, |mib| mib.saturating_mul(1 << 20));
        let most = bytes.max(BODY_CAP);
        let beside = (most / 2).max(BODY_CAP);
        Self::of(most, beside, beside.max(most - BODY_CAP))
    }

    /// So many bytes, and so many of them for one key.
    #[cfg(test)]
    pub(super) fn new(most: usize, most_of_key: usize) -> Self {
        Self::of(most, most_of_key, most_of_key)
    }

    fn of(most: usize, most_of_key: usize, most_alone: usize) -> Self {
        Bodies(Arc::new(Memory {
            most,
            most_of_key,
            most_alone,
            taken: Mutex::default(),
        }))
    }

    /// That of one more call, which takes nothing yet.
    pub(super) fn share(&self) -> Share {
        Share(Arc::new(Part {
            of: self.clone(),
            key: OnceLock::new(),
            bytes: AtomicUsize::new(0),
            cut: Mutex::default(),
        }))
    }

    /// How many bytes are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.0.taken.lock().all
    }
}

impl Taken {
    fn of_key(&self, key: &str) -> usize {
        self.by_key.get(key).copied().unwrap_or(0)
    }

    /// Whether a key but this one has any.
    fn has_other(&self, key: &str) -> bool {
        self.by_key.len() > usize::from(self.by_key.contains_key(key))
    }

    fn add(&mut self, key: Option<&str>, bytes: usize) {
        self.all += bytes;
        let Some(key) = key else { return };
        match self.by_key.get_mut(key) {
            Some(taken) => *taken += bytes,
            None => {
                self.by_key.insert(key.into(), bytes);
            }
        }
    }

    fn give_back(&mut self, key: Option<&str>, bytes: usize) {
        self.all -= bytes;
        let Some(key) = key else { return };
        let left = self.of_key(key).saturating_sub(bytes);
        match self.by_key.get_mut(key) {
            Some(taken) if left > 0 => *taken = left,
            _ => {
                self.by_key.remove(key);
            }
        }
    }
}

impl Share {
    /// Its caller calls by this key. It is said before anything is taken, and once.
    pub(super) fn is_of(&self, key: &str) {
        let _ = self.0.key.set(key.into());
    }

    /// It is to take so many bytes, which come later. They are taken at once, where no more than half is taken then: nobody is
    /// to hold all that there is by promises. Whether they are; else they are taken [as they come](Self::grow).
    ///
    /// # Errors
    /// Where there are not so many, in all or for its key.
    pub(super) fn reserve(&self, bytes: usize) -> Result<bool, NoMemory> {
        let memory = &*self.0.of.0;
        let mut taken = memory.taken.lock();
        self.has_room(&taken, bytes)?;
        let is_taken = taken.all.saturating_add(bytes) <= memory.most / 2;
        if is_taken {
            self.add(&mut taken, bytes);
        }
        Ok(is_taken)
    }

    /// It takes so many bytes more.
    ///
    /// # Errors
    /// Where there are not so many, in all or for its key. Then it takes no more than before.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), NoMemory> {
        let mut taken = self.0.of.0.taken.lock();
        self.has_room(&taken, bytes)?;
        self.add(&mut taken, bytes);
        Ok(())
    }

    fn has_room(&self, taken: &Taken, bytes: usize) -> Result<(), NoMemory> {
        let memory = &*self.0.of.0;
        // A key may have more than its part, from when it was alone: what has no body needs none.
        let fits = |taken: usize, most| bytes == 0 || taken.saturating_add(bytes) <= most;
        if !fits(taken.all, memory.most) {
            return Err(NoMemory::All { most: memory.most });
        }
        let Some(key) = self.0.key.get() else {
            return Ok(());
        };
        let most = match taken.has_other(key) {
            true => memory.most_of_key,
            false => memory.most_alone,
        };
        match fits(taken.of_key(key), most) {
            true => Ok(()),
            false => Err(NoMemory::OfKey { most }),
        }
    }

    fn add(&self, taken: &mut Taken, bytes: usize) {
        // What has no body is in no table.
        if bytes > 0 {
            taken.add(self.0.key.get().map(|key| &**key), bytes);
            self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Its body was cut, and this is not read of it.
    pub(super) fn cut(&self, why: NoMemory, rest: Body) {
        *self.0.cut.lock() = Some(Cut { why, rest });
    }

    /// Its body, where that was cut. It takes nothing any more then: what was read of it is gone.
    pub(super) fn take_cut(&self) -> Option<Cut> {
        let cut = self.0.cut.lock().take()?;
        self.0.give_back();
        Some(cut)
    }
}

impl Part {
    /// It takes nothing any more.
    fn give_back(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            let key = self.key.get().map(|key| &**key);
            self.of.0.taken.lock().give_back(key, bytes);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let bodies = Bodies::new(100, 100);
        let (first, second) = (bodies.share(), bodies.share());
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(second.grow(40), Ok(()));
        let none = second.grow(1).unwrap_err();
        assert_eq!(bodies.taken(), 100, "what is refused takes nothing");
        second.cut(none, Body::empty());
        assert!(first.take_cut().is_none());
        assert_eq!(second.take_cut().unwrap().why, none);
        assert!(second.take_cut().is_none());
        assert_eq!(bodies.taken(), 60);
        let clone = first.clone();
        drop((first, second));
        assert_eq!(bodies.taken(), 60, "it has its bytes still");
        drop(clone);
        assert_eq!(bodies.taken(), 0);
        let third = bodies.share();
        assert!(third.grow(101).is_err() && third.grow(usize::MAX).is_err());
        assert_eq!(third.grow(100), Ok(()));
    }

    #[test]
    fn no_more_than_half_is_promised() {
        let bodies = Bodies::new(100, 100);
        let (first, second, third) = (bodies.share(), bodies.share(), bodies.share());
        assert_eq!(first.reserve(40), Ok(true));
        assert_eq!(second.reserve(11), Ok(false), "it is taken as it comes");
        assert_eq!(bodies.taken(), 40);
        assert!(second.reserve(61).is_err());
        assert_eq!(second.grow(60), Ok(()));
        assert!(third.reserve(1).is_err());
        assert_eq!(third.reserve(0), Ok(false), "what has no body needs none");
        drop(second);
        assert_eq!(third.reserve(10), Ok(true));
    }

    #[test]
    fn one_key_takes_its_part_and_no_more_and_shuts_nobody_out() {
        let bodies = Bodies::new(100, 60);
        let of = |key: &str| {
            let share = bodies.share();
            share.is_of(key);
            share
        };
        let greedy = [of("greedy"), of("greedy"), of("greedy")];
        assert_eq!(greedy[0].reserve(40), Ok(true));
        assert_eq!(greedy[1].grow(20), Ok(()));
        let full = NoMemory::OfKey { most: 60 };
        assert_eq!(greedy[2].grow(1), Err(full));
        assert_eq!(greedy[2].reserve(1), Err(full));
        let none = greedy[2].reserve(0);
        assert_eq!(none, Ok(false), "what has no body needs none");
        let other = of("other");
        assert_eq!(other.grow(40), Ok(()));
        assert_eq!(other.grow(1), Err(NoMemory::All { most: 100 }));
        // What comes back is there again, for it too.
        let [first, second, third] = greedy;
        drop(first);
        assert_eq!(third.grow(30), Ok(()));
        second.cut(full, Body::empty());
        assert!(second.take_cut().is_some());
        assert_eq!(bodies.taken(), 70);
        drop((second, third, other));
        assert_eq!(bodies.taken(), 0);
        assert!(bodies.0.taken.lock().by_key.is_empty());
    }

    #[test]
    fn where_there_are_no_keys_all_is_for_whoever_comes() {
        let bodies = Bodies::new(100, 60);
        let share = bodies.share();
        assert_eq!(share.grow(100), Ok(()));
        assert_eq!(share.grow(1), Err(NoMemory::All { most: 100 }));
    }

    #[test]
    fn the_longest_body_of_one_call_has_room_in_the_part_of_its_key() {
        for (mib, alone, beside) in [(32, 32, 31), (64, 32, 32), (1_024, 992, 512)] {
            let bodies = Bodies::of_mib(mib);
            let of = |key: &str| {
                let share = bodies.share();
                share.is_of(key);
                share
            };
            let only = of("ci");
            assert_eq!(only.grow(alone << 20), Ok(()), "{mib}");
            assert!(only.grow(1).is_err(), "{mib}");
            drop(only);
            let other = of("other");
            assert_eq!(other.grow(1 << 20), Ok(()), "{mib}");
            let share = of("ci");
            assert_eq!(share.grow(beside << 20), Ok(()), "{mib}");
            assert!(share.grow(1).is_err(), "{mib}");
        }
    }

    #[test]
    fn one_key_alone_takes_more_until_another_one_comes_for_which_there_is_room() {
        let bodies = Bodies::of(100, 50, 80);
        let of = |key: &str| {
            let share = bodies.share();
            share.is_of(key);
            share
        };
        let [first, second, third] = ["early"; 3].map(of);
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(second.grow(20), Ok(()));
        assert_eq!(second.grow(1), Err(NoMemory::OfKey { most: 80 }));
        let late = of("late");
        assert_eq!(late.grow(20), Ok(()));
        // It has more than its part now, and gets none until it has less.
        assert!(third.reserve(0).is_ok(), "what has no body needs none");
        drop(first);
        assert_eq!(third.grow(30), Ok(()));
        assert_eq!(third.grow(1), Err(NoMemory::OfKey { most: 50 }));
        assert_eq!(late.grow(30), Ok(()));
        drop((second, late));
        assert_eq!(third.grow(50), Ok(()));
    }
}
