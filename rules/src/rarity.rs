//! How often a few bytes in a row are met in the logs of GPU servers that are well, roughly.
//!
//! The scan looks for one short window of each need; one that healthy logs are full of
//! would stop it at every line. General letter frequencies do not tell that: in such logs GPU,
//! CUDA and memory are everyday words. So the estimate is that of a text of random letters, plus
//! what the everyday words bring. Being wrong costs speed, never a match.

use std::collections::BTreeMap;

use crate::window::{WINDOW_BYTES, windows};

/// Nanoseconds, roughly, to find out that a window is there by chance.
const HIT_NS: u64 = 10;
/// And to decode and judge a record in which a whole need stands.
const JUDGE_NS: u64 = 2_000;
/// How much more often a word follows another than if words were drawn by lot.
const TOGETHER: u64 = 64;
/// How much more often a digit follows a digit than any byte.
const DIGIT_AFTER_DIGIT: u64 = 24;
/// Windows that are met more often than this, a GiB, are everyday ones.
const EVERYDAY_PER_GIB: u64 = 300 << 10;
/// What one window more costs over a GiB, however rare: the more the scan looks for, the more
/// often its first look is wrong.
const WINDOW_NS: u64 = 4_000_000;

/// How often windows are met.
#[derive(Debug)]
pub(crate) struct Rarity {
    /// What everyday words bring, in occurrences a GiB.
    by_words: BTreeMap<Packed, u64>,
}

/// A window in one number: its bytes, and zeros behind a short one.
pub(crate) type Packed = u32;

impl Default for Rarity {
    fn default() -> Self {
        let mut by_words: BTreeMap<Packed, u64> = BTreeMap::new();
        for (per_mib, words) in EVERYDAY {
            for word in words.split_ascii_whitespace() {
                let spaced = format!(" {word} ").into_bytes();
                for len in WINDOW_BYTES - 1..=WINDOW_BYTES {
                    for window in spaced.windows(len) {
                        *by_words.entry(packed(window)).or_default() += per_mib << 10;
                    }
                }
            }
        }
        Self { by_words }
    }
}

impl Rarity {
    /// Nanoseconds that looking for a window costs over a GiB of logs.
    pub(crate) fn cost_ns(&self, window: &[u8]) -> u64 {
        // Behind a short one anything may follow, which spoils the first look for others, too.
        let short = if window.len() < WINDOW_BYTES { 4 } else { 1 };
        WINDOW_NS * short + self.per_gib(window) * HIT_NS
    }

    /// The most frequent windows of everyday words, and how often a GiB has them.
    pub(crate) fn everyday(&self) -> impl Iterator<Item = ([u8; WINDOW_BYTES], u64)> {
        let windows = self.by_words.iter();
        windows
            .map(|(window, &count)| (window.to_be_bytes(), count))
            .filter(|(window, count)| !window.contains(&0) && *count > EVERYDAY_PER_GIB)
    }

    /// Nanoseconds that the records cost over a GiB of logs in which a whole need stands.
    pub(crate) fn judging_ns(&self, need: &[u8]) -> u64 {
        let words = need.split(|&byte| byte == b' ').filter_map(|word| {
            let windows = windows(word).map(|(_, window)| self.per_gib(window));
            windows.min().filter(|_| word.len() >= WINDOW_BYTES - 1)
        });
        let count = words.reduce(|count, word| (count * TOGETHER / 1024 * word) >> 20);
        count.unwrap_or(1 << 30) * JUDGE_NS
    }

    /// Occurrences of a window in a GiB of logs; never 0. It is in normal form: lower case, a
    /// space for any white space.
    pub(crate) fn per_gib(&self, window: &[u8]) -> u64 {
        let by_letters = window.iter().fold(1_u64 << 30, |count, &byte| {
            count * u64::from(per_mille(byte)) / 1_000
        });
        let numbers = window
            .windows(2)
            .filter(|two| two.iter().all(u8::is_ascii_digit));
        let by_letters = by_letters * DIGIT_AFTER_DIGIT.pow(numbers.count() as u32);
        by_letters + self.by_words.get(&packed(window)).unwrap_or(&0) + 1
    }
}

/// See [`Packed`]; up to four bytes.
pub(crate) fn packed(window: &[u8]) -> Packed {
    let mut bytes = [0; WINDOW_BYTES];
    bytes[..window.len()].copy_from_slice(window);
    u32::from_be_bytes(bytes)
}

/// How many of 1,000 bytes are this one, both cases together.
pub(crate) fn per_mille(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' => 110,
        b'e' => 70,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 45,
        b'd' | b'l' | b'c' | b'u' | b'm' | b'p' => 28,
        b'0'..=b'9' => 22,
        b'g' | b'h' | b'f' | b'b' | b'w' | b'k' | b'v' | b'y' => 13,
        b'.' | b':' | b'-' | b'/' | b'"' | b',' | b'[' | b']' | b'=' => 12,
        b'_' | b'(' | b')' | b'%' | b'\'' => 6,
        b'x' | b'q' | b'j' | b'z' => 3,
        _ => 1,
    }
}

/// Words of logs in which nothing is wrong, by how often a MiB has them.
const EVERYDAY: [(u64, &str); 5] = [
    // Keys and values that every record has, between which there is no white space.
    (
        2_000,
        "[log] [time] [stream] [stdout] [stderr] [filepath] [json] [docker] [containers] [lib] info http/1.1 200",
    ),
    (
        400,
        "gpu cuda memory device model tokens token step loss http post get ok worker engine core \
         request requests throughput running waiting cache usage prompt generation avg reqs nccl bytes byte \
         debug warning epoch rank py torch cumem",
    ),
    (
        100,
        "of to in is for the and with from on at by as not no be are this that it or if you out \
         total max min mem memory_allocated max_memory_allocated memory_usage memory_reserved \
         gpu_memory_utilization utilization device_type allocated reserved free used loading loaded \
         load took seconds second ms gib mib mb gb batch size length train training eval rate lr \
         grad norm layers layer kv prefix hit completions chat chatcmpl api server channel via \
         process processing task slot id true false none null name value input output text data \
         file path config params sampling temperature status started start finished done complete \
         completed using set setting default version driver runtime kernel kernels cpu process_group \
         backend init initialized world local global node host port address ip user client \
         connection connections queue queued depth scheduler schedule pending checkpoint saving \
         saved shard shards weights attention flash graph graphs capture compile compiled compiling \
         triton python packages site line trace fps images image video audio frames prefill decode",
    ),
    (
        20,
        "error errors failed fail failure warn critical retry retrying timeout timed exception \
         traceback recent call last raise import module class object type function method limit \
         limits exceeded consider decreasing increasing reducing reduce available unavailable \
         enable enabled disable disabled support supported unsupported deprecated future removed \
         instead ignore ignored skipping skip missing found cannot could unable may might should \
         would will can when while before after until because please check see documentation \
         allocate allocation allocator alloc windowation fallback falling back access address \
         health healthy signal shutdown shutting down exit exited stop stopped restart driver xla \
         nvidia amd rocm hip intel tpu xpu nvlink pcie p2p ipc shm ib net plugin socket ring tree \
         tensor tensors parallel pipeline expert experts float16 bfloat16 float32 int8 fp8 dtype",
    ),
    (
        4,
        "illegal invalid assert assertion abort aborted fatal segmentation fault corrupt watchdog \
         hang hung stuck dead died killed kill oom xid ecc uncorrectable corrected unspecified \
         launch lost reset terminated terminate unexpected unknown internal broken closed refused",
    ),
];

#[cfg(test)]
mod tests {
    use super::Rarity;

    #[test]
    fn everyday_words_are_frequent_and_odd_letters_rare() {
        let rarity = Rarity::default();
        let per_gib = |window| rarity.per_gib(window);
        for (common, rare) in [
            (&b"memo"[..], &b"tchd"[..]),
            (b"cuda", b"uda_"),
            (b" out", b"out "),
            (b"info", b"xid "),
            (b" of ", b"egal"),
            (b"the ", b"qzxj"),
        ] {
            assert!(
                per_gib(common) > per_gib(rare),
                "{} {} and {} {}",
                String::from_utf8_lossy(common),
                per_gib(common),
                String::from_utf8_lossy(rare),
                per_gib(rare)
            );
        }
    }
}
