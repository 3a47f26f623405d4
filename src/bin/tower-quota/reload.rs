//! What SIGHUP does.

use tower_quota::{config::Stack, gateway::GatewayConfig};

use super::source::Source;

/// Reads the file again and says what became of it.
pub(crate) async fn run(source: &Source, gateway: &GatewayConfig, stack: &Stack) {
    let said = match tried(source, gateway, stack).await {
        Ok(changed) if changed.is_empty() => "reloaded; no amount is another".to_owned(),
        Ok(changed) => format!("reloaded; {}", changed.join(", ")),
        Err(reason) => format!("not reloaded, all is as it was: {reason}"),
    };
    eprintln!("tower-quota: {said}");
}

/// What has changed, in words; or why nothing has.
async fn tried(
    source: &Source,
    gateway: &GatewayConfig,
    stack: &Stack,
) -> Result<Vec<String>, String> {
    let named = |reason: String| format!("{}: {reason}", source.path().display());
    let said = source
        .read()
        .map_err(|error| source.failure(error).to_string())?;
    if said.gateway != *gateway {
        return Err(named(
            "`gateway` cannot change while calls run; restart for that, or leave it as it was"
                .to_owned(),
        ));
    }
    let reloaded = stack.reload_block(&said.rate_limiting).await;
    let changed = reloaded.map_err(|error| named(error.to_string()))?.changed;
    let words = changed
        .iter()
        .map(|limit| format!("{}, before {}", limit.now, limit.before));
    Ok(words.collect())
}
