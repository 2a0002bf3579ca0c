//! Any bytes as a chunk: the reader of events neither panics nor goes backwards, and ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use out_healer::chunk::{Body, Event, Events, Value};

fuzz_target!(|data: &[u8]| {
    let Some((&step, chunk)) = data.split_first() else {
        return;
    };
    let mut events = Events::new(chunk);
    loop {
        let before = events.position();
        // Candidates lie anywhere at or behind what has been read.
        match events.at(before + usize::from(step)) {
            Ok(Some(Event::Record(record))) => read(record.body),
            Ok(Some(Event::GroupMarker | Event::Foreign(_))) => {}
            Ok(None) | Err(_) => break,
        }
        assert!(
            events.position() > before,
            "each event takes at least a byte"
        );
        assert!(events.position() <= chunk.len());
    }
});

fn read(body: Body<'_>) {
    let in_all = body.strings().map(<[u8]>::len).sum::<usize>();
    let mut on_top = 0;
    for (key, value) in body.fields() {
        assert!(
            body.values(key).next().is_some(),
            "each field is found by its key"
        );
        match value {
            Value::Text(text) => on_top += text.len(),
            Value::Map(inner) => inner.fields().for_each(drop),
            Value::Other => {}
        }
    }
    assert!(
        on_top <= in_all,
        "the strings at every level include those on top"
    );
}
