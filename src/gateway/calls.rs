//! The calls that are open, for operators: where each is, and its end, should somebody want that.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hashbrown::HashMap;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::state::keys::key_tag;
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
    /// Dropped or used, it cancels.
    cancel: Option<oneshot::Sender<()>>,
}

/// A call's own handle: as long as it is there the call is open.
#[derive(Debug)]
pub(super) struct Open {
    calls: Calls,
    id: u64,
    cancelled: oneshot::Receiver<()>,
}

impl Calls {
    /// Another is open.
    pub(super) fn open(&self, progress: Progress, tags: Tags, path: &str) -> Open {
        let (cancel, cancelled) = oneshot::channel();
        let id = progress.id();
        let call = OpenCall {
            progress,
            tags,
            path: path.into(),
            cancel: Some(cancel),
        };
        self.0.lock().insert(id, call);
        Open {
            calls: self.clone(),
            id,
            cancelled,
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

    /// Ends one. Says whether it was open.
    pub(super) fn cancel(&self, id: u64) -> Option<Tags> {
        let mut calls = self.0.lock();
        let call = calls.get_mut(&id)?;
        let cancel = call.cancel.take()?;
        let tags = call.tags.clone();
        drop(calls);
        cancel.send(()).ok().map(|()| tags)
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
    pub(super) async fn cancelled(&mut self) {
        if (&mut self.cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let call = self.calls.0.lock().remove(&self.id);
        drop(call);
    }
}

/// A stream was cut off by hand.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an operator cancelled this call")]
pub(super) struct Cancelled;

pin_project! {
    /// The answer of a call that is open until it ends.
    pub(super) struct OpenBody {
        #[pin]
        body: Body,
        open: Option<Open>,
    }
}

impl OpenBody {
    pub(super) fn new(body: Body, open: Open) -> Self {
        OpenBody {
            body,
            open: Some(open),
        }
    }
}

impl http_body::Body for OpenBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut this = self.project();
        let Some(open) = this.open.as_mut() else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(Ok(())) = Pin::new(&mut open.cancelled).poll(cx) {
            *this.open = None;
            this.body.set(Body::empty());
            return Poll::Ready(Some(Err(axum::Error::new(Cancelled))));
        }
        let frame = std::task::ready!(this.body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.open = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for OpenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBody")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
