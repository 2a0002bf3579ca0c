//! Durations as rule files write them: `"60s"`, `"1500ms"`, `"5m"`, `"2h"`, or bare seconds.

/// Milliseconds of a duration such as `60s`; a number without a unit is seconds.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms = match text[digits..].trim_start() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn units_are_milliseconds_to_hours_and_seconds_by_default() {
        for (text, ms) in [
            ("60s", 60_000),
            ("60", 60_000),
            ("1500ms", 1_500),
            ("5m", 300_000),
            ("2h", 7_200_000),
            (" 7 s ", 7_000),
            ("0", 0),
        ] {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "60 seconds",
            "99999999999999999999s",
            "1h1m",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
        assert_eq!(parse_ms("18446744073709551615h"), None, "overflow");
    }
}
