//! Nothing that others write grows without end here.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use crate::tags::{Tag, Tags, bounded};

/// A message is cut to so many bytes.
const MESSAGE: usize = 4_096;
/// Tags beyond those that are known here, of each call.
const FREE_TAGS: usize = 16;
/// A name of such a tag that is longer is left out, with the tag.
const NAME: usize = 64;

/// What something says, cut to a length.
pub(super) fn message(said: &impl fmt::Display) -> Arc<str> {
    let mut cut = Cut(String::new());
    // What does not go in is cut off.
    let _ = write!(cut, "{said}");
    cut.0.into()
}

struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MESSAGE - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end));
        self.0.push_str(&text[..end.unwrap_or(0)]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

/// A name that a provider has written.
pub(super) fn name(name: &str) -> Arc<str> {
    bounded(name.into())
}

/// Tags, of which there may be any number. Their values are bounded by themselves.
pub(super) fn tags(tags: &Arc<Tags>) -> Arc<Tags> {
    let free = |tag: &Tag| matches!(tag, Tag::Free(_));
    let fits = |tag: &Tag| tag.name().len() <= NAME;
    let mut number = 0;
    let all_fit = tags.iter().all(|(tag, _)| {
        number += usize::from(free(&tag));
        fits(&tag)
    });
    if all_fit && number <= FREE_TAGS {
        return tags.clone();
    }
    let known = tags.iter().filter(|(tag, _)| !free(tag));
    let others = tags.iter().filter(|(tag, _)| free(tag) && fits(tag));
    let kept = known.chain(others.take(FREE_TAGS));
    Arc::new(kept.fold(Tags::new(), |all, (tag, value)| all.with(tag, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_is_cut_between_characters_and_the_rest_stays_whole() {
        assert_eq!(&*message(&"short"), "short");
        let whole = "x".repeat(MESSAGE);
        assert_eq!(&*message(&whole), whole);
        let cut = message(&format_args!(
            "{}{}",
            "x".repeat(MESSAGE - 1),
            "ü".repeat(9)
        ));
        assert_eq!(&*cut, "x".repeat(MESSAGE - 1) + "…");
    }

    #[test]
    fn usual_tags_are_shared_and_hostile_ones_cut() {
        let usual = Arc::new(Tags::new().with(Tag::Team, "blue").with("tenant", "a"));
        assert!(Arc::ptr_eq(&tags(&usual), &usual));
        let many = (0..100).fold(Tags::new().with(Tag::Team, "blue"), |tags, i| {
            tags.with(Tag::from(format!("tag-{i}")), "x")
        });
        let long = many.with(Tag::from("n".repeat(10_000)), "x");
        let cut = tags(&Arc::new(long));
        assert_eq!(cut.iter().count(), 1 + FREE_TAGS);
        assert_eq!(cut.get(&Tag::Team), Some("blue"));
        assert_eq!(cut.get(&"tag-0".into()), Some("x"));
    }
}
