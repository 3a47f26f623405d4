//! Request bodies that have to keep coming.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::bodies::Share;

/// How far a body may fall behind: the time before it begins, and what a network is slow at times. Where it is held in memory, who
/// was fast before may not be silent for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many bytes have to come in a second, not to fall behind.
const BYTES_A_SECOND: u64 = 10_000;

/// How much is read of a body whose call is refused, and for how long.
const DRAINED: (usize, Duration) = (2 << 20, Duration::from_secs(5));
const DRAINED_OF_KNOWN: (usize, Duration) = (64 << 20, Duration::from_secs(60));
const DRAINED_SOON: Duration = Duration::from_secs(10);

/// A body that fails when it comes too slowly: who sends a byte a second would hold a connection and memory for ever. Time in
/// which nobody asks for more of it does not count: its call waits for room, or the upstream is slow.
pub(super) struct Incoming {
    body: Body,
    /// How long it was waited for until now.
    waited: Duration,
    /// How long it may be waited for still, if nothing comes.
    left: Duration,
    /// Since when it is waited for again.
    since: Option<Instant>,
    received: u64,
    /// Where it is kept, it takes of the memory that there is for bodies.
    share: Option<Share>,
    /// Whether it is held in memory until its call is answered, by whomever.
    is_held: bool,
    /// Whether it is copied out of what is read from the connection, which small parts would hold all of.
    is_copied: bool,
    /// Nearly always it is there already.
    due: Option<Pin<Box<Sleep>>>,
}

/// It came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly: {received} bytes in {} s", after.as_secs())]
pub(super) struct TooSlow {
    received: u64,
    after: Duration,
}

impl Incoming {
    /// A request whose body has to keep coming.
    pub(super) async fn of(request: Request) -> Request {
        request.map(|body| {
            Body::new(Incoming {
                is_copied: true,
                ..Incoming::new(body)
            })
        })
    }

    pub(super) fn new(body: Body) -> Self {
        Incoming {
            body,
            waited: Duration::ZERO,
            left: PATIENCE,
            since: None,
            received: 0,
            share: None,
            is_held: true,
            is_copied: false,
            due: None,
        }
    }

    /// One that is kept until its call is answered, and for which nothing was taken before.
    pub(super) fn kept(self, share: Share) -> Self {
        Incoming {
            share: Some(share),
            ..self
        }
    }

    /// One that is passed on as it comes: nothing is held of it.
    pub(super) fn passed_on(self) -> Self {
        Incoming {
            is_held: false,
            ..self
        }
    }
}

impl Incoming {
    /// Reads what a caller whose call is refused still sends: one that still writes does not read the answer, and sees the
    /// connection break. Not much of it, and not for long; `known`: of one that has shown a key, or need not, and has sent
    /// more than may be, as much as anybody would.
    pub(super) async fn drain(self, known: bool) {
        let (bytes, span) = match known {
            true => DRAINED_OF_KNOWN,
            false => DRAINED,
        };
        // What is not read in time is not read.
        let _ = timeout(span, self.read(bytes)).await;
    }

    /// The same of one for which there is no memory: for as long as its caller would wait to come again.
    pub(super) async fn drain_soon(self) {
        let _ = timeout(DRAINED_SOON, self.read(DRAINED_OF_KNOWN.0)).await;
    }

    async fn read(mut self, mut left: usize) {
        while let Some(Ok(frame)) = self.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    }
}

impl Incoming {
    /// So much has come of it.
    fn comes(&mut self, length: usize) {
        self.received += length as u64;
        let waited = self.since.take().map(|since| since.elapsed());
        let waited = waited.unwrap_or_default();
        self.waited += waited;
        let worth = Duration::from_micros(length as u64 * 1_000_000 / BYTES_A_SECOND);
        let left = self.left.saturating_sub(waited).saturating_add(worth);
        self.left = match self.is_held {
            true => left.min(PATIENCE),
            false => left,
        };
    }

    /// Whether it has fallen behind too far.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due.get_or_insert_with(|| {
            // Set at once.
            Box::pin(sleep_until(Instant::now()))
        });
        let since = *self.since.get_or_insert_with(|| {
            let now = Instant::now();
            due.as_mut().reset(now + self.left);
            now
        });
        std::task::ready!(due.as_mut().poll(cx));
        self.waited += since.elapsed();
        Poll::Ready(())
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.comes(length);
                if let Some(share) = &this.share
                    && let Err(none) = share.grow(length)
                {
                    share.cut(none, mem::take(&mut this.body));
                    return Poll::Ready(Some(Err(axum::Error::new(none))));
                }
                let copied = |data: Bytes| match this.is_copied {
                    true => Bytes::copy_from_slice(&data),
                    false => data,
                };
                Poll::Ready(Some(Ok(frame.map_data(copied))))
            }
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => {
                std::task::ready!(this.poll_due(cx));
                let slow = TooSlow {
                    received: this.received,
                    after: this.waited,
                };
                Poll::Ready(Some(Err(axum::Error::new(slow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = &self.received;
        f.debug_struct("Incoming")
            .field("received", received)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use tokio::time::sleep;

    use super::*;
    use crate::gateway::bodies::Bodies;

    /// A body of so many pieces of this length, one after each span.
    fn pieces(number: usize, length: usize, span: Duration) -> Incoming {
        let pieces = stream::iter(0..number).then(move |_| async move {
            sleep(span).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length]))
        });
        Incoming::new(Body::from_stream(pieces))
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asks_for_it_is_not_its_own() {
        let mut body = pieces(3, 1, Duration::from_secs(10));
        for _ in 0..3 {
            sleep(Duration::from_secs(600)).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.is_none());
        let mut late = pieces(3, 1, Duration::from_secs(14));
        assert!(late.frame().await.unwrap().is_ok());
        sleep(Duration::from_secs(600)).await;
        assert!(late.frame().await.unwrap().is_ok());
        assert!(
            late.frame().await.unwrap().is_err(),
            "it is waited for too long in all"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_there_is_no_memory_for_is_left_unread_and_can_be_drained() {
        let bodies = Bodies::new(250, 250);
        let share = bodies.share();
        let whole = pieces(2, 100, Duration::ZERO).kept(share.clone());
        assert_eq!(whole.collect().await.unwrap().to_bytes().len(), 200);
        // Another has what is left, which does not do.
        let other = bodies.share();
        let cut = pieces(5, 20, Duration::ZERO).kept(other.clone());
        let error = cut.collect().await.unwrap_err().to_string();
        assert!(error.contains("body_memory_mib"), "{error}");
        assert_eq!(bodies.taken(), 240);
        let rest = other.take_cut().unwrap().rest;
        assert_eq!(bodies.taken(), 200);
        assert_eq!(rest.collect().await.unwrap().to_bytes().len(), 40);
        drop((share, other));
        assert_eq!(bodies.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_a_byte_a_second_ends_and_what_comes_slowly_but_surely_does_not() {
        let slow = pieces(100, 1, Duration::from_secs(1)).collect().await;
        let said = slow.unwrap_err().to_string();
        assert!(
            said.contains("too slowly: ") && said.contains("in 30 s"),
            "{said}"
        );
        let sure = pieces(100, 20_000, Duration::from_secs(2)).collect().await;
        assert_eq!(sure.unwrap().to_bytes().len(), 2_000_000);
        // As it comes on the whole, and so that it is late now and then.
        let uneven = pieces(20, 300_000, Duration::from_secs(29)).collect().await;
        assert!(uneven.is_ok());
        let nothing = pieces(1, 1, Duration::from_secs(31)).collect().await;
        assert!(nothing.is_err());
        let late = pieces(1, 1, Duration::from_secs(29)).collect().await;
        assert!(late.is_ok());
    }

    /// What came fast buys no time for what does not come: memory would be held for all of it.
    #[tokio::test(start_paused = true)]
    async fn who_was_fast_may_be_silent_for_no_longer_than_others() {
        let fast = Bytes::from(vec![b'x'; 4 << 20]);
        let first = || stream::iter([Ok::<_, std::io::Error>(fast.clone())]);
        let then = |number: usize, span: Duration| {
            stream::iter(0..number).then(move |_| async move {
                sleep(span).await;
                Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
            })
        };
        let incoming = |number, span| {
            let pieces = first().chain(then(number, span));
            Incoming::new(Body::from_stream(pieces))
        };
        let body = |number, span| incoming(number, span).collect();
        // One that says nothing more, and one that says a word just before it is too late.
        for span in [31, 29] {
            let body = body(60, Duration::from_secs(span));
            let ended = timeout(Duration::from_secs(31), body).await;
            let said = ended.unwrap().unwrap_err().to_string();
            assert!(said.contains("too slowly"), "{said}");
        }
        assert!(body(1, Duration::from_secs(29)).await.is_ok());
        // Of one that is passed on nothing is held: on the whole it comes fast enough, until it does not.
        let passed_on = |number, span| incoming(number, span).passed_on().collect();
        assert!(passed_on(6, Duration::from_secs(60)).await.is_ok());
        assert!(passed_on(60, Duration::from_secs(60)).await.is_err());
    }
}
