//! A call as limits see it: as one of its own agent, and as one of each agent that it works for.

use super::Limit;
use crate::tags::{Tag, Tags};

/// Under which tags a call counts.
pub(crate) struct Around<'t> {
    own: &'t Tags,
    outer: Vec<Tags>,
}

impl<'t> Around<'t> {
    #[inline]
    pub(crate) fn of(own: &'t Tags) -> Self {
        let outer = own.as_outer_agents();
        Around { own, outer }
    }

    /// Under which of them it counts by this limit: as a call of each agent where the limit is split by agents, otherwise
    /// once.
    pub(crate) fn under<'a>(&'a self, limit: &'a Limit) -> impl Iterator<Item = &'a Tags> {
        let most = match limit.per.contains(&Tag::Agent) {
            true => usize::MAX,
            false => 1,
        };
        let all = std::iter::once(self.own).chain(&self.outer);
        all.filter(|tags| limit.touches(tags)).take(most)
    }

    /// Whether it counts under any by this limit.
    pub(crate) fn touch(&self, limit: &Limit) -> bool {
        self.under(limit).next().is_some()
    }

    /// Whether there is more than one.
    #[inline]
    pub(crate) fn are_several(&self) -> bool {
        !self.outer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> Tags {
        Tags::new().with(Tag::Agent, name).with(Tag::Model, "m")
    }

    fn counted(tags: &Tags, limit: &Limit) -> Vec<String> {
        let around = Around::of(tags);
        let agents = around.under(limit).map(|tags| tags.get(&Tag::Agent));
        agents
            .map(|agent| agent.unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn a_call_of_a_sub_agent_counts_for_each_agent_around_it_and_otherwise_once() {
        let tags = agent("lead").enclosing(&agent("planner"));
        let tags = tags.enclosing(&agent("scout"));
        let limit = || Limit::requests(1);
        let each = ["scout", "lead", "planner"];
        assert_eq!(counted(&tags, &limit().per(Tag::Agent)), each);
        assert_eq!(
            counted(&tags, &limit().per(Tag::Model).per(Tag::Agent)),
            each
        );
        assert_eq!(counted(&tags, &limit()), ["scout"]);
        assert_eq!(counted(&tags, &limit().per(Tag::Model)), ["scout"]);
        assert_eq!(counted(&tags, &limit().when(Tag::Agent, "lead")), ["lead"]);
        let any = limit().when_any(Tag::Agent, ["planner", "lead"]);
        assert_eq!(counted(&tags, &any).len(), 1);
        let other = limit().when(Tag::Agent, "lead").when(Tag::Model, "n");
        assert_eq!(counted(&tags, &other), [""; 0]);
        assert!(!Around::of(&tags).touch(&limit().when(Tag::Agent, "other")));
    }

    #[test]
    fn an_agent_that_is_alone_counts_once() {
        let tags = agent("lead").enclosing(&agent("lead"));
        assert!(!Around::of(&tags).are_several());
        assert_eq!(
            counted(&tags, &Limit::requests(1).per(Tag::Agent)),
            ["lead"]
        );
    }
}
