//! `tower-quota check`

use std::io::{self, Write};

use tower_quota::{
    config::{Resolution, Stack},
    gateway::{BindError, Config, Gateway, GatewayConfig},
    store::MemoryStore,
};

use super::{
    cli::CheckArgs,
    failure::Failure,
    output::print,
    source::{Said, Source},
    targets,
};

/// Says whether a configuration can be served, what it comes to, and what names of models lead to. No store is opened and
/// nothing is sent.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    if args.schema {
        return print(|out| writeln!(out, "{:#}", Config::json_schema()));
    }
    let source = Source::from_files(args.config.clone(), args.litellm.clone());
    let source = source.counted_in(args.store.as_ref())?;
    let read = source.read().and_then(|said| {
        let limits = said.rate_limiting.limits()?;
        said.rate_limiting.check_store()?;
        said.gateway.check_store(&said.rate_limiting.store)?;
        let stack = said.rate_limiting.build_on(MemoryStore::new(limits))?;
        Ok((said, stack))
    });
    let (said, stack) = read.map_err(|error| source.failure(error))?;
    Gateway::new(&stack.layer, &stack.limiter, &said.gateway)
        .map_err(|error| Failure::gateway(&source, error))?;
    let unpriced = targets::unpriced(&said.rate_limiting, &stack);
    print(|out| {
        for part in &said.not_understood {
            writeln!(out, "not in force: {part}")?;
        }
        let doubts = stack.doubts.iter().chain(&unpriced).cloned();
        for doubt in doubts.chain(unkeyed(&said.gateway)) {
            writeln!(out, "warning: {doubt}")?;
        }
        if args.models.is_empty() {
            return summary(&stack, out);
        }
        let mut models = args.models.iter();
        models.try_for_each(|name| resolved(&stack, &said, name, out))
    })
}

/// Why it is not served where it is to listen. The command line may say another address.
fn unkeyed(gateway: &GatewayConfig) -> Option<String> {
    let addr = gateway.listen;
    let is_refused = gateway.state.is_none() && !addr.ip().to_canonical().is_loopback();
    is_refused.then(|| {
        let why = BindError::NotLoopback(addr);
        format!("gateway.listen: {why}; as it is, `serve` refuses it, unless --listen says another address")
    })
}

fn summary(stack: &Stack, out: &mut dyn Write) -> io::Result<()> {
    let limits = stack.limiter.limits();
    writeln!(out, "the configuration is sound; its limits:")?;
    for limit in limits.iter() {
        writeln!(out, "  {limit}")?;
    }
    if limits.iter().next().is_none() {
        writeln!(out, "  none")?;
    }
    Ok(())
}

/// `gpt-4o`, or of one provider, `azure/gpt-4o`; of a route, each of its targets.
fn resolved(stack: &Stack, said: &Said, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let block = &said.rate_limiting;
    match block.failover.routes.get(name).filter(|_| block.enabled) {
        Some(route) => targets::print_route(stack, &block.failover, (name, route), out),
        None => writeln!(out, "{}", of_model(stack, said, name)),
    }
}

/// What a name without a route leads to, in words.
fn of_model(stack: &Stack, said: &Said, name: &str) -> String {
    let whole = stack.resolve(None, name);
    let Some((front, model)) = name.split_once('/') else {
        return whole.to_string();
    };
    let configured = configured(said, front);
    let of_provider = stack.resolve(Some(configured.unwrap_or(front)), model);
    let is_of_provider = match configured {
        Some(_) if of_provider.price.is_some() => true,
        // A name with the maker in front may be a model's own.
        _ if is_own_name(&whole, front) => false,
        Some(_) => true,
        None => of_provider.price.is_none() || has_prices(stack, front),
    };
    match is_of_provider {
        true => format!("{front}/{of_provider}"),
        false => whole.to_string(),
    }
}

/// By which name limits and prices know the provider that is configured under this one.
fn configured<'s>(said: &'s Said, name: &'s str) -> Option<&'s str> {
    let block = &said.rate_limiting;
    let target = block.failover.providers.get(name);
    let upstream = said.gateway.upstreams.get(name);
    let is_named = block.providers.contains_key(name) || block.prices.contains_key(name);
    let known_as = target.and_then(|target| target.provider.as_deref());
    let known_as = known_as.or_else(|| upstream?.provider.as_deref());
    let is_there = target.is_some() || upstream.is_some() || is_named;
    is_there.then(|| known_as.unwrap_or(name))
}

/// Whether prices of this provider are known.
fn has_prices(stack: &Stack, provider: &str) -> bool {
    let prices = stack.prices();
    prices.iter().any(|(other, ..)| other == provider)
}

/// Whether something knows the model by the whole name, with this in front: Groq has an `openai/gpt-oss-20b`.
fn is_own_name(found: &Resolution, front: &str) -> bool {
    let is_whole = |name: &str| {
        let rest = name.strip_prefix(front);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let limits = found.limits.iter();
    let mut limits = limits.filter_map(|limit| limit.model.as_deref());
    let price = found.price.as_ref();
    found.alias_of.is_some()
        || limits.any(is_whole)
        || price.is_some_and(|price| is_whole(&price.model))
}
