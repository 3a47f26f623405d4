//! What is behind the gateways: the simulator in place of providers, and an API that is none of theirs.

use axum::{Json, Router, routing::any};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Has a configuration lead to the simulator, and to the tool where it names one.
pub(crate) fn lead_to(config: &mut Value, sim: &str, tool: &str) {
    let gateway = config.get_mut("gateway");
    let upstreams = gateway.and_then(|gateway| gateway.get_mut("upstreams"));
    for upstream in each(upstreams) {
        let is_tool = upstream["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(".example"));
        upstream["url"] = if is_tool { tool } else { sim }.into();
    }
    let limiting = config.get_mut("rate_limiting");
    let failover = limiting.and_then(|limiting| limiting.get_mut("failover"));
    let providers = failover.and_then(|failover| failover.get_mut("providers"));
    for provider in each(providers) {
        provider["base_url"] = format!("{sim}/v1").into();
    }
    // LiteLLM's.
    let models = config.get_mut("model_list").and_then(Value::as_array_mut);
    for model in models.into_iter().flatten() {
        model["litellm_params"]["api_base"] = format!("{sim}/v1").into();
    }
}

fn each(map: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    let map = map.and_then(Value::as_object_mut);
    map.into_iter().flat_map(|map| map.values_mut())
}

/// An API of a tool, which finds nothing: its address.
pub(crate) async fn tool() -> String {
    let found = || async { Json(json!({ "results": [] })) };
    let app = Router::new().fallback(any(found));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}
