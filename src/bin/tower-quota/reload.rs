//! What SIGHUP does.

use std::path::Path;

use tower_quota::{
    config::{ConfigError, Stack},
    gateway::{Config, GatewayConfig},
};

/// Reads the file again and says what became of it.
pub(crate) async fn run(path: &Path, gateway: &GatewayConfig, stack: &Stack) {
    let said = match tried(path, gateway, stack).await {
        Ok(changed) if changed.is_empty() => "reloaded; no amount is another".to_owned(),
        Ok(changed) => format!("reloaded; {}", changed.join(", ")),
        Err(reason) => format!("not reloaded, all is as it was: {reason}"),
    };
    eprintln!("tower-quota: {said}");
}

/// What has changed, in words; or why nothing has.
async fn tried(path: &Path, gateway: &GatewayConfig, stack: &Stack) -> Result<Vec<String>, String> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let config = Config::from_path(path).map_err(|error| match error {
        // It names the file itself.
        ConfigError::File { .. } => error.to_string(),
        other => named(other.to_string()),
    })?;
    if config.gateway != *gateway {
        return Err(named(
            "`gateway` cannot change while calls run; restart for that, or leave it as it was"
                .to_owned(),
        ));
    }
    let reloaded = stack.reload_block(&config.rate_limiting).await;
    let changed = reloaded.map_err(|error| named(error.to_string()))?.changed;
    let words = changed
        .iter()
        .map(|limit| format!("{}, before {}", limit.now, limit.before));
    Ok(words.collect())
}
