//! The agents that an agent works for.

use std::sync::Arc;

use super::{Tag, Tags, bounded};

/// So many agents around one are known at most: those furthest out.
const MOST: usize = 16;

impl Tags {
    /// Returns the agents that this call's agent works for: those of the [scopes](crate::scope) around it that named
    /// another, the outermost first. Limits on them count the call as well.
    ///
    /// There are at most 16 of them; of more, those nearest to the call are left out.
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
        self.outer
            .iter()
            .flat_map(|all| all.iter().map(AsRef::as_ref))
    }

    /// What is called `inner`, inside what is called this: what it does not say it inherits, and the agent it is inside of it
    /// works for.
    pub(crate) fn enclosing(self, inner: &Tags) -> Self {
        let around = self.shared(&Tag::Agent).cloned();
        let mut all: Vec<Arc<str>> = Vec::new();
        if around.is_some() || self.outer.is_some() || inner.outer.is_some() {
            let own = inner.shared(&Tag::Agent).or(around.as_ref()).cloned();
            let of = |tags: &Tags| tags.outer.clone().into_iter();
            let outer = of(&self).flat_map(|all| all.to_vec()).chain(around);
            for agent in outer.chain(of(inner).flat_map(|all| all.to_vec())) {
                if Some(&agent) != own.as_ref() && !all.contains(&agent) {
                    all.push(agent);
                }
            }
            all.truncate(MOST);
        }
        let mut tags = self.overlaid(inner);
        tags.outer = (!all.is_empty()).then(|| all.into());
        tags
    }

    /// The same call as each of the agents would make it that it is made for.
    #[inline]
    pub(crate) fn as_outer_agents(&self) -> Vec<Tags> {
        match &self.outer {
            None => Vec::new(),
            Some(outer) => self.as_agents(outer),
        }
    }

    #[cold]
    fn as_agents(&self, agents: &[Arc<str>]) -> Vec<Tags> {
        let alone = Tags {
            outer: None,
            ..self.clone()
        };
        let agents = agents.iter().cloned();
        agents
            .map(|agent| alone.clone().with(Tag::Agent, agent))
            .collect()
    }

    /// Whether it is made for any other agent.
    #[inline]
    pub(crate) fn has_outer_agents(&self) -> bool {
        self.outer.is_some()
    }

    /// The agents around in one text, as a store keeps it.
    pub(super) fn outer_text(&self) -> Option<String> {
        let outer = self.outer.as_ref()?;
        serde_json::to_string(&outer[..]).ok()
    }

    /// With those that are in such a text; `None`: it is none.
    pub(super) fn with_outer(mut self, text: &str) -> Option<Self> {
        let outer: Vec<Arc<str>> = serde_json::from_str(text).ok()?;
        let outer: Vec<_> = outer.into_iter().take(MOST).map(bounded).collect();
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

    fn outer(tags: &Tags) -> Vec<&str> {
        tags.outer_agents().collect()
    }

    #[test]
    fn whoever_names_another_works_for_the_one_around() {
        let tags = agent("a").enclosing(&agent("b")).enclosing(&agent("c"));
        assert_eq!(
            (tags.get(&Tag::Agent), outer(&tags)),
            (Some("c"), vec!["a", "b"])
        );
        // What is in it already is not there twice.
        let again = agent("a").enclosing(&agent("b")).enclosing(&tags);
        assert_eq!(again, tags);
        let back = tags.enclosing(&agent("a"));
        assert_eq!(
            (back.get(&Tag::Agent), outer(&back)),
            (Some("a"), vec!["b", "c"])
        );
    }

    #[test]
    fn who_names_none_or_the_same_works_for_nobody_else() {
        let run = Tags::new().with(Tag::Run, "r");
        assert_eq!(outer(&agent("a").enclosing(&run)), [""; 0]);
        assert_eq!(outer(&agent("a").enclosing(&agent("a"))), [""; 0]);
        assert_eq!(outer(&run.enclosing(&agent("a"))), [""; 0]);
        let inside = agent("a").enclosing(&agent("b"));
        assert_eq!(
            outer(&inside.enclosing(&Tags::new().with(Tag::Run, "r"))),
            ["a"]
        );
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
