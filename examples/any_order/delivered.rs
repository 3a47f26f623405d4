//! What the client has handed out of each answer: more than that of a stream nobody here can know of, when its caller
//! hangs up while some of it is still under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_quota::RequestBody;

use super::stack::{AnyBody, BoxError, Client, erase};

/// Bytes of text to a token.
const TOKEN_BYTES: u64 = 4;

/// By attempt, in the order that they were sent. A provider tells attempts apart by their keys: they end with the number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered(Arc<Mutex<Vec<Vec<u8>>>>);

impl Delivered {
    /// Numbers what is sent by `client`, and writes down what it hands out.
    pub(crate) fn watch(&self, client: Client) -> Client {
        let delivered = self.clone();
        erase(service_fn(move |mut request: Request<RequestBody>| {
            let (client, delivered) = (client.clone(), delivered.clone());
            async move {
                let attempt = delivered.number(&mut request)?;
                let answer: Response<AnyBody> = client.oneshot(request).await?;
                Ok(answer.map(|body| {
                    let note = move |data: Bytes| {
                        delivered.lock()[attempt].extend(&data);
                        data
                    };
                    body.map_frame(move |frame| frame.map_data(&note))
                }))
            }
        }))
    }

    fn number(&self, request: &mut Request<RequestBody>) -> Result<usize, BoxError> {
        let mut delivered = self.lock();
        let number = delivered.len();
        delivered.push(Vec::new());
        if let Some(key) = request.headers_mut().get_mut(AUTHORIZATION) {
            *key = HeaderValue::try_from(format!("{}#{number}", key.to_str()?))?;
        }
        Ok(number)
    }

    /// How many tokens of the answer to the attempt with this key there were in what was handed out.
    pub(crate) fn tokens(&self, key: &str) -> u64 {
        let number = key
            .rsplit_once('#')
            .and_then(|(_, number)| number.parse().ok());
        let delivered = self.lock();
        let text = number.and_then(|number: usize| delivered.get(number));
        let text = text.map_or("".into(), |text| String::from_utf8_lossy(text));
        let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let content = events.filter_map(|event| {
            let event: serde_json::Value = serde_json::from_str(event).ok()?;
            Some(event["choices"][0]["delta"]["content"].as_str()?.len() as u64)
        });
        content.sum::<u64>() / TOKEN_BYTES
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
