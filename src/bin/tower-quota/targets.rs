//! The targets of routes, and what leads there.

use std::io::{self, Write};

use tower_quota::config::{
    FailoverConfig, RateLimiting, Resolution, RouteConfig, Stack, TargetConfig, UnknownPrice,
};

/// By which name limits and prices know a target's provider.
fn known_as<'c>(failover: &'c FailoverConfig, target: &'c TargetConfig) -> &'c str {
    let provider = failover.providers.get(&target.provider);
    let known_as = provider.and_then(|provider| provider.provider.as_deref());
    known_as.unwrap_or(&target.provider)
}

/// Which limits and which price a target leads to.
fn resolved(stack: &Stack, failover: &FailoverConfig, target: &TargetConfig) -> Resolution {
    stack.resolve(Some(known_as(failover, target)), &target.model)
}

/// Prints which limits and which price each target of a route leads to.
pub(crate) fn print_route(
    stack: &Stack,
    failover: &FailoverConfig,
    (name, route): (&str, &RouteConfig),
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{name}, a route to")?;
    print_targets(stack, failover, &route.targets, out)?;
    let Some(degraded) = &route.degraded else {
        return Ok(());
    };
    writeln!(out, "{name}, from {} of a budget on, to", degraded.from)?;
    print_targets(stack, failover, &degraded.targets, out)
}

fn print_targets(
    stack: &Stack,
    failover: &FailoverConfig,
    targets: &[TargetConfig],
    out: &mut dyn Write,
) -> io::Result<()> {
    for target in targets {
        let found = resolved(stack, failover, target);
        let text = format!("{}/{found}", target.provider);
        for line in text.lines() {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Targets of routes that serve nobody whom a budget counts, because nobody knows what they cost. In words.
pub(crate) fn unpriced(block: &RateLimiting, stack: &Stack) -> Vec<String> {
    let failover = &block.failover;
    let mut doubts = Vec::new();
    if block.unknown_price == UnknownPrice::Allow {
        return doubts;
    }
    for (model, route) in &failover.routes {
        let degraded = route.degraded.iter().flat_map(|other| &other.targets);
        for target in route.targets.iter().chain(degraded) {
            let found = resolved(stack, failover, target);
            if found.price.is_none() && has_budget(&found) {
                doubts.push(format!(
                    "rate_limiting.failover.routes.{model}: no price is known for its target `{}/{}`, so that calls \
                     which a budget counts do not go there; set one under `rate_limiting.prices`, or say \
                     `unknown_price: allow`",
                    target.provider, target.model
                ));
            }
        }
    }
    doubts
}

/// Whether a budget that refuses calls is among the limits. They are told in words.
fn has_budget(found: &Resolution) -> bool {
    let mut limits = found.limits.iter().map(|limit| &limit.limit);
    limits.any(|limit| limit.starts_with("cost ") && !limit.ends_with("(shadow)"))
}
