//! A provider that does what each request asks for, behind layers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    task::{JoinHandle, yield_now},
    time::Instant,
};
use tower::{Layer, ServiceExt as _, service_fn, util::BoxCloneService};
use tower_quota::{
    AdmissionLayer, Limiter, RetryLayer, Tag, Tags,
    limit::{Limit, Limits},
};

use crate::work::*;

pub(crate) type Http = BoxCloneService<Request<Full<Bytes>>, Response<Bytes>, Infallible>;

/// A provider that does what a request says it should.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) start: Instant,
    pub(crate) came: Arc<Mutex<Vec<(Duration, String)>>>,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Say {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
    pub(crate) after: Duration,
    /// Only the first attempt of it.
    pub(crate) once: Arc<Mutex<bool>>,
}

pub(crate) fn say(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &'static str,
) -> Say {
    Say {
        status,
        headers: headers.to_vec(),
        body,
        after: Duration::ZERO,
        once: Arc::default(),
    }
}

pub(crate) fn five() -> Say {
    say(429, &[("retry-after", "5")], "")
}

impl Upstream {
    pub(crate) fn new() -> Self {
        Upstream {
            start: Instant::now(),
            came: Arc::default(),
        }
    }

    /// When each call came, by its name.
    pub(crate) fn came(&self) -> Vec<(Duration, String)> {
        self.came.lock().unwrap().clone()
    }

    pub(crate) fn came_as(&self, name: &str) -> Vec<Duration> {
        let came = self.came().into_iter();
        came.filter(|(_, n)| n == name).map(|(at, _)| at).collect()
    }

    pub(crate) async fn answer(
        self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let name = request.extensions().get::<String>().cloned();
        let came = (self.start.elapsed(), name.unwrap_or_default());
        self.came.lock().unwrap().push(came);
        let said = request.extensions().get::<Say>().cloned();
        let said = said.filter(|said| !std::mem::replace(&mut *said.once.lock().unwrap(), true));
        let said = said.unwrap_or_else(|| say(200, &[], "{}"));
        tokio::time::sleep(said.after).await;
        let mut response = Response::new(Full::from(said.body));
        *response.status_mut() = StatusCode::from_u16(said.status).unwrap();
        for (name, value) in said.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(response)
    }

    /// The layers of `order`, outermost first, around it.
    pub(crate) fn behind(&self, order: &str, limiter: &Limiter) -> Http {
        let upstream = self.clone();
        let inner = service_fn(move |request| upstream.clone().answer(request));
        let admission = || AdmissionLayer::new(limiter.clone());
        let retry = RetryLayer::new;
        match order {
            "A" => whole(admission().layer(inner)),
            "F" => whole(admission().reject_when_full().layer(inner)),
            "R" => whole(retry().layer(inner)),
            "RA" => whole(retry().layer(admission().layer(inner))),
            "AR" => whole(admission().layer(retry().layer(inner))),
            "ARA" => whole(admission().layer(retry().layer(admission().layer(inner)))),
            _ => panic!("no such order: {order}"),
        }
    }
}

/// Reads answers to their ends.
pub(crate) fn whole<S, R>(service: S) -> Http
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: std::fmt::Debug,
{
    let read = async |response: Response<R>| {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::from_parts(parts, body))
    };
    let read = move |response| {
        Box::pin(read(response)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    BoxCloneService::new(service.and_then(read))
}

pub(crate) fn request(
    name: &str,
    tags: &[(Tag, &str)],
    said: Option<&Say>,
) -> Request<Full<Bytes>> {
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut request = Request::post("http://provider/v1/chat/completions")
        .body(Full::from(body))
        .unwrap();
    let tags = tags.iter().cloned();
    let tags = tags.fold(Tags::new(), |tags, (tag, value)| tags.with(tag, value));
    let extensions = request.extensions_mut();
    extensions.insert(name.to_owned());
    extensions.insert(tags);
    if let Some(said) = said {
        extensions.insert(said.clone());
    }
    request
}

pub(crate) async fn send(service: &Http, request: Request<Full<Bytes>>) -> Response<Bytes> {
    service.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn sent(
    service: &Http,
    request: Request<Full<Bytes>>,
) -> JoinHandle<Response<Bytes>> {
    let task = tokio::spawn(service.clone().oneshot(request));
    yield_now().await;
    tokio::spawn(async { task.await.unwrap().unwrap() })
}

pub(crate) fn plenty() -> Limiter {
    let limit = Limit::requests(1_000).every(MINUTE);
    Limiter::new(Limits::new([limit]).unwrap())
}
