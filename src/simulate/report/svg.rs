//! A report as a picture: waiting calls above, how full limits were below, over the same time.

use std::fmt::{self, Write as _};

use super::{Report, text};
use crate::simulate::plain::plain;

const WIDTH: f64 = 960.0;
/// Of the figures of the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const HEIGHT: f64 = 200.0;
/// Where the two pictures begin.
const ABOVE: f64 = 50.0;
const BELOW: f64 = 310.0;
/// So many limits are drawn.
const DRAWN: usize = 4;
/// Apart from each other for those who see no red or no green (Okabe and Ito).
const COLORS: [&str; DRAWN] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

pub(super) fn draw(report: &Report) -> String {
    let mut svg = String::new();
    // Text takes whatever is written.
    let _ = write(report, &mut svg);
    svg
}

fn write(report: &Report, svg: &mut String) -> fmt::Result {
    let limits = drawn(report);
    let height = BELOW + HEIGHT + 40.0 + 18.0 * limits.len().max(1) as f64;
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>"##
    )?;
    let title = format!(
        "{} calls in {}, {} refused; waits: p95 {}, longest {}",
        text::number(report.calls),
        text::span(report.makespan),
        text::number(report.refused),
        text::span(report.waits.p95),
        text::span(report.waits.longest),
    );
    label(svg, (LEFT, 20.0), "start", &title)?;
    let moments = &report.over_time.moments;
    let most = moments.iter().map(|moment| moment.waiting).max();
    let most = most.unwrap_or(0).max(1);
    label(
        svg,
        (LEFT, ABOVE - 8.0),
        "start",
        "calls that wait, at most in each step",
    )?;
    axes(report, svg, ABOVE, &text::number(most))?;
    let waiting = |moment: &super::Moment| moment.waiting as f64 / most as f64;
    let line = steps(report, ABOVE, waiting);
    let (end, floor) = (x(report, moments.len()), ABOVE + HEIGHT);
    writeln!(
        svg,
        r##"<path d="{line} L{end:.1},{floor} L{LEFT},{floor} Z" fill="#56b4e9" fill-opacity="0.5" stroke="#0072b2"/>"##
    )?;
    label(
        svg,
        (LEFT, BELOW - 8.0),
        "start",
        "how full limits are, at most in each step",
    )?;
    // Debt is above 1.
    let fullest = moments
        .iter()
        .flat_map(|moment| limits.iter().map(|(place, _)| moment.full[*place]));
    let top = fullest.fold(1.0, f64::max);
    axes(report, svg, BELOW, &text::share(top))?;
    for (number, (place, words)) in limits.iter().enumerate() {
        let line = steps(report, BELOW, |moment| moment.full[*place] / top);
        let color = COLORS[number];
        writeln!(
            svg,
            r#"<path d="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>"#
        )?;
        let at = BELOW + HEIGHT + 40.0 + 18.0 * number as f64;
        writeln!(
            svg,
            r#"<rect x="{LEFT}" y="{:.1}" width="14" height="4" fill="{color}"/>"#,
            at - 6.0
        )?;
        label(svg, (LEFT + 20.0, at), "start", words)?;
    }
    writeln!(svg, "</svg>")
}

/// The limits that held calls the longest, by their places.
fn drawn(report: &Report) -> Vec<(usize, &str)> {
    let known = &report.over_time.limits;
    let tightest = report.tightest_first().into_iter();
    let places = tightest.filter_map(|limit| {
        let place = known.iter().position(|words| *words == limit.limit)?;
        (limit.fullest > 0.0).then_some((place, limit.limit.as_str()))
    });
    places.take(DRAWN).collect()
}

/// Where a step begins; that behind the last is the right end.
fn x(report: &Report, step: usize) -> f64 {
    let steps = report.over_time.moments.len().max(1);
    LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / steps as f64
}

/// A line of steps.
fn steps(report: &Report, top: f64, share: impl Fn(&super::Moment) -> f64) -> String {
    let mut line = String::new();
    for (number, moment) in report.over_time.moments.iter().enumerate() {
        let y = top + HEIGHT * (1.0 - share(moment));
        let begin = if number == 0 { 'M' } else { 'L' };
        let (from, until) = (x(report, number), x(report, number + 1));
        let _ = write!(line, "{begin}{from:.1},{y:.1} L{until:.1},{y:.1} ");
    }
    if line.is_empty() {
        let _ = write!(line, "M{LEFT},{:.1}", top + HEIGHT);
    }
    line.trim_end().to_owned()
}

fn axes(report: &Report, svg: &mut String, top: f64, most: &str) -> fmt::Result {
    let (right, floor) = (WIDTH - RIGHT, top + HEIGHT);
    writeln!(
        svg,
        r##"<path d="M{LEFT},{top} V{floor} H{right}" fill="none" stroke="#444"/><path d="M{LEFT},{top} H{right}" stroke="#ccc" stroke-dasharray="4"/>"##
    )?;
    label(svg, (LEFT - 6.0, top + 4.0), "end", most)?;
    label(svg, (LEFT - 6.0, floor + 4.0), "end", "0")?;
    let steps = report.over_time.moments.len();
    for quarter in 0..=4 {
        let (at, part) = (x(report, steps), f64::from(quarter) / 4.0);
        let end = report.over_time.step * u32::try_from(steps).unwrap_or(u32::MAX);
        let anchor = if quarter == 4 { "end" } else { "middle" };
        let place = LEFT + (at - LEFT) * part;
        label(
            svg,
            (place, floor + 16.0),
            anchor,
            &text::span(end.mul_f64(part)),
        )?;
    }
    Ok(())
}

fn label(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) -> fmt::Result {
    let words = plain(words)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
    )
}
