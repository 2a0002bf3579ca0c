//! Columns for people.

/// Rows under headings, columns two spaces apart and as wide as they need; the
/// last one is not padded.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let headings = headings.map(str::to_owned);
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Seconds since the epoch in UTC, as the report files write it.
pub(super) fn utc(epoch_secs: u64) -> String {
    // Beyond the year 9999 there is no such notation, nor such a restart.
    let secs = epoch_secs.min(253_402_300_799);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [
            ["é".to_owned(), "1".to_owned(), String::new()],
            ["long".to_owned(), String::new(), "why".to_owned()],
        ];
        assert_eq!(
            table(["A", "NO", "WHY"], &rows),
            "A     NO  WHY\né     1\nlong      why\n"
        );
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(utc(1_760_978_852), "2025-10-20T16:47:32Z");
        assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
