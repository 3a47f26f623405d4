//! In which tier an answer says that it was served.

use crate::{
    pricing::ServiceTier,
    wire::{Dialect, Served},
};

/// What providers call a tier that costs as usual, or that was paid for ahead: OpenAI (`scale`), Anthropic, Google, Groq, Bedrock
/// (`reserved`) and Vertex.
const USUAL: [&str; 10] = [
    "auto",
    "default",
    "scale",
    "standard",
    "unspecified",
    "on_demand",
    "reserved",
    "offpeak",
    "provisioned_throughput",
    "traffic_type_unspecified",
];

/// The tier that an answer says it was served in. OpenAI's `fast` has the price of `priority`, as LiteLLM has it.
pub(super) fn tier(served: &Served) -> ServiceTier {
    match named(word(served)) {
        Some(tier) => tier,
        None if matches!(served.speed.as_deref(), Some("fast" | "optimized")) => ServiceTier::Fast,
        None => ServiceTier::Standard,
    }
}

/// Whether it was served in a tier of which nobody knows here what it costs.
pub(super) fn is_unknown(served: &Served) -> bool {
    let (word, speed) = (word(served), served.speed.as_deref());
    let is_usual = word.is_empty() || USUAL.iter().any(|usual| word.eq_ignore_ascii_case(usual));
    let is_speed = matches!(speed, None | Some("standard" | "fast" | "optimized"));
    !is_speed || !(is_usual || named(word).is_some())
}

/// Whether a tier costs more than the standard one. Anthropic's `priority` is capacity that was bought ahead, of which tokens
/// take as much as they cost otherwise: <https://platform.claude.com/docs/en/api/service-tiers>.
pub(super) fn is_dearer(tier: ServiceTier, dialect: Dialect) -> bool {
    match tier {
        ServiceTier::Priority => dialect != Dialect::AnthropicMessages,
        tier => matches!(tier, ServiceTier::Fast | ServiceTier::Ultrafast),
    }
}

/// The provider's word. Google's SDK names the tiers of Vertex in capitals, with what was bought of them in front (`TrafficType`).
fn word(served: &Served) -> &str {
    let tier = served.tier.as_deref().unwrap_or_default();
    tier.strip_prefix("ON_DEMAND_").unwrap_or(tier)
}

/// The tier that a word stands for which does not cost as usual.
fn named(word: &str) -> Option<ServiceTier> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("batch") {
        Some(ServiceTier::Batch)
    } else if is("flex") {
        Some(ServiceTier::Flex)
    } else if is("priority") || is("fast") {
        Some(ServiceTier::Priority)
    } else if is("ultrafast") {
        Some(ServiceTier::Ultrafast)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(tier: Option<&str>, speed: Option<&str>) -> Served {
        Served {
            tier: tier.map(Into::into),
            speed: speed.map(Into::into),
            ..Served::default()
        }
    }

    #[test]
    fn a_tier_is_known_by_the_words_of_each_provider() {
        for (said, speed, expected) in [
            (None, None, ServiceTier::Standard),
            (Some("default"), None, ServiceTier::Standard),
            (Some("standard"), Some("fast"), ServiceTier::Fast),
            (Some("default"), Some("optimized"), ServiceTier::Fast),
            (None, Some("standard"), ServiceTier::Standard),
            (Some("flex"), None, ServiceTier::Flex),
            (Some("priority"), None, ServiceTier::Priority),
            (Some("fast"), None, ServiceTier::Priority),
            (Some("ultrafast"), None, ServiceTier::Ultrafast),
            (Some("batch"), None, ServiceTier::Batch),
            (Some("ON_DEMAND"), None, ServiceTier::Standard),
            (Some("ON_DEMAND_FLEX"), None, ServiceTier::Flex),
            (Some("ON_DEMAND_PRIORITY"), None, ServiceTier::Priority),
            (Some("ON_DEMAND_OFFPEAK"), None, ServiceTier::Standard),
            (Some("PROVISIONED_THROUGHPUT"), None, ServiceTier::Standard),
            (Some("FLEX"), None, ServiceTier::Flex),
            (Some("on_demand"), None, ServiceTier::Standard),
            (Some("reserved"), None, ServiceTier::Standard),
            (Some("scale"), None, ServiceTier::Standard),
        ] {
            let served = served(said, speed);
            assert_eq!(tier(&served), expected, "{said:?} {speed:?}");
            assert!(!is_unknown(&served), "{said:?} {speed:?}");
        }
    }

    #[test]
    fn what_nobody_has_heard_of_is_not_taken_for_the_usual() {
        for (said, speed) in [
            (Some("turbo"), None),
            (Some("performance"), None),
            (Some("ON_DEMAND_TURBO"), None),
            (Some("default"), Some("turbo")),
            (None, Some("turbo")),
        ] {
            let served = served(said, speed);
            assert_eq!(tier(&served), ServiceTier::Standard, "{said:?} {speed:?}");
            assert!(is_unknown(&served), "{said:?} {speed:?}");
        }
    }
}
