//! What differs between limits and those that come in their place.

use super::{Identity, Limit, Limits};

/// What differs between two sets of limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference<'a> {
    pub(crate) added: Vec<&'a Limit>,
    pub(crate) removed: Vec<&'a Limit>,
    /// Those that are in both, as they were and as they are, and the fields that differ.
    pub(crate) changed: Vec<(&'a Limit, &'a Limit, Vec<&'static str>)>,
}

impl Limits {
    /// What differs from these to others.
    pub(crate) fn difference<'a>(&'a self, new: &'a Limits) -> Difference<'a> {
        let named = |limit: &'a Limit| (Identity::of(limit).sorted(), limit);
        let mut old: Vec<_> = self.iter().map(named).collect();
        let mut difference = Difference::default();
        for (same, limit) in new.iter().map(named) {
            let Some(place) = old.iter().position(|(known, _)| *known == same) else {
                difference.added.push(limit);
                continue;
            };
            let (_, before) = old.remove(place);
            let fields = before.fields_that_differ(limit);
            if !fields.is_empty() {
                difference.changed.push((before, limit, fields));
            }
        }
        difference.removed = old.into_iter().map(|(_, limit)| limit).collect();
        difference
    }
}

impl Limit {
    /// In what it differs from one that is the same limit, by the names of a configuration.
    fn fields_that_differ(&self, other: &Limit) -> Vec<&'static str> {
        let Limit {
            amount,
            charge,
            count,
            margin,
            headroom,
            slice,
            amounts,
            shares,
            count_refused,
            adaptive,
            thresholds,
            circuit,
            // By these it is the same.
            quantity: _,
            period: _,
            zone: _,
            when: _,
            per: _,
            whole: _,
            part: _,
            shadow: _,
            paused: _,
        } = self;
        let same = [
            ("amount", *amount == other.amount),
            ("amounts", *amounts == other.amounts),
            ("headroom", *headroom == other.headroom),
            ("shares", *shares == other.shares),
            ("slice", *slice == other.slice),
            ("charge", *charge == other.charge),
            ("count", *count == other.count),
            ("margin", *margin == other.margin),
            ("count_refused", *count_refused == other.count_refused),
            ("adaptive", *adaptive == other.adaptive),
            ("thresholds", *thresholds == other.thresholds),
            ("circuit", *circuit == other.circuit),
        ];
        let differ = same.into_iter().filter(|(_, same)| !same);
        differ.map(|(field, _)| field).collect()
    }
}
