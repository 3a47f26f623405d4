//! Everything that can be seen, and the marks that must not be in it.

use std::{
    error::Error,
    fmt::{Debug, Display},
    sync::{Arc, Mutex},
};

use serde::Serialize;

/// What every secret of these tests begins with. No escaping changes it.
pub(crate) const MARK: &str = "MARKED";

/// A secret of this kind: `MARKED-key`.
pub(crate) fn secret(of: &str) -> String {
    format!("{MARK}-{of}")
}

/// What was seen, and what of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs(Arc<Mutex<Vec<(String, String)>>>);

impl Outputs {
    pub(crate) fn text(&self, of: &str, text: impl Into<String>) {
        self.0.lock().unwrap().push((of.to_owned(), text.into()));
    }

    pub(crate) fn debug(&self, of: &str, value: &impl Debug) {
        self.text(&format!("{of}, by Debug"), format!("{value:?}"));
        self.text(&format!("{of}, by alternate Debug"), format!("{value:#?}"));
    }

    pub(crate) fn display(&self, of: &str, value: &impl Display) {
        self.text(&format!("{of}, by Display"), value.to_string());
    }

    pub(crate) fn json(&self, of: &str, value: &impl Serialize) {
        self.text(
            &format!("{of}, as JSON"),
            serde_json::to_string(value).unwrap(),
        );
    }

    /// An error with all its causes.
    pub(crate) fn error(&self, of: &str, error: &(dyn Error + 'static)) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.text(&format!("{of}, an error by Display"), error.to_string());
            self.text(&format!("{of}, an error by Debug"), format!("{error:?}"));
            cause = error.source();
        }
    }

    /// What of this kind was seen.
    pub(crate) fn of(&self, of: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let all = all.iter().filter(|(what, _)| what.starts_with(of));
        all.map(|(_, text)| text.clone()).collect()
    }

    /// Where a mark is.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let leaks = all.iter().filter(|(_, text)| text.contains(MARK));
        leaks.map(|(of, text)| format!("{of}: {text}")).collect()
    }

    /// Nothing is marked of all that was seen, which is so much at least.
    pub(crate) fn are_clean(&self, least: usize) {
        assert_eq!(self.leaks(), [""; 0]);
        let seen = self.0.lock().unwrap().len();
        assert!(
            seen >= least,
            "too little was seen to show anything: {seen}"
        );
    }
}

#[test]
fn a_leak_is_found_wherever_it_is() {
    #[derive(Debug, Serialize)]
    struct Leaks {
        key: String,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Deep(#[source] std::io::Error);

    let leaks = Leaks { key: secret("key") };
    let planted: [fn(&Outputs, &Leaks); 5] = [
        |outputs, leaks| outputs.debug("it", leaks),
        |outputs, leaks| outputs.display("it", &leaks.key),
        |outputs, leaks| outputs.json("it", leaks),
        |outputs, leaks| outputs.text("it", format!("key={}", leaks.key)),
        |outputs, leaks| {
            let cause = std::io::Error::other(leaks.key.clone());
            outputs.error("it", &Deep(cause));
        },
    ];
    for plant in planted {
        let outputs = Outputs::default();
        outputs.debug("something else", &"well");
        plant(&outputs, &leaks);
        assert!(!outputs.leaks().is_empty(), "{outputs:?}");
    }
    let outputs = Outputs::default();
    outputs.debug("something else", &"well");
    outputs.are_clean(1);
}
