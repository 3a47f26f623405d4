//! G9: TLS with callers and with upstreams, authorities of one's own, the proxy of the environment.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tower_quota::{
    gateway::admin::AdminClient,
    sim::{SimConfig, Simulator},
};

use crate::{
    calls::{chat, json_of},
    certificates,
    process::{ConfigFile, Gateway},
};

/// A gateway with a certificate, in front of this upstream.
struct Secured {
    folder: tempfile::TempDir,
    gateway: Gateway,
    text: String,
}

impl Secured {
    async fn start(upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        certificates::make(file);
        let text = format!(
            "rate_limiting: {{}}
gateway: {{ listen: '127.0.0.1:0', upstream: '{upstream}', tls: {{ certificate: '{}', key: '{}' }} }}",
            file("server.pem"),
            file("server.key")
        );
        let gateway = Gateway::start_text(upstream, &text).await;
        Secured {
            folder,
            gateway,
            text,
        }
    }

    fn authority(&self) -> String {
        self.folder
            .path()
            .join("ca.pem")
            .to_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn callers_speak_tls_and_trust_the_authority() {
    let mut secured = Secured::start("http://127.0.0.1:1").await;
    let url = secured.gateway.base_url.clone();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let authority = secured.authority();
    let ask = |authority: Option<String>| {
        let url = url.parse().unwrap();
        let client = AdminClient::new(url, None, authority.as_ref().map(AsRef::as_ref));
        async move {
            client
                .unwrap()
                .ask(Method::GET, "/quota/budgets", None)
                .await
        }
    };
    assert_eq!(
        ask(Some(authority.clone())).await.unwrap(),
        json!({ "budgets": [] })
    );
    assert!(
        ask(None)
            .await
            .unwrap_err()
            .to_string()
            .contains("no gateway answers")
    );

    // Who speaks something else is closed on, and others are served.
    let mut plain = TcpStream::connect(secured.gateway.addr()).await.unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert!(ask(Some(authority)).await.is_ok());

    // A certificate that was renewed is taken without a restart.
    let file = |name: &str| {
        secured
            .folder
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    certificates::make(file);
    let said = secured.gateway.hangup().await;
    assert!(said.contains("reloaded"), "{said}");
    assert!(ask(Some(secured.authority())).await.is_ok());
    // Also where the configuration beside it cannot be taken.
    let text = secured.text.clone();
    for (bad, says) in [
        ("rate_limiting: [".to_owned(), "line"),
        (text.replace("127.0.0.1:0", "127.0.0.1:1"), "`gateway`"),
        (text.replace("{}", "{ max_counts: 7 }"), "max_counts"),
    ] {
        certificates::make(file);
        let said = secured.gateway.reload_text(&bad).await;
        assert!(
            said.contains("not reloaded")
                && said.contains("but for the certificate, read again")
                && said.contains(says),
            "{said}"
        );
        assert!(ask(Some(secured.authority())).await.is_ok(), "{says}");
    }
    secured.gateway.reload_text(&text).await;
    std::fs::write(secured.authority().replace("ca.pem", "server.pem"), "").unwrap();
    let said = secured.gateway.hangup().await;
    assert!(
        said.contains("not reloaded") && said.contains("server.pem"),
        "{said}"
    );
    assert!(
        ask(Some(secured.authority())).await.is_ok(),
        "what was in force stays"
    );
}

/// A proxy that tunnels, and counts what it has tunnelled.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = tunnels.clone();
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(caller.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(
                    head.contains("roxy-") && head.contains("Basic bWU6c2VjcmV0"),
                    "{head}"
                );
                let to = head.split(' ').nth(1).unwrap();
                let mut host = TcpStream::connect(to).await.unwrap();
                caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = copy_bidirectional(&mut caller, &mut host).await;
            });
        }
    });
    (format!("http://me:secret@{addr}"), tunnels)
}

#[tokio::test]
async fn an_upstream_is_trusted_by_an_authority_of_ones_own_and_reached_by_the_proxy() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let secured = Secured::start(&sim.base_url()).await;
    let upstream = &secured.gateway.base_url;
    let (proxy, tunnels) = proxy().await;
    let text = |more: &str| {
        format!(
            "rate_limiting: {{ retry: {{ max_attempts: 1 }} }}
gateway: {{ listen: '127.0.0.1:0', upstream: '{upstream}'{more} }}"
        )
    };
    let trusting = text(&format!(", authorities: '{}'", secured.authority()));
    for (text, environment, status, tunnelled) in [
        (text(""), &[][..], 502, 0),
        (trusting.clone(), &[], 200, 0),
        (trusting.clone(), &[("HTTPS_PROXY", &*proxy)], 200, 1),
        (
            trusting,
            &[("HTTPS_PROXY", &*proxy), ("NO_PROXY", "127.0.0.1")],
            200,
            1,
        ),
    ] {
        let config = ConfigFile::new(&text);
        let gateway = Gateway::start_with(&["--config", config.path()], environment).await;
        let answer = chat(&gateway, json!({"max_tokens": 9})).send().await;
        let (got, body) = json_of(answer.unwrap()).await;
        assert_eq!(got, status, "{body}");
        assert!(!body.to_string().contains("secret"), "{body}");
        assert_eq!(tunnels.load(Ordering::Relaxed), tunnelled);
    }
    assert_eq!(sim.ledger().ok(), 3);
}
