//! What is wrong at the start is said in words.

use tokio::net::TcpListener;

use crate::process::{ConfigFile, Gateway, run};

/// Runs `serve` with this configuration and these further arguments: the exit code and what is on stderr.
async fn refused(config: &str, more: &[&str]) -> (i32, String) {
    let config = ConfigFile::new(config);
    let mut args = vec!["serve", "--config", config.path()];
    args.extend(more);
    let output = run(&args).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), text)
}

const RIGHT: &str =
    "rate_limiting: {}\ngateway: { upstream: 'http://127.0.0.1:1', listen: '127.0.0.1:0' }";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn calls_run_on_as_many_threads_as_are_asked_for() {
    let config = ConfigFile::new(RIGHT);
    let args = ["--config", config.path()];
    let processors = std::thread::available_parallelism().unwrap().get();
    let half = (processors / 2).max(1);
    for (more, environment, threads) in [
        (&["--threads", "3"][..], None, 3),
        (&["--threads", "3"], Some("5"), 3),
        (&[], Some("5"), 5),
        (&[], None, half),
    ] {
        let environment = environment.map(|number| ("TOKIO_WORKER_THREADS", number));
        let args = [&args[..], more].concat();
        let gateway = Gateway::start_with(&args, environment.as_slice()).await;
        // And the one that waits for them.
        assert_eq!(gateway.threads(), threads + 1);
    }
    let (code, text) = refused(RIGHT, &["--threads", "0"]).await;
    assert_eq!(code, 2);
    assert!(text.contains("--threads"), "{text}");
}

#[tokio::test]
async fn a_missing_file() {
    let output = run(&["serve", "--config", "no/such.yaml"]).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text,
        "tower-quota: no/such.yaml: cannot be read: No such file or directory (os error 2)\n"
    );
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense() {
    for (config, words) in [
        ("rate_limiting: [", &["line 1"][..]),
        (
            "rate_limiting:\n  global: { rmp: 5 }",
            &["rmp", "line 2, column 13"],
        ),
        (
            "rate_limiting: {}\ngateway: { kyes: [] }",
            &["kyes", "line 2"],
        ),
        (
            "rate_limiting: {}\ngateway: { upstream: up }",
            &["\"up\" lacks http://", "line 2"],
        ),
        (
            "rate_limiting: { providers: { openai: { gpt-4o: { rpm: 0 } } } }",
            &["rate_limiting.providers.openai.gpt-4o.requests_per_minute: "],
        ),
        (
            "rate_limiting: { retry: { max_attempts: 0 } }",
            &["rate_limiting.retry.max_attempts: is 0"],
        ),
        (
            "rate_limiting: {}",
            &["no upstream", "gateway.upstream", "--upstream"],
        ),
        (
            "rate_limiting: { failover: { providers: { openai: {} } } }",
            &["no upstream and no route", "rate_limiting.failover"],
        ),
        // Switched off, nothing leads to a target.
        (
            "rate_limiting: { enabled: false, failover: { providers: { openai: {} }, routes: { a: [openai/a] } } }",
            &["no upstream and no route"],
        ),
        (
            "rate_limiting: { failover: { routes: { a: [openai/a] } } }",
            &["rate_limiting.failover.routes.a[0]: the provider `openai` is not there"],
        ),
        ("{}", &["rate_limiting"]),
    ] {
        let (code, text) = refused(config, &[]).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.starts_with("tower-quota: "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("quota-"), "it names the file: {text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[tokio::test]
async fn arguments_that_make_no_sense() {
    for (args, word) in [
        (
            ["--upstream", "api.openai.com"],
            "lacks http:// or https://",
        ),
        (["--listen", "8080"], "invalid socket address"),
    ] {
        let (code, text) = refused(RIGHT, &args).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_no_gateways() {
    for url in ["localhost:8080", "ftp://h", "http://me:hunter2@localhost"] {
        for command in [&["status"][..], &["report"], &["admin", "limit", "list"]] {
            let output = run(&[command, &["--url", url]].concat()).await;
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.starts_with("tower-quota: --url: "), "{text}");
            assert!(
                text.ends_with("; write it as http://localhost:8080\n"),
                "{text}"
            );
            for word in ["upstream", "hunter2"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_in_an_upstream_is_not_repeated() {
    let upstream = "http://me:hunter2@localhost";
    let in_file = format!("rate_limiting: {{}}\ngateway: {{ upstream: '{upstream}' }}");
    for (config, args) in [(&*in_file, &[][..]), (RIGHT, &["--upstream", upstream])] {
        let (code, text) = refused(config, args).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("the upstream names a user"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_others_could_reach() {
    let in_file = RIGHT.replace("127.0.0.1:0", "0.0.0.0:0");
    for (config, args) in [
        (&*in_file, &[][..]),
        (RIGHT, &["--listen", "0.0.0.0:0"]),
        (RIGHT, &["--listen", "[::]:0"]),
    ] {
        let (code, text) = refused(config, args).await;
        assert_eq!(code, 2, "{text}");
        for words in [
            "can be reached from other machines",
            // The first one is made without a gateway that could be asked.
            "`tower-quota admin --state FILE key create NAME`",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[tokio::test]
async fn an_address_in_use() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = other.local_addr().unwrap().to_string();
    let (code, text) = refused(RIGHT, &["--listen", &addr]).await;
    assert_eq!(code, 1, "{text}");
    assert!(
        text.starts_with(&format!("tower-quota: cannot listen on {addr}: ")),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_variable_has_no_metrics_pushed() {
    let config = ConfigFile::new(RIGHT);
    let empty = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""),
        // A push that nobody takes ends soon.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
    ];
    let gateway = Gateway::start_with(&["--config", config.path()], &empty).await;
    let said = gateway.said().await;
    assert!(
        !said.iter().any(|line| line.contains("metrics")),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_may_not_be_meant_is_in_force_and_said() {
    let limits = "{ prices: { openai: { gpt-4o: { input: 0.0000025, output: 10 } } } }";
    let mut gateway = Gateway::start("http://127.0.0.1:1", limits).await;
    assert_eq!(
        gateway.complaint().await,
        "tower-quota: warning: rate_limiting.prices.openai.gpt-4o: input costs $0.0000025 per million tokens, and \
         $2.50 per million tokens is known: is that by the token?"
    );
}
