//! What may be written in `[[maintenance]]`, and what is said of the rest.

use super::*;

fn read(text: &str) -> Result<(Vec<Planned>, Vec<String>), String> {
    #[derive(Deserialize)]
    struct File {
        maintenance: Vec<MaintenanceSection>,
    }
    let file: File = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let mut warnings = Vec::new();
    resolve(&file.maintenance, &mut warnings)
        .map(|planned| (planned, warnings))
        .map_err(|(key, why)| format!("{key}: {why}"))
}

fn one(body: &str) -> Result<Planned, String> {
    let (mut planned, _) = read(&format!("[[maintenance]]\nname = 'n'\n{body}"))?;
    Ok(planned.remove(0))
}

#[test]
fn what_is_left_out_is_every_day_of_all_targets_in_utc() {
    let planned = one("start = '02:00'\nend = '04:30'").unwrap();
    assert!(planned.targets.is_empty());
    let When::Weekly { days, zone, .. } = planned.when else {
        panic!("{planned:?}");
    };
    assert_eq!((days.len(), zone), (7, TimeZone::UTC));
}

#[test]
fn days_and_times_have_several_notations() {
    let planned = one("days = ['mon', 'Saturday']\nstart = '02:00:30'\nend = '24:00'").unwrap();
    let When::Weekly {
        days, start, end, ..
    } = planned.when
    else {
        panic!("{planned:?}");
    };
    assert_eq!(days, [Weekday::Monday, Weekday::Saturday]);
    assert_eq!(
        (start.to_string(), end),
        ("02:00:30".into(), Time::midnight())
    );
}

#[test]
fn a_window_that_opens_once_has_an_offset_or_a_zone() {
    for (from, until, zone) in [
        ("'2026-12-24T20:00:00Z'", "'2026-12-25T06:00:00Z'", "UTC"),
        (
            "'2026-12-24T21:00:00+01:00'",
            "2026-12-25T07:00:00+01:00",
            "UTC",
        ),
        (
            "'2026-12-24T21:00:00'",
            "2026-12-25T07:00:00",
            "Europe/Berlin",
        ),
    ] {
        let planned = one(&format!(
            "from = {from}\nuntil = {until}\ntimezone = '{zone}'"
        ))
        .unwrap();
        let want = When::Once {
            from_ms: 1_798_142_400_000,
            until_ms: 1_798_178_400_000,
        };
        assert_eq!(planned.when, want, "{from}");
    }
}

#[test]
fn faults_name_the_key_and_what_is_right() {
    let hours = "start = '02:00'\nend = '04:30'\n";
    for (body, want) in [
        (
            "".to_owned(),
            "maintenance[0]: has to say either start and end",
        ),
        (
            "days = ['mon']".to_owned(),
            "maintenance[0].start: is missing",
        ),
        (
            "start = '02:00'".to_owned(),
            "maintenance[0].end: is missing",
        ),
        (
            format!("{hours}from = '2026-12-24T20:00:00Z'"),
            "maintenance[0]: has to say either",
        ),
        (
            "from = '2026-12-24T20:00:00Z'".to_owned(),
            "maintenance[0].until: is missing",
        ),
        (
            "from = '2026-12-24T20:00:00Z'\nuntil = '2026-12-24T20:00:00Z'".to_owned(),
            "maintenance[0].until: is not after from: this window would never be open",
        ),
        (
            "from = 'soon'\nuntil = 'later'".to_owned(),
            "maintenance[0].from: \"soon\" is no time",
        ),
        ("from = 5\nuntil = 6".to_owned(), "5 is no time such as"),
        (
            format!("{hours}days = []"),
            "maintenance[0].days: names no day",
        ),
        (
            format!("{hours}days = ['mon', 'monday']"),
            "maintenance[0].days: names monday twice",
        ),
        (
            format!("{hours}days = ['Mo']"),
            "maintenance[0].days: \"Mo\" is none of mon",
        ),
        (
            format!("{hours}timezone = 'Berlin'"),
            "maintenance[0].timezone: \"Berlin\" is no time zone",
        ),
        (
            format!("{hours}targets = []"),
            "maintenance[0].targets: names no container",
        ),
        (
            format!("{hours}targets = ['/app']"),
            "maintenance[0].targets: \"/app\" is no pattern",
        ),
        (
            format!("{hours}reason = \"a\\u0007\""),
            "maintenance[0].reason: has a control character",
        ),
        (
            format!("{hours}reason = '{}'", "x".repeat(256)),
            "maintenance[0].reason: has 256 bytes",
        ),
        (
            "start = '2'\nend = '03:00'".to_owned(),
            "maintenance[0].start: \"2\" is no time",
        ),
        (
            "start = '24:00'\nend = '03:00'".to_owned(),
            "maintenance[0].start: \"24:00\" is no time",
        ),
        (
            "start = '03:00'\nend = '03:00'".to_owned(),
            "maintenance[0].end: is the same as start",
        ),
        (format!("{hours}ends = '5'"), "unknown field `ends`"),
    ] {
        let got = one(&body).expect_err(&body);
        assert!(got.starts_with(want), "{body}\n gave {got}\n not  {want}");
    }
    let twice = format!("[[maintenance]]\nname = 'n'\n{hours}").repeat(2);
    assert_eq!(
        read(&twice).unwrap_err(),
        "maintenance[1].name: there are two of the name \"n\""
    );
    let nameless = read(&format!("[[maintenance]]\n{hours}")).unwrap_err();
    assert!(nameless.starts_with("maintenance[0].name: is missing"));
    let many: String = (0..=WINDOWS_MAX)
        .map(|n| format!("[[maintenance]]\nname = '{n}'\n{hours}"))
        .collect();
    assert_eq!(
        read(&many).unwrap_err(),
        "maintenance: 101 windows; 100 are allowed"
    );
}

#[test]
fn what_is_hardly_meant_is_said() {
    for (body, want) in [
        (
            "start = '00:00'\nend = '24:00'",
            "maintenance window \"n\" is always open",
        ),
        (
            "from = '2020-01-01T00:00:00Z'\nuntil = '2020-01-02T00:00:00Z'",
            "maintenance window \"n\" is over and never comes again",
        ),
    ] {
        let (_, warnings) = read(&format!("[[maintenance]]\nname = 'n'\n{body}")).unwrap();
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(want),
            "{warnings:?}"
        );
    }
}
