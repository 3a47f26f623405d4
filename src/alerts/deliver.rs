//! One alert on its way to one webhook.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Uri};
use tokio::time::{sleep, timeout};

use super::{Alert, Webhook, client::Post};
use crate::{clock::time_of_day, retry::backoff::jitter, wire::retry_after};

/// The longest wait where none is told.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// A longer one is not waited for, even where it is told.
const LONGEST_TOLD: Duration = Duration::from_secs(3_600);

/// A part of an address that is shorter is not looked for in errors.
const TELLING: usize = 4;

/// What became of an alert at a webhook.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Told {
    /// The webhook, by its [name](Webhook::named).
    pub webhook: Arc<str>,
    /// The alert.
    pub alert: Arc<Alert>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The webhook has accepted it.
    Delivered,
    /// The webhook has not accepted it this time; it is sent again after this wait.
    Again(NotDelivered, Duration),
    /// The webhook has not accepted it, and it is not sent again.
    Failed(NotDelivered),
    /// It was not sent, because too many others were waiting, or because the program ended first.
    Dropped,
}

impl Outcome {
    /// The outcome in a word: `delivered`, `again`, `failed`, `dropped`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Again(..) => "again",
            Outcome::Failed(_) => "failed",
            Outcome::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told {
            webhook,
            alert,
            outcome,
        } = self;
        let kind = alert.kind.name();
        match outcome {
            Outcome::Delivered => write!(f, "{webhook} has taken an alert ({kind})"),
            Outcome::Again(why, wait) => {
                let wait = wait.as_secs_f64();
                write!(
                    f,
                    "{webhook} {why}; an alert ({kind}) is sent again in {wait:.1} s"
                )
            }
            Outcome::Failed(why) => {
                write!(
                    f,
                    "{webhook} {why}; an alert is lost ({kind}): {}",
                    alert.text
                )
            }
            Outcome::Dropped => {
                write!(
                    f,
                    "{webhook} is behind; an alert is lost ({kind}): {}",
                    alert.text
                )
            }
        }
    }
}

/// Why a webhook has not accepted an alert. It contains nothing of the webhook's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDelivered {
    /// It answered with a status that refuses the alert.
    #[error("answered {0}")]
    Answered(u16),
    /// It did not answer in time.
    #[error("did not answer in time")]
    TooLate,
    /// There was no connection, or it broke off.
    #[error("was not reached: {0}")]
    NotReached(String),
}

/// Why not, and whether it is worth another try: where it was told, after how long.
struct No {
    why: NotDelivered,
    may_pass: bool,
    told: Option<Duration>,
}

impl Webhook {
    /// Sends an alert until it is taken, or there is no hope. Says each time that it was not.
    pub(super) async fn deliver(
        &self,
        post: &Post,
        alert: &Alert,
        again: impl Fn(Outcome),
    ) -> Result<u16, NotDelivered> {
        let mut tried = 0;
        loop {
            let no = match self.send(post, alert).await {
                Ok(status) => return Ok(status),
                Err(no) => no,
            };
            tried += 1;
            let wait = match no.told {
                Some(told) => told.saturating_add(jitter(told)),
                None => self.wait(tried),
            };
            let is_too_long = no.told.is_some_and(|told| told > LONGEST_TOLD);
            if !no.may_pass || tried >= self.tries || is_too_long {
                return Err(no.why);
            }
            again(Outcome::Again(no.why, wait));
            sleep(wait).await;
        }
    }

    /// Sends it once.
    async fn send(&self, post: &Post, alert: &Alert) -> Result<u16, No> {
        let request = self.request(alert);
        let uri = request.uri().clone();
        let passes = |why| No {
            why,
            may_pass: true,
            told: None,
        };
        let answer = timeout(self.timeout, post(request)).await;
        let answer = answer.map_err(|_| passes(NotDelivered::TooLate))?;
        let answer =
            answer.map_err(|error| passes(NotDelivered::NotReached(hidden(error, &uri))))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        Err(No {
            why: NotDelivered::Answered(status.as_u16()),
            may_pass: status.as_u16() == 429 || status.is_server_error(),
            told: told(answer.headers()),
        })
    }

    /// How long it waits where nothing is told: half of what it may be at least.
    fn wait(&self, tried: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(tried.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let most = self.first_wait.saturating_mul(factor).min(LONGEST_WAIT);
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

fn told(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers, time_of_day())
}

/// An error without what the address says.
fn hidden(error: String, uri: &Uri) -> String {
    let path = uri.path_and_query().map(|path| path.as_str());
    let authority = uri.authority().map(|at| at.as_str());
    let parts = [path, authority, uri.host()].into_iter().flatten();
    // What is shorter is no secret, and a part of words.
    let parts = parts.filter(|part| part.len() >= TELLING);
    parts.fold(error, |error, part| error.replace(part, "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap_and_are_never_short() {
        let webhook = Webhook::new("http://h/").unwrap();
        for (tried, most) in [(1, 2), (2, 4), (3, 8), (6, 64), (7, 120), (99, 120)] {
            let (least, most) = (Duration::from_secs(most) / 2, Duration::from_secs(most));
            for _ in 0..100 {
                let wait = webhook.wait(tried);
                assert!(least <= wait && wait <= most, "{tried}: {wait:?}");
            }
        }
    }

    #[test]
    fn an_error_says_nothing_of_the_address() {
        let uri: Uri = "https://hooks.example:8443/s3cret?key=s3cret"
            .parse()
            .unwrap();
        let said = "no name hooks.example, of hooks.example:8443/s3cret?key=s3cret".to_owned();
        assert_eq!(hidden(said, &uri), "no name …, of ……");
        let short: Uri = "http://h/a".parse().unwrap();
        assert_eq!(hidden("what happens".to_owned(), &short), "what happens");
    }
}
