//! Calls that succeed, fail, are refused, fail over, park and meet broken connections, over sockets.

use tower_quota::sim::{FaultRule, SimConfig, SimServer, Simulator};

use crate::{
    ports::taken,
    stack::{Stack, chat},
};

async fn sim(fault: &str) -> SimServer {
    let faults = match fault {
        "" => Vec::new(),
        fault => vec![FaultRule {
            fault: fault.parse().unwrap(),
            probability: 1.0,
            nth: None,
        }],
    };
    let config = SimConfig {
        faults,
        ..SimConfig::default()
    };
    Simulator::start(config).await.unwrap()
}

/// How much is seen at least: the layers, the targets, the services, what is kept.
const LEAST: usize = 45;

#[tokio::test]
async fn of_calls_along_a_route_nothing_is_shown() {
    for (fault, expected) in [
        ("", 200),
        ("status=400", 400),
        ("status=503", 200),
        ("status=429;retry-after=3600", 200),
        ("insufficient-quota", 200),
        ("status=401", 200),
        ("drop", 200),
        ("garbage", 200),
    ] {
        let (first, second) = (sim(fault).await, sim("").await);
        let stack = Stack::new(&[("openai", first.base_url()), ("azure", second.base_url())]);
        let request = chat("http://127.0.0.1:1", "routed", "");
        let status = stack.call(request, true).await;
        assert_eq!(status, Some(expected), "{fault}");
        // The keys were used, and the callers' were not.
        let ledger = first.ledger();
        assert_eq!(
            &*ledger.entries()[0].key,
            "MARKED-key-openai-one",
            "{fault}"
        );
        stack.kept().await;
        let parks = ["insufficient-quota", "status=401"].contains(&fault);
        assert_eq!(
            !stack.outputs.of("an event of a target").is_empty(),
            parks,
            "{fault}"
        );
        stack.outputs.are_clean(LEAST);
    }
}

#[tokio::test]
async fn of_calls_that_nobody_serves_nothing_is_shown() {
    let quota = sim("insufficient-quota").await;
    let stack = Stack::new(&[("openai", quota.base_url())]);
    for expected in [429, 503] {
        // The first one parks both keys, so that there is no target for the next.
        let request = chat("http://127.0.0.1:1", "routed", "");
        assert_eq!(stack.call(request, true).await, Some(expected));
    }
    assert!(!stack.outputs.of("a refusal").is_empty());
    stack.kept().await;
    stack.outputs.are_clean(LEAST);

    let (_taken, nobody) = taken();
    for (name, base) in [
        ("refused", format!("http://{nobody}")),
        ("dropped", sim("drop").await.base_url()),
    ] {
        let stack = Stack::new(&[("openai", base)]);
        let request = chat("http://127.0.0.1:1", "routed", "");
        assert_eq!(stack.call(request, true).await, None, "{name}");
        assert!(!stack.outputs.of("what a call fails with").is_empty());
        stack.kept().await;
        stack.outputs.are_clean(LEAST);
    }
}

#[tokio::test]
async fn of_calls_without_a_route_nothing_is_shown_beyond_what_the_client_is_handed() {
    let provider = sim("").await;
    let stack = Stack::new(&[("openai", provider.base_url())]);
    let base = provider.base_url();
    for (model, fault, expected) in [
        ("gpt-4o-mini", "", 200),
        ("gpt-4o-mini", "status=400", 400),
        ("gpt-4o-mini", "insufficient-quota", 429),
        ("gpt-4o-mini", "broken-stream", 200),
        ("nobody-knows-what-it-costs", "", 402),
    ] {
        let request = chat(&base, model, fault);
        assert_eq!(
            stack.call(request, false).await,
            Some(expected),
            "{model} {fault}"
        );
    }
    let (_taken, nobody) = taken();
    let gone = format!("http://{nobody}");
    for (base, fault) in [(&base, "drop"), (&gone, "")] {
        let request = chat(base, "gpt-4o-mini", fault);
        assert_eq!(stack.call(request, false).await, None, "{fault}");
    }
    assert!(!stack.outputs.of("what a body breaks off with").is_empty());
    let said = stack.outputs.of("what a call fails with").join("\n");
    assert!(said.contains(&gone), "it says where: {said}");
    stack.kept().await;
    stack.outputs.are_clean(LEAST);
}
