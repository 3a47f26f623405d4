//! Texts that others have written, as people are shown them.

/// Callers have written tags, and cells of traces: what would steer a terminal is shown as what it is.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        // The latter turn the direction of what follows.
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match steers(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_shown_as_what_it_is() {
        for (text, shown) in [
            ("a\u{1b}[2J\n", "a\\u{1b}[2J\\u{a}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            (
                "b\u{202e}c\u{2066}\u{200f}",
                "b\\u{202e}c\\u{2066}\\u{200f}",
            ),
            ("größer 90 %, 大", "größer 90 %, 大"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
