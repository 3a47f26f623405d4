//! Figures as people read them.

use std::time::Duration;

/// `0 s`, `340 ms`, `12.3 s`, `4.5 min`, `3.2 h`, `1.5 d`.
pub(in crate::simulate) fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match seconds {
        0.0 => "0 s".to_owned(),
        s if s < 0.9995 => format!("{:.0} ms", (s * 1_000.0).max(1.0)),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

/// `1 234 567`
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `87.5 %`
pub(super) fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_say_their_unit() {
        for (millis, text) in [
            (0, "0 s"),
            (340, "340 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (12_345, "12.3 s"),
            (270_000, "4.5 min"),
            (11_520_000, "3.2 h"),
            (259_200_000, "3.0 d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(span(Duration::from_micros(3)), "1 ms");
        assert_eq!(
            [7, 999, 1_000, 1_234_567].map(number),
            ["7", "999", "1 000", "1 234 567"]
        );
        assert_eq!(share(0.875), "87.5 %");
    }
}
