//! A call as limits see it: as one of its own agent and run, and as one of each that it is made for.

use smallvec::SmallVec;

use super::Limit;
use crate::tags::Tags;

/// Under which tags a call counts.
pub(crate) struct Around<'t> {
    own: &'t Tags,
    outer: Vec<Tags>,
}

impl<'t> Around<'t> {
    #[inline]
    pub(crate) fn of(own: &'t Tags) -> Self {
        let outer = own.as_outer();
        Around { own, outer }
    }

    /// Under which of them it counts by this limit, once in each of its counts.
    pub(crate) fn under<'a>(&'a self, limit: &'a Limit) -> impl Iterator<Item = &'a Tags> {
        let mut earlier = SmallVec::<[&Tags; 2]>::new();
        let all = std::iter::once(self.own).chain(&self.outer);
        all.filter(|tags| limit.touches(tags)).filter(move |tags| {
            let is_new = !earlier.iter().any(|other| are_one(limit, other, tags));
            if is_new && self.are_several() {
                earlier.push(*tags);
            }
            is_new
        })
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

/// Whether they are counted in one count.
fn are_one(limit: &Limit, one: &Tags, other: &Tags) -> bool {
    limit.per.iter().all(|tag| one.get(tag) == other.get(tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tag;

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
    fn a_run_within_a_run_counts_in_both() {
        let run = |name: &str| Tags::new().with(Tag::Run, name);
        let tags = agent("lead").enclosing(&run("7")).enclosing(&run("8"));
        let of = |limit: &Limit| {
            let around = Around::of(&tags);
            let runs = around
                .under(limit)
                .map(|tags| tags.get(&Tag::Run).map(str::to_owned));
            runs.flatten().collect::<Vec<_>>()
        };
        assert_eq!(
            of(&Limit::requests(1).per(Tag::Agent).every_run()),
            ["8", "7"]
        );
        assert_eq!(of(&Limit::requests(1).when(Tag::Run, "7")), ["7"]);
        assert_eq!(of(&Limit::requests(1).per(Tag::Agent)), ["8"]);
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
