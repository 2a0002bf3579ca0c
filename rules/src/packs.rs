//! The rule packs that are compiled in.

/// Name and text of each pack.
const PACKS: [(&str, &str); 1] = [("gpu", include_str!("../packs/gpu.toml"))];

/// The names of the built-in packs.
pub fn names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

/// The names as a sentence wants them.
pub(crate) fn listed() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// A pack's text.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    PACKS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, toml)| *toml)
}
