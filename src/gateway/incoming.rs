//! Request bodies that have to keep coming.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::bodies::{NoMemory, Share};

/// What a body may take beside its length: the time before it begins, and what a network is slow at times.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many bytes have to come in a second on the average beyond that.
const BYTES_A_SECOND: u64 = 10_000;

/// How much is read of a body whose call is refused, and for how long.
const DRAINED: (usize, Duration) = (2 << 20, Duration::from_secs(5));
const DRAINED_OF_KNOWN: (usize, Duration) = (64 << 20, Duration::from_secs(60));

/// A body that fails when it comes too slowly: who sends a byte a second would hold a connection and memory for ever. Time in
/// which nobody asks for more of it does not count: its call waits for room, or the upstream is slow.
pub(super) struct Incoming {
    body: Body,
    /// How long it was waited for until now.
    waited: Duration,
    /// Since when it is waited for again.
    since: Option<Instant>,
    received: u64,
    /// Where it is kept, it takes of the memory that there is for bodies.
    share: Option<Share>,
    /// How much of it was thrown away.
    dropped: usize,
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
        request.map(|body| Body::new(Incoming::new(body)))
    }

    pub(super) fn new(body: Body) -> Self {
        Incoming {
            body,
            waited: Duration::ZERO,
            since: None,
            received: 0,
            share: None,
            dropped: 0,
            due: None,
        }
    }

    /// One that is kept until its call is answered.
    pub(super) fn kept(self, share: Share) -> Self {
        Incoming {
            share: Some(share),
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

/// What becomes of a part of a body.
enum Kept {
    Yes,
    /// There is no memory for it: the rest is read and thrown away.
    No,
    /// And no more is read of it.
    Over(NoMemory),
}

impl Incoming {
    fn keep(&mut self, length: usize) -> Kept {
        let Some(share) = &self.share else {
            return Kept::Yes;
        };
        let kept = match share.cut() {
            None => share.grow(length),
            Some(none) => Err(none),
        };
        let Err(none) = kept else {
            return Kept::Yes;
        };
        self.dropped += length;
        match self.dropped > DRAINED_OF_KNOWN.0 {
            true => Kept::Over(none),
            false => Kept::No,
        }
    }

    /// Whether it was waited for too long in all.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due.get_or_insert_with(|| {
            // Set at once.
            Box::pin(sleep_until(Instant::now()))
        });
        let since = *self.since.get_or_insert_with(|| {
            let now = Instant::now();
            let worth = Duration::from_millis(self.received * 1_000 / BYTES_A_SECOND);
            let left = (PATIENCE + worth).saturating_sub(self.waited);
            due.as_mut().reset(now + left);
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
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    this.received += length as u64;
                    let waited = this.since.take().map(|since| since.elapsed());
                    this.waited += waited.unwrap_or_default();
                    match this.keep(length) {
                        Kept::Yes => return Poll::Ready(Some(Ok(frame))),
                        // Who still writes would not read the answer.
                        Kept::No => {}
                        Kept::Over(none) => {
                            return Poll::Ready(Some(Err(axum::Error::new(none))));
                        }
                    }
                }
                Poll::Ready(None) => {
                    let cut = this.share.as_ref().and_then(Share::cut);
                    return Poll::Ready(cut.map(|none| Err(axum::Error::new(none))));
                }
                Poll::Ready(error) => return Poll::Ready(error),
                Poll::Pending => {
                    std::task::ready!(this.poll_due(cx));
                    let slow = TooSlow {
                        received: this.received,
                        after: this.waited,
                    };
                    return Poll::Ready(Some(Err(axum::Error::new(slow))));
                }
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
    async fn what_there_is_no_memory_for_is_read_to_its_end_and_not_kept() {
        let bodies = Bodies::new(250);
        let kept = |body: Incoming| body.kept(bodies.share().unwrap());
        let mut whole = kept(pieces(2, 100, Duration::ZERO));
        assert_eq!((&mut whole).collect().await.unwrap().to_bytes().len(), 200);
        // Another has what is left, which does not do.
        let mut cut = kept(pieces(5, 20, Duration::ZERO));
        let mut came = 0;
        let error = loop {
            match cut.frame().await {
                Some(Ok(frame)) => came += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(error)) => break error.to_string(),
                None => unreachable!("it has no end"),
            }
        };
        assert_eq!((came, cut.received), (40, 100));
        assert!(error.contains("body_memory_mib"), "{error}");
        drop((whole, cut));
        let again = kept(pieces(5, 50, Duration::ZERO)).collect().await;
        assert_eq!(again.unwrap().to_bytes().len(), 250);
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
        let nothing = pieces(1, 1, Duration::from_secs(31)).collect().await;
        assert!(nothing.is_err());
        let late = pieces(1, 1, Duration::from_secs(29)).collect().await;
        assert!(late.is_ok());
    }
}
