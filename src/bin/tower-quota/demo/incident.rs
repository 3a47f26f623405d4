//! What goes wrong, in turns.

use std::time::Duration;

use tokio::time::sleep;
use tower_quota::sim::{FaultRule, Faults, Simulator};

use super::world::World;

/// After so long the first thing breaks.
const QUIET: Duration = Duration::from_secs(25);

/// One thing after the other, for ever: the first provider is down, then another tells everybody to wait, then one in ten
/// attempts fails.
pub(super) async fn run(world: World) {
    let simulators: Vec<Simulator> = world.simulators().map(|(_, one)| one.clone()).collect();
    let [openai, _, anthropic] = &simulators[..] else {
        return;
    };
    loop {
        sleep(QUIET).await;
        strike(openai, "status=503", 1.0, Duration::from_secs(20)).await;
        sleep(QUIET).await;
        // Everybody is told to wait for it, so one is enough.
        strike(
            anthropic,
            "status=429;retry-after=8",
            1.0,
            Duration::from_secs(2),
        )
        .await;
        sleep(QUIET).await;
        strike(openai, "status=500", 0.1, Duration::from_secs(20)).await;
    }
}

async fn strike(simulator: &Simulator, fault: &str, probability: f64, span: Duration) {
    let Ok(fault) = fault.parse::<Faults>() else {
        return;
    };
    let rule = FaultRule {
        fault,
        probability,
        nth: None,
    };
    simulator.set_faults(vec![rule]);
    sleep(span).await;
    simulator.set_faults(Vec::new());
}
