//! The rule packs that are compiled in.

/// Name and text of each pack, in the order in which `gpu` lists them: first those whose
/// words the others pass on.
const PACKS: [(&str, &str); 9] = [
    ("rocm", include_str!("../packs/rocm.toml")),
    ("xpu", include_str!("../packs/xpu.toml")),
    (
        "tensorflow-jax",
        include_str!("../packs/tensorflow-jax.toml"),
    ),
    ("cuda", include_str!("../packs/cuda.toml")),
    ("nccl", include_str!("../packs/nccl.toml")),
    ("nvml", include_str!("../packs/nvml.toml")),
    ("inference", include_str!("../packs/inference.toml")),
    ("host-oom", include_str!("../packs/host-oom.toml")),
    ("xid", include_str!("../packs/xid.toml")),
];

/// Stands for all of them.
const ALL: &str = "gpu";

/// The sets of excuses that every file may name.
pub(crate) const EXCUSES: (&str, &str) = ("excuses", include_str!("../packs/excuses.toml"));

/// Those that the packs name as a rule, in that order.
pub(crate) const COMMON_EXCUSES: [&str; 3] = ["recovery", "talk", "code"];

/// The names of the built-in packs; the first one stands for all others.
pub fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(ALL).chain(PACKS.iter().map(|(name, _)| *name))
}

/// The names as a sentence wants them.
pub(crate) fn listed() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// Name and text of the pack, or packs, that a name stands for; empty if there is none.
pub(crate) fn find(name: &str) -> &'static [(&'static str, &'static str)] {
    if name == ALL {
        return &PACKS;
    }
    match PACKS.iter().position(|(known, _)| *known == name) {
        Some(at) => &PACKS[at..=at],
        None => &[],
    }
}
