//! Traces: calls as they were.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{ToCome, bounds::bounded, columns::Row, moment::Moment};
use crate::{
    simulate::{LoadError, plain::plain},
    tags::{Tag, Tags},
};

/// Calls in the order in which they come.
#[derive(Debug)]
pub(in crate::simulate) struct Trace {
    pub(in crate::simulate) calls: Vec<ToCome>,
    /// The date of the first, where they have dates.
    pub(in crate::simulate) start: Option<SystemTime>,
    /// How many attempts of a ledger are not among them: nobody knows their models.
    pub(in crate::simulate) left_out: u64,
}

/// Takes in a trace line by line.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Gathers {
    calls: Vec<(Moment, ToCome)>,
    texts: HashSet<Arc<str>>,
    /// Most calls have the tags of others.
    tags: HashMap<Vec<(Tag, Arc<str>)>, Arc<Tags>>,
    left_out: u64,
    /// The first and the last by now.
    spread: Option<(Moment, Moment)>,
}

impl Gathers {
    /// Takes in one line, which may be an attempt of a ledger. What is wrong in it is said without what would steer a terminal.
    pub(super) fn line(
        &mut self,
        line: u64,
        is_ledger: bool,
        pairs: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Result<(), LoadError> {
        self.take(is_ledger, pairs)
            .map_err(|reason| LoadError::Line {
                line,
                reason: plain(&reason),
            })
    }

    fn take(
        &mut self,
        is_ledger: bool,
        pairs: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Result<(), String> {
        let mut row = Row::default();
        for (name, value) in pairs {
            row.set(name.as_ref(), value.as_ref().trim())?;
        }
        if row.is_open {
            return Ok(());
        }
        if is_ledger {
            if row.model.is_none() {
                self.left_out += 1;
                return Ok(());
            }
            row.cap_cached();
        }
        let at = row.at.ok_or_else(|| Row::missing("at"))?;
        if self
            .calls
            .first()
            .is_some_and(|(first, _)| !first.is_like(&at))
        {
            return Err("`at` is a date in some lines and seconds in others".to_owned());
        }
        let (first, last) = self
            .spread
            .map_or((at, at), |(first, last)| (first.min(at), last.max(at)));
        bounded(last.since(first)).map_err(|reason| {
            format!("`at` is too far from that of other lines: what is between them {reason}")
        })?;
        self.spread = Some((first, last));
        let size = row.size()?;
        let model = row.model.take().ok_or_else(|| Row::missing("model"))?;
        let model = self.shared(&model);
        let pairs: Vec<(Tag, Arc<str>)> = std::mem::take(&mut row.tags)
            .into_iter()
            .map(|(tag, value)| (tag, self.shared(&value)))
            .collect();
        let tags = self.tags.entry(pairs).or_insert_with_key(|pairs| {
            let pairs = pairs.iter().cloned();
            Arc::new(pairs.fold(Tags::new(), |tags, (tag, value)| tags.with(tag, value)))
        });
        let call = ToCome {
            at: Duration::ZERO,
            model,
            tags: tags.clone(),
            size,
            priority: row.priority,
            max_wait: row.max_wait,
        };
        self.calls.push((at, call));
        Ok(())
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }

    /// All of them, from the first that came on.
    pub(in crate::simulate) fn done(self) -> Trace {
        let mut calls = self.calls;
        calls.sort_by_key(|(at, _)| *at);
        let first = calls.first().map(|(at, _)| *at);
        Trace {
            calls: calls
                .into_iter()
                .map(|(at, call)| ToCome {
                    at: first.map_or(Duration::ZERO, |first| at.since(first)),
                    ..call
                })
                .collect(),
            start: first.and_then(Moment::date),
            left_out: self.left_out,
        }
    }
}
