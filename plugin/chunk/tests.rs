use super::*;

/// Bytes of a string.
fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xd9, u8::try_from(text.len()).expect("short")];
    bytes.extend(text);
    bytes
}

/// `[seconds, body]`
fn event(seconds: u8, body: &[u8]) -> Vec<u8> {
    [&[0x92, seconds][..], body].concat()
}

/// `{"k": value}`
fn map_of(value: &[u8]) -> Vec<u8> {
    [&[0x81][..], &string(b"k"), value].concat()
}

fn seconds_at(chunk: &[u8], offset: usize) -> Option<u64> {
    match Events::new(chunk).at(offset).expect("sound") {
        Some(Event::Record(record)) => Some(record.time.seconds),
        Some(event) => panic!("{event:?}"),
        None => None,
    }
}

#[test]
fn the_event_that_holds_a_byte_is_found_at_each_of_its_bytes() {
    let first = event(1, &map_of(&string(b"one")));
    let second = event(2, &map_of(&string(b"two")));
    let chunk = [first.clone(), second].concat();
    for offset in 0..chunk.len() {
        let expected = if offset < first.len() { 1 } else { 2 };
        assert_eq!(seconds_at(&chunk, offset), Some(expected), "{offset}");
    }
    assert_eq!(seconds_at(&chunk, chunk.len()), None);
}

#[test]
fn after_an_event_the_next_is_searched_behind_it() {
    let one = event(1, &map_of(&[0xc0]));
    let chunk = one.repeat(3);
    let mut events = Events::new(&chunk);
    for end in [one.len(), 2 * one.len(), 3 * one.len()] {
        assert!(matches!(events.at(0), Ok(Some(Event::Record(_)))));
        assert_eq!(events.position(), end);
    }
    assert!(matches!(events.at(0), Ok(None)));
}

#[test]
fn what_is_no_event_says_why() {
    let body = map_of(&[0xc0]);
    for (bytes, why) in [
        (vec![0x05], "array of two"),
        ([&[0x93, 1][..], &body, &[0xc0]].concat(), "array of two"),
        ([&[0x92, 0xc0][..], &body].concat(), "its time"),
        ([&[0x92, 0xfd][..], &body].concat(), "its time"),
        ([&[0x92, 0x92, 1, 0xc0][..], &body].concat(), "its metadata"),
        (vec![0x92, 1, 0xc0], "its body"),
    ] {
        match Events::new(&bytes).at(0) {
            Ok(Some(Event::Foreign(said))) => assert!(said.contains(why), "{said}"),
            other => panic!("{bytes:x?}: {other:?}"),
        }
    }
}

#[test]
fn strings_are_found_down_to_the_depth_limit_and_not_below() {
    // The record's map is level 1; each array around the string adds one.
    let nested = |arrays: usize| {
        let value = [vec![0x91; arrays], string(b"deep")].concat();
        event(1, &map_of(&value))
    };
    let count = |chunk: Vec<u8>| match Events::new(&chunk).at(0) {
        Ok(Some(Event::Record(record))) => record.body.strings().count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(nested(DEPTH_MAX - 1)), 1);
    assert_eq!(count(nested(DEPTH_MAX)), 0);
    assert_eq!(count(nested(100_000)), 0);
}

#[test]
fn keys_are_no_strings_to_search_whatever_they_are() {
    // {"a": "v1", ["x", "y"]: "v2", {"z": "w"}: 5, "b": {"c": "v3"}}
    let body = [
        vec![0x84],
        string(b"a"),
        string(b"v1"),
        vec![0x92],
        string(b"x"),
        string(b"y"),
        string(b"v2"),
        vec![0x81],
        string(b"z"),
        string(b"w"),
        vec![5],
        string(b"b"),
        vec![0x81],
        string(b"c"),
        string(b"v3"),
    ]
    .concat();
    let chunk = event(1, &body);
    let Ok(Some(Event::Record(record))) = Events::new(&chunk).at(0) else {
        panic!("a record");
    };
    let strings: Vec<&[u8]> = record.body.strings().collect();
    assert_eq!(strings, [b"v1", b"v2", b"v3"]);
    let names: Vec<&[u8]> = record.body.fields().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"a"[..], b"", b"", b"b"]);
}

#[test]
fn earlier_events_are_known_and_marked_up_to_a_limit() {
    let events = u8::try_from(EARLIER_MAX).expect("few") + 8;
    let chunk: Vec<u8> = (0..events)
        .flat_map(|seconds| event(seconds, &map_of(&string(b"v"))))
        .collect();
    let mut walk = Events::new(&chunk);
    assert!(walk.earlier(0).is_none());
    assert!(!walk.is_marked(0));
    // The last one.
    walk.at(chunk.len() - 1).expect("sound").expect("an event");
    let last = usize::from(events) - 1;
    assert_eq!(walk.number(), last);
    let oldest = last + 1 - EARLIER_MAX;
    walk.mark(oldest);
    walk.mark(oldest - 1);
    for number in 0..=last + 1 {
        let seconds = walk.earlier(number).map(|event| match event {
            Event::Record(record) => record.time.seconds,
            event => panic!("{event:?}"),
        });
        let is_there = (oldest..last).contains(&number);
        assert_eq!(seconds, is_there.then_some(number as u64), "{number}");
        assert_eq!(walk.is_marked(number), number == oldest, "{number}");
    }
}
