//! One alert.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use serde::Serialize;

use super::Kind;
use crate::{clock::time_of_day, statistics::instant};

/// Longer words are cut to so many characters.
const LONGEST: usize = 2_000;

/// Something that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alert {
    /// The same each time the alert is sent, and for every webhook.
    pub id: Arc<str>,
    /// What it is about.
    pub kind: Kind,
    /// The budget, with its threshold, or the target.
    pub subject: String,
    /// What happened, in words and without line breaks; cut if it is longer than 2 000 characters.
    pub text: String,
    /// Whether this alert says that it is over.
    pub is_over: bool,
    /// When it happened.
    #[serde(with = "instant")]
    pub at: SystemTime,
}

impl Alert {
    pub(super) fn now(kind: Kind, subject: &str, is_over: bool, text: &str) -> Self {
        Alert {
            id: next_id().into(),
            kind,
            subject: plain(subject),
            text: plain(text),
            is_over,
            at: time_of_day(),
        }
    }
}

/// A number that no other alert has, of whichever process.
fn next_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{number}", *PROCESS)
}

/// On one line, and not too long.
fn plain(text: &str) -> String {
    let mut chars = text.chars();
    let begin = chars.by_ref().take(LONGEST);
    let mut plain: String = begin
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if chars.next().is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_name_themselves_breaks_no_line_and_has_an_end() {
        let alert = Alert::now(Kind::Spent, "a\nb", false, &"ü".repeat(9_000));
        assert_eq!(alert.subject, "a b");
        assert_eq!(alert.text.chars().count(), LONGEST + 1);
        let other = Alert::now(Kind::Spent, "a", false, "b");
        assert_eq!(other.text, "b");
        assert_ne!(alert.id, other.id);
    }
}
