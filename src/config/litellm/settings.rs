//! What holds for all deployments.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::{
    LiteLlmConfig,
    address::{self, Address},
    fields::{Fields, texts},
    lent::{self, Credential, Lent},
    period,
};
use crate::{
    config::{
        BudgetConfig, BudgetMode, BudgetPeriod, OneOrMore,
        tree::{Node, Value},
    },
    money::Money,
};

/// What holds for all deployments, mostly for those that do not say themselves.
#[derive(Default)]
pub(super) struct Router {
    pub(super) max_parallel_requests: Option<u64>,
    pub(super) address: Address,
    /// What goes before what they say.
    pub(super) defaults: Vec<Lent>,
    pub(super) credentials: Vec<Credential>,
    /// Whether it says how often calls are repeated.
    says_retries: bool,
}

/// `environment_variables`: they are set before the rest is read.
pub(super) fn variables(file: &Node) -> HashMap<String, String> {
    let Value::Map(pairs) = &file.value else {
        return HashMap::new();
    };
    let block = pairs
        .iter()
        .find(|(key, _)| key.name == "environment_variables");
    let Some((
        _,
        Node {
            value: Value::Map(pairs),
            ..
        },
    )) = block
    else {
        return HashMap::new();
    };
    let set = pairs.iter().filter_map(|(key, node)| match &node.value {
        Value::Text { text, .. } => Some((key.name.clone(), text.clone())),
        Value::Whole(number) => Some((key.name.clone(), number.to_string())),
        _ => None,
    });
    set.collect()
}

/// `router_settings`
pub(super) fn router(read: &mut LiteLlmConfig, mut fields: Fields<'_>) -> Router {
    let says_retries = common(read, &mut fields, false);
    aliases(read, &mut fields);
    if let Some(providers) = fields.map("provider_budget_config") {
        provider_budgets(read, providers);
    }
    let at = fields.at("routing_strategy");
    match fields.text("routing_strategy").as_deref() {
        None | Some("simple-shuffle") => {}
        Some(_) => drop(fields.wrong::<()>(
            "routing_strategy",
            at,
            "is none of ours; deployments of one name are taken by their weights, as `simple-shuffle` does it",
        )),
    }
    for name in ["routing_strategy_args", "enable_pre_call_checks"] {
        fields.pass(
            name,
            "says which deployment is taken; here they are taken by their weights",
        );
    }
    for name in [
        "cooldown_time",
        "disable_cooldowns",
        "allowed_fails",
        "allowed_fails_policy",
    ] {
        fields.pass(name, "here a deployment rests as long as its provider says");
    }
    for name in ["retry_after", "retry_policy", "model_group_retry_policy"] {
        fields.pass(
            name,
            "here what is repeated, and when, goes by what the provider answers",
        );
    }
    for name in [
        "redis_host",
        "redis_port",
        "redis_password",
        "redis_url",
        "redis_db",
    ] {
        fields.pass(name, "names a store, which is set up elsewhere");
    }
    let router = Router {
        max_parallel_requests: fields.amount("default_max_parallel_requests"),
        defaults: lent::defaults(&mut fields),
        says_retries,
        ..Router::default()
    };
    fields.rest("has no counterpart here");
    router
}

/// `litellm_settings`
pub(super) fn library(read: &mut LiteLlmConfig, mut fields: Fields<'_>, router: &mut Router) {
    router.address = address::for_all(&mut fields);
    common(read, &mut fields, router.says_retries);
    budget(read, &mut fields, ("max_budget", "budget_duration"), &[]);
    let users = ("max_internal_user_budget", "internal_user_budget_duration");
    budget(read, &mut fields, users, &["user"]);
    for name in [
        "success_callback",
        "failure_callback",
        "callbacks",
        "service_callbacks",
    ] {
        fields.pass(name, "calls programs of LiteLLM's");
    }
    for name in ["cache", "cache_params"] {
        fields.pass(name, "here nothing is cached");
    }
    fields.pass("drop_params", "here requests leave as they came");
    fields.rest("has no counterpart here");
}

/// `general_settings`
pub(super) fn server(read: &mut LiteLlmConfig, mut fields: Fields<'_>, router: &mut Router) {
    read.config.rate_limiting.global.concurrent_requests =
        fields.amount("global_max_parallel_requests");
    // For each deployment, where the router says nothing of them.
    let each = fields.amount("max_parallel_requests");
    router.max_parallel_requests = router.max_parallel_requests.or(each);
    for name in ["master_key", "database_url", "salt_key"] {
        fields.pass(name, "is for LiteLLM's own server");
    }
    for name in ["alerting", "alerting_threshold", "alert_to_webhook_url"] {
        fields.pass(name, "alerts are not set up here");
    }
    fields.rest("has no counterpart here");
}

/// What stands in either of two blocks, of which LiteLLM asks `router_settings` first.
const SAID: &str = "is not in force, as `router_settings` says it too";

/// Returns whether it says how often calls are repeated. `said`: that was said before.
fn common(read: &mut LiteLlmConfig, fields: &mut Fields<'_>, said: bool) -> bool {
    let at = fields.at("num_retries");
    let retries = fields.whole("num_retries");
    match retries.map(|retries| u32::try_from(retries.saturating_add(1))) {
        Some(_) if said => drop(fields.wrong::<()>("num_retries", at, SAID)),
        Some(Ok(attempts)) => read.config.rate_limiting.retry.max_attempts = attempts,
        Some(Err(_)) => drop(fields.wrong::<()>("num_retries", at, "is too many")),
        None => {}
    }
    let known = &mut read.fallbacks;
    for (name, known) in [
        ("fallbacks", &mut known.of),
        ("context_window_fallbacks", &mut known.context_window),
        ("content_policy_fallbacks", &mut known.content_policy),
    ] {
        fallbacks(known, fields, name);
    }
    if let Some(node) = fields.take("default_fallbacks") {
        let at = node.at;
        match texts(node) {
            Some(_) if !read.fallbacks.default.is_empty() => {
                fields.wrong::<()>("default_fallbacks", at, SAID);
            }
            Some(names) => read.fallbacks.default = names,
            None => drop(fields.wrong::<()>("default_fallbacks", at, "is no list of names")),
        }
    }
    for name in ["timeout", "stream_timeout", "request_timeout"] {
        fields.pass(
            name,
            "the client has a timeout; for upstreams that do not answer there is `gateway.answers_within`",
        );
    }
    retries.is_some()
}

/// Lists of one block alone, and for each model the first.
fn fallbacks(known: &mut BTreeMap<String, Vec<String>>, fields: &mut Fields<'_>, name: &str) {
    let (at, said) = (fields.at(name), fields.names(name));
    if !known.is_empty() && !said.is_empty() {
        fields.wrong::<()>(name, at, SAID);
        return;
    }
    for (model, others) in said {
        match known.entry(model) {
            Entry::Vacant(entry) => drop(entry.insert(others)),
            Entry::Occupied(entry) => {
                let reason = format!(
                    "has `{}` more than once, of which the first counts",
                    entry.key()
                );
                fields.wrong::<()>(name, at, reason);
            }
        }
    }
}

/// `model_group_alias`: names, or maps with a name in them.
fn aliases(read: &mut LiteLlmConfig, fields: &mut Fields<'_>) {
    let path = fields.path_of("model_group_alias");
    let Some(node) = fields.take("model_group_alias") else {
        return;
    };
    let Value::Map(pairs) = node.value else {
        fields.wrong::<()>("model_group_alias", node.at, "is no map");
        return;
    };
    for (key, node) in pairs {
        let line = node.at.line;
        let model = match node.value {
            Value::Text { text, .. } => Some(text),
            Value::Map(pairs) => pairs.into_iter().find_map(|(key, node)| match node.value {
                Value::Text { text, .. } if key.name == "model" => Some(text),
                _ => None,
            }),
            _ => None,
        };
        match model {
            Some(model) => drop(read.group_aliases.insert(key.name, model)),
            None => fields
                .notes
                .note(&format!("{path}.{}", key.name), line, "names no model"),
        }
    }
}

/// `provider_budget_config`: by provider.
fn provider_budgets(read: &mut LiteLlmConfig, mut providers: Fields<'_>) {
    for name in providers.keys() {
        let Some(mut fields) = providers.map(&name) else {
            continue;
        };
        let when = BTreeMap::from([(
            "provider".to_owned(),
            OneOrMore(vec![super::deployment::ours(&name)]),
        )]);
        for (amount, every) in [
            ("budget_limit", "time_period"),
            ("max_budget", "budget_duration"),
        ] {
            let Some(amount) = fields.money(amount) else {
                continue;
            };
            if let Some(every) = period::taken(&mut fields, every) {
                let budgets = &mut read.config.rate_limiting.budgets;
                budgets.push(of(amount, every, when.clone(), &[]));
            }
        }
        fields.rest("has no counterpart here");
    }
}

/// A budget and its duration.
fn budget(read: &mut LiteLlmConfig, fields: &mut Fields<'_>, names: (&str, &str), per: &[&str]) {
    let (amount, every) = names;
    let Some(amount) = fields.money(amount) else {
        fields.pass(every, "is the duration of a budget that is not there");
        return;
    };
    if let Some(every) = period::taken(fields, every) {
        let budgets = &mut read.config.rate_limiting.budgets;
        budgets.push(of(amount, every, BTreeMap::new(), per));
    }
}

/// A hard budget.
pub(super) fn of(
    amount: Money,
    every: BudgetPeriod,
    when: BTreeMap<String, OneOrMore>,
    per: &[&str],
) -> BudgetConfig {
    BudgetConfig {
        amount,
        every,
        when,
        per: per.iter().map(|tag| (*tag).to_owned()).collect(),
        amounts: BTreeMap::new(),
        mode: BudgetMode::Hard,
        thresholds: None,
        time_zone: None,
    }
}
