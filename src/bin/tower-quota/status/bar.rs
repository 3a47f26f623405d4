//! A bar of text.

const WIDTH: usize = 24;

/// How much is used and, of that, held; as `██████▒▒░░░░`.
pub(super) fn bar(share: f64, held: f64) -> String {
    let cells = |part: f64| {
        let cells = (part.clamp(0.0, 1.0) * WIDTH as f64).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the width"
        )]
        let cells = cells as usize;
        cells
    };
    let all = cells(share);
    let used = cells(share - held).min(all);
    format!(
        "{}{}{}",
        "█".repeat(used),
        "▒".repeat(all - used),
        "░".repeat(WIDTH - all)
    )
}

/// The colour of what is so close, as a terminal wants it.
pub(super) fn colour(share: f64) -> &'static str {
    match share {
        _ if share >= 1.0 => "\x1b[31m",
        _ if share >= 0.9 => "\x1b[91m",
        _ if share >= 0.7 => "\x1b[33m",
        _ => "\x1b[32m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_whatever_is_used() {
        for (share, held, used, reserved) in [
            (0.0, 0.0, 0, 0),
            (0.5, 0.0, 12, 0),
            (0.5, 0.25, 6, 6),
            (1.0, 1.0, 0, 24),
            (7.0, 0.0, 24, 0),
            (0.5, 0.9, 0, 12),
        ] {
            let bar = bar(share, held);
            let count = |wanted: char| bar.chars().filter(|cell| *cell == wanted).count();
            assert_eq!(bar.chars().count(), WIDTH, "{bar}");
            assert_eq!((count('█'), count('▒')), (used, reserved), "{share} {held}");
        }
    }
}
