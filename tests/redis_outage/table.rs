//! The table that is printed.

use crate::row::Line;

pub(crate) fn of(lines: &[Line]) -> String {
    let mut rows = vec![
        [
            "fault",
            "on error",
            "appendfsync",
            "calls",
            "ok",
            "by store",
            "by limits",
            "over",
            "overspent $",
            "spent $",
            "billed $",
            "equal",
            "too late (most)",
            "back after",
        ]
        .map(str::to_owned),
    ];
    rows.extend(lines.iter().map(cells));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[String; 14]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    rows.iter().map(line).collect()
}

fn cells(line: &Line) -> [String; 14] {
    let money = |nanos: u64| format!("{}.{:06}", nanos / 1_000_000_000, nanos / 1_000 % 1_000_000);
    let agree = line.spent.iter().all(|spent| *spent == line.billed)
        && line.counted.iter().all(|counted| *counted == line.came)
        && line.held == 0;
    let back = line.back.iter().map(|back| {
        back.map_or("never".to_owned(), |back| {
            format!("{} ms", back.as_millis())
        })
    });
    [
        line.row.wrong.name().to_owned(),
        format!("{:?}", line.row.policy).to_lowercase(),
        line.row.wrong.fsync().to_owned(),
        line.calls.to_string(),
        line.ok.to_string(),
        line.store.to_string(),
        line.limits.to_string(),
        line.over.to_string(),
        money(line.overspent),
        money(line.spent[0]),
        money(line.billed),
        if agree { "yes" } else { "no" }.to_owned(),
        format!("{} ({} ms)", line.late, line.longest.as_millis()),
        back.collect::<Vec<_>>().join(", "),
    ]
}
