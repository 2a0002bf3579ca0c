//! Judging allocates nothing once it is warm, searching never. A binary of its own: the counting
//! allocator takes stack, which another test measures.

mod support;

use rules::{RuleSet, Scratch};
use support::{judge_all, lines};

#[test]
fn nothing_is_allocated_once_warm() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let (lines, mut scratch) = (lines(), Scratch::default());
    let matches = judge_all(&set, &lines, &mut scratch);
    assert_eq!(matches, 6);
    let cost = allocation_counter::measure(|| {
        judge_all(&set, &lines, &mut scratch);
    });
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

/// Searching takes no scratch and must not allocate from the first call on.
#[test]
fn searching_never_allocates() {
    let set = RuleSet::load("gpu").expect("the pack loads");
    let chunk = lines().concat();
    let cost = allocation_counter::measure(|| {
        let mut from = 0;
        while let Some(at) = set.candidate(&chunk, from) {
            from = at + 1;
        }
    });
    assert_eq!(cost.count_total, 0, "{cost:?}");
}
