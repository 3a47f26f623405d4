//! `tower-quota check`

use std::io::{self, Write};

use tower_quota::{
    config::Stack,
    gateway::{Config, Gateway},
    store::MemoryStore,
};

use super::{cli::CheckArgs, failure::Failure, output::print, source::Source};

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
    print(|out| {
        for part in &said.not_understood {
            writeln!(out, "not in force: {part}")?;
        }
        for doubt in &stack.doubts {
            writeln!(out, "warning: {doubt}")?;
        }
        if args.models.is_empty() {
            return summary(&stack, out);
        }
        let mut models = args.models.iter();
        models.try_for_each(|name| resolved(&stack, name, out))
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

/// `gpt-4o`, or of one provider, `azure/gpt-4o`.
fn resolved(stack: &Stack, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let known = stack.resolve(None, name);
    let (provider, model) = match name.split_once('/') {
        // A name with the maker in front may be a model's own.
        Some((provider, model)) if known.price.is_none() => (Some(provider), model),
        _ => (None, name),
    };
    writeln!(out, "{}", stack.resolve(provider, model))
}
