use secrecy::ExposeSecret as _;

use super::*;
use crate::{gateway::state::keys::Role, tags::Tag};

/// A file that is not there yet, in a folder that goes with the value.
fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    (folder, path)
}

#[test]
fn a_key_is_found_by_its_token_and_only_while_it_is_good() {
    let (_folder, path) = folder();
    let state = State::open(&path).unwrap();
    let (key, token) = state.make_key(NewKey::named("ci")).unwrap();
    let token = token.expose_secret();
    assert_eq!(*state.key_of(token).unwrap(), key);
    let changed = format!("{token}x");
    for wrong in ["", "tq-", &changed, &token[..token.len() - 1]] {
        assert_eq!(state.key_of(wrong), Err(NotTaken::Unknown), "{wrong}");
    }
    assert!(!state.disable_key("ci", true).unwrap().1);
    assert_eq!(state.key_of(token), Err(NotTaken::Disabled("ci".into())));
    assert!(state.disable_key("ci", false).unwrap().1);
    assert!(state.key_of(token).is_ok());

    let past = NewKey {
        expires: Some(Timestamp::UNIX_EPOCH),
        ..NewKey::named("old")
    };
    let (_, old) = state.make_key(past).unwrap();
    let refused = state.key_of(old.expose_secret()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the key `old` expired at 1970-01-01T00:00:00Z"
    );

    state.delete_key("ci").unwrap();
    assert_eq!(state.key_of(token), Err(NotTaken::Unknown));
}

#[test]
fn the_file_is_its_owners_alone_and_has_no_token() {
    let (_folder, path) = folder();
    let state = State::open(&path).unwrap();
    assert!(!path.exists(), "nothing was made yet");
    let key = NewKey {
        role: Role::Viewer,
        tags: [(Tag::Team, "blue".to_owned())].into(),
        ..NewKey::named("ops")
    };
    let (key, token) = state.make_key(key).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("sha256:") && !text.contains(token.expose_secret()),
        "{text}"
    );
    assert!(!format!("{state:?}").contains("sha256"), "{state:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = State::open(&path).unwrap();
    assert_eq!(again.keys(), [key]);
    assert!(again.key_of(token.expose_secret()).is_ok());
}

#[test]
fn what_two_change_is_all_there() {
    let (_folder, path) = folder();
    let (one, other) = (State::open(&path).unwrap(), State::open(&path).unwrap());
    let (_, token) = one.make_key(NewKey::named("a")).unwrap();
    let token = token.expose_secret();
    assert_eq!(other.key_of(token), Err(NotTaken::Unknown));
    other.read_again().unwrap();
    assert!(other.key_of(token).is_ok());
    // Without reading it again, too.
    one.make_key(NewKey::named("b")).unwrap();
    other.make_key(NewKey::named("c")).unwrap();
    let names =
        |state: &State| -> Vec<String> { state.keys().into_iter().map(|key| key.name).collect() };
    assert_eq!(names(&other), ["a", "b", "c"]);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let state = if number % 2 == 0 { &one } else { &other }.clone();
            let name = format!("n{number}");
            std::thread::spawn(move || state.make_key(NewKey::named(name)).unwrap())
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| drop(thread.join().unwrap()));
    one.read_again().unwrap();
    assert_eq!(one.keys().len(), 11);
}

/// The name, what it was, what it is, whether it ends.
fn said(found: &[Difference]) -> Vec<(&str, Option<&str>, Option<&str>, bool)> {
    let said = found.iter();
    said.map(|key| (&*key.name, key.was.as_deref(), key.now.as_deref(), key.ends))
        .collect()
}

#[test]
fn what_others_have_changed_is_said_once_and_what_was_done_here_is_not() {
    let (_folder, path) = folder();
    let (here, other) = (State::open(&path).unwrap(), State::open(&path).unwrap());
    let expired = NewKey {
        expires: Some(Timestamp::UNIX_EPOCH),
        ..NewKey::named("old")
    };
    let viewer = NewKey {
        role: Role::Viewer,
        ..NewKey::named("eye")
    };
    for key in [expired, viewer, NewKey::named("ci"), NewKey::named("cd")] {
        let (_, found) = here.make(key).unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
    let none = || {
        let found = here.find_changes().unwrap();
        assert!(found.is_empty(), "{found:?}");
    };
    none();

    other.disable_key("ci", true).unwrap();
    other.delete_key("eye").unwrap();
    other.make_key(NewKey::named("new")).unwrap();
    let found = here.find_changes().unwrap();
    let disabled = ("ci", Some("enabled"), Some("disabled"), true);
    let gone = ("eye", Some("viewer"), None, true);
    let new = ("new", None, Some("caller"), false);
    assert_eq!(said(&found), [gone, disabled, new]);
    none();

    // With what is done here next: that alone is none of it.
    other.disable_key("ci", false).unwrap();
    let ((_, was), found) = here.disable("cd", true).unwrap();
    assert!(!was);
    let enabled = ("ci", Some("disabled"), Some("enabled"), false);
    assert_eq!(said(&found), [enabled]);
    none();
    // A key with another token is another key.
    other.delete_key("ci").unwrap();
    other.make_key(NewKey::named("ci")).unwrap();
    let (_, found) = here.delete("new").unwrap();
    let (gone, new) = (
        ("ci", Some("caller"), None, true),
        ("ci", None, Some("caller"), false),
    );
    assert_eq!(said(&found), [gone, new]);
}

#[test]
fn other_rights_are_said_and_a_date_that_is_over_ends_a_key() {
    let (_folder, path) = folder();
    let state = State::open(&path).unwrap();
    state.make_key(NewKey::named("ci")).unwrap();
    let write = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    write(r#""max_priority": 0"#, r#""max_priority": 5"#);
    let found = state.find_changes().unwrap();
    let raised = ("ci", Some("max_priority 0"), Some("max_priority 5"), false);
    assert_eq!(said(&found), [raised]);
    let over = r#""max_priority": 5, "expires": "2001-01-01T00:00:00Z""#;
    write(r#""max_priority": 5"#, over);
    let found = state.find_changes().unwrap();
    let is = Some(r#"expires "2001-01-01T00:00:00Z""#);
    assert_eq!(said(&found), [("ci", Some("expires null"), is, true)]);
}

#[test]
fn a_file_that_is_gone_takes_no_key_with_it() {
    let (_folder, path) = folder();
    let state = State::open(&path).unwrap();
    // Before there is any, nothing is gone.
    state.check_file().unwrap();
    state.read_again().unwrap();
    let (_, token) = state.make_key(NewKey::named("ci")).unwrap();
    let token = token.expose_secret();
    let aside = path.with_extension("aside");
    let lock = path.with_extension("json.lock");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::remove_file(&lock).unwrap();
    for refused in [
        state.make_key(NewKey::named("more")).err(),
        state.disable_key("ci", true).err(),
        state.delete_key("ci").err(),
        state.read_again().err().map(StateError::from),
        state.check_file().err().map(StateError::from),
    ] {
        let said = refused.unwrap().to_string();
        let names_it = said.contains("state.json is gone");
        assert!(names_it && said.contains("put it back"), "{said}");
    }
    assert!(!path.exists() && !lock.exists(), "nothing is put there");
    assert!(state.key_of(token).is_ok(), "it is in force still");

    std::fs::rename(&aside, &path).unwrap();
    state.read_again().unwrap();
    assert!(state.key_of(token).is_ok());
    // Without keys it may be gone again.
    state.delete_key("ci").unwrap();
    std::fs::remove_file(&path).unwrap();
    state.read_again().unwrap();
    state.make_key(NewKey::named("another")).unwrap();
}

/// As secrets are mounted: the file is a link into a folder, and that is another one with each renewal.
#[cfg(unix)]
#[test]
fn links_are_followed_to_where_they_lead_now() {
    use std::os::unix::fs::symlink;

    let (folder, path) = folder();
    let at = |name: &str| folder.path().join(name);
    let tokens = ["first", "second"].map(|name| {
        std::fs::create_dir(at(name)).unwrap();
        let state = State::open(at(name).join("state.json")).unwrap();
        state.make_key(NewKey::named(name)).unwrap().1
    });
    let [first, second] = tokens.each_ref().map(|token| token.expose_secret());
    symlink("first", at("data")).unwrap();
    symlink("data/state.json", &path).unwrap();
    let state = State::open(&path).unwrap();
    assert!(state.key_of(first).is_ok());

    symlink("second", at("data.new")).unwrap();
    std::fs::rename(at("data.new"), at("data")).unwrap();
    std::fs::remove_dir_all(at("first")).unwrap();
    state.check_file().unwrap();
    state.read_again().unwrap();
    assert!(state.key_of(second).is_ok());
    assert_eq!(state.key_of(first), Err(NotTaken::Unknown));

    // What is changed is changed there, and what is beside it is beside that one.
    state.make_key(NewKey::named("more")).unwrap();
    assert!(path.is_symlink());
    assert!(!at("state.json.lock").exists());
    let there = State::open(at("second").join("state.json")).unwrap();
    assert_eq!(there.keys(), state.keys());
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let (_folder, path) = folder();
    let state = State::open(&path).unwrap();
    state.make_key(NewKey::named("a")).unwrap();
    let before = std::fs::read(&path).unwrap();
    for (refused, word) in [
        (state.make_key(NewKey::named("a")).err(), "already"),
        (state.make_key(NewKey::named("a b")).err(), "is no name"),
        (state.disable_key("b", true).err(), "no key `b`"),
        (state.delete_key("b").err(), "no key `b`"),
    ] {
        let said = refused.unwrap().to_string();
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_none_of_ours_is_named_and_left_alone() {
    let (_folder, path) = folder();
    let hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let key = format!(r#"{{"name": "a", "hash": "{hash}", "created": "2026-01-01T00:00:00Z"}}"#);
    for (text, word) in [
        ("", "EOF"),
        ("[]", "expected"),
        (r#"{"version": 2}"#, "version 2"),
        (r#"{"version": 1, "kys": []}"#, "kys"),
        (
            r#"{"version": 1, "keys": [{"name": "a", "hash": "tq-secret", "created": "2026-01-01T00:00:00Z"}]}"#,
            "sha256",
        ),
        (
            &format!(r#"{{"version": 1, "keys": [{key}, {key}]}}"#),
            "twice",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let said = State::open(&path).unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("state.json"), "{said}");
        assert!(!said.contains("tq-secret"), "{said}");
    }
    std::fs::write(&path, format!(r#"{{"version": 1, "keys": [{key}]}}"#)).unwrap();
    assert_eq!(State::open(&path).unwrap().keys().len(), 1);
}

/// Root changes keys in a folder of the gateway's: nothing else is to become the gateway's by that.
#[cfg(unix)]
#[test]
fn what_is_put_beside_the_file_leads_nowhere_else() {
    use std::os::unix::fs::symlink;

    let (folder, path) = folder();
    let other = folder.path().join("other");
    std::fs::write(&other, "of somebody else").unwrap();
    let beside = |ending: &str| folder.path().join(format!("state.json.{ending}"));
    symlink(&other, beside("new")).unwrap();
    let state = State::open(&path).unwrap();
    state.make_key(NewKey::named("ci")).unwrap();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "of somebody else");
    assert!(std::fs::read_to_string(&path).unwrap().contains("ci"));

    std::fs::remove_file(beside("lock")).unwrap();
    symlink(&other, beside("lock")).unwrap();
    let refused = state.make_key(NewKey::named("more")).unwrap_err();
    assert!(
        refused.to_string().contains("no file of its own"),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "of somebody else");
}
