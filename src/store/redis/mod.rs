//! Counts that processes on many machines share, on a Redis or Valkey server, alone or in a cluster.
//!
//! [`RedisStore`] decides as [`MemoryStore`](super::MemoryStore) does, whichever process asks: what one process takes,
//! the others do not have; a budget is one budget; and calls that wait in several processes are admitted one after
//! another.
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
//! The server keeps one log of what the processes do, in one order and by its own time. A script appends a claim to it
//! in one round trip, which also brings what others have done since. Each process repeats all of it on counts of its
//! own, in memory, and so comes to the same decision. There is one engine, whatever the store: a claim under fifty
//! limits costs the server what a claim under a single limit costs. What arrives while the server is being asked goes
//! along with the next round trip. Of the processes' clocks only spans are used: how long ago something left.
//!
//! From time to time a process writes an image of all counts, and the log starts again from there. Every entry is
//! numbered by its process, so that what is sent twice is done once: after a timeout it is sent again. An image that the
//! server does not take is tried again, after a second and then after longer spans up to a minute. Once the log is ten
//! times as long as it is to be, [`health`](crate::store::Store::health) says so, as it grows until the server is full.
//!
//! # Waiting
//! Each process has its own queue. The call that is first there also stands in a line that is part of the log. From
//! then on, no other process takes anything that would make this call wait longer, except for calls that stood in the
//! line before it: at most one for each first place in another process's queue, and at most sixty-four of one process.
//! One step of priority counts as ten seconds of waiting. Claims that would not make it wait longer go ahead. For each
//! claim, the first thirty-two calls in the line that need the same are considered. A call that waits for another
//! limit, for longer than a period of this one, does not hold up anybody at this one. Waiting calls are woken when
//! others give something back.
//!
//! [Guaranteed shares](crate::limit::Limit::share) hold within each process: there a call that is below its share goes
//! first. Between processes it has no more than its place in the line, and waits for the first calls of other processes
//! that came before, whoever makes them: of two processes that both have calls waiting, each has about half of what
//! becomes free. Where a share is to hold over all, have all calls under that limit made by one process, or give the
//! party a limit of its own.
//!
//! Processes that are at their limits for long periods may take room ahead, and ask only once in a certain span; see
//! [`lease`](RedisOptions::lease).
//!
//! # When something breaks
//! - If a process dies, what it had under way counts as reserved once it has been silent for
//!   [`silence`](RedisOptions::silence), and its slots are free then. If it was only stopped and goes on, that stays so,
//!   whatever it reports about those attempts. Set the same silence in all processes: whichever looks for dead ones
//!   judges the others by its own.
//! - If the server cannot be reached, [`OnError`] says what becomes of claims. What was granted before is settled when
//!   the server is back; until then it is kept in memory.
//! - If the server comes back with less than it had, because it does not write each step to its disk or because a
//!   replica that lacked some took over, the processes see this and tell it again what they have done. If it has lost
//!   more than the last 20 000 entries, or everything, the first of these processes that arrives starts again from its
//!   own counts. Until the others that were there have told theirs, or are dead, claims are answered as if the server
//!   were away. So nothing is lost as long as one process that knows it is alive. If all processes may end together with
//!   the server, set `appendfsync always`.
//! - If the server has lost everything and a new process arrives before any that was there, it grants as if nothing had
//!   been used, until one that was there asks: within a third of the silence, and at once if one is busy. Then all of it
//!   counts, but so much may be overspent, whatever [`OnError`] says.
//! - If the server is out of memory it refuses, and nothing is half done. Give it `maxmemory-policy noeviction`: with
//!   another policy it may throw away counts. If it throws away the image alone, the next process that asks writes it
//!   again, and nothing is lost: a new process waits for that, and is not opened if nobody comes
//!   ([`OpenError::ImageGone`]). One that lacks something waits, too, for five seconds at most, and then goes on from what
//!   it knows until the others have told what they know.
//!
//! Servers that take over are expected to have the same time, and clocks to go forwards. A server that is ahead lets
//! charges leave earlier by the difference. One that is behind by up to five seconds lets no time pass until it has
//! caught up. If it is further behind, or its clock is set back by more than that, counting goes on from where it stood,
//! so that no charge leaves early, and each later by the time for which nobody asked meanwhile; when the clock is put
//! right in one step, nothing leaves early either. If it is put right in several steps, charges may leave earlier by
//! up to the time by which it was behind. Calendars always go by what the clock shows.
//!
//! # Limits that have changed
//! The limits that a process is opened with are in force for all processes from then on, also for those that were there
//! before the server had lost everything. How limits are matched, and what becomes of amounts that were changed at run
//! time, is the same as with a store in a file. Open all processes with the same limits.
//!
//! # Versions
//! A version that only adds something to the contents of the log can join a running older one, and the other way round.
//! If a version must be known by all, it does not join while older ones are there ([`OpenError::Older`]), and older
//! ones end with an error once it has joined ([`OpenError::Newer`]).
//!
//! # What it costs
//! Every process does what all processes do, so its work grows with the calls of all: this is made for tens of
//! processes and thousands of calls a second, not for thousands of processes. Where there are as many counts as
//! [`max_counts`](RedisOptions::max_counts) allows, processes may disagree on which values share one. In memory, each
//! process has the counts, as with [`MemoryStore`](super::MemoryStore), and the last 20 000 entries of the log; the
//! server has an image of the counts and the log since then, with an entry for each claim, send and end. All keys of a
//! namespace are in one slot of a cluster; use separate namespaces for parts that share nothing.
//!
//! The server must be Redis 6.2 or later, or any Valkey. While the slot of a namespace moves to another node of a
//! cluster, it is as if the server were away. A user with an ACL needs `+@read +@write +@scripting` on
//! `~{tower-quota:*`, and also `+time +ping +client +hello +select`. Without `+exists`, which is in `+@read`, no process
//! sees that the server has thrown away the image: it is not written again before the next one is due.

mod address;
mod alone;
mod along;
mod answers;
mod asks;
mod entry;
mod error;
mod history;
mod images;
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
