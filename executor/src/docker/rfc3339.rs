//! Times as the Engine API writes them: RFC 3339 with up to nine digits of a
//! second and `Z` or an offset (health check logs carry the host's).

use policy::WallTime;

/// How the engine writes "never": Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Reads one time; `Ok(None)` for the engine's "never" and for an empty text.
///
/// A time without a fraction has 0 nanoseconds: the engine drops trailing
/// zeros, it does not round. The error says what is wrong with the text.
pub fn parse_rfc3339(text: &str) -> Result<Option<WallTime>, String> {
    if text.is_empty() || text == NEVER {
        return Ok(None);
    }
    match read(text.as_bytes()) {
        Some(time) => Ok(Some(time)),
        None => Err(format!("'{text}' is not a time (RFC 3339, 1970 or later)")),
    }
}

fn read(text: &[u8]) -> Option<WallTime> {
    let (head, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| head[at] != byte) || !matches!(head[10], b'T' | b't') {
        return None;
    }
    let year = number(&head[0..4]).filter(|&year| year >= 1970)?;
    let month = number(&head[5..7]).filter(|month| (1..=12).contains(month))?;
    let day = number(&head[8..10]).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let hour = number(&head[11..13]).filter(|&hour| hour <= 23)?;
    let minute = number(&head[14..16]).filter(|&minute| minute <= 59)?;
    let second = number(&head[17..19]).filter(|&second| second <= 59)?;

    let (nanos, zone) = fraction(rest)?;
    let local =
        days_from_epoch(year, month, day) * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    let secs = u64::try_from(local - offset_seconds(zone)?).ok()?;
    Some(WallTime {
        secs,
        nanos: Some(nanos),
    })
}

/// The nanoseconds of `.123…`, 0 where there is none, and what follows.
fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let Some(after_point) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let digits = after_point
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (fraction, zone) = after_point.split_at(digits);
    let scale = 10_u32.pow(9 - u32::try_from(digits).ok()?);
    Some((number(fraction)? * scale, zone))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = number(&[*h1, *h2]).filter(|&hours| hours <= 23)?;
            let minutes = number(&[*m1, *m2]).filter(|&minutes| minutes <= 59)?;
            let seconds = i64::from(hours * 3_600 + minutes * 60);
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// At most nine digits, so a `u32` holds it.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, &byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: u32) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

/// Days since 1970-01-01 in the Gregorian calendar, for 1970 and later.
fn days_from_epoch(year: u32, month: u32, day: u32) -> i64 {
    const DAYS_BEFORE_1970: u32 = 719_162;
    let whole_years = year - 1;
    let leap_days = whole_years / 4 - whole_years / 100 + whole_years / 400;
    let days_before_month: u32 = (1..month).map(|m| days_in_month(year, m)).sum();
    let days = whole_years * 365 + leap_days - DAYS_BEFORE_1970 + days_before_month + day - 1;
    i64::from(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64, nanos: u32) -> Result<Option<WallTime>, String> {
        Ok(Some(WallTime {
            secs,
            nanos: Some(nanos),
        }))
    }

    #[test]
    fn reads_what_engines_write() {
        let table = [
            ("2026-11-22T01:13:21Z", at(1_795_310_001, 0)),
            ("2026-11-22T01:13:21.5Z", at(1_795_310_001, 500_000_000)),
            ("2026-11-22T01:13:21.000000001Z", at(1_795_310_001, 1)),
            (
                "2026-11-22T01:13:21.999999999Z",
                at(1_795_310_001, 999_999_999),
            ),
            (
                "2026-11-22T02:13:21.25+01:00",
                at(1_795_310_001, 250_000_000),
            ),
            (
                "2026-11-21T19:43:21.25-05:30",
                at(1_795_310_001, 250_000_000),
            ),
            ("1970-01-01T00:00:00Z", at(0, 0)),
            ("2000-02-29T00:00:00Z", at(951_782_400, 0)),
            ("2100-03-01T00:00:00Z", at(4_107_542_400, 0)),
            ("9999-12-31T23:59:59Z", at(253_402_300_799, 0)),
            ("0001-01-01T00:00:00Z", Ok(None)),
            ("", Ok(None)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "yesterday",
            "2026-11-22",
            "2026-11-22T01:13:21",
            "2026-11-22 01:13:21Z",
            "2026-13-22T01:13:21Z",
            "2026-00-22T01:13:21Z",
            "2026-02-29T01:13:21Z",
            "2100-02-29T01:13:21Z",
            "2026-11-31T01:13:21Z",
            "2026-11-00T01:13:21Z",
            "2026-11-22T24:13:21Z",
            "2026-11-22T01:60:21Z",
            "2026-11-22T01:13:60Z",
            "2026-11-22T01:13:21.Z",
            "2026-11-22T01:13:21.0000000001Z",
            "2026-11-22T01:13:21.1",
            "2026-11-22T01:13:21+0100",
            "2026-11-22T01:13:21+24:00",
            "1969-12-31T23:59:59Z",
            "0001-01-01T00:00:01Z",
            "0000-01-01T00:00:00Z",
            "2026-11-22T01:13:21Zé",
        ] {
            let error = parse_rfc3339(text).expect_err(text);
            assert!(error.contains(text), "{error}");
        }
    }
}
