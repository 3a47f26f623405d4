//! What a deployment costs, and what may be spent on it.

use super::{Deployment, fields::Fields, period, settings, terms::when};
use crate::{
    config::{Config, PriceConfig},
    pricing::Rate,
};

/// The budget of a deployment.
pub(super) fn budget(deployment: &Deployment, params: &mut Fields<'_>, config: &mut Config) {
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
pub(super) fn price(
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
pub(super) fn base_model(
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
