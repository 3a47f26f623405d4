//! Counts that processes on many machines share, on a Redis or Valkey server, alone or in a cluster.
//!
//! [`RedisStore`] decides as [`MemoryStore`](super::MemoryStore) does, whichever process asks: what one takes the others
//! do not have, a budget is one budget, and calls that wait in several processes are let in one after another.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use tower_quota::{Limiter, Usage, limit::{Limit, Limits}, limiter::{Call, QueueOptions}, store::RedisStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The same in each process:
//! let limits = Limits::new([Limit::tokens(90_000).every(Duration::from_secs(60))])?;
//! let store = Arc::new(RedisStore::open("redis://127.0.0.1:6379?namespace=search", limits)?);
//! let limiter = Limiter::build(store.clone(), QueueOptions::new());
//! let permit = limiter.acquire(Call::new().tokens(600, 100)).await?;
//! permit.settle(Usage::new(600, 50));
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//! The server keeps one log of what the processes do, in one order and under its own time. A claim is put there by a script,
//! in one round trip, which brings what others have done since; each process does all of it again on counts of its own, in
//! memory, and so comes to the same decision. There is one engine, whatever the store; a claim under fifty limits costs the
//! server what one under a single limit costs. What comes while the server is asked goes along with the next round trip.
//! Of the clocks of processes only spans are used: how long ago something left.
//!
//! From time to time a process writes an image of all counts, and the log begins anew there. Everything is numbered by
//! its process, so that what is said twice is done once: after a timeout it is asked again.
//!
//! # Waiting
//! Each process has its own queue. Whoever is first there stands in a line that is in the log too, and from then on nobody
//! of another process takes what would make it wait longer, but those who stood there before: at most one for each place
//! that is first in another process's queue, or sixty-four of a process. A priority goes before the next by ten seconds of
//! waiting. What would not make it wait longer goes on. The first thirty-two who need the same are looked at. One that waits for
//! another limit, and for longer than a period of this one, keeps nobody from this one. Those who wait are woken when others
//! give something back.
//!
//! Processes that are at their limits for long may take room ahead, and ask once in a span of that: see
//! [`lease`](RedisOptions::lease).
//!
//! # When something breaks
//! - A process that dies: what it had under way counts as reserved when it was silent for
//!   [`silence`](RedisOptions::silence), the same in each, and its slots are free then. Should it only have been stopped, and
//!   go on, that stays so, whatever it says of it.
//! - A server that cannot be reached: [`OnError`] says what becomes of claims. What was granted before is settled when it
//!   is back; until then it is kept in memory.
//! - A server that comes back with less than it had, because it does not write each step to its disk, or because a replica
//!   took over that lacked some: the processes see it, and tell it again what they have done. Where it has lost more than
//!   the last 20 000 entries, or all, the first process that comes begins anew with its own counts, and until the others that
//!   were there have told theirs, or are dead, claims are answered as if it were away. So nothing is lost as
//!   long as one process lives that knows it. If all may end together with the server, set `appendfsync always`.
//! - A server without memory refuses, and nothing is half done. Give it `maxmemory-policy noeviction`: with another policy
//!   it may throw away counts.
//!
//! Servers that take over are expected to have the same time: one that is behind lets no time pass until it has caught up,
//! one that is ahead lets charges leave earlier by so much.
//!
//! # Limits that have changed
//! Those that a process is opened with hold for all from then on; how they are matched, and what becomes of amounts that
//! were changed at run time, is as with a store in a file. Open all with the same.
//!
//! # Versions
//! A version that only adds something to what is in the log joins an older one that runs, and the other way round. Where a
//! version has to be known by all, it does not join while older ones are there ([`OpenError::Older`]), and older ones end
//! with an error once it has ([`OpenError::Newer`]).
//!
//! # What it costs
//! Every process does what all do, so its work grows with the calls of all: it is made for tens of processes and thousands of
//! calls a second, not for thousands of processes. Where there are as many counts as
//! [`max_counts`](RedisOptions::max_counts) allows, processes may disagree on which values share one. Memory: the counts in each
//! process as with [`MemoryStore`](super::MemoryStore) and the last 20 000 entries of the log, and on the server an image of the
//! counts and the log since, with an entry for each claim, send and end. All keys of a namespace are in one slot of a cluster;
//! give parts that share nothing a namespace each.
//!
//! The server is Redis 6.2 or later, or any Valkey. While the slot of a namespace moves to another node of a cluster, it is
//! as if the server were away. A user with an ACL needs, on `~{tower-quota:*`, `+@read +@write +@scripting`, and besides
//! `+time +ping +client +hello +select`.

mod address;
mod alone;
mod along;
mod answers;
mod asks;
mod entry;
mod error;
mod history;
mod lease;
mod line;
mod link;
mod news;
mod notes;
mod options;
mod outage;
mod replica;
mod replies;
mod ring;
mod shared;
mod store;
mod trip;
mod worker;

pub use error::OpenError;
pub use options::{OnError, RedisOptions};
pub use store::RedisStore;
