//! The memory that the bodies of calls take, which all of them together have a bound.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

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
    /// Whether it was to be more than there is.
    is_cut: AtomicBool,
}

/// There is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bodies of the calls that are here take all the {} MiB that there are for them: come again in a moment, or have \
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
    ///
    /// # Errors
    /// Where nothing is left.
    pub(super) fn share(&self) -> Result<Share, NoMemory> {
        if self.0.taken.load(Ordering::Relaxed) >= self.0.most {
            return Err(self.none_left());
        }
        Ok(Share(Arc::new(Taken {
            of: self.clone(),
            bytes: AtomicUsize::new(0),
            is_cut: AtomicBool::new(false),
        })))
    }

    fn none_left(&self) -> NoMemory {
        NoMemory { most: self.0.most }
    }
}

impl Share {
    /// It takes so many bytes more.
    ///
    /// # Errors
    /// Where there are not so many. Then it takes no more than before.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), NoMemory> {
        let Taken { of, .. } = &*self.0;
        let before = of.0.taken.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > of.0.most {
            of.0.taken.fetch_sub(bytes, Ordering::Relaxed);
            self.0.is_cut.store(true, Ordering::Relaxed);
            return Err(of.none_left());
        }
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Why its body broke off, where that is for want of memory.
    pub(super) fn cut(&self) -> Option<NoMemory> {
        let is_cut = self.0.is_cut.load(Ordering::Relaxed);
        is_cut.then(|| self.0.of.none_left())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.of.0.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let bodies = Bodies::new(100);
        let (first, second) = (bodies.share().unwrap(), bodies.share().unwrap());
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(second.grow(40), Ok(()));
        assert_eq!(bodies.share().unwrap_err(), bodies.none_left());
        assert_eq!(second.grow(1), Err(bodies.none_left()));
        assert_eq!(
            (first.cut(), second.cut()),
            (None, Some(bodies.none_left()))
        );
        let clone = first.clone();
        drop(first);
        assert!(bodies.share().is_err(), "it has its bytes still");
        drop(clone);
        let third = bodies.share().unwrap();
        assert_eq!(third.grow(61), Err(bodies.none_left()));
        assert_eq!(third.grow(60), Ok(()));
        drop((second, third));
        assert_eq!(bodies.0.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_that_is_refused_leaves_room_for_those_that_are_not() {
        let bodies = Bodies::new(100);
        let (large, small) = (bodies.share().unwrap(), bodies.share().unwrap());
        assert!(large.grow(101).is_err());
        assert_eq!(small.grow(100), Ok(()));
    }
}
