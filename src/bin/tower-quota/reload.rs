//! What SIGHUP does.

use tower_quota::{
    config::{ChangedLimit, Reloaded, Stack},
    gateway::{Gateway, GatewayConfig, Renewed},
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
            let also = renewed(gateway, &reason).await;
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
async fn renewed(gateway: &Gateway, reason: &str) -> String {
    let tls = gateway.scheme() == "https";
    let files = |keyed: bool| match (tls, keyed) {
        (true, true) => Some("the certificate and the keys"),
        (true, false) => Some("the certificate"),
        (false, true) => Some("the keys"),
        (false, false) => None,
    };
    let Some(all) = files(gateway.is_keyed()) else {
        return String::new();
    };
    match gateway.renewed() {
        Ok(renewed) => {
            let is_gone = renewed.keys_gone().is_some();
            take(renewed).await;
            match files(gateway.is_keyed() && !is_gone) {
                Some(files) => format!(" but for {files}, read again"),
                None => String::new(),
            }
        }
        Err(error) => match error.to_string() {
            // It is what is said anyway.
            error if error == reason => format!(", {all} too"),
            error => format!(", {all} too ({error})"),
        },
    }
}

/// Puts in force what was read again, and says what could not be.
async fn take(renewed: Renewed) {
    if let Some(gone) = renewed.keys_gone() {
        complain(format_args!("{gone}"));
    }
    if let Err(error) = renewed.take().await {
        complain(format_args!(
            "what was changed in the file of keys is in force, but could not be noted in the audit log: {error}"
        ));
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
    take(renewed).await;
    Ok(reloaded)
}
