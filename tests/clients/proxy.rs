//! A hyper server that hands on what it is sent: `Incoming` cannot be made of bytes.

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tower::service_fn;
use tower_quota::RequestBody;

use super::*;

/// Serves every connection with a proxy: the stack around a client, and in front of it what makes a body of
/// ours of an incoming one.
async fn serve<S, R>(listener: TcpListener, base_url: String, client: S)
where
    S: Service<Request<RequestBody>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::error::Error + Send + Sync + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: std::error::Error + Send + Sync,
{
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (client, base_url) = (client.clone(), base_url.clone());
        let proxy = service_fn(move |request: Request<Incoming>| {
            let uri = format!("{base_url}{}", request.uri().path());
            let mut request = request.map(RequestBody::new);
            *request.uri_mut() = uri.parse().unwrap();
            client.clone().oneshot(request)
        });
        tokio::spawn(async move {
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(proxy))
                .await
        });
    }
}

#[tokio::test]
async fn what_comes_in_by_hypers_server_goes_on_under_four_layers() {
    let (provider, outer, inner) = (provider().await, one_at_a_time(), one_at_a_time());
    let client = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    let client = around(&four_deep(&outer, &inner), client);
    let (listener, addr) = listener().await;
    tokio::spawn(serve(listener, provider.base_url(), client));

    let caller = Client::builder(TokioExecutor::new()).build_http::<RequestBody>();
    five_calls(&caller, &format!("http://{addr}")).await;
    all_arrived_once(&provider, [&outer, &inner]).await;
}
