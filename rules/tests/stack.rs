//! Judging takes little stack.

use crate::support::{judge_all, lines};
use rules::{RuleSet, Scratch};

/// Fluent Bit's coroutines have 24 KiB and the plugin's budget is 16 KiB in all. A thread whose
/// stack is as small as threads may have (its own start and the guard included) judges every
/// kind of line, cold and warm; an overflow would end the test's process.
#[test]
fn a_small_stack_is_enough() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let judged = std::thread::scope(|scope| {
        let judging = || judge_all(&set, &lines(), &mut Scratch::default());
        let small = std::thread::Builder::new().stack_size(STACK_BYTES);
        small
            .spawn_scoped(scope, judging)
            .expect("a thread")
            .join()
            .expect("no panic")
    });
    assert_eq!(judged, 6);
}

const STACK_BYTES: usize = 16 * 1024;
