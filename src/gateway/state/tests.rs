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
        role: Role::Admin,
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
