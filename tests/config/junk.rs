//! Files that are cut off or spoilt anywhere are read or refused, by whatever format: nobody panics, a refusal has a place,
//! and none tells a secret.
#![cfg(feature = "config")]

use std::fs;

use proptest::prelude::*;
use tower_quota::config::{Config, ConfigError, Format, LiteLlmConfig};

const FILES: [(&str, Format); 3] = [
    (
        include_str!("../config_files/every_field.yaml"),
        Format::Yaml,
    ),
    (
        include_str!("../config_files/every_field.json"),
        Format::Json,
    ),
    (
        include_str!("../config_files/every_field.toml"),
        Format::Toml,
    ),
];

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "REQUESTS" => "77",
        "CITY" => return None,
        _ => "sk-very-secret",
    };
    Some(value.to_owned())
}

/// Reads and builds: whether that went, and what is wrong with how it was refused.
fn tried(text: &str, format: Format) -> Result<bool, String> {
    let read = Config::from_text(text, format, environment);
    let built = read.and_then(|config| config.limits().map(drop));
    let Err(error) = built else {
        return Ok(true);
    };
    let said = format!("{error} {error:?}");
    let has_place = match &error {
        ConfigError::Syntax { line, column, .. } => *line > 0 && *column > 0,
        other => !other.to_string().is_empty(),
    };
    if said.contains("sk-very-secret") || !has_place {
        return Err(said);
    }
    Ok(false)
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_read_or_refused_with_a_place() {
    for (text, format) in FILES {
        let mut refused = 0;
        // Every cut would take long; these meet every kind of place.
        for cut in (0..text.len())
            .step_by(5)
            .filter(|cut| text.is_char_boundary(*cut))
        {
            let went = tried(&text[..cut], format)
                .unwrap_or_else(|said| panic!("{format:?} {cut}: {said}"));
            refused += usize::from(!went);
        }
        assert!(refused > 100, "{format:?}: {refused}");
        assert_eq!(tried(text, format), Ok(true), "{format:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_file_that_is_spoilt_is_read_or_refused_with_a_place(
        which in 0_usize..3,
        at in any::<prop::sample::Index>(),
        length in 0_usize..6,
        junk in r#"[\[\]{}:,"'$#&*!|>%@`\-\\ \n\t0a\u{e9}\u{0}]{0,5}"#,
    ) {
        let (text, format) = FILES[which];
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) { at += 1; }
            at
        };
        let at = boundary(at.index(text.len()));
        let end = boundary((at + length).min(text.len()));
        let spoilt = [&text[..at], &junk, &text[end..]].concat();
        prop_assert!(tried(&spoilt, format).is_ok(), "{:?}: {:?}", spoilt, tried(&spoilt, format));
    }
}

#[test]
fn another_programs_file_that_is_cut_off_anywhere_is_read_or_refused_and_what_is_read_builds() {
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/litellm")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for cut in (0..text.len()).step_by(3) {
            if let Ok(read) = LiteLlmConfig::from_text(&text[..cut], environment) {
                let built = read.config.build().map(drop);
                assert!(built.is_ok(), "{}: {built:?}", &text[..cut]);
                assert!(
                    !format!("{:?}", read.not_understood).contains("secret"),
                    "{:?}",
                    read.not_understood
                );
            }
        }
    }
}
