//! An axum server that allows its callers two requests a minute and refuses the third with 429.
//!
//! The layers around a client wait for room; a server's callers are told to come back.
//!
//! ```text
//! cargo run --example axum_server
//! ```

use std::{net::Ipv4Addr, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower_quota::{
    AdmissionLayer, Limiter,
    limit::{Limit, Limits},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::new([Limit::requests(2).every(Duration::from_secs(60))])?;
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .layer(AdmissionLayer::new(Limiter::new(limits)).reject_when_full());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let request = Request::get(&url).body(Body::empty())?;
        let response = client.request(request).await?;
        let (parts, body) = response.into_parts();
        println!("{}", parts.status);
        if let Some(wait) = parts.headers.get("retry-after") {
            println!("retry-after: {}", wait.to_str()?);
        }
        let text = body.collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&text));
        if parts.status == StatusCode::TOO_MANY_REQUESTS {
            return Ok(());
        }
    }
}
