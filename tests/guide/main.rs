//! D1: the guide, `docs/guide/`, is true: every snippet of it is run, every kind of refusal has its entry, and the reference of
//! the configuration is what the schema says. Its Rust is run by the tests of the documentation, where `src/guide.rs` has it.
//!
//! What stands under one configuration is run in one folder, against the gateway that serves it, with the simulator behind.
//! Needs what the tests with SDKs need, `curl`, and `redis-server`.
#![cfg(all(
    feature = "gateway",
    feature = "sim",
    feature = "sqlite",
    feature = "redis",
    unix
))]
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of tests, too, fail by panicking"
)]

mod entries;
#[path = "../sdks/node.rs"]
mod node;
mod pages;
#[path = "../gateway/process.rs"]
mod process;
#[path = "../sdks/python.rs"]
mod python;
#[path = "../support/redis/mod.rs"]
mod redis;
mod reference;
mod run;
#[path = "../support/scripts.rs"]
mod scripts;
mod shell;
mod upstreams;

use std::{fs, path::Path};

use run::World;

/// Those whose snippets are run here.
const RUN: [&str; 5] = [
    "migration.md",
    "quick-start.md",
    "recipes.md",
    "security.md",
    "troubleshooting.md",
];

async fn every_snippet_of(page: &str) {
    let snippets = pages::snippets(page);
    let rust = snippets.iter().filter(|snippet| snippet.info == "rust");
    let (all, rust) = (snippets.len(), rust.count());
    assert_eq!(World::new().await.run(page).await + rust, all);
}

#[tokio::test]
async fn the_quick_start() {
    every_snippet_of("quick-start.md").await;
}

#[tokio::test]
async fn the_recipes() {
    every_snippet_of("recipes.md").await;
}

#[tokio::test]
async fn the_migrations() {
    every_snippet_of("migration.md").await;
}

#[tokio::test]
async fn what_is_said_of_security() {
    every_snippet_of("security.md").await;
}

#[tokio::test]
async fn what_refusals_look_like() {
    every_snippet_of("troubleshooting.md").await;
}

/// A page that is new, or a snippet in a language that nothing runs, fails here until something does.
#[test]
fn no_snippet_is_left_out() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide.rs");
    let modules = fs::read_to_string(modules).unwrap();
    let known = [
        "yaml",
        "yaml check",
        "yaml litellm",
        "sh",
        "text",
        "python",
        "js",
        "rust",
    ];
    for page in pages::pages() {
        let snippets = pages::snippets(&page);
        assert_eq!(!snippets.is_empty(), RUN.contains(&page.as_str()), "{page}");
        assert!(
            modules.contains(&format!("{page}\"")),
            "{page} is in no module"
        );
        for snippet in snippets {
            assert!(
                known.contains(&snippet.info.as_str()),
                "{}: {}",
                snippet.place(),
                snippet.info
            );
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages::pages();
    for page in &pages {
        let text = pages::text(page);
        let links = text.lines().filter(|line| line.starts_with('['));
        for link in links.filter_map(|line| line.split_once("]: ")) {
            assert!(pages.contains(&link.1.to_owned()), "{page}: {link:?}");
        }
        let words = text
            .split('[')
            .skip(1)
            .filter_map(|rest| rest.split_once(']'));
        for (word, after) in words {
            let title = word.to_lowercase().replace(' ', "-");
            if word.starts_with(char::is_uppercase)
                && pages.contains(&format!("{title}.md"))
                && !after.starts_with(':')
            {
                assert!(
                    text.contains(&format!("[{}]: {title}.md", word.to_lowercase())),
                    "{page}: {word}"
                );
            }
        }
    }
}
