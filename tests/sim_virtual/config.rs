//! Configuration as text.

use tower_quota::sim::{FaultRule, SimCharge, SimConfig, SimLimit, SimQuantity, SimShape};

use super::*;

fn read(text: Value) -> Result<SimConfig, serde_json::Error> {
    serde_json::from_value(text)
}

#[test]
fn reads_limits_of_every_shape() {
    let config = read(json!({"limits": [
        {"quantity": "requests", "amount": 5},
        {"quantity": "tokens", "amount": 6, "period_ms": 1000, "shape": "bucket",
         "charge": "sum", "model": "gpt", "per_key": true, "per_model": true},
        {"quantity": "concurrency", "amount": 7},
        {"quantity": "input_tokens", "amount": 8, "shape": "fixed"},
        {"quantity": "output_tokens", "amount": 9, "shape": {"sliced": {"slice_ms": 1000}}},
    ]}));
    let sliced = SimShape::Sliced { slice: ms(1_000) };
    assert_eq!(
        config.unwrap().limits,
        [
            SimLimit::requests(5, MINUTE),
            SimLimit::tokens(6, ms(1_000))
                .shape(SimShape::Bucket)
                .charge(SimCharge::Sum)
                .for_model("gpt")
                .per_key()
                .per_model(),
            SimLimit::concurrency(7),
            SimLimit::new(SimQuantity::InputTokens, 8, MINUTE).shape(SimShape::Fixed),
            SimLimit::new(SimQuantity::OutputTokens, 9, MINUTE).shape(sliced),
        ]
    );
}

#[test]
fn reads_durations_in_milliseconds_and_faults_as_texts() {
    let config = read(json!({
        "latency_ms": 20, "jitter_ms": 5, "chunk_delay_ms": 3, "chunks": 2, "output_share": 0.5,
        "faults": [{"fault": "status=503;retry-after=2", "probability": 0.1},
                   {"fault": "drop", "nth": 4}],
        "seed": 9, "enforce": false, "count_refused": true
    }));
    let config = config.unwrap();
    assert_eq!(
        (config.latency, config.jitter, config.chunk_delay),
        (ms(20), ms(5), ms(3))
    );
    let FaultRule {
        fault,
        probability,
        nth,
    } = &config.faults[0];
    assert_eq!(*fault, "status=503;retry-after=2".parse().unwrap());
    assert_eq!((*probability, *nth), (0.1, None));
    assert_eq!(config.faults[1].nth, Some(4));
    assert!(!config.enforce && config.count_refused);
}

#[test]
fn needs_nothing_and_refuses_what_it_does_not_know() {
    assert_eq!(read(json!({})).unwrap().chunks, 8);
    for wrong in [
        json!({"latency": 20}),
        json!({"limits": [{"quantity": "tokens", "amount": 1, "per": "key"}]}),
        json!({"limits": [{"quantity": "tokens"}]}),
        json!({"faults": [{"fault": "meteor"}]}),
    ] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}
