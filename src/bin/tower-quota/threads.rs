//! The threads that everything runs on.

use std::{env, io, num::NonZeroUsize, thread::available_parallelism};

use tokio::runtime::{Builder, Runtime};

/// A name that tokio reads itself, where nothing else is said.
const WORKER_THREADS: &str = "TOKIO_WORKER_THREADS";

/// A runtime of so many threads; half as many as there are processors, where nothing is said.
pub(crate) fn runtime(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.get());
    } else if env::var_os(WORKER_THREADS).is_none() {
        builder.worker_threads(half(available_parallelism().map_or(1, NonZeroUsize::get)));
    }
    builder.enable_all().build()
}

/// Calls share their counts: the more threads, the more often one waits for another, or is woken for nothing. The other half is
/// for the threads that write, and for the system.
fn half(processors: usize) -> usize {
    (processors / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_half_of_the_processors_and_one_at_least() {
        assert_eq!([1, 2, 3, 4, 64].map(half), [1, 1, 1, 2, 32]);
        let three = runtime(NonZeroUsize::new(3)).unwrap();
        assert_eq!(three.metrics().num_workers(), 3);
    }
}
