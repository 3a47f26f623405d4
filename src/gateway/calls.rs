//! The calls that are open, for operators: where each is, and its end, should somebody want that.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hashbrown::HashMap;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use super::{rest::Rest, state::keys::key_tag};
use crate::{
    limiter::{CallState, Progress},
    tags::Tags,
};

/// All that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<u64, OpenCall>>>);

/// A call that is open.
#[derive(Debug)]
pub(super) struct OpenCall {
    pub(super) progress: Progress,
    /// Who calls.
    pub(super) tags: Tags,
    /// Of what it is asked: `/v1/chat/completions`.
    pub(super) path: Box<str>,
    rest: Rest,
}

/// A call's own handle: as long as it is there the call is open.
#[derive(Debug)]
pub(super) struct Open {
    calls: Calls,
    id: u64,
    rest: Rest,
}

impl Calls {
    /// Another is open.
    pub(super) fn open(&self, progress: Progress, tags: Tags, path: &str) -> Open {
        let rest = Rest::default();
        let id = progress.id();
        let call = OpenCall {
            progress,
            tags,
            path: path.into(),
            rest: rest.clone(),
        };
        self.0.lock().insert(id, call);
        Open {
            calls: self.clone(),
            id,
            rest,
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
    /// Ends those that wait, of a key that is good no more.
    pub(super) fn cancel_waiting_of(&self, key: &str) {
        let waits = |progress: &Progress| {
            matches!(
                progress.state_without_ahead(),
                CallState::Waiting(_) | CallState::BackingOff { .. }
            )
        };
        let all = self.each(|id, progress, tags, _| {
            let is_of_key = tags.get(&key_tag()) == Some(key);
            (is_of_key && waits(progress)).then_some(id)
        });
        all.into_iter()
            .flatten()
            .for_each(|id| drop(self.cancel(id)));
    }
}

impl Open {
    /// Completes when somebody cancels it.
    pub(super) async fn cancelled(&self) {
        poll_fn(|cx| self.rest.poll_cancelled(cx)).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let call = self.calls.0.lock().remove(&self.id);
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
