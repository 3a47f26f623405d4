//! Whoever is woken may do anything at once, also with the very call that made it so: no lock of that call is held then.

use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::task::yield_now;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{
    AdmissionLayer, Limiter, RequestBody, Tag, Tags,
    limit::{Limit, Limits},
    limiter::Call,
    store::{MemoryStore, Store},
};

const HOUR: Duration = Duration::from_secs(3_600);
const CHAT: &str =
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";

type Sent = Arc<Mutex<Option<RequestBody>>>;

fn chat() -> Request<RequestBody> {
    let request = Request::post("https://api.openai.com/v1/chat/completions");
    request.body(CHAT.into()).unwrap()
}

/// Does something when it is woken, once.
struct Does(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Does {
    fn this(does: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Does(Mutex::new(Some(Box::new(does)))))
    }

    fn is_done(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

impl Wake for Does {
    fn wake(self: Arc<Self>) {
        let does = self.0.lock().unwrap().take();
        if let Some(does) = does {
            does();
        }
    }
}

/// One call at a time, by two limiters that do not hear of each other.
fn limiters() -> [Limiter; 2] {
    let limits = [Limit::requests(9).every(HOUR), Limit::concurrency(1)];
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Limits::new(limits).unwrap()));
    [store.clone(), store].map(Limiter::with_store)
}

/// Has somebody wait for the one slot who does this when he is refused: he is paused, of which this limiter hears with whatever
/// `happens` to the call that has the slot.
async fn wakes(
    [limiter, elsewhere]: [Limiter; 2],
    does: impl FnOnce() + Send + 'static,
    happens: impl Future<Output = ()>,
) {
    let does = Does::this(does);
    let scout = Call::new().tags(Tags::new().with(Tag::Agent, "scout"));
    let mut waiting = pin!(limiter.acquire(scout));
    let waker = Waker::from(does.clone());
    let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    for _ in 0..10 {
        yield_now().await;
    }
    let pause = Limit::paused().when(Tag::Agent, "scout");
    let paused = elsewhere.change("it loops", |limits| limits.with(pause));
    paused.await.unwrap();
    assert!(!does.is_done(), "nobody has heard of it here");
    happens.await;
    assert!(does.is_done(), "it was woken");
    assert_eq!(waiting.await.unwrap_err().kind(), "paused");
}

/// Runs it in a thread of its own, so that a lock which is never let go fails the test.
fn ends<F: Future<Output = ()>>(play: impl FnOnce() -> F + Send + 'static) {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play());
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(120));
    ended.expect("it panicked, or stands still for ever");
}

async fn requests(limiter: &Limiter) -> u64 {
    let standings = limiter.explain(&Call::new()).await.unwrap().limits;
    standings[0].in_use
}

#[test]
fn a_call_may_be_dropped_by_whoever_its_leaving_wakes() {
    ends(|| async {
        let (limiters, sent) = (limiters(), Sent::default());
        let takes = sent.clone();
        let client = service_fn(move |request: Request<RequestBody>| {
            *takes.lock().unwrap() = Some(request.into_body());
            pending::<Result<Response<Full<Bytes>>, Infallible>>()
        });
        let service = AdmissionLayer::new(limiters[0].clone()).layer(client);
        let mut call = Box::pin(async move { drop(service.oneshot(chat()).await) });
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let mut body = sent.lock().unwrap().take().unwrap();
        let leaves = async move {
            // The client writes it to the wire.
            body.frame().await.unwrap().unwrap();
        };
        let limiter = limiters[0].clone();
        wakes(limiters, move || drop(call), leaves).await;
        assert_eq!(requests(&limiter).await, 1, "it has left, once");
    });
}

#[test]
fn what_a_client_keeps_of_a_call_may_be_dropped_by_whoever_its_stream_wakes() {
    ends(|| async {
        let (limiters, sent) = (limiters(), Sent::default());
        let takes = sent.clone();
        let client = service_fn(move |request: Request<RequestBody>| {
            *takes.lock().unwrap() = Some(request.into_body());
            async {
                let response = Response::builder().header("content-type", "text/event-stream");
                // The first is read before the answer is handed on, and after the second nothing comes.
                let events =
                    [STREAM; 2].map(|event| Ok::<_, Infallible>(Frame::data(Bytes::from(event))));
                let body = StreamBody::new(stream::iter(events).chain(stream::pending()));
                Ok::<_, Infallible>(response.body(body).unwrap())
            }
        });
        let service = AdmissionLayer::new(limiters[0].clone()).layer(client);
        let mut body = service.oneshot(chat()).await.unwrap().into_body();
        let kept = sent.lock().unwrap().take();
        body.frame().await.unwrap().unwrap();
        let streams = async {
            // What streams is dated now and then.
            tokio::time::sleep(Duration::from_secs(2)).await;
            body.frame().await.unwrap().unwrap();
        };
        let limiter = limiters[0].clone();
        wakes(limiters, move || drop(kept), streams).await;
        drop(body);
        assert_eq!(requests(&limiter).await, 1, "it has left, once");
    });
}
