//! One agent, which calls again and again through the gateway, as a program in any language would.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use tokio::time::sleep;

use super::tally::Tally;

/// After a refusal an agent does something else for so long.
const REFUSED: Duration = Duration::from_secs(5);

/// In whose words it asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Api {
    /// OpenAI's.
    Chat { streams: bool },
    /// Anthropic's, as a stream.
    Messages,
}

/// A kind of agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) name: &'static str,
    pub(super) team: &'static str,
    pub(super) user: &'static str,
    pub(super) model: &'static str,
    pub(super) api: Api,
    /// Between an answer and the next call, on average.
    pub(super) think: Duration,
    /// Tokens of a prompt, on average.
    pub(super) input: usize,
    /// The most tokens of an answer.
    pub(super) output: u32,
    pub(super) priority: i32,
}

impl Agent {
    /// Calls for ever, as the one with this number.
    pub(super) async fn run(self, number: u32, gateway: SocketAddr, tally: Tally) {
        let client =
            Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(HttpConnector::new());
        loop {
            sleep(self.think.mul_f64(0.2 + 1.6 * fastrand::f64())).await;
            let Ok(request) = self.request(number, gateway) else {
                return;
            };
            let refused = match client.request(request).await {
                Ok(response) => tally.took(read(response).await),
                Err(_) => tally.took(None),
            };
            if refused {
                sleep(REFUSED).await;
            }
        }
    }

    fn request(&self, number: u32, gateway: SocketAddr) -> http::Result<Request<Full<Bytes>>> {
        let (path, streams) = match self.api {
            Api::Chat { streams } => ("/v1/chat/completions", streams),
            Api::Messages => ("/v1/messages", true),
        };
        let words = self.input / 2 + fastrand::usize(0..=self.input);
        let body = json!({
            "model": self.model,
            "max_tokens": self.output,
            "stream": streams,
            "messages": [{ "role": "user", "content": "go on ".repeat(words * 4 / 6) }],
        });
        Request::post(format!("http://{gateway}{path}"))
            .header(CONTENT_TYPE, "application/json")
            // Anthropic's API wants it, others do not mind.
            .header("anthropic-version", "2023-06-01")
            .header("x-quota-agent", format!("{}-{number}", self.name))
            .header("x-quota-team", self.team)
            .header("x-quota-user", self.user)
            .header("x-quota-priority", self.priority)
            .body(Full::from(body.to_string()))
    }
}

/// The status, when all of the answer is there.
async fn read(response: Response<Incoming>) -> Option<StatusCode> {
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}
