//! The pages, and what is in their fences.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the pages, or one of them.
pub(crate) fn guide(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/guide")
        .join(page)
}

pub(crate) fn text(page: &str) -> String {
    fs::read_to_string(guide(page)).unwrap()
}

/// The names of all pages.
pub(crate) fn pages() -> Vec<String> {
    let files = fs::read_dir(guide("")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    names.sort();
    names
}

/// What stands between two fences.
#[derive(Clone, Debug)]
pub(crate) struct Snippet {
    pub(crate) page: String,
    /// The heading that it stands under.
    pub(crate) section: String,
    /// Of its first fence.
    pub(crate) line: usize,
    /// What follows the fence: the language, and what else is said.
    pub(crate) info: String,
    pub(crate) text: String,
}

impl Snippet {
    pub(crate) fn place(&self) -> String {
        format!("{}:{} ({})", self.page, self.line, self.section)
    }
}

/// All snippets of a page, in their order.
pub(crate) fn snippets(page: &str) -> Vec<Snippet> {
    let (mut found, mut section) = (Vec::<Snippet>::new(), String::new());
    let mut is_open = false;
    for (number, line) in text(page).lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(info), false) => found.push(Snippet {
                page: page.to_owned(),
                section: section.clone(),
                line: number + 1,
                info: info.to_owned(),
                text: String::new(),
            }),
            (None, true) => {
                let snippet = found.last_mut().unwrap();
                snippet.text += line;
                snippet.text.push('\n');
            }
            (None, false) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    section = heading.to_owned();
                }
                assert!(
                    !line.trim_start().starts_with("```"),
                    "{page}:{}: a fence that is indented is not seen",
                    number + 1
                );
                continue;
            }
            (Some(_), true) => {}
        }
        if line.starts_with("```") {
            is_open = !is_open;
        }
    }
    assert!(!is_open, "{page}: a fence is not closed");
    found
}
