//! `tower-quota check`

use tower_quota::{
    config::Stack,
    gateway::{Config, Gateway},
    store::MemoryStore,
};

use super::{cli::CheckArgs, failure::Failure, source::Source};

/// Says whether a configuration can be served, what it comes to, and what names of models lead to. No store is opened and
/// nothing is sent.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    if args.schema {
        println!("{:#}", Config::json_schema());
        return Ok(());
    }
    let source = Source::from_files(args.config.clone(), args.litellm.clone());
    let read = source.read().and_then(|said| {
        let limits = said.rate_limiting.limits()?;
        said.rate_limiting.check_store()?;
        let stack = said.rate_limiting.build_on(MemoryStore::new(limits))?;
        Ok((said, stack))
    });
    let (said, stack) = read.map_err(|error| source.failure(error))?;
    Gateway::new(&stack.layer, &stack.limiter, &said.gateway)
        .map_err(|error| Failure::gateway(&source, error))?;
    for part in &said.not_understood {
        println!("not in force: {part}");
    }
    for doubt in &stack.doubts {
        println!("warning: {doubt}");
    }
    match args.models.is_empty() {
        true => summary(&stack),
        false => args.models.iter().for_each(|name| resolved(&stack, name)),
    }
    Ok(())
}

fn summary(stack: &Stack) {
    let limits = stack.limiter.limits();
    println!("the configuration is sound; its limits:");
    for limit in limits.iter() {
        println!("  {limit}");
    }
    if limits.iter().next().is_none() {
        println!("  none");
    }
}

/// `gpt-4o`, or of one provider, `azure/gpt-4o`.
fn resolved(stack: &Stack, name: &str) {
    let known = stack.resolve(None, name);
    let (provider, model) = match name.split_once('/') {
        // A name with the maker in front may be a model's own.
        Some((provider, model)) if known.price.is_none() => (Some(provider), model),
        _ => (None, name),
    };
    println!("{}", stack.resolve(provider, model));
}
