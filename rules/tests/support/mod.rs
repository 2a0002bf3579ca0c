//! Lines for the tests of cost.

use rules::{Origin, RuleSet, Scratch};

/// Lines of every kind: plain, matching, excused, coloured, binary, long.
pub(crate) fn lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        &b"INFO 127.0.0.1 - \"GET /health HTTP/1.1\" 200 OK"[..],
        b"RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 4.00 GiB total capacity)",
        b"CUDA out of memory, retrying with half the batch\nnext line",
        b"\x1b[31mRuntimeError\x1b[0m: CUDA error: device-side assert triggered",
        b"error: cudnn_status_internal_error",
        b"failed to allocate 1048576 bytes of device memory",
        b"NVRM: Xid (PCI:0000:3b:00): 79, pid=4121, GPU has fallen off the bus.",
        b"\xff\x00\x80 cuda \x1b]0;",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    lines.push(b"cudamalloc failed (2) xid (pci: failed to allocate ".repeat(1_000));
    lines
}

/// Judges and searches every line; how many matched.
pub(crate) fn judge_all(set: &RuleSet, lines: &[Vec<u8>], scratch: &mut Scratch) -> usize {
    let judged = lines
        .iter()
        .filter(|line| set.judge(line, Origin::Any, scratch).is_some())
        .count();
    let candidates = lines
        .iter()
        .filter(|line| set.candidate(line, 0).is_some())
        .count();
    assert!(candidates >= judged);
    judged
}
