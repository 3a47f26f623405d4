//! `tower-quota alerts`

use std::path::PathBuf;

use super::{failure::Failure, source::Source};

/// Sends one to each webhook, and prints what each answers.
pub(crate) async fn test(config: PathBuf) -> Result<(), Failure> {
    let source = Source::from_files(Some(config), None);
    let said = source.read().map_err(|error| source.failure(error))?;
    let webhooks = said.gateway.webhooks();
    let webhooks = webhooks.map_err(|error| Failure::gateway(&source, error))?;
    let answers = webhooks.test().await;
    if answers.is_empty() {
        let reason = "there is no webhook to test; name one under gateway.alerts";
        return Err(Failure::Argument(reason.to_owned()));
    }
    for (name, answer) in &answers {
        match answer {
            Ok(status) => println!("{name} has taken it: {status}"),
            Err(why) => println!("{name} {why}"),
        }
    }
    let failed = answers.iter().filter(|(_, answer)| answer.is_err()).count();
    let of = answers.len();
    match failed {
        0 => Ok(()),
        failed => Err(Failure::NotTaken { failed, of }),
    }
}
