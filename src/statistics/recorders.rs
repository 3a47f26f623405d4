//! Statistics that record for one layer, which go by the budgets of its limiter.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Statistics, book::Book};
use crate::limit::Limits;

/// Where calls are recorded, for as long as somebody has it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorders(Arc<Mutex<Vec<Weak<Mutex<Book>>>>>);

impl Recorders {
    /// There too from now on.
    pub(crate) fn add(&self, statistics: &Statistics) {
        let book = Arc::downgrade(&statistics.book);
        let mut books = self.0.lock();
        books.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&book));
        books.push(book);
    }

    /// Has tables by the tags of every budget among these limits.
    pub(crate) fn watch(&self, limits: &Limits) {
        let books = self.0.lock().clone();
        let books = books.iter().filter_map(Weak::upgrade);
        books.for_each(|book| book.lock().watch(limits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::{CalendarUnit, Limit},
        money::Money,
        tags::Tag,
    };

    #[test]
    fn all_that_are_there_know_the_budgets_and_each_is_there_once() {
        let recorders = Recorders::default();
        let (one, other) = (Statistics::new(), Statistics::new());
        recorders.add(&one);
        recorders.add(&other);
        recorders.add(&one);
        recorders.add(&Statistics::new());
        assert_eq!(recorders.0.lock().len(), 3);
        recorders.add(&one);
        assert_eq!(recorders.0.lock().len(), 2, "nobody has the last");
        let by = [Tag::Provider, Tag::Model];
        let knows = |statistics: &Statistics| statistics.report(CalendarUnit::Day, &by).is_some();
        assert!(!knows(&one) && !knows(&other));
        let budget = Limit::cost(Money::from_dollars(1)).in_total();
        let budget = budget.when(Tag::Provider, "openai").per(Tag::Model);
        recorders.watch(&Limits::new([budget]).unwrap());
        assert!(knows(&one) && knows(&other));
    }
}
