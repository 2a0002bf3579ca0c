//! Frames, pieces, times and limits of log replies.

use proptest::prelude::*;

use super::*;

const UNTIL_MS: u64 = 1_760_978_852_500;

fn frame(stream: u8, payload: &str) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short");
    let mut frame = vec![stream, 0, 0, 0];
    frame.extend(length.to_be_bytes());
    frame.extend(payload.as_bytes());
    frame
}

fn at(time: &str, text: &str) -> String {
    format!("2025-10-20T16:47:{time}Z {text}")
}

fn read(reply: &[u8]) -> Vec<(&'static str, String)> {
    let lines = lines(reply, UNTIL_MS, &Mask::default());
    let ours = |l: Line| match l.stream {
        std::borrow::Cow::Borrowed(stream) => (stream, l.text),
        std::borrow::Cow::Owned(stream) => panic!("{stream} is none of ours"),
    };
    lines.into_iter().map(ours).collect()
}

#[test]
fn frames_become_lines_of_their_stream() {
    let reply = [
        frame(1, &at("31.123456789", "out\n")),
        frame(2, &at("32", "err\r\n")),
        frame(1, &at("32.1", "\n")),
    ]
    .concat();
    assert_eq!(count(&reply), 3);
    let expected = [("stdout", "out"), ("stderr", "err"), ("stdout", "")];
    assert_eq!(read(&reply), expected.map(|(s, t)| (s, t.to_owned())));
    let lines = lines(&reply, UNTIL_MS, &Mask::default());
    assert_eq!(lines[0].time, "2025-10-20T16:47:31.123456789Z");
}

#[test]
fn a_terminals_reply_has_no_frames() {
    let reply = [at("31", "one\r\n"), at("32", "two")].concat();
    assert_eq!(count(reply.as_bytes()), 2);
    let expected = [("terminal", "one"), ("terminal", "two")];
    assert_eq!(
        read(reply.as_bytes()),
        expected.map(|(s, t)| (s, t.to_owned()))
    );
}

#[test]
fn lines_after_the_charge_are_left_out_whatever_the_engine_gives() {
    let reply = [
        frame(1, &at("32.500999", "the last\n")),
        frame(1, &at("32.501", "too late\n")),
        frame(1, "no time\n"),
        frame(1, ""),
    ]
    .concat();
    assert_eq!(read(&reply), [("stdout", "the last".to_owned())]);
}

#[test]
fn pieces_are_joined_for_each_stream_so_that_no_secret_is_cut_in_two() {
    let reply = [
        frame(1, &at("31", "token=abc")),
        frame(2, &at("31", "between\n")),
        frame(1, &at("31", "def end\n")),
    ]
    .concat();
    let expected = [("stdout", "token=[masked] end"), ("stderr", "between")];
    assert_eq!(read(&reply), expected.map(|(s, t)| (s, t.to_owned())));
}

#[test]
fn a_pem_block_is_masked_in_its_own_stream_only() {
    let reply = [
        frame(1, &at("31", "-----BEGIN KEY-----\n")),
        frame(2, &at("31", "plain\n")),
        frame(1, &at("31", "MIIB\n")),
    ]
    .concat();
    let texts: Vec<String> = read(&reply).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["[masked]", "plain", "[masked]"]);
}

#[test]
fn a_line_is_cut_at_its_limit_and_never_within_a_secret() {
    let text = |bytes: usize| {
        let reply = frame(1, &at("31", &format!("{}\n", "a ".repeat(bytes / 2))));
        read(&reply).remove(0).1
    };
    assert_eq!(text(LINE_BYTES_MAX).len(), LINE_BYTES_MAX);
    assert!(!text(LINE_BYTES_MAX).ends_with('…'));
    assert_eq!(text(LINE_BYTES_MAX + 2).len(), LINE_BYTES_MAX);
    assert!(text(LINE_BYTES_MAX + 2).ends_with('…'));

    // All but the end is masked to a few bytes; the end is where it was cut.
    let long = format!("bearer {}", "x".repeat(RAW_BYTES_MAX - 20));
    let reply = frame(1, &at("31", &format!("{long} glpat-abcdEFGH1234\n")));
    assert_eq!(read(&reply)[0].1, "bearer [masked]…");
    let reply = frame(
        1,
        &at("31", &format!("{}\n", "x".repeat(RAW_BYTES_MAX + 1))),
    );
    assert_eq!(read(&reply)[0].1, "…");
}

#[test]
fn anything_can_come_in_a_reply() {
    let whole = frame(1, &at("31", "whole\n"));
    for broken in [
        &[1, 0, 0][..],
        &[1, 0, 0, 0, 0, 0, 0, 200, b'x'],
        &[1, 0, 0, 0, 255, 255, 255, 255],
        &[2; 7],
    ] {
        let reply = [&whole, broken].concat();
        assert_eq!(read(&reply), [("stdout", "whole".to_owned())]);
    }
    assert_eq!(read(&frame(9, "\u{fffd}")), []);
    assert_eq!(read(&[0xff, 0xfe, b'\n']), []);
    assert_eq!(read(b""), []);
    let raw = frame(1, "2025-10-20T16:47:31Z a\u{1b}[31mb");
    assert_eq!(read(&raw), [("stdout", "ab".to_owned())]);
}

proptest! {
    #[test]
    fn no_reply_is_too_odd(
        frames in proptest::collection::vec((0_u8..5, 0_u8..2, 0_u32..40, ".{0,20}"), 0..20),
        tail in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut reply = Vec::new();
        for (stream, zero, length, text) in frames {
            reply.extend([stream, zero, 0, 0]);
            reply.extend(length.to_be_bytes());
            reply.extend(b"2025-10-20T16:47:31Z ");
            reply.extend(text.as_bytes());
        }
        reply.extend(tail);
        let lines = lines(&reply, UNTIL_MS, &Mask::default());
        prop_assert!(lines.len() <= count(&reply));
    }
}
