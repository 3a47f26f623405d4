//! What calls cost by LiteLLM's price file: `price FILE < calls`, where each line of `calls` is JSON such as
//! `{"provider": "openai", "model": "gpt-4o", "tier": "standard", "usage": {"input": 1000, "output": 50}}`.
//!
//! The first line that is printed tells what was read of the file. Then comes a line for each call: its cost in
//! nano-dollars with the name that the price is listed under, or `null` where there is no price.

use std::io::{self, BufRead as _, BufWriter, Write as _};

use serde::Deserialize;
use serde_json::json;
use tower_quota::{
    Usage,
    pricing::{PriceTable, ServiceTier},
};

#[derive(Deserialize)]
struct Call {
    provider: Option<String>,
    model: String,
    #[serde(default)]
    tier: ServiceTier,
    usage: Usage,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("which price file?")?;
    let mut table = PriceTable::new();
    let read = table.read_litellm(&std::fs::read_to_string(file)?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let what = json!({ "models": read.models, "prices": table.len(), "not_understood": read.not_understood,
        "left_out": read.left_out, "same_name": read.same_name });
    writeln!(out, "{what}")?;
    for line in io::stdin().lock().lines() {
        let call: Call = serde_json::from_str(&line?)?;
        let found = table.find(call.provider.as_deref(), &call.model);
        let cost = found.map(|found| {
            let cost = found.price.cost(&call.usage, call.tier);
            json!({ "nanos": cost.as_nanos(), "listed": found.model })
        });
        writeln!(out, "{}", serde_json::Value::from(cost))?;
    }
    Ok(())
}
