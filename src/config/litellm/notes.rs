//! What was not understood by now.

use std::cell::RefCell;

use super::NotUnderstood;

/// What was not understood by now.
pub(super) struct Notes<'e> {
    list: RefCell<Vec<NotUnderstood>>,
    environment: &'e dyn Fn(&str) -> Option<String>,
}

impl<'e> Notes<'e> {
    pub(super) fn new(environment: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Notes {
            list: RefCell::default(),
            environment,
        }
    }

    pub(super) fn note(&self, path: &str, line: u64, reason: impl Into<String>) {
        self.list.borrow_mut().push(NotUnderstood {
            line,
            path: path.to_owned(),
            reason: reason.into(),
        });
    }

    pub(super) fn environment(&self) -> &dyn Fn(&str) -> Option<String> {
        self.environment
    }

    pub(super) fn into_list(self) -> Vec<NotUnderstood> {
        let mut list = self.list.into_inner();
        list.sort();
        list
    }
}
