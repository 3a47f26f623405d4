//! The handle on a server that is counted on.

use std::{fmt, sync::Arc, thread::JoinHandle};

use parking_lot::Mutex;

use super::{
    OpenError, RedisOptions,
    entry::{Op, Process},
    history::new_epoch,
    images::{self, Images},
    lease::Pace,
    link::{Ask, Failure, Link, part},
    news,
    options::Keys,
    replica::Replica,
    ring::Ring,
    shared::{Shared, instant},
    trip::{ENTRIES, given},
    worker::{Settings, Worker},
};
use crate::{
    error::StoreError,
    limit::Limits,
    store::{Snapshot, clock::told::At},
};

/// Counts that processes and machines share, on a Redis or Valkey server; see the [module](crate::store::redis).
///
/// # Answers
/// Whatever takes room, gives it back, or changes what is counted is answered when the server has it. While the server
/// cannot be reached, claims are answered as [`OnError`](super::OnError) says, and what was granted before is settled
/// when the server is back.
///
/// # Cancel safety
/// As for [`Store`](crate::store::Store). What was asked is done, whether or not its future is polled.
pub struct RedisStore {
    pub(super) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl RedisStore {
    /// Joins the processes that count on this server, or is the first, with default [`RedisOptions`].
    ///
    /// # Errors
    /// If the address makes no sense, the server cannot be reached, or its contents cannot be used to count.
    pub fn open(url: &str, limits: Limits) -> Result<Self, OpenError> {
        RedisOptions::new(url, limits)?.open()
    }

    pub(super) fn start(options: RedisOptions) -> Result<Self, OpenError> {
        let server = options.address.to_string();
        let unreachable = |reason: String| OpenError::Unreachable {
            server: server.clone(),
            reason,
        };
        // The thread has a clock of its own.
        let passed = options.passed_in.as_ref().map(|clock| clock.at());
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("tower-quota redis".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(async move {
                    match open(options, passed).await {
                        Ok(worker) => {
                            let shared = worker.shared.clone();
                            let _ = ready.send(Ok(shared.clone()));
                            let gone = Gone(shared);
                            let done = worker.run().await;
                            drop(gone);
                            done
                        }
                        Err(error) => {
                            let _ = ready.send(Err(error));
                            Ok(())
                        }
                    }
                })
            })
            .map_err(|error| unreachable(error.to_string()))?;
        let opened = opened.recv();
        let shared =
            opened.map_err(|_| unreachable("the thread that asks it ended at once".into()))??;
        Ok(RedisStore {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns what is counted, as far as is known here, as data; see
    /// [`MemoryStore::snapshot`](crate::store::MemoryStore::snapshot).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.lock().replica.store().snapshot()
    }

    /// Returns how many counts are kept: one for each tag value that limits are split by.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().replica.store().len()
    }

    /// Returns whether nothing is counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many processes count there, including this one, as far as is known here.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.shared.lock().replica.live().count()
    }

    /// Finishes what is left to do, and leaves. Blocks on the server.
    ///
    /// Whatever is asked of this store from then on is an error, and what is open counts as reserved.
    ///
    /// # Errors
    /// If the server cannot be reached: what it was not told is lost.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.lock().take() else {
            return Ok(());
        };
        {
            let state = &mut *self.shared.lock();
            for number in state.along.all_left() {
                self.shared.queue(state, Op::Release(number), None);
            }
            self.shared.queue(state, Op::Leave, None);
            state.closed = true;
        }
        self.shared.work.notify_one();
        if thread.thread().id() == std::thread::current().id() {
            // The thread itself has let go the last limiter that had it, and ends by itself.
            return Ok(());
        }
        match thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(self.shared.error(&reason)),
            Err(_) => Err(self.shared.error("the thread that asks it has panicked")),
        }
    }
}

/// Tells whoever waits that nobody answers any more.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let left = {
            let state = &mut *self.0.lock();
            state.gone = true;
            (
                std::mem::take(&mut state.queue),
                std::mem::take(&mut state.readers),
            )
        };
        // Whoever waits hears of it here, and may ask at once.
        drop(left);
    }
}

/// Joins, or begins.
async fn open(options: RedisOptions, passed: Option<At>) -> Result<Worker, OpenError> {
    let server = options.address.to_string();
    let keys = Keys::of(&options.namespace);
    let mut link = Link::new(options.address.clone(), keys, options.timeout);
    let me = Process::new();
    begin(&mut link, &options, (me, passed)).await?;
    let damaged = |reason| OpenError::Damaged {
        server: server.clone(),
        reason,
    };
    let asked = images::read(&mut link).await;
    let parts = asked.map_err(|failure| unreachable(&server, failure))?;
    let image: Option<String> = part(&parts, 5).map_err(damaged)?;
    let image = image.ok_or_else(|| OpenError::ImageGone {
        server: server.clone(),
    })?;
    let (replica, tail) = Replica::of_text(&image).map_err(damaged)?;
    let mut ring = Ring::default();
    ring.learn(tail, &replica);
    let shared = Arc::new(Shared::new(&options, me, replica));
    let mut worker = Worker {
        shared: shared.clone(),
        link,
        pending: std::collections::VecDeque::new(),
        found: None,
        page: ENTRIES,
        is_behind: false,
        ring,
        images: Images::default(),
        settings: Settings {
            silence: options.silence,
            each_alone: options.each_alone,
            image_after: options.image_after,
            form: options.form,
        },
        asked: instant(),
        pace: Pace::new(options.lease_span()),
        replies: Vec::new(),
        notes: Vec::new(),
        renewed: instant(),
        restored: 0,
        told: 0,
    };
    // What stands in the log first: which limits it was opened with last.
    let failed = |failure| unreachable(&server, failure);
    worker.round().await.map_err(failed)?;
    {
        let state = &mut *shared.lock();
        let given = &options.limits;
        let limits = match state.replica.was_given(given) {
            false => Some(given.iter().cloned().collect()),
            // Where nobody has done anything yet they stand in the image alone, which is nothing to those who were there before
            // the server lost all. What is said here they are told again.
            true if state.replica.seen().next().is_none() => Some(state.replica.given().to_vec()),
            true => None,
        };
        let by = options.by.clone();
        shared.queue_at(state, Op::Join { limits, by }, None, passed);
    }
    worker.round().await.map_err(failed)?;
    if options.lease_span().is_zero() {
        let keys = Keys::of(&options.namespace);
        let beside = Link::new(options.address.clone(), keys, options.timeout);
        tokio::spawn(news::listen(shared, beside));
    }
    Ok(worker)
}

async fn begin(
    link: &mut Link,
    options: &RedisOptions,
    (me, passed): (Process, Option<At>),
) -> Result<(), OpenError> {
    let server = options.address.to_string();
    let epoch = new_epoch();
    let limits = options.limits.clone();
    let fresh = Replica::new(limits, options.most, &epoch, passed.unwrap_or_default());
    let image = fresh
        .text(Vec::new())
        .map_err(|reason| OpenError::Damaged {
            server: server.clone(),
            reason,
        })?;
    let (form, needs) = options.form;
    let args = [
        epoch,
        me.to_string(),
        form.to_string(),
        needs.to_string(),
        image,
    ];
    let mut args: Vec<Vec<u8>> = args.map(String::into_bytes).into();
    args.extend(given(passed));
    args.push(options.silence.as_micros().to_string().into_bytes());
    let asked = link.ask(Ask::Begin, &args).await;
    let parts = asked.map_err(|failure| unreachable(&server, failure))?;
    let said = |place| part::<String>(&parts, place);
    let number = || said(1).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    match said(0).as_deref() {
        Ok("ok") => Ok(()),
        Ok("newer") => Err(OpenError::Newer {
            wanted: number(),
            known: form,
            server,
        }),
        Ok("older") => Err(OpenError::Older {
            found: number(),
            wanted: needs,
            server,
        }),
        other => Err(OpenError::Damaged {
            reason: format!("it answered {other:?}"),
            server,
        }),
    }
}

fn unreachable(server: &str, failure: Failure) -> OpenError {
    OpenError::Unreachable {
        server: server.to_owned(),
        reason: failure.reason,
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        // Nobody is left to hear of it: whoever wants to closes it first.
        let _ = self.close();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.shared.server)
            .field("counts", &self.len())
            .finish_non_exhaustive()
    }
}
