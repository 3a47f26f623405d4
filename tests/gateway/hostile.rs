//! What callers without good will send: a clean error, a gateway that lives on, and nothing unmetered upstream.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use crate::{
    calls::{chat, client, json_of},
    keys::Keyed,
    process::{Gateway, soon},
};

const BUDGET: &str = "{ max_daily_spend: 5, limits: [
    { quantity: requests, amount: 100000, every: 1m, per: [agent] } ] }";

async fn started() -> (Gateway, SimServer) {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let gateway = Gateway::start(&sim.base_url(), BUDGET).await;
    (gateway, sim)
}

/// Sends these bytes as they are: what comes back until the other side has closed.
async fn raw(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    // A side that has enough may close while we still write.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// It lives, and takes calls.
async fn lives(gateway: &Gateway, sim: &SimServer) {
    let before = sim.ledger().attempts();
    let answer = chat(gateway, json!({"model": "gpt-5.5", "max_tokens": 9}))
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(sim.ledger().attempts(), before + 1);
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let (gateway, sim) = started().await;
    let many: String = (0..200).map(|n| format!("x-h{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(200_000));
    let path = "p".repeat(100_000);
    for request in [
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{long}\r\n"),
        format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ] {
        let answer = raw(&gateway, request.as_bytes()).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("HTTP/1.1 431") || first.starts_with("HTTP/1.1 414"),
            "{first}"
        );
    }
    assert_eq!(sim.ledger().attempts(), 0);
    lives(&gateway, &sim).await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_or_closed() {
    let (gateway, sim) = started().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n",
    ] {
        let answer = raw(&gateway, bytes).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(answer.is_empty() || status.starts_with('4') || status.starts_with('5'), "{answer}");
    }
    assert_eq!(sim.ledger().attempts(), 0);
    lives(&gateway, &sim).await;
}

/// What a request smuggled behind another would be: it is either one call, counted as one, or none.
#[tokio::test]
async fn a_request_behind_another_is_counted_by_itself() {
    let (gateway, sim) = started().await;
    let body = r#"{"model":"gpt-5.5","max_tokens":9,"messages":[]}"#;
    let inner = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (length, chunks) = (
        inner.len(),
        format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
    );
    for outer in [
        // By the length one request, by the chunks two.
        format!(
            "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!(
            "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
        ),
        format!(
            "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n{inner}"
        ),
        format!(
            "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("GET /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n{inner}"),
    ] {
        let before = sim.ledger().attempts();
        let answer = raw(&gateway, outer.as_bytes()).await;
        let after = sim.ledger().attempts();
        // The simulator counts what generates: so many of them as were answered here.
        let answered = answer.matches("\"chat.completion\"").count();
        assert!(
            after - before <= 1 && after - before == answered,
            "{answer}"
        );
    }
    let budgets = client().get(gateway.url("/quota/budgets")).send().await;
    let (_, budgets) = json_of(budgets.unwrap()).await;
    let spent: f64 = budgets["budgets"][0]["settled"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let ledger = sim.ledger();
    assert_eq!(spent > 0.0, ledger.attempts() > 0, "{budgets}");
    lives(&gateway, &sim).await;
}

#[tokio::test]
async fn no_path_or_host_is_a_way_around_the_budget_or_elsewhere() {
    let (gateway, sim) = started().await;
    let body = r#"{"model":"gpt-5.5","max_tokens":9,"messages":[]}"#;
    let post = |line: &str, host: &str| {
        format!(
            "POST {line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer sk-x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for line in [
        "/v1/chat/completions/",
        "/V1/CHAT/COMPLETIONS",
        "/v1/chat/%63ompletions",
        "/v1/chat%2Fcompletions",
        "/v1/chat/x/..%2fcompletions",
        "/v1/chat/completions;a=b",
        "/v1/messages",
        "/v1/images/generations",
        "/v1/batches",
        "/v1/../../x",
        "/v1/x/../chat/completions",
        "/openai/%64eployments/gpt-5.5/chat/completions",
        "/",
    ] {
        let answer = raw(&gateway, post(line, "localhost").as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "403"].contains(&status), "{line}: {answer}");
    }
    assert_eq!(sim.ledger().attempts(), 0, "nothing unmetered has left");
    // Another host is not gone to, whoever names it.
    for (line, host) in [
        ("http://169.254.169.254/v1/chat/completions", "localhost"),
        ("/v1/chat/completions", "169.254.169.254"),
        ("/v1/chat/completions", "evil.example"),
    ] {
        let answer = raw(&gateway, post(line, host).as_bytes()).await;
        let expected = if host == "localhost" {
            "HTTP/1.1 200"
        } else {
            "HTTP/1.1 403"
        };
        assert!(answer.starts_with(expected), "{answer}");
    }
    assert_eq!(sim.ledger().attempts(), 1);
    lives(&gateway, &sim).await;
}

/// What the gateway looks at is what it sends on: a header that `Connection` takes off is none.
#[tokio::test]
async fn what_connection_names_is_not_what_a_call_is_known_by() {
    let (gateway, sim) = started().await;
    let body = r#"{"model":"claude-haiku-5-5","max_tokens":9,"messages":[]}"#;
    let request = |more: &str| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-x\r\nanthropic-version: 2023-06-01\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = raw(
        &gateway,
        request("connection: close, anthropic-version\r\n").as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(sim.ledger().attempts(), 0);
    let answer = raw(&gateway, request("connection: close\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn methods_that_are_about_no_call_go_nowhere() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let url = sim.base_url();
    let text = format!(
        "rate_limiting: {{}}
gateway: {{ listen: '127.0.0.1:0', upstreams: {{ openai: {{ url: '{url}', key: sk-marked }} }} }}"
    );
    let gateway = Gateway::start_text("", &text).await;
    for line in [
        "TRACE /",
        "TRACE /v1/chat/completions",
        "CONNECT /v1/chat/completions",
        "CONNECT /openai/v1/models",
    ] {
        let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = raw(&gateway, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{line}: {answer}");
        assert!(answer.contains("bad_method"), "{line}: {answer}");
        let allowed = "\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
        assert!(answer.contains(allowed), "{line}: {answer}");
    }
    assert_eq!(sim.ledger().attempts(), 0);
}

#[tokio::test]
async fn hostile_tags_are_counted_or_refused_and_never_passed_on() {
    let (gateway, sim) = started().await;
    for agent in [
        "a\"b",
        "{}",
        "<script>",
        "../../x",
        "a, b",
        "%00",
        "café",
        &"x".repeat(5_000),
    ] {
        let call = chat(&gateway, json!({"model": "gpt-5.5", "max_tokens": 9}));
        let answer = call.header("x-quota-agent", agent).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{agent}");
    }
    for name in [
        "x-quota-model",
        "x-quota-provider",
        "x-quota-key",
        "x-quota-",
        "x-quota-admin",
    ] {
        let call = chat(&gateway, json!({})).header(name, "x");
        let (status, body) = json_of(call.send().await.unwrap()).await;
        assert_eq!(status, 400, "{name}: {body}");
    }
    lives(&gateway, &sim).await;
}

#[tokio::test]
async fn bodies_that_are_none_or_too_large_are_refused() {
    let (gateway, sim) = started().await;
    let post = |body: Vec<u8>| {
        client()
            .post(gateway.url("/v1/chat/completions"))
            .header("authorization", "Bearer sk-x")
            .body(body)
    };
    for body in [
        b"".to_vec(),
        b"{".to_vec(),
        b"\xff\xfe".to_vec(),
        b"[[[[[[[[".repeat(10_000),
        br#"{"model":"gpt-5.5","model":"gpt-5.4-mini","messages":[]}"#.to_vec(),
        br#"{"messages":[]}"#.to_vec(),
    ] {
        let answer = post(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!((400..500).contains(&status), "{status}: {text}");
    }
    let nameless = post(br#"{"messages":[]}"#.to_vec()).send().await;
    let (_, body) = json_of(nameless.unwrap()).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("the call names no model"), "{message}");
    let large = vec![b' '; 33 << 20];
    let (status, body) = json_of(post(large).send().await.unwrap()).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (413, &json!("body_too_large")),
        "{body}"
    );
    assert_eq!(sim.ledger().ok(), 0);
    lives(&gateway, &sim).await;
}

/// It costs no more than a connection, and others do not wait for it.
#[tokio::test]
async fn who_sends_a_byte_now_and_then_holds_up_nobody() {
    let (gateway, sim) = started().await;
    let mut slow = Vec::new();
    for begun in [
        "P",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
    ] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    for _ in 0..3 {
        for stream in &mut slow {
            stream.write_all(b"x").await.unwrap();
        }
        lives(&gateway, &sim).await;
    }
    // Nor does it end later because of them.
    gateway.term().await;
    drop(slow);
    let ended = tokio::time::timeout(Duration::from_secs(60), gateway.ended()).await;
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[tokio::test]
async fn nothing_that_is_secret_is_in_any_answer() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!(
        "{{ openai: {{ url: '{}', key: sk-marked-1 }} }}",
        sim.base_url()
    );
    let mut keyed = Keyed::start(&upstreams, BUDGET).await;
    let token = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/quota/keys"),
        ("GET", "/quota/budgets"),
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/models"),
        ("TRACE", "/"),
        ("POST", "/v1/chat/completions"),
        ("CONNECT", "/"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = raw(gateway, request.as_bytes()).await;
        assert!(
            !answer.contains("sk-marked") && !answer.contains(&token),
            "{answer}"
        );
    }
    let said = keyed.gateway.said().await.join("\n");
    assert!(
        !said.contains("sk-marked") && !said.contains(&token),
        "{said}"
    );
}
