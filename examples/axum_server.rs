//! An axum server that allows each address two requests a minute and refuses the third with 429.
//!
//! The layers around a client wait for room; a server's callers are told to come back.
//!
//! ```text
//! cargo run --example axum_server
//! ```

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower_quota::{
    AdmissionLayer, Limiter, Tags,
    limit::{Limit, Limits},
    tags::TagLayer,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = TagLayer::new(|request| {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
        peer.map_or_else(Tags::new, |ConnectInfo(peer)| {
            Tags::new().with("ip", peer.ip().to_string())
        })
    });
    let limit = Limit::requests(2).every(Duration::from_secs(60));
    let limiter = Limiter::from_env(Limits::new([limit.per("ip")])?)?;
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .layer(AdmissionLayer::new(limiter).reject_when_full())
        .layer(address)
        .into_make_service_with_connect_info::<SocketAddr>();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let client = Client::builder(TokioExecutor::new()).build_http();
    let expected = [
        StatusCode::OK,
        StatusCode::OK,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    for expected in expected {
        let request = Request::get(&url).body(Body::empty())?;
        let response = client.request(request).await?;
        let (parts, body) = response.into_parts();
        println!("{}", parts.status);
        for name in ["retry-after", "ratelimit-policy", "ratelimit"] {
            if let Some(value) = parts.headers.get(name) {
                println!("{name}: {}", value.to_str()?);
            }
        }
        let text = body.collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&text));
        assert_eq!(parts.status, expected);
        let says_when = parts.headers.contains_key("retry-after");
        assert_eq!(says_when, expected == StatusCode::TOO_MANY_REQUESTS);
    }
    Ok(())
}
