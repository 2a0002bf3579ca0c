//! Tables of dates: midnights, clocks put forward and back, leap days.

use super::*;

fn ms(text: &str) -> u64 {
    let at: Timestamp = text.parse().unwrap();
    u64::try_from(at.as_millisecond()).unwrap()
}

fn shown(open: &[(u64, u64)]) -> Vec<String> {
    let show = |ms: u64| Timestamp::from_millisecond(ms as i64).unwrap().to_string();
    let range = |(from, until): &(u64, u64)| format!("{} {}", show(*from), show(*until));
    open.iter().map(range).collect()
}

fn weekly(days: &[Weekday], start: &str, end: &str, zone: &str) -> When {
    When::Weekly {
        days: days.to_vec(),
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        zone: TimeZone::get(zone).unwrap(),
    }
}

/// The first range that a window has from then on.
fn first(when: &When, from: &str) -> String {
    shown(&open(when, ms(from))).swap_remove(0)
}

#[test]
fn windows_of_a_week_are_worked_out_for_some_days() {
    let when = weekly(
        &[Weekday::Monday, Weekday::Saturday],
        "02:00",
        "04:30",
        "UTC",
    );
    // A Sunday.
    assert_eq!(
        shown(&open(&when, ms("2026-11-22T12:00:00Z"))),
        [
            "2026-11-23T02:00:00Z 2026-11-23T04:30:00Z",
            "2026-11-28T02:00:00Z 2026-11-28T04:30:00Z",
            "2026-11-30T02:00:00Z 2026-11-30T04:30:00Z",
        ]
    );
}

#[test]
fn one_that_crosses_midnight_is_open_on_the_next_day() {
    let when = weekly(&[Weekday::Sunday], "23:00", "01:30", "UTC");
    for now in [
        "2026-11-22T22:59:59.999Z",
        "2026-11-22T23:00:00Z",
        "2026-11-23T01:29:59.999Z",
    ] {
        assert_eq!(
            first(&when, now),
            "2026-11-22T23:00:00Z 2026-11-23T01:30:00Z"
        );
    }
    let after = first(&when, "2026-11-23T01:30:00Z");
    assert_eq!(after, "2026-11-29T23:00:00Z 2026-11-30T01:30:00Z");
    let day = weekly(&[Weekday::Sunday], "00:00", "00:00", "UTC");
    let all = first(&day, "2026-11-22T12:00:00Z");
    assert_eq!(all, "2026-11-22T00:00:00Z 2026-11-23T00:00:00Z");
}

#[test]
fn the_days_are_those_of_the_windows_own_clock() {
    // Monday 01:00 in Auckland is Sunday noon in UTC.
    let when = weekly(&[Weekday::Monday], "01:00", "02:00", "Pacific/Auckland");
    let open = first(&when, "2026-11-22T00:00:00Z");
    assert_eq!(open, "2026-11-22T12:00:00Z 2026-11-22T13:00:00Z");
    let when = weekly(
        &[Weekday::Saturday],
        "23:00",
        "02:00",
        "America/Los_Angeles",
    );
    let open = first(&when, "2026-11-22T09:59:59Z");
    assert_eq!(open, "2026-11-22T07:00:00Z 2026-11-22T10:00:00Z");
}

#[test]
fn clocks_put_forward_and_back() {
    // Berlin 2026: forward on 29 March at 02:00, back on 25 October at 03:00.
    let sunday = &[Weekday::Sunday];
    for (start, end, now, want) in [
        // Across the gap: as long by the wall, an hour shorter in truth.
        (
            "01:00",
            "04:00",
            "2026-03-28T12:00:00Z",
            "2026-03-29T00:00:00Z 2026-03-29T02:00:00Z",
        ),
        // Its beginning, its end, and both are left out.
        (
            "02:30",
            "04:00",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:30:00Z 2026-03-29T02:00:00Z",
        ),
        (
            "01:00",
            "02:30",
            "2026-03-28T12:00:00Z",
            "2026-03-29T00:00:00Z 2026-03-29T01:30:00Z",
        ),
        (
            "02:10",
            "02:50",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:10:00Z 2026-03-29T01:50:00Z",
        ),
        // It would end before it begins: it keeps its length.
        (
            "02:30",
            "03:00",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:30:00Z 2026-03-29T02:00:00Z",
        ),
        // Across the hour that comes twice: an hour longer.
        (
            "01:00",
            "04:00",
            "2026-10-24T12:00:00Z",
            "2026-10-24T23:00:00Z 2026-10-25T03:00:00Z",
        ),
        // From the first to the second.
        (
            "02:15",
            "02:45",
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:15:00Z 2026-10-25T01:45:00Z",
        ),
        (
            "02:30",
            "04:00",
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z 2026-10-25T03:00:00Z",
        ),
        (
            "01:00",
            "02:30",
            "2026-10-24T12:00:00Z",
            "2026-10-24T23:00:00Z 2026-10-25T01:30:00Z",
        ),
        // An ordinary Sunday of each half of the year.
        (
            "02:30",
            "03:00",
            "2026-07-04T12:00:00Z",
            "2026-07-05T00:30:00Z 2026-07-05T01:00:00Z",
        ),
        (
            "02:30",
            "03:00",
            "2026-12-05T12:00:00Z",
            "2026-12-06T01:30:00Z 2026-12-06T02:00:00Z",
        ),
    ] {
        let when = weekly(sunday, start, end, "Europe/Berlin");
        assert_eq!(first(&when, now), want, "{start} {end}");
    }
}

#[test]
fn leap_days_are_days() {
    let when = weekly(&[Weekday::Tuesday], "23:00", "01:00", "UTC");
    // 29 February 2028 is a Tuesday.
    let open = first(&when, "2028-02-28T00:00:00Z");
    assert_eq!(open, "2028-02-29T23:00:00Z 2028-03-01T01:00:00Z");
    let monday = weekly(&[Weekday::Monday], "23:00", "01:00", "UTC");
    let open = first(&monday, "2028-02-28T00:00:00Z");
    assert_eq!(open, "2028-02-28T23:00:00Z 2028-02-29T01:00:00Z");
}

#[test]
fn one_that_is_open_once_is_over_at_its_end() {
    let when = When::Once {
        from_ms: 1_000,
        until_ms: 2_000,
    };
    assert_eq!(open(&when, 0), [(1_000, 2_000)]);
    assert_eq!(open(&when, 1_999), [(1_000, 2_000)]);
    assert_eq!(open(&when, 2_000), []);
}

#[test]
fn they_are_worked_out_at_first_each_day_and_when_the_clock_goes_back() {
    let planned = Planned {
        name: "nightly".into(),
        reason: String::new(),
        targets: Vec::new(),
        when: weekly(&[Weekday::Sunday], "01:00", "02:00", "UTC"),
    };
    let mut calendar = Calendar::new(vec![planned]);
    let day = ANEW_AFTER_MS;
    for (at, is_news) in [
        (10 * day, true),
        (10 * day, false),
        (11 * day - 1, false),
        (11 * day, true),
        (11 * day - 1, true),
        (u64::MAX, true),
    ] {
        assert_eq!(calendar.news(at).is_some(), is_news, "{at}");
    }
    // Nothing is planned: said once, so that what was planned before goes.
    let mut empty = Calendar::default();
    assert_eq!(empty.news(0), Some(Vec::new()));
    assert_eq!(empty.news(10 * day), None);
}

#[test]
fn every_moment_that_a_window_is_meant_to_cover_is_covered() {
    // By the wall's own reading, minute by minute over a year, in zones whose
    // clocks change by an hour, by half of one, and at midnight.
    for zone in [
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/Santiago",
        "UTC",
    ] {
        let days = [Weekday::Saturday, Weekday::Sunday];
        let when = weekly(&days, "23:30", "01:15", zone);
        let zone = TimeZone::get(zone).unwrap();
        let mut at = Timestamp::from_second(1_767_225_600).unwrap();
        let mut drawn = (u64::MAX, Vec::new());
        let mut held = 0;
        for _ in 0..365 * 24 * 4 {
            let wall_ms = at.as_millisecond() as u64;
            if drawn.0 == u64::MAX || wall_ms >= drawn.0 + ANEW_AFTER_MS {
                drawn = (wall_ms, open(&when, wall_ms));
            }
            let local = zone.to_datetime(at);
            let (time, today) = (local.time(), local.date().weekday());
            let yesterday = local.date().yesterday().unwrap().weekday();
            let is_meant = (time >= "23:30".parse().unwrap() && days.contains(&today))
                || (time < "01:15".parse().unwrap() && days.contains(&yesterday));
            let is_open = drawn.1.iter().any(|(f, u)| (*f..*u).contains(&wall_ms));
            assert!(is_open || !is_meant, "{local} in {zone:?}");
            held += u32::from(is_open);
            at = at.checked_add(15.minutes()).unwrap();
        }
        // 105 windows of 7 quarters of an hour each, and a few more in doubt.
        assert!((7 * 104..=7 * 104 + 16).contains(&held), "{held}");
    }
}
