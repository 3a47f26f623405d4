//! What differs between limits and those that come in their place.

use super::Limit;
#[cfg(feature = "config")]
use super::{Identity, Limits, pairs};

/// What differs between two sets of limits.
#[cfg(feature = "config")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Difference<'a> {
    pub(crate) added: Vec<&'a Limit>,
    pub(crate) removed: Vec<&'a Limit>,
    /// Those that are in both, as they were and as they are, and the fields that differ.
    pub(crate) changed: Vec<(&'a Limit, &'a Limit, Vec<&'static str>)>,
}

#[cfg(feature = "config")]
impl Limits {
    /// What differs from these to others.
    pub(crate) fn difference<'a>(&'a self, new: &'a Limits) -> Difference<'a> {
        let old: Vec<&Limit> = self.iter().collect();
        let of = |limits: &Limits| limits.iter().map(Identity::of).collect::<Vec<_>>();
        let mut stays = vec![false; old.len()];
        let mut difference = Difference::default();
        for (limit, place) in new.iter().zip(pairs(&of(self), &of(new))) {
            let Some(place) = place else {
                difference.added.push(limit);
                continue;
            };
            stays[place] = true;
            let before = old[place];
            let fields = before.fields_that_differ(limit);
            if !fields.is_empty() {
                difference.changed.push((before, limit, fields));
            }
        }
        let gone = old.into_iter().zip(stays).filter(|(_, stays)| !stays);
        difference.removed = gone.map(|(limit, _)| limit).collect();
        difference
    }
}

/// A field of a limit that is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtherField {
    /// By its name in a configuration.
    pub(crate) name: &'static str,
    pub(crate) before: String,
    pub(crate) now: String,
}

impl Limit {
    /// In what it differs from what it is now, of what the words for both do not say.
    pub(crate) fn differs_unsaid(&self, now: &Limit) -> Vec<OtherField> {
        let differ = self.fields_that_differ(now).into_iter();
        let unsaid = differ.filter_map(|name| {
            Some(OtherField {
                name,
                before: self.unsaid(name)?,
                now: now.unsaid(name)?,
            })
        });
        unsaid.collect()
    }

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
            shadow,
            // By these it is the same.
            quantity: _,
            period: _,
            zone: _,
            when: _,
            per: _,
            whole: _,
            part: _,
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
            ("shadow", *shadow == other.shadow),
        ];
        let differ = same.into_iter().filter(|(_, same)| !same);
        differ.map(|(field, _)| field).collect()
    }
}
