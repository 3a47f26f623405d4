//! `model_list`: where calls go, and what is said of it.

use std::{collections::BTreeMap, fmt};

use super::{
    ApiKey,
    fields::Fields,
    period,
    settings::{self, Router},
};
use crate::{
    config::{Config, LimitConfig, OneOrMore, PriceConfig, Quota, Span},
    limit::Quantity,
    pricing::{PriceTable, Rate, provider_name},
};

/// A place that calls can go to: one entry of `model_list`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// The name that callers use, `model_name`: of all deployments with the same one any will do.
    pub group: String,
    /// `model_info.id`, or the group and the place in the list: `fast#0`.
    pub id: String,
    /// The provider, by our name for it; `None` where the file does not say and nobody knows the model.
    pub provider: Option<String>,
    /// The model, as the provider names it. With a `*`, any.
    pub model: String,
    /// Where the provider is, if not where it always is.
    pub api_base: Option<String>,
    /// The key.
    pub api_key: Option<ApiKey>,
    /// Deployments of a lower one go first.
    pub order: Option<u64>,
    /// How much more often it is taken than one of weight 1.
    pub weight: Option<u64>,
    pub(super) amounts: Amounts,
}

/// What a deployment is limited to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    rpm: Option<u64>,
    tpm: Option<u64>,
    itpm: Option<u64>,
    otpm: Option<u64>,
    parallel: Option<u64>,
}

impl fmt::Debug for Deployment {
    /// Without who is named in an address: that may be a secret as the key is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |base: &'_ String| -> String {
            let address = base.split(['?', '#']).next().unwrap_or_default();
            let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
            host.to_owned()
        };
        let base = self.api_base.as_ref().map(plain);
        f.debug_struct("Deployment")
            .field("group", &self.group)
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("model", &self.model)
            .field("api_base", &base)
            .field("api_key", &self.api_key)
            .field("order", &self.order)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// Our name of a provider.
pub(super) fn ours(name: &str) -> String {
    provider_name(name).to_owned()
}

/// Reads one entry, and what it says of prices and budgets.
pub(super) fn read(
    mut entry: Fields<'_>,
    router: &Router,
    config: &mut Config,
) -> Option<Deployment> {
    let group = entry.text("model_name");
    let params = entry.map("litellm_params");
    let (Some(group), Some(mut params)) = (group, params) else {
        entry.notes.note(
            &entry.path,
            entry.line,
            "has no `model_name` or no `litellm_params`; it is not read",
        );
        return None;
    };
    let Some(full) = params.text("model") else {
        entry
            .notes
            .note(&params.path, params.line, "has no `model`; it is not read");
        return None;
    };
    let (provider, model) = place(&mut params, &full);
    let mut info = entry.map("model_info");
    let number = entry
        .path
        .trim_end_matches(']')
        .rsplit('[')
        .next()
        .unwrap_or_default();
    let id = info.as_mut().and_then(|info| info.text("id"));
    let deployment = Deployment {
        id: id.unwrap_or_else(|| format!("{group}#{number}")),
        group,
        provider,
        model,
        api_base: params.text("api_base"),
        api_key: params.secret("api_key").map(ApiKey::of),
        order: params.whole("order"),
        weight: params.whole("weight"),
        amounts: amounts(&mut params, &mut entry, router),
    };
    budget(&deployment, &mut params, config);
    price(&deployment, &mut params, info.as_mut(), config);
    base_model(&deployment, &mut params, info.as_mut(), config);
    for name in ["timeout", "stream_timeout", "max_retries"] {
        params.pass(name, "is a matter of the client, or of `retry`");
    }
    for name in [
        "aws_secret_access_key",
        "aws_access_key_id",
        "vertex_credentials",
    ] {
        params.pass(name, "signs requests; here they leave as they came");
    }
    params.rest("is sent with requests by LiteLLM; here requests leave as they came");
    if let Some(info) = info {
        info.rest("describes the model for LiteLLM alone");
    }
    entry.rest("has no counterpart here");
    Some(deployment)
}

/// The provider and the model of `azure/gpt-4o-eu`.
fn place(params: &mut Fields<'_>, full: &str) -> (Option<String>, String) {
    let (provider, model) = match (params.text("custom_llm_provider"), full.split_once('/')) {
        (Some(said), Some((first, model))) if first == said => (Some(ours(&said)), model),
        (Some(said), _) => (Some(ours(&said)), full),
        (None, Some((first, model))) => (Some(ours(first)), model),
        (None, None) => (maker(full), full),
    };
    if provider.is_none() && full != "*" {
        let reason =
            "does not say whose it is; its limits hold for whoever serves it: write provider/model";
        params.wrong::<()>("model", params.at("model"), reason);
    }
    // How Bedrock is called is no part of the name.
    let called = ["converse/", "invoke/"]
        .into_iter()
        .find_map(|way| model.strip_prefix(way));
    let model = match provider.as_deref() {
        Some("bedrock") => called.unwrap_or(model),
        _ => model,
    };
    (provider, model.to_owned())
}

/// Who makes a model that is named without its provider.
fn maker(model: &str) -> Option<String> {
    const BEGINNINGS: [(&str, &str); 6] = [
        ("gpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("claude-", "anthropic"),
        ("gemini-", "gemini"),
    ];
    let begins = BEGINNINGS
        .iter()
        .find(|(beginning, _)| model.starts_with(beginning));
    let known = || {
        Some(
            PriceTable::built_in()
                .find(None, model)?
                .provider
                .to_owned(),
        )
    };
    begins
        .map(|(_, provider)| (*provider).to_owned())
        .or_else(known)
}

fn amounts(params: &mut Fields<'_>, entry: &mut Fields<'_>, router: &Router) -> Amounts {
    // Older files have them beside the parameters.
    let mut either = |name| params.amount(name).or_else(|| entry.amount(name));
    Amounts {
        rpm: either("rpm"),
        tpm: either("tpm"),
        itpm: either("itpm"),
        otpm: either("otpm"),
        parallel: either("max_parallel_requests").or(router.max_parallel_requests),
    }
}

/// What calls have that go there.
fn when(deployment: &Deployment) -> BTreeMap<String, OneOrMore> {
    let one = |value: &str| OneOrMore(vec![value.to_owned()]);
    let mut when = BTreeMap::new();
    if let Some(provider) = &deployment.provider {
        when.insert("provider".to_owned(), one(provider));
    }
    if !deployment.model.contains('*') {
        when.insert("model".to_owned(), one(&deployment.model));
    }
    when
}

fn budget(deployment: &Deployment, params: &mut Fields<'_>, config: &mut Config) {
    let Some(amount) = params.money("max_budget") else {
        params.pass(
            "budget_duration",
            "is the duration of a budget that is not there",
        );
        return;
    };
    let at = params.at("budget_duration");
    let Some(every) = period::taken(params, "budget_duration") else {
        return;
    };
    let budget = settings::of(amount, every, when(deployment), &[]);
    let budgets = &mut config.rate_limiting.budgets;
    if budgets
        .iter()
        .any(|other| other.when == budget.when && other.every == every)
    {
        let reason = "another deployment to the same model has a budget over the same time; that one is taken";
        params.wrong::<()>("max_budget", at, reason);
        return;
    }
    budgets.push(budget);
}

/// A price of its own, from either of two blocks.
fn price(
    deployment: &Deployment,
    params: &mut Fields<'_>,
    mut info: Option<&mut Fields<'_>>,
    config: &mut Config,
) {
    let at = params.at("input_cost_per_token");
    let mut rate = |name: &str| {
        let said = params.decimal(name);
        let said = said.or_else(|| info.as_mut()?.decimal(name))?;
        let rate = Rate::per_token(&said).ok();
        rate.or_else(|| {
            params.wrong(
                name,
                at,
                "is no price that can be counted: less than a millionth of a nano-dollar",
            )
        })
    };
    let mut price = PriceConfig {
        input: rate("input_cost_per_token"),
        output: rate("output_cost_per_token"),
        reasoning: rate("output_cost_per_reasoning_token"),
        cache_read: rate("cache_read_input_token_cost"),
        cache_write: rate("cache_creation_input_token_cost"),
        cache_write_long: rate("cache_creation_input_token_cost_above_1hr"),
        ..PriceConfig::default()
    };
    if price == PriceConfig::default() {
        return;
    }
    price.max_output = info.and_then(|info| info.amount("max_output_tokens"));
    let whole = (price.input, price.output, &deployment.provider);
    let (Some(_), Some(_), Some(provider)) = whole else {
        let reason = "a price needs `input_cost_per_token`, `output_cost_per_token` and a provider; it is not read";
        params.wrong::<()>("input_cost_per_token", at, reason);
        return;
    };
    let models = config
        .rate_limiting
        .prices
        .entry(provider.clone())
        .or_default();
    match models.get(&deployment.model) {
        Some(other) if *other != price => {
            let reason =
                "another deployment to the same model has another price; that one is taken";
            params.wrong::<()>("input_cost_per_token", at, reason);
        }
        _ => drop(models.insert(deployment.model.clone(), price)),
    }
}

/// The model behind a name that is the user's own, as Azure's deployments have.
fn base_model(
    deployment: &Deployment,
    params: &mut Fields<'_>,
    info: Option<&mut Fields<'_>>,
    config: &mut Config,
) {
    let said = params.text("base_model");
    let Some(base) = said.or_else(|| info?.text("base_model")) else {
        return;
    };
    let base = match &deployment.provider {
        Some(provider) if !base.contains('/') => format!("{provider}/{base}"),
        _ => base,
    };
    let bare = base
        .split_once('/')
        .map_or(base.as_str(), |(_, model)| model);
    let aliases = &mut config.rate_limiting.model_aliases;
    let clashes = aliases
        .get(&deployment.model)
        .is_some_and(|other| *other != base);
    if clashes
        || aliases.contains_key(&base)
        || aliases.values().any(|model| *model == deployment.model)
    {
        params.notes.note(
            &params.path,
            params.line,
            "has a `base_model` that does not go with another deployment's",
        );
    } else if bare != deployment.model && !deployment.model.contains('*') {
        aliases.insert(deployment.model.clone(), base);
    }
}

/// The limits of all deployments: on each provider's model, and on each deployment of several.
pub(super) fn limits(deployments: &[Deployment], config: &mut Config) {
    let mut places: Vec<Vec<&Deployment>> = Vec::new();
    for deployment in deployments {
        let same = |other: &&mut Vec<&Deployment>| when(other[0]) == when(deployment);
        match places.iter_mut().find(same) {
            Some(place) => place.push(deployment),
            None => places.push(vec![deployment]),
        }
    }
    for place in places {
        together(&place, config);
        if place.len() > 1 {
            for deployment in place {
                let mut when = when(deployment);
                when.insert("api_key".to_owned(), OneOrMore(vec![deployment.id.clone()]));
                push(deployment.amounts, &when, config);
            }
        }
    }
}

/// What goes to one model of one provider in all.
fn together(place: &[&Deployment], config: &mut Config) {
    let sum = |amount: fn(&Amounts) -> Option<u64>| {
        let amounts = place.iter().map(|deployment| amount(&deployment.amounts));
        // Where one has none, there is none for all of them.
        amounts
            .into_iter()
            .try_fold(0_u64, |sum, amount| Some(sum.saturating_add(amount?)))
    };
    let amounts = Amounts {
        rpm: sum(|one| one.rpm),
        tpm: sum(|one| one.tpm),
        itpm: sum(|one| one.itpm),
        otpm: sum(|one| one.otpm),
        parallel: sum(|one| one.parallel),
    };
    let first = place[0];
    match &first.provider {
        Some(provider) if !first.model.contains('*') && amounts != Amounts::default() => {
            let models = config
                .rate_limiting
                .providers
                .entry(provider.clone())
                .or_default();
            models.insert(
                first.model.clone(),
                Quota {
                    requests_per_minute: amounts.rpm,
                    tokens_per_minute: amounts.tpm,
                    input_tokens_per_minute: amounts.itpm,
                    output_tokens_per_minute: amounts.otpm,
                    concurrent_requests: amounts.parallel,
                    ..Quota::default()
                },
            );
        }
        _ => push(amounts, &when(first), config),
    }
}

fn push(amounts: Amounts, when: &BTreeMap<String, OneOrMore>, config: &mut Config) {
    let minute = Some(Span::from_secs(60));
    for (quantity, amount, every) in [
        (Quantity::Requests, amounts.rpm, minute),
        (Quantity::Tokens, amounts.tpm, minute),
        (Quantity::InputTokens, amounts.itpm, minute),
        (Quantity::OutputTokens, amounts.otpm, minute),
        (Quantity::Concurrency, amounts.parallel, None),
    ] {
        if let Some(amount) = amount {
            let limit = LimitConfig::on(quantity, amount, every, when.clone());
            config.rate_limiting.limits.push(limit);
        }
    }
}
