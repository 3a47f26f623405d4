//! A form of an answer, a provider that gives it once, and what became of the call.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{CallOptions, RetryLayer, Tag, Tags, retry::Attempts};

/// An answer that is no success, as a provider writes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    provider: Option<&'static str>,
    path: &'static str,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

/// What is made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waits {
    /// Repeated after so many milliseconds, or a little later, never sooner.
    Told(u64),
    /// The same of a date, which is exact to a second only.
    Date(u64),
    /// Repeated after a wait that nobody told: half a second at most.
    Untold,
    /// Not repeated, and said to be worth another try in so many milliseconds.
    TooLong(u64),
    /// Not repeated, as it would not help.
    Not,
}

use Waits::{Date, Not, Told, TooLong, Untold};

impl Form {
    pub(crate) fn status(status: u16) -> Self {
        Form {
            path: "/v1/chat/completions",
            status,
            ..Form::default()
        }
    }

    /// A stream that begins well, by its status.
    pub(crate) fn stream(path: &'static str, text: &'static str) -> Self {
        let form = Form {
            path,
            ..Form::status(200)
        };
        form.header("content-type", "text/event-stream").body(text)
    }

    /// Of this provider, where the path does not say so.
    pub(crate) fn of(mut self, provider: &'static str) -> Self {
        self.provider = Some(provider);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if name == "content-type" {
            self.headers.retain(|(known, _)| *known != name);
        }
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn answer(&self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        response.body(Full::new(self.body.clone())).unwrap()
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let body = r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#;
        let mut request = Request::post(format!("http://provider{}", self.path));
        if self.path == "/v1/messages" {
            request = request.header("anthropic-version", "2023-06-01");
        }
        if let Some(provider) = self.provider {
            request = request.extension(Tags::new().with(Tag::Provider, provider));
        }
        request.body(Full::from(body)).unwrap()
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Came {
    /// When its attempts left, counted from its beginning.
    pub(crate) sent: Vec<Duration>,
    /// When the answer was there.
    pub(crate) after: Duration,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) attempts: Attempts,
    pub(crate) body: Bytes,
}

/// One call of which the first attempt is answered so, by a clock of its own.
pub(crate) fn call(form: &Form) -> Came {
    call_with(form, &RetryLayer::new(), CallOptions::new())
}

pub(crate) fn call_with(form: &Form, layer: &RetryLayer, options: CallOptions) -> Came {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let began = Instant::now();
        let sent = Arc::<Mutex<Vec<Duration>>>::default();
        let is_first = AtomicBool::new(true);
        let (first, noted) = (form.clone(), sent.clone());
        let provider = Arc::new(move || {
            noted.lock().unwrap().push(began.elapsed());
            match is_first.swap(false, Ordering::Relaxed) {
                true => first.answer(),
                false => Response::new(Full::from("{}")),
            }
        });
        let provider = service_fn(move |_: Request<Full<Bytes>>| {
            let answer = provider();
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut request = form.request();
        request.extensions_mut().insert(options);
        let response = layer.layer(provider).oneshot(request).await.unwrap();
        let after = began.elapsed();
        let (parts, body) = response.into_parts();
        let sent = sent.lock().unwrap().clone();
        Came {
            sent,
            after,
            status: parts.status.as_u16(),
            headers: parts.headers,
            attempts: parts.extensions.get::<Attempts>().unwrap().clone(),
            body: body.collect().await.unwrap().to_bytes(),
        }
    })
}

/// How often each form is tried: a wait that nobody told is not below a fifth of what it may be each time.
const RUNS: usize = 30;

/// Checks what is made of each form of a table.
pub(crate) fn check_all(table: impl IntoIterator<Item = (&'static str, Form, Waits)>) {
    let mut seen = 0;
    for (about, form, waits) in table {
        check(about, waits, || form.clone());
        seen += 1;
    }
    assert!(seen > 0, "an empty table shows nothing");
}

pub(crate) fn check(about: &str, waits: Waits, form: impl Fn() -> Form) {
    let mut waited = Vec::new();
    for _ in 0..RUNS {
        let form = form();
        let came = call(&form);
        match waits {
            Told(_) | Date(_) | Untold => {
                assert_eq!(
                    (came.status, came.sent.len()),
                    (200, 2),
                    "{about}: {came:?}"
                );
                assert_eq!(came.body, "{}", "{about}");
                waited.push(came.sent[1]);
            }
            TooLong(_) | Not => {
                let (sent, now) = (came.sent.len(), came.after);
                assert_eq!((came.status, sent), (form.status, 1), "{about}: {came:?}");
                assert_eq!(now, Duration::ZERO, "{about}");
                assert_eq!(came.body, form.body, "{about}");
                let told = match waits {
                    TooLong(told) => Some(Duration::from_millis(told)),
                    _ => None,
                };
                assert_eq!(came.attempts.retry_after, told, "{about}");
            }
        }
    }
    let between = |least: u64, most: u64| {
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        for wait in &waited {
            assert!((least..=most).contains(wait), "{about}: {wait:?}");
        }
    };
    match waits {
        Told(told) => between(told, told + told.div_ceil(10).max(100)),
        Date(told) => between(told.saturating_sub(5_000), told + told / 10),
        Untold => {
            between(0, 500);
            let longest = waited.iter().max().unwrap();
            assert!(*longest > Duration::from_millis(100), "{about}: told 0");
        }
        TooLong(_) | Not => {}
    }
}
