//! The agents and runs that an agent works for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Tag, Tags, bounded};

/// So many around one are known at most: those furthest out.
const MOST: usize = 16;

/// Who calls around a call, where that is somebody else, or in another run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Arc<str>>,
}

impl Outer {
    fn of(tags: &Tags) -> Self {
        Outer {
            agent: tags.shared(&Tag::Agent).cloned(),
            run: tags.shared(&Tag::Run).cloned(),
        }
    }

    /// What this leaves open is as there.
    fn or(self, other: &Self) -> Self {
        Outer {
            agent: self.agent.or_else(|| other.agent.clone()),
            run: self.run.or_else(|| other.run.clone()),
        }
    }

    fn bounded(self) -> Self {
        Outer {
            agent: self.agent.map(bounded),
            run: self.run.map(bounded),
        }
    }
}

impl Tags {
    /// Returns the agents that this call's agent works for: those of the [scopes](crate::scope) around it that named
    /// another, the outermost first. Limits on them count the call as well.
    ///
    /// At most 16 scopes are remembered; of more, those nearest to the call are left out.
    ///
    /// ```
    /// use tower_quota::{Tag, Tags, scope};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let agent = |name: &str| Tags::new().with(Tag::Agent, name);
    /// let nested = scope(agent("planner"), scope(agent("scout"), async { Tags::current() })).await;
    /// assert_eq!(nested.get(&Tag::Agent), Some("scout"));
    /// assert!(nested.outer_agents().eq(["planner"]));
    /// # }
    /// ```
    pub fn outer_agents(&self) -> impl Iterator<Item = &str> {
        let own = self.get(&Tag::Agent);
        let all = self.outer.as_deref().unwrap_or_default();
        let is_first = move |place: usize, agent: &str| {
            let earlier = &all[..place];
            !earlier
                .iter()
                .any(|outer| outer.agent.as_deref() == Some(agent))
        };
        all.iter().enumerate().filter_map(move |(place, outer)| {
            let agent = outer.agent.as_deref()?;
            (Some(agent) != own && is_first(place, agent)).then_some(agent)
        })
    }

    /// What is called `inner`, inside what is called this: what it does not say it inherits, and the agent it is inside of it
    /// works for.
    pub(crate) fn enclosing(self, inner: &Tags) -> Self {
        let around = Outer::of(&self);
        let before = [&self.outer, &inner.outer].map(Clone::clone);
        let mut tags = self.overlaid(inner);
        tags.outer = None;
        let own = Outer::of(&tags);
        if around == own && before.iter().all(Option::is_none) {
            return tags;
        }
        let [before, inside] = before.map(|all| all.map_or_else(Vec::new, |all| all.to_vec()));
        let mut all: Vec<Outer> = Vec::new();
        for outer in before.into_iter().chain([around]).chain(inside) {
            let outer = outer.or(&own);
            if outer != own && !all.contains(&outer) {
                all.push(outer);
            }
        }
        all.truncate(MOST);
        tags.outer = (!all.is_empty()).then(|| all.into());
        tags
    }

    /// The same call as each of those would make it that it is made for.
    #[inline]
    pub(crate) fn as_outer(&self) -> Vec<Tags> {
        match &self.outer {
            None => Vec::new(),
            Some(outer) => self.as_each(outer),
        }
    }

    #[cold]
    fn as_each(&self, outer: &[Outer]) -> Vec<Tags> {
        let each = outer.iter().map(|outer| {
            let mut tags = Tags {
                outer: None,
                ..self.clone()
            };
            let said = [(Tag::Agent, &outer.agent), (Tag::Run, &outer.run)];
            for (tag, value) in said {
                if let Some(value) = value {
                    tags.set(tag, value.clone());
                }
            }
            tags
        });
        each.collect()
    }

    /// Whether it is made for anybody else.
    #[inline]
    pub(crate) fn has_outer(&self) -> bool {
        self.outer.is_some()
    }

    /// Those around in one text, as a store keeps it.
    pub(super) fn outer_text(&self) -> Option<String> {
        serde_json::to_string(self.outer.as_deref()?).ok()
    }

    /// With those that are in such a text; `None`: it is none.
    pub(super) fn with_outer(mut self, text: &str) -> Option<Self> {
        let outer: Vec<Outer> = serde_json::from_str(text).ok()?;
        let outer = outer.into_iter().take(MOST).map(Outer::bounded);
        let outer: Vec<Outer> = outer.collect();
        self.outer = (!outer.is_empty()).then(|| outer.into());
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> Tags {
        Tags::new().with(Tag::Agent, name)
    }

    fn run(name: &str) -> Tags {
        Tags::new().with(Tag::Run, name)
    }

    fn outer(tags: &Tags) -> Vec<&str> {
        tags.outer_agents().collect()
    }

    #[test]
    fn whoever_names_another_works_for_the_one_around() {
        let tags = agent("a").enclosing(&agent("b")).enclosing(&agent("c"));
        let found = (tags.get(&Tag::Agent), outer(&tags));
        assert_eq!(found, (Some("c"), vec!["a", "b"]));
        // What is in it already is not there twice.
        let again = agent("a").enclosing(&agent("b")).enclosing(&tags);
        assert_eq!(again, tags);
        let back = tags.enclosing(&agent("a"));
        let found = (back.get(&Tag::Agent), outer(&back));
        assert_eq!(found, (Some("a"), vec!["b", "c"]));
    }

    #[test]
    fn who_names_none_or_the_same_works_for_nobody_else() {
        assert_eq!(outer(&agent("a").enclosing(&run("r"))), [""; 0]);
        assert!(!agent("a").enclosing(&run("r")).has_outer());
        assert!(!agent("a").enclosing(&agent("a")).has_outer());
        assert!(!run("r").enclosing(&agent("a")).has_outer());
        let inside = agent("a").enclosing(&agent("b"));
        assert_eq!(outer(&inside.enclosing(&run("r"))), ["a"]);
    }

    #[test]
    fn a_new_run_inside_a_run_is_of_both() {
        let tags = agent("a").enclosing(&run("1")).enclosing(&run("2"));
        let seen: Vec<String> = tags.as_outer().iter().map(ToString::to_string).collect();
        assert_eq!(
            (tags.to_string(), seen),
            ("agent=a run=2".to_owned(), vec!["agent=a run=1".to_owned()])
        );
        assert_eq!(outer(&tags), [""; 0]);
    }

    #[test]
    fn those_furthest_out_are_known_however_deep_it_goes() {
        let names: Vec<String> = (0..99).map(|number| number.to_string()).collect();
        let nested = names
            .iter()
            .fold(Tags::new(), |tags, name| tags.enclosing(&agent(name)));
        assert_eq!(nested.get(&Tag::Agent), Some("98"));
        assert!(nested.outer_agents().eq(&names[..MOST]));
    }
}
