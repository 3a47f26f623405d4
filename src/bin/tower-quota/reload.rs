//! What SIGHUP does.

use tower_quota::{
    config::{ChangedLimit, Reloaded, Stack},
    gateway::{Gateway, GatewayConfig},
};

use super::{output::complain, source::Source};

/// Reads the file again and says what became of it.
pub(crate) async fn run(
    source: &Source,
    (config, gateway): (&GatewayConfig, &Gateway),
    stack: &Stack,
) {
    let reloaded = match tried(source, (config, gateway), stack).await {
        Ok(reloaded) => reloaded,
        Err(reason) => {
            let also = renewed(gateway, &reason);
            return complain(format_args!(
                "not reloaded, all is as it was{also}: {reason}"
            ));
        }
    };
    let words = words(&reloaded);
    let words = match words.is_empty() {
        true => "nothing is another".to_owned(),
        false => words.join(", "),
    };
    complain(format_args!("reloaded; {words}"));
    let known = |doubt: &&String| stack.doubts.contains(doubt);
    for doubt in reloaded.doubts.iter().filter(|doubt| !known(doubt)) {
        complain(format_args!("warning: {doubt}"));
    }
}

/// Takes the certificate and the keys of callers though the configuration is not taken: they stand in files of their own,
/// and a certificate that was renewed must not wait for somebody to mend another file. In words, what was taken.
fn renewed(gateway: &Gateway, reason: &str) -> String {
    let (tls, keyed) = (gateway.scheme() == "https", gateway.is_keyed());
    let files = match (tls, keyed) {
        (true, true) => "the certificate and the keys",
        (true, false) => "the certificate",
        (false, true) => "the keys",
        (false, false) => return String::new(),
    };
    match gateway.renewed() {
        Ok(renewed) => {
            renewed.take();
            format!(" but for {files}, read again")
        }
        Err(error) => match error.to_string() {
            // It is what is said anyway.
            error if error == reason => format!(", {files} too"),
            error => format!(", {files} too ({error})"),
        },
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
