//! What the client has handed out of each answer: more than that of a stream nobody here can know of, when its caller
//! hangs up while some of it is still under way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_quota::{RequestBody, Tag, Tags};

use super::{
    ledger::CALL,
    stack::{AnyBody, Client, erase},
};

/// Bytes of text to a token.
const TOKEN_BYTES: u64 = 4;

/// By call, of its last attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered(Arc<Mutex<HashMap<u64, Vec<u8>>>>);

impl Delivered {
    /// Writes down what `client` hands out.
    pub(crate) fn watch(&self, client: Client) -> Client {
        let delivered = self.clone();
        erase(service_fn(move |request: Request<RequestBody>| {
            let (client, delivered) = (client.clone(), delivered.clone());
            async move {
                let call = call(&request);
                delivered.lock().insert(call, Vec::new());
                let answer: Response<AnyBody> = client.oneshot(request).await?;
                Ok(answer.map(|body| {
                    let note = move |data: Bytes| {
                        delivered.lock().entry(call).or_default().extend(&data);
                        data
                    };
                    body.map_frame(move |frame| frame.map_data(&note))
                }))
            }
        }))
    }

    /// How many tokens of the last answer to a call there were in what was handed out.
    pub(crate) fn tokens(&self, call: u64) -> u64 {
        let delivered = self.lock();
        let text = delivered
            .get(&call)
            .map_or("".into(), |text| String::from_utf8_lossy(text));
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let content = events.filter_map(|event| {
            let event: serde_json::Value = serde_json::from_str(event).ok()?;
            Some(event["choices"][0]["delta"]["content"].as_str()?.len() as u64)
        });
        content.sum::<u64>() / TOKEN_BYTES
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn call(request: &Request<RequestBody>) -> u64 {
    let tags = request.extensions().get::<Tags>();
    let call = tags.and_then(|tags| tags.get(&Tag::from(CALL)));
    call.and_then(|call| call.parse().ok()).unwrap_or(u64::MAX)
}
