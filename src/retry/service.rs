use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    asked::Asked,
    classifier::Classifier,
    policy::{Failed, Policy, Verdict},
};
use crate::{
    body::{
        Answered, Onward, Out, ResponseBody, ResponseFuture, SHOULD_RETRY, keep, pass, refuse,
        send_once, tell_wait, untell_wait,
    },
    call::{Entered, Entry, Failing, Heard, Inspect, MakeRequest, Refusal},
    event::Event,
};

/// Repeats an attempt when that may help; see the [module](super).
///
/// It is always ready. Each attempt is claimed for and settled by itself, whether the gates are inside or outside this
/// service. A call that waits to be repeated holds nothing.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    settings: Arc<Settings>,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) policy: Policy,
    pub(super) classifier: Classifier,
    pub(crate) inspect: Inspect,
}

impl<S> Retry<S> {
    pub(super) fn new(inner: S, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Retry { inner, settings }
    }
}

impl<S, B, R> Service<Request<B>> for Retry<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Send,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Retry { inner, settings } = self.clone();
        ResponseFuture::new(async move {
            if settings.inspect.off {
                return Box::pin(pass(inner, request)).await;
            }
            let mut entered = match Entered::enter(request, &settings.inspect).await {
                Ok(entered) => entered,
                Err(Refusal { dialect, rejection }) => return Ok(refuse(dialect, rejection)),
            };
            let result = settings.send(&mut entered, &mut Out(inner)).await;
            entered.entry.hands_on(&result);
            result
        })
    }
}

/// How long a refusal's body may take to come: until then its attempt is open.
const LONGEST_READ: Duration = Duration::from_secs(1);

impl Settings {
    /// Sends a call onwards, as often as may help.
    ///
    /// # Errors
    /// The inner service's error, untouched.
    pub(crate) async fn send<N, B>(
        &self,
        entered: &mut Entered<B>,
        next: &mut N,
    ) -> Answered<N::Body, N::Error>
    where
        N: Onward<B>,
        B: From<Bytes> + Send + 'static,
    {
        if let Some((parts, body)) = entered.whole()
            && !self.inspect.off
            && entered
                .entry
                .repeats(self.policy.max_attempts, self.policy.longest_wait)
        {
            let call = Repeated {
                settings: self,
                asked: Asked::of(parts, entered.entry.dialect()),
                entry: &entered.entry,
            };
            let mut request = |entry: &Entry| entry.request(parts, body);
            return call.send(next, &mut request).await;
        }
        // On the heap: most calls may be repeated.
        Box::pin(send_once(entered, next)).await
    }
}

/// A call that can be sent again.
pub(super) struct Repeated<'r> {
    pub(super) settings: &'r Settings,
    pub(super) asked: Asked,
    pub(super) entry: &'r Entry,
}

impl Repeated<'_> {
    /// Sends its attempts onwards.
    pub(super) async fn send<N, B>(
        &self,
        next: &mut N,
        request: MakeRequest<'_, B>,
    ) -> Answered<N::Body, N::Error>
    where
        N: Onward<B>,
    {
        let Repeated {
            entry, settings, ..
        } = *self;
        if let Some(budget) = settings
            .policy
            .budget
            .as_ref()
            .filter(|_| entry.is_untried())
        {
            budget.call();
        }
        let mut answered: Option<Response<ResponseBody<N::Body>>> = None;
        // Of a call that stays where it is although there are others.
        let mut stays: Option<Box<Entry>> = None;
        for attempt in entry.tried_before().saturating_add(1).. {
            let view = stays.as_deref().unwrap_or(entry);
            let response = match next.send(view, request).await {
                Ok(response) => response,
                Err(error) => {
                    let failure = settings.classifier.classify(&error, entry.has_left());
                    let failing = Failing::Broke(failure);
                    let Verdict::Again(at) = self.judge(attempt, failing) else {
                        return Err(error);
                    };
                    stays = entry.staying(failing).map(Box::new);
                    self.wait_until(at).await;
                    // What an earlier attempt was answered is older than this.
                    answered = None;
                    continue;
                }
            };
            let failing = match entry.hear(&response) {
                Heard::Fine => return Ok(self.entry.with_attempts(response)),
                Heard::Refused(rejection) => {
                    // Where the provider has spoken: that there is no room to ask again, here or further in, is not
                    // its answer. It is the last one all the same.
                    return Ok(match answered {
                        Some(mut answered) => {
                            let room = rejection.retry_after();
                            if room.is_some() {
                                // What the provider told is over: it was waited for.
                                untell_wait(answered.headers_mut());
                            }
                            self.given_up(answered, room)
                        }
                        None => self.entry.with_attempts(response),
                    });
                }
                Heard::Failed(error) => Failing::Answered(response.status(), error),
            };
            let failed = Failed::from(failing);
            match self.judge(attempt, failing) {
                Verdict::Final => return Ok(self.is_final(response, failed)),
                Verdict::GivenUp(told) => return Ok(self.given_up(response, told)),
                Verdict::Again(at) => {
                    // Whoever sent it, it is over as soon as its answer is read: nothing is held during the wait.
                    let read = at.min(Instant::now() + LONGEST_READ);
                    let kept = match failed.broke_off() {
                        // All that there is of it was read, and it breaks for the caller where it did here.
                        true => response,
                        false => Box::pin(keep(response, read)).await,
                    };
                    // Somebody may have ended the call while that was read.
                    if !entry.may_have_another() {
                        return Ok(self.is_final(kept, failed));
                    }
                    answered = Some(kept);
                    stays = entry.staying(failing).map(Box::new);
                    self.wait_until(at).await;
                }
            }
        }
        unreachable!("an endless loop ends by returning")
    }

    fn judge(&self, attempt: u32, failing: Failing) -> Verdict {
        let (entry, failed) = (self.entry, Failed::from(failing));
        let (may, until) = (entry.may_have_another(), entry.waits_until(failing));
        let policy = &self.settings.policy;
        let verdict = policy.judge(attempt, may, self.asked, failed, until);
        if let Verdict::Again(at) = verdict {
            entry.tell(&Event::Repeats {
                cause: failed.name(),
                wait: at.saturating_duration_since(Instant::now()),
            });
        }
        verdict
    }

    /// Ends the attempt, waits, and begins the next one.
    async fn wait_until(&self, at: Instant) {
        self.entry.end_attempt();
        self.entry.back_off(at).await;
        self.entry.next_attempt();
    }

    /// An answer that is not repeated. Callers who repeat by themselves go by its status: they are told where the provider
    /// says that it is of no use.
    fn is_final<R: Body>(
        &self,
        mut response: Response<ResponseBody<R>>,
        failed: Failed,
    ) -> Response<ResponseBody<R>> {
        let is_useless = matches!(failed, Failed::Answered(error) if !error.retryable);
        if self.asked.by_itself && is_useless && response.status().as_u16() >= 400 {
            let headers = response.headers_mut();
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        self.entry.with_attempts(response)
    }

    /// An answer that might be repeated, and is not any more: neither by callers who do so by themselves.
    fn given_up<R: Body>(
        &self,
        mut response: Response<ResponseBody<R>>,
        told: Option<Duration>,
    ) -> Response<ResponseBody<R>> {
        let repeats = self.settings.policy.max_attempts.get() > 1;
        if self.asked.by_itself && repeats {
            let headers = response.headers_mut();
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(told) = told {
            tell_wait(response.headers_mut(), told);
            self.entry.note_retry_after(told);
        }
        self.entry.with_attempts(response)
    }
}
