//! The calls that are open, for operators: where each is, and its end, should somebody want that.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use hashbrown::HashMap;
use http_body::{Frame, SizeHint};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{rest::Rest, state::keys::key_tag};
use crate::{
    limiter::{CallState, Progress},
    tags::Tags,
};

/// All that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<u64, OpenCall>>>);

/// Until when a call's key is good, where that ends by itself.
type Until = Arc<Mutex<Option<Instant>>>;

/// A call that is open.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) progress: Progress,
    /// Who calls.
    pub(super) tags: Tags,
    /// Of what it is asked: `/v1/chat/completions`.
    pub(super) path: Box<str>,
    rest: Rest,
    until: Until,
    /// Whether the layers look at it on its way: where they do not, nobody knows where it is.
    is_seen: bool,
}

/// A call's own handle: as long as it is there the call is open.
#[derive(Debug)]
pub(super) struct Open {
    calls: Calls,
    progress: Progress,
    rest: Rest,
    until: Until,
}

impl Calls {
    /// Another is open.
    pub(super) fn open(&self, progress: Progress, tags: Tags, path: &str) -> Open {
        let (rest, until) = (Rest::default(), Until::default());
        let call = OpenCall {
            progress: progress.clone(),
            tags,
            path: path.into(),
            rest: rest.clone(),
            until: until.clone(),
            is_seen: true,
        };
        self.0.lock().insert(progress.id(), call);
        Open {
            calls: self.clone(),
            progress,
            rest,
            until,
        }
    }

    /// Looks at each, the oldest first.
    pub(super) fn each<T>(&self, look: impl Fn(u64, &Progress, &Tags, &str) -> T) -> Vec<T> {
        // What looks may take locks: not under this one.
        let mut all: Vec<(u64, Progress, Tags, Box<str>)> = {
            let calls = self.0.lock();
            let all = calls.iter();
            let copied = all.map(|(id, call)| {
                let (progress, tags) = (call.progress.clone(), call.tags.clone());
                (*id, progress, tags, call.path.clone())
            });
            copied.collect()
        };
        all.sort_unstable_by_key(|(id, ..)| *id);
        let all = all.iter();
        all.map(|(id, progress, tags, path)| look(*id, progress, tags, path))
            .collect()
    }

    /// Ends one, whatever it is at. Says whose it was, if it was open.
    pub(super) fn cancel(&self, id: u64) -> Option<Tags> {
        let call = self.0.lock().remove(&id)?;
        call.rest.cancel();
        Some(call.tags)
    }
}

impl Calls {
    /// Ends those of a key that is good no more: at once where they wait, back off, or are still received. What is under way goes
    /// on, and is not sent once more. Each looks at that itself: seen from here, what waits may have left just now.
    pub(super) fn cancel_waiting_of(&self, key: &str) {
        self.tell_those_of(key, |call| call.progress.end());
    }

    /// A key is good until then from now on: so are its calls.
    pub(super) fn key_lasts(&self, key: &str, expires: Option<Timestamp>) {
        let until = instant_of(expires);
        self.tell_those_of(key, |call| *call.until.lock() = until);
    }

    /// Does something to those of a key that the layers look at, and has them look themselves.
    fn tell_those_of(&self, key: &str, tell: impl Fn(&OpenCall)) {
        let of_key: Vec<Rest> = {
            let calls = self.0.lock();
            let of_key = calls.values().filter(|call| {
                let is_of_key = call.tags.get(&key_tag()) == Some(key);
                is_of_key && call.is_seen
            });
            let told = of_key.inspect(|call| tell(call));
            told.map(|call| call.rest.clone()).collect()
        };
        // Who is woken may take locks: not under that one.
        of_key.iter().for_each(Rest::wake);
    }
}

/// When a key expires, by the clock that calls wait by. One that is over by now is over at once.
fn instant_of(expires: Option<Timestamp>) -> Option<Instant> {
    let left = expires?.duration_since(Timestamp::now());
    Instant::now().checked_add(Duration::try_from(left).unwrap_or_default())
}

/// Whether nothing of a call is under way, though it is to be sent.
fn is_idle(progress: &Progress) -> bool {
    matches!(
        progress.state_without_ahead(),
        CallState::Received | CallState::Waiting(_) | CallState::BackingOff { .. }
    )
}

impl Open {
    /// The same of a call that no layer looks at: it is under way from the beginning.
    pub(super) fn unseen(self) -> Self {
        if let Some(call) = self.calls.0.lock().get_mut(&self.progress.id()) {
            call.is_seen = false;
        }
        self
    }

    /// The same with a key that expires then, where it does.
    pub(super) fn good_until(self, expires: Option<Timestamp>) -> Self {
        *self.until.lock() = instant_of(expires);
        self
    }

    /// Completes when somebody cancels it, or when its key is good no more and nothing of it is under way. Polled before the call
    /// itself, it is asked each time before something of that can leave.
    pub(super) async fn cancelled(&self) {
        // On the heap: few keys end by themselves.
        let mut ends: Option<(Instant, Pin<Box<Sleep>>)> = None;
        poll_fn(|cx| {
            if self.rest.poll_cancelled(cx).is_ready() {
                return Poll::Ready(());
            }
            let until = *self.until.lock();
            if ends.as_ref().map(|(at, _)| *at) != until {
                ends = until.map(|at| (at, Box::pin(sleep_until(at))));
            }
            let has_ended = ends.as_mut().is_some_and(|(_, ends)| {
                let ended = ends.as_mut().poll(cx);
                ended.is_ready()
            });
            if has_ended {
                *self.until.lock() = None;
                self.progress.end();
            }
            match self.progress.is_over() && is_idle(&self.progress) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let call = self.calls.0.lock().remove(&self.progress.id());
        drop(call);
    }
}

/// The answer of a call that is open until it ends.
#[derive(Debug)]
pub(super) struct OpenBody {
    rest: Rest,
    open: Option<Open>,
}

impl OpenBody {
    pub(super) fn new(body: Body, open: Open) -> Self {
        let rest = open.rest.clone();
        rest.begin(body);
        OpenBody {
            rest,
            open: Some(open),
        }
    }
}

impl http_body::Body for OpenBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.open.is_none() {
            return Poll::Ready(None);
        }
        let frame = ready!(self.rest.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.open = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{
        limit::{Limit, Limits},
        limiter::{Call, Limiter},
    };

    fn until(open: Open, ends: Instant) -> Open {
        *open.until.lock() = Some(ends);
        open
    }

    fn open(calls: &Calls, progress: &Progress, key: &str) -> Open {
        let tags = Tags::new().with("key", key);
        calls.open(progress.clone(), tags, "/v1/chat/completions")
    }

    async fn is_cancelled(open: &Open) -> bool {
        let soon = timeout(Duration::from_millis(5), open.cancelled());
        soon.await.is_ok()
    }

    fn limiter() -> Limiter {
        Limiter::new(Limits::new([Limit::concurrency(1)]).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_key_that_is_good_no_more_what_is_received_or_waits_ends() {
        let (calls, limiter) = (Calls::default(), limiter());
        let [received, waiting, other] = [(); 3].map(|()| Progress::new());
        let held = limiter.acquire(Call::new()).await.unwrap();
        let call = Call::new().progress(&waiting);
        let waits = tokio::spawn(async move { limiter.acquire(call).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(matches!(waiting.state(), CallState::Waiting(_)));

        let of_ci = [&received, &waiting].map(|progress| open(&calls, progress, "ci"));
        let of_other = open(&calls, &other, "other");
        calls.cancel_waiting_of("ci");
        for open in &of_ci {
            assert!(is_cancelled(open).await);
        }
        assert!(!is_cancelled(&of_other).await);
        drop(of_ci);
        assert_eq!(calls.each(|id, _, _, _| id), [other.id()]);
        waits.abort();
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nothing_else_wakes_ends_with_its_key() {
        let calls = Calls::default();
        let open = open(&calls, &Progress::new(), "ci");
        let waits = tokio::spawn(async move { open.cancelled().await });
        for is_over in [false, true] {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(waits.is_finished(), is_over);
            calls.cancel_waiting_of("ci");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_goes_on_and_is_not_sent_once_more() {
        let calls = Calls::default();
        for by_itself in [false, true] {
            let progress = Progress::new();
            let in_hand = progress.taken_in();
            let permit = limiter().acquire(Call::new().progress(&progress)).await;
            let permit = permit.unwrap();
            let ends = Instant::now() + Duration::from_secs(60);
            let open = open(&calls, &progress, "ci");
            let open = match by_itself {
                true => until(open, ends),
                false => open,
            };
            assert!(!is_cancelled(&open).await);
            tokio::time::sleep_until(ends).await;
            if !by_itself {
                calls.cancel_waiting_of("ci");
            }
            assert!(!is_cancelled(&open).await, "an attempt is under way");
            drop(permit);
            assert!(is_cancelled(&open).await, "it would be sent once more");
            drop(in_hand);
            assert!(!is_cancelled(&open).await, "it is answered");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_ends_with_its_key() {
        let calls = Calls::default();
        let ends = Instant::now() + Duration::from_secs(60);
        let open = until(open(&calls, &Progress::new(), "ci"), ends);
        let soon = timeout(Duration::from_secs(59), open.cancelled()).await;
        assert!(soon.is_err(), "its key is good still");
        let late = timeout(Duration::from_secs(2), open.cancelled()).await;
        assert!(late.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_goes_by_when_its_key_expires_now() {
        let calls = Calls::default();
        let in_seconds = |seconds| Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        for (later, lasts) in [
            (Some(in_seconds(600)), 590),
            (None, 3_600),
            (Some(in_seconds(5)), 1),
        ] {
            let open = open(&calls, &Progress::new(), "ci").good_until(Some(in_seconds(60)));
            let ended = tokio::spawn(async move { open.cancelled().await });
            tokio::task::yield_now().await;
            calls.key_lasts("other", Some(in_seconds(0)));
            calls.key_lasts("ci", later);
            tokio::time::sleep(Duration::from_secs(lasts)).await;
            assert!(!ended.is_finished(), "{later:?}");
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(ended.is_finished(), later.is_some(), "{later:?}");
            ended.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_layer_looks_at_is_under_way() {
        let calls = Calls::default();
        let open = open(&calls, &Progress::new(), "ci").unseen();
        calls.cancel_waiting_of("ci");
        assert!(!is_cancelled(&open).await);
        assert!(calls.cancel(open.progress.id()).is_some());
        assert!(is_cancelled(&open).await, "by hand it ends");
    }
}
