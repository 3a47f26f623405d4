//! What holds of any load and any configuration.

use proptest::prelude::*;
use tower_quota::{Money, simulate::Simulation};

use crate::{config, trace};

fn calls() -> impl Strategy<Value = Vec<(f64, &'static str, u64, u64, u64)>> {
    let call = (0..600_000u32, 0..3usize, 1..3_000u64, 1..500u64);
    let call = call.prop_map(|(at, agent, input, output)| {
        let at = f64::from(at) / 1_000.0;
        (at, ["a", "b", "c"][agent], input, output, output + 50)
    });
    prop::collection::vec(call, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// No window is over its limit, whoever looks: neither our counts, nor a provider with the same limits.
    #[test]
    fn no_window_is_over_its_limit(
        calls in calls(), rpm in 1..30u64, tpm in 4_000..20_000u64, flight in 1..5u64, budget in 0.01f64..2.0
    ) {
        let limits = format!(
            "  providers: {{ openai: {{ gpt-4o: {{ rpm: {rpm}, tpm: {tpm} }} }} }}\n  global: {{ concurrent_requests: {flight} }}\n  agents: {{ a: {{ rpm: 3 }} }}"
        );
        let ours = config(&format!("{limits}\n  max_daily_spend: {budget:.4}"));
        let simulation = Simulation::new(&ours, trace(&calls)).provider_limits(&config(&limits));
        let report = simulation.run().unwrap();
        prop_assert!(report.errors.is_empty(), "{report}");
        for limit in &report.limits {
            prop_assert!(limit.fullest <= 1.0, "{} is {} full", limit.limit, limit.fullest);
        }
        // Every call is somewhere, once.
        prop_assert_eq!(report.calls, calls.len() as u64);
        prop_assert_eq!(report.answered + report.refused, report.calls);
        prop_assert_eq!(report.refusals.iter().map(|one| one.calls).sum::<u64>(), report.refused);
        prop_assert_eq!(report.attempts, report.answered);
        for by in &report.by {
            prop_assert_eq!(by.values.iter().map(|level| level.calls).sum::<u64>(), report.calls);
        }
        // Money adds up, within the budget.
        let day = report.budgets.iter().find(|one| one.budget.starts_with("cost")).unwrap();
        prop_assert_eq!(day.spent, report.cost);
        prop_assert!(report.cost <= day.amount);
        let moments = &report.over_time.moments;
        prop_assert_eq!(moments.iter().map(|one| one.spent).sum::<Money>(), report.cost);
        prop_assert_eq!(moments.iter().map(|one| one.came).sum::<u64>(), report.calls);
        prop_assert_eq!(moments.iter().map(|one| one.ended).sum::<u64>(), report.calls);
        // And again it is the same.
        prop_assert_eq!(simulation.run().unwrap(), report);
    }
}
