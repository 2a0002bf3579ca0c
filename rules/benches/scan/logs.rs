//! Generated logs of a GPU server that is well, and lines of one that is not.

/// Bytes of one generated chunk: what Fluent Bit hands over at once at most.
const CHUNK_BYTES: usize = 2_000_000;

/// What a line looks like.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Colour {
    Plain,
    Ansi,
}

/// A line that matches, in front of every so many that do not; 0 for none.
#[derive(Clone, Copy)]
pub(crate) struct Matching {
    pub(crate) one_in: u64,
}

/// A line that the pack `gpu` answers with a restart.
const MATCH: &str = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.69 GiB total \
     capacity; 22.11 GiB already allocated)\n";

/// Bytes, and where each record begins; behind the last one the end.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<usize>,
}

/// Records as Fluent Bit's tail and json parser leave them: `[[time, {}], {log, stream, time}]`.
///
/// A line has at least `line_bytes` bytes, made of several where it has to be longer.
pub(crate) fn chunk(colour: Colour, matching: Matching, line_bytes: usize) -> Chunk {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 2 * line_bytes);
    let mut records = Vec::new();
    while chunk.len() < CHUNK_BYTES {
        let mut log = String::new();
        if matching.one_in > 0 && random.below(matching.one_in) == 0 {
            log = MATCH.into();
        }
        while log.len() < line_bytes.max(1) {
            log += &line(&mut random, colour);
        }
        records.push(chunk.len());
        chunk.extend(b"\x92\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x00\x80\x83\xa3log\xda");
        let len = u16::try_from(log.len()).unwrap_or(u16::MAX);
        chunk.extend(len.to_be_bytes());
        chunk.extend(log.bytes());
        chunk.extend(b"\xa6stream\xa6stdout\xa4time\xbe2026-01-15T10:12:13.123456789Z");
    }
    records.push(chunk.len());
    Chunk {
        bytes: chunk,
        records,
    }
}

/// One line of what inference servers print when all is well.
fn line(random: &mut Random, colour: Colour) -> String {
    let (n, m, k) = (random.below(100_000), random.below(100), random.below(60));
    let text = match random.below(12) {
        0..4 => format!("127.0.0.1:{n} - \"POST /v1/chat/completions HTTP/1.1\" 200 OK"),
        4 => format!(
            "Avg prompt throughput: {n}.{m} tokens/s, Avg generation throughput: {m}.{k} tokens/s, \
             Running: {k} reqs, Waiting: 0 reqs, GPU KV cache usage: {m}.1%, Prefix cache hit rate: {k}.0%"
        ),
        5 => format!("Model loading took {m}.{k} GiB memory and {n} seconds"),
        6 => format!(
            "Received request chatcmpl-{n:032x}: params: SamplingParams(n=1, temperature={m}.0)"
        ),
        7 => format!("step {n}/100000 loss={m}.{k} lr=3e-05 gpu_memory_allocated={k}.2GiB"),
        8 => format!(
            "device=cuda:{} util={m}% power={k}W temp={k}C mem=40536MiB/81559MiB",
            n % 8
        ),
        9 => format!(
            "rank{} NCCL INFO Channel {m:02}/0 : {k}[0] -> {k}[1] via P2P/CUMEM",
            n % 8
        ),
        10 => format!("slot launch_slot_: id {k} | task {n} | processing task, n_past = {m}"),
        _ => {
            "If you are running out of memory, consider decreasing `gpu_memory_utilization`.".into()
        }
    };
    let prefix = format!("2026-01-15 10:{k:02}:{k:02},{m:03}");
    match colour {
        Colour::Plain => format!("INFO {prefix} [worker.py:{k}] {text}\n"),
        Colour::Ansi => format!(
            "\x1b[32mINFO\x1b[0m \x1b[2m{prefix}\x1b[0m \x1b[1;36m[worker.py:{k}]\x1b[0;0m {text}\n"
        ),
    }
}

/// A small generator (xorshift): the same logs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
