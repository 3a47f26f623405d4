//! The memory that the bodies of calls take: all of them together have a bound.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use parking_lot::Mutex;

use crate::call::BODY_CAP;

/// Memory for bodies. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Bodies(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    /// In bytes.
    most: usize,
    taken: AtomicUsize,
}

/// What the body of one call takes, until the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Share(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    of: Bodies,
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
#[error(
    "the bodies of the calls that are here take the {} MiB that there are for them: come again in a moment, or have \
     whoever runs this gateway raise `gateway.body_memory_mib` or let fewer calls wait by `rate_limiting.queue.max_waiting`",
    .most >> 20
)]
pub(super) struct NoMemory {
    most: usize,
}

impl Bodies {
    /// So much, and as much at least as one body may be.
    pub(super) fn of_mib(mib: u32) -> Self {
        let bytes = usize::try_from(mib).map_or(usize::MAX, |mib| mib.saturating_mul(1 << 20));
        Self::new(bytes.max(BODY_CAP))
    }

    /// So many bytes.
    pub(super) fn new(most: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Bodies(Arc::new(Memory { most, taken }))
    }

    /// That of one more call, which takes nothing yet.
    pub(super) fn share(&self) -> Share {
        Share(Arc::new(Taken {
            of: self.clone(),
            bytes: AtomicUsize::new(0),
            cut: Mutex::default(),
        }))
    }

    fn give_back(&self, bytes: usize) {
        self.0.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many bytes are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    /// It is to take so many bytes, which come later. They are taken at once, where no more than half is taken then: nobody is
    /// to hold all that there is by promises. Whether they are; else they are taken [as they come](Self::grow).
    ///
    /// # Errors
    /// Where there are not so many.
    pub(super) fn reserve(&self, bytes: usize) -> Result<bool, NoMemory> {
        let Memory { most, taken } = &*self.0.of.0;
        if self.grow_within(bytes, most / 2) {
            return Ok(true);
        }
        match taken.load(Ordering::Relaxed).saturating_add(bytes) <= *most {
            true => Ok(false),
            false => Err(NoMemory { most: *most }),
        }
    }

    /// It takes so many bytes more.
    ///
    /// # Errors
    /// Where there are not so many. Then it takes no more than before.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), NoMemory> {
        let most = self.0.of.0.most;
        match self.grow_within(bytes, most) {
            true => Ok(()),
            false => Err(NoMemory { most }),
        }
    }

    fn grow_within(&self, bytes: usize, most: usize) -> bool {
        let grown = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= most);
        let taken = &self.0.of.0.taken;
        let grew = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        if grew.is_ok() {
            self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        grew.is_ok()
    }

    /// Its body was cut, and this is not read of it.
    pub(super) fn cut(&self, why: NoMemory, rest: Body) {
        *self.0.cut.lock() = Some(Cut { why, rest });
    }

    /// Its body, where that was cut. It takes nothing any more then: what was read of it is gone.
    pub(super) fn take_cut(&self) -> Option<Cut> {
        let cut = self.0.cut.lock().take()?;
        let bytes = self.0.bytes.swap(0, Ordering::Relaxed);
        self.0.of.give_back(bytes);
        Some(cut)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let bytes = mem::take(self.bytes.get_mut());
        self.of.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let bodies = Bodies::new(100);
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
        let bodies = Bodies::new(100);
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
}
