use super::*;

fn body(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, text) in fields {
        bytes.push(0xa0 | u8::try_from(key.len()).expect("short"));
        bytes.extend(key.as_bytes());
        bytes.push(0xdb);
        bytes.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(*text);
    }
    let mut event = vec![0x92, 0x01, 0x80 | u8::try_from(fields.len()).expect("few")];
    event.extend(bytes);
    event
}

/// Whether a record goes on, and its longest text's field.
fn piece_of(fields: &[(&str, &[u8])]) -> Option<(String, bool)> {
    let bytes = body(fields);
    let Ok(Some(crate::chunk::Event::Record(record))) = crate::chunk::Events::new(&bytes).at(0)
    else {
        panic!("a record");
    };
    let keys = LogKeys::Named(vec![b"log".into(), b"MESSAGE".into()]);
    let piece = Piece::of(&keys, record.body)?;
    let key = String::from_utf8_lossy(piece.key).into_owned();
    Some((key, piece.goes_on))
}

#[test]
fn flags_say_whether_a_line_goes_on() {
    type Fields = &'static [(&'static str, &'static [u8])];
    let cases: [(Fields, bool); 9] = [
        (&[("partial_message", b"true")], true),
        (
            &[("partial_message", b"true"), ("partial_last", b"false")],
            true,
        ),
        (
            &[("partial_message", b"true"), ("partial_last", b"true")],
            false,
        ),
        (
            &[("partial_last", b"true"), ("partial_message", b"true")],
            false,
        ),
        (&[("CONTAINER_PARTIAL_MESSAGE", b"true")], true),
        (&[("CONTAINER_PARTIAL_LAST", b"true")], false),
        (&[("logtag", b"P")], true),
        (&[("logtag", b"F")], false),
        (&[("partial_message", b"false")], false),
    ];
    for (flags, expected) in cases {
        let mut fields: Vec<(&str, &[u8])> = vec![("log", b"a text")];
        fields.extend(flags);
        assert_eq!(
            piece_of(&fields),
            Some(("log".into(), expected)),
            "{flags:?}"
        );
    }
    assert_eq!(
        piece_of(&[("other", b"a"), ("partial_message", b"true")]),
        None
    );
    assert_eq!(
        piece_of(&[("log", b"a"), ("MESSAGE", b"longer"), ("logtag", b"P")]),
        Some(("MESSAGE".into(), true))
    );
}

#[test]
fn without_a_flag_the_size_says_it() {
    let goes_on = |text: &[u8]| piece_of(&[("log", text)]).expect("a text").1;
    let full = vec![b'a'; PIECE_BYTES];
    assert!(goes_on(&full));
    assert!(!goes_on(&full[1..]));
    assert!(!goes_on(&[&full[..], b"a"].concat()));
    assert!(!goes_on(&[&full[1..], b"\n"].concat()));
    // Whole, and said so.
    assert!(
        !piece_of(&[("log", &full), ("logtag", b"F")])
            .expect("a text")
            .1
    );
    // Two bytes of half a character, each become three.
    let cut = [&full[2..], "\u{fffd}\u{fffd}".as_bytes()].concat();
    assert_eq!(cut.len(), PIECE_BYTES + 4);
    assert!(goes_on(&cut));
    assert!(!goes_on(&[&cut[..], b"a"].concat()));
    // No byte of it was UTF-8.
    let replaced = "\u{fffd}".repeat(PIECE_BYTES);
    assert!(goes_on(replaced.as_bytes()));
    assert!(!goes_on(format!("{replaced}\u{fffd}").as_bytes()));
}

#[test]
fn a_sample_lies_in_every_piece_wherever_it_stands() {
    let event = b"\x92\x92\xd7\x00\x01\x02\x03\x04\x05\x06\x07\x08\x80\x81\xa3log\xa3abc";
    let ordinary: Vec<u8> = event.repeat(3_000);
    assert!(!may_hold_piece(&ordinary));
    assert!(!may_hold_piece(&[]));
    // Letters of two bytes that begin with the mark's first.
    let text = "\u{5d0}".repeat(PIECE_BYTES / 2);
    for before in (0..40_000).step_by(97) {
        let before = &ordinary[..before];
        let chunk = [before, text.as_bytes(), &ordinary[..999]].concat();
        assert!(may_hold_piece(&chunk), "{} before", before.len());
    }
}
