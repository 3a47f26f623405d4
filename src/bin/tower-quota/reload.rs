//! What SIGHUP does.

use tower_quota::{
    config::{ChangedLimit, Reloaded, Stack},
    gateway::{Gateway, GatewayConfig},
};

use super::source::Source;

/// Reads the file again and says what became of it.
pub(crate) async fn run(
    source: &Source,
    (config, gateway): (&GatewayConfig, &Gateway),
    stack: &Stack,
) {
    let reloaded = match tried(source, (config, gateway), stack).await {
        Ok(reloaded) => reloaded,
        Err(reason) => {
            return eprintln!("tower-quota: not reloaded, all is as it was: {reason}");
        }
    };
    let words = words(&reloaded);
    let words = match words.is_empty() {
        true => "nothing is another".to_owned(),
        false => words.join(", "),
    };
    eprintln!("tower-quota: reloaded; {words}");
    let known = |doubt: &&String| stack.doubts.contains(doubt);
    for doubt in reloaded.doubts.iter().filter(|doubt| !known(doubt)) {
        eprintln!("tower-quota: warning: {doubt}");
    }
}

/// What has changed, in words.
fn words(reloaded: &Reloaded) -> Vec<String> {
    let changed = reloaded.changed.iter().map(changed);
    let added = reloaded.added.iter();
    let added = added.map(|limit| format!("new: {limit}"));
    let removed = reloaded.removed.iter();
    let removed = removed.map(|limit| format!("gone: {limit}"));
    let prices = reloaded.prices.then(|| "other prices".to_owned());
    changed.chain(added).chain(removed).chain(prices).collect()
}

fn changed(limit: &ChangedLimit) -> String {
    let ChangedLimit {
        before,
        now,
        fields,
        ..
    } = limit;
    if now == before {
        format!("{now} ({} changed)", fields.join(", "))
    } else {
        format!("{now}, before {before}")
    }
}

/// What has changed; or why nothing has.
async fn tried(
    source: &Source,
    (config, gateway): (&GatewayConfig, &Gateway),
    stack: &Stack,
) -> Result<Reloaded, String> {
    let named = |reason: String| format!("{}: {reason}", source.path().display());
    let said = source
        .read()
        .map_err(|error| source.failure(error).to_string())?;
    if said.gateway.fixed() != config.fixed() {
        return Err(named(
            "`gateway` cannot change while calls run; restart for that, or leave it as it was"
                .to_owned(),
        ));
    }
    let renewed = gateway.renewed_by(&said.gateway);
    let renewed = renewed.map_err(|error| error.to_string())?;
    let reloaded = stack.reload_block(&said.rate_limiting).await;
    let reloaded = reloaded.map_err(|error| named(error.to_string()))?;
    renewed.take();
    Ok(reloaded)
}
