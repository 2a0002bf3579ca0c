use super::*;
use crate::chunk::{Event, Events, Time};
use crate::lines::{Broken, LINE_BYTES_MAX};
use crate::target::Target;

const AT: Time = Time {
    seconds: 1,
    nanos: None,
};

fn key(name: &str) -> StreamKey {
    let Ok(Some(Event::Record(record))) = Events::new(&[0x92, 0x01, 0x80]).at(0) else {
        panic!("a record");
    };
    StreamKey::new(b"tag", Target::Name(name), record.body, b"log")
}

fn line(text: &str) -> Line {
    Line::Broken(Broken::new(AT, text.as_bytes()))
}

fn left(name: &str, text: &str) -> Settling {
    Settling {
        left: vec![(key(name), line(text))],
        ..Settling::default()
    }
}

fn goes_back() -> Settling {
    Settling {
        goes_back: true,
        ..Settling::default()
    }
}

fn texts(kept: &[Kept]) -> Vec<String> {
    let text = |(_, line): &Kept| match line {
        Line::Broken(broken) => String::from_utf8_lossy(&broken.text).into_owned(),
        Line::Wrapped(wrapped) => panic!("{wrapped:?}"),
    };
    kept.iter().map(text).collect()
}

#[test]
fn what_one_chunk_leaves_the_next_takes_once() {
    let joins = Joins::default();
    assert!(!joins.wait_for(0, b"t"));
    assert_eq!(joins.settle(0, b"t", b"one", left("app", "head")), 0);
    assert!(joins.wait_for(0, b"t"));
    assert!(!joins.wait_for(0, b"another tag"));
    assert!(joins.take(0, b"another tag", b"two").is_empty());
    assert_eq!(texts(&joins.take(0, b"t", b"two")), ["head"]);
    assert!(joins.take(0, b"t", b"three").is_empty());
    joins.settle(0, b"t", b"two", Settling::default());
    assert!(!joins.wait_for(0, b"t"));
    assert!(joins.take(0, b"t", b"two").is_empty());
}

#[test]
fn what_a_chunk_has_nothing_of_waits_on() {
    let joins = Joins::default();
    joins.settle(0, b"t", b"one", left("app", "head"));
    assert_eq!(joins.take(0, b"t", b"two").len(), 1);
    let untouched = Settling {
        untouched: vec![key("app")],
        ..Settling::default()
    };
    joins.settle(0, b"t", b"two", untouched);
    assert_eq!(texts(&joins.take(0, b"t", b"three")), ["head"]);
}

#[test]
fn a_chunk_that_comes_again_finds_and_leaves_the_same() {
    let joins = Joins::default();
    joins.settle(0, b"t", b"one", left("app", "head"));
    for now_ms in [0, WAIT_MS] {
        assert_eq!(texts(&joins.take(now_ms, b"t", b"two")), ["head"]);
        let outcome = Settling {
            goes_back: true,
            ..left("app", "head and more")
        };
        joins.settle(now_ms, b"t", b"two", outcome);
    }
    // The next went on meanwhile; what it took is not left a second time.
    let now_ms = WAIT_MS;
    assert_eq!(
        texts(&joins.take(now_ms, b"t", b"three")),
        ["head and more"]
    );
    joins.settle(now_ms, b"t", b"three", Settling::default());
    let now_ms = WAIT_MS + RETRY_MS;
    assert_eq!(texts(&joins.take(now_ms, b"t", b"two")), ["head"]);
    joins.settle(now_ms, b"t", b"two", left("app", "head and more"));
    assert!(!joins.wait_for(now_ms, b"t"));
}

#[test]
fn a_chunk_does_not_go_on_with_what_it_left_itself() {
    let joins = Joins::default();
    let outcome = Settling {
        goes_back: true,
        ..left("app", "head")
    };
    joins.settle(0, b"t", b"one", outcome);
    assert!(joins.take(0, b"t", b"one").is_empty());
    joins.settle(0, b"t", b"one", left("app", "head"));
    assert_eq!(texts(&joins.take(0, b"t", b"two")), ["head"]);
}

#[test]
fn waiting_ends() {
    let joins = Joins::default();
    joins.settle(0, b"t", b"one", left("app", "head"));
    assert!(joins.wait_for(WAIT_MS, b"t"));
    assert!(!joins.wait_for(WAIT_MS + 1, b"t"));

    joins.settle(0, b"t", b"one", left("app", "head"));
    joins.take(WAIT_MS, b"t", b"two");
    joins.settle(WAIT_MS, b"t", b"two", goes_back());
    assert!(joins.wait_for(WAIT_MS + RETRY_MS, b"t"));
    assert!(!joins.wait_for(WAIT_MS + RETRY_MS + 1, b"t"));
}

#[test]
fn the_oldest_goes_when_there_is_no_room_and_is_counted() {
    let joins = Joins::default();
    for number in 0..KEPT_MAX {
        let name = number.to_string();
        assert_eq!(
            joins.settle(0, b"t", name.as_bytes(), left(&name, &name)),
            0
        );
    }
    assert_eq!(joins.settle(0, b"t", b"last", left("last", "last")), 1);
    let kept = texts(&joins.take(0, b"t", b"next"));
    assert_eq!(kept.len(), KEPT_MAX);
    assert_eq!(
        (kept[0].as_str(), kept[KEPT_MAX - 1].as_str()),
        ("1", "last")
    );

    let joins = Joins::default();
    let giant = "x".repeat(LINE_BYTES_MAX);
    let fit = KEPT_BYTES_MAX / LINE_BYTES_MAX;
    for number in 0..fit {
        let name = number.to_string();
        assert_eq!(
            joins.settle(0, b"t", name.as_bytes(), left(&name, &giant)),
            0
        );
    }
    assert_eq!(joins.settle(0, b"t", b"last", left("last", "x")), 1);
    assert_eq!(joins.take(0, b"t", b"next").len(), fit);
}

#[test]
fn chunks_that_came_back_are_known_up_to_a_limit() {
    let joins = Joins::default();
    let back = |number: usize| {
        let outcome = Settling {
            goes_back: true,
            ..left("app", "head")
        };
        joins.settle(0, b"t", &number.to_le_bytes(), outcome);
        joins.lock().entries.len()
    };
    (0..=RETURNED_MAX).for_each(|number| {
        back(number);
    });
    assert_eq!(joins.lock().returned.len(), RETURNED_MAX);
    joins.lock().drop_where(|_| true);
    joins.count.store(1, Ordering::Relaxed);
    assert_eq!(back(1), 0, "known, and leaves nothing");
    assert_eq!(back(0), 1, "the oldest is forgotten");
}
