use proptest::prelude::*;

use super::*;
use crate::limit::Limits;

fn tags(model: &str) -> Tags {
    Tags::new().with(Tag::Provider, "p").with(Tag::Model, model)
}

fn limiter() -> Limiter {
    Limiter::new(Limits::new([]).unwrap())
}

proptest! {
    /// Whatever is reported, however long.
    #[test]
    fn it_never_explodes(reports in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..300)) {
        let mut ratio = Ratio::RIGHT;
        for (estimate, used) in reports {
            ratio.learn(estimate, used);
            prop_assert!((LEAST..=MOST).contains(&ratio.get()), "{ratio:?}");
            prop_assert!(ratio.estimated > 0.0 && ratio.estimated <= MEMORY + ONE_CALL, "{ratio:?}");
            prop_assert!(times(u64::MAX, ratio.get()) > 0);
        }
    }

    /// To what texts really are, each a little otherwise than the others, wherever it stood before.
    #[test]
    fn it_comes_to_what_is_true_and_follows_when_that_changes(
        truths in proptest::collection::vec(LEAST..MOST, 1..4_usize),
        estimates in proptest::collection::vec((100_u64..5_000, -0.2_f64..0.2), 400..500_usize),
    ) {
        let mut ratio = Ratio::RIGHT;
        for truth in truths {
            for (estimate, noise) in &estimates {
                ratio.learn(*estimate, times(*estimate, truth * (1.0 + noise)));
            }
            let weight: f64 = estimates.iter().map(|(estimate, _)| *estimate as f64).sum();
            let bias = estimates.iter().map(|(estimate, noise)| *estimate as f64 * noise).sum::<f64>() / weight;
            let expected = (truth * (1.0 + bias)).clamp(LEAST, MOST);
            prop_assert!((ratio.get() / expected - 1.0).abs() < 0.1, "{ratio:?} for {expected}");
        }
    }

    /// One report alone, of whatever size, moves it by no more than it may weigh.
    #[test]
    fn one_call_does_not_turn_it(estimate in 1_u64..u64::MAX, used in any::<u64>()) {
        let mut ratio = Ratio::RIGHT;
        for _ in 0..1_000 {
            ratio.learn(1_000, 1_000);
        }
        ratio.learn(estimate, used);
        prop_assert!((0.9..1.8).contains(&ratio.get()), "{ratio:?}");
    }
}

#[test]
fn models_are_learnt_apart_and_a_few_tokens_change_nothing() {
    let limiter = limiter();
    assert_eq!(
        limiter.calibrated(&tags("a"), 1_000),
        1_000,
        "nothing is known"
    );
    for _ in 0..300 {
        limiter.learn_estimate(&tags("a"), 1_000, 1_500);
    }
    let learnt = limiter.calibrated(&tags("a"), 1_000);
    assert!((1_450..=1_500).contains(&learnt), "{learnt}");
    assert_eq!(limiter.calibrated(&tags("b"), 1_000), 1_000);
    assert_eq!(limiter.calibrated(&Tags::new(), 1_000), 1_000);
    // Overheads of a message weigh what they are.
    limiter.learn_estimate(&tags("b"), 2, 9);
    assert_eq!(limiter.calibrated(&tags("b"), 2), 2);
    assert_eq!(limiter.calibrated(&tags("a"), 0), 0);
}

#[test]
fn what_tells_nothing_teaches_nothing() {
    let limiter = limiter();
    limiter.learn_estimate(&tags("a"), 0, 1_000);
    limiter.learn_estimate(&tags("a"), 1_000, 0);
    limiter.learn_estimate(&Tags::new(), 1_000, 9_000);
    assert!(limiter.shared.estimates.0.read().ratios.is_empty());
}

#[test]
fn no_more_models_are_kept_than_so_many_and_the_stalest_goes() {
    let limiter = limiter();
    for number in 0..MODELS {
        limiter.learn_estimate(&tags(&number.to_string()), 100_000, 200_000);
    }
    limiter.learn_estimate(&tags("0"), 100_000, 200_000);
    limiter.learn_estimate(&tags("new"), 100_000, 200_000);
    assert_eq!(limiter.shared.estimates.0.read().ratios.len(), MODELS);
    assert!(limiter.calibrated(&tags("0"), 1_000) > 1_000);
    assert!(limiter.calibrated(&tags("new"), 1_000) > 1_000);
    assert_eq!(limiter.calibrated(&tags("1"), 1_000), 1_000, "forgotten");
}
