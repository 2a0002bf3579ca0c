//! Which container a record belongs to, by what the host vouches for.
//!
//! What a container wrote never decides: an id inside its text is not looked
//! at, and a key that an application can double (a parser puts the keys of its
//! text before the host's own) is not believed when it occurs twice. Where two
//! sources disagree the answer is a conflict, not a guess.
//!
//! Kept true: pure and without allocation; every text that leaves is checked to
//! be what it claims (hex digits, a container name, a path).
//!
//! Not here: whether the container exists, or may be restarted (the executor).

use executor_api::{STRING_BYTES_MAX, TargetRef};

use crate::chunk::{Body, Value};

/// `Target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetMode {
    /// The id in the tag, else in the path that tail noted.
    Auto {
        /// `Path_Key`
        path_key: Vec<u8>,
    },
    /// Keys of the record that the input vouches for.
    Record,
    /// A kernel record's process or cgroup.
    Kernel,
    /// One container, by name.
    Fixed(String),
}

/// A container as a record names it, borrowed from the record, the tag or the
/// settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// 12 to 64 hex digits.
    Id(&'a str),
    /// Without a leading `/`.
    Name(&'a str),
    /// In the host's PID namespace.
    Pid(u32),
    /// As the kernel prints it.
    Cgroup(&'a str),
}

impl Target<'_> {
    /// The same for the wire.
    pub fn to_ref(self) -> TargetRef {
        match self {
            Self::Id(id) => TargetRef::Id(id.into()),
            Self::Name(name) => TargetRef::Name(name.into()),
            Self::Pid(pid) => TargetRef::Pid(pid),
            Self::Cgroup(path) => TargetRef::Cgroup(path.into()),
        }
    }

    /// Whether `other` is this target on the wire.
    pub fn is(self, other: &TargetRef) -> bool {
        match (self, other) {
            (Self::Id(a), TargetRef::Id(b))
            | (Self::Name(a), TargetRef::Name(b))
            | (Self::Cgroup(a), TargetRef::Cgroup(b)) => a == b,
            (Self::Pid(a), TargetRef::Pid(b)) => a == *b,
            _ => false,
        }
    }
}

/// Why a match has no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Untargeted {
    /// Nothing names a container.
    Missing,
    /// Two sources disagree or cannot be shown to agree, or a key that must be single is doubled.
    Conflict,
    /// Something stands in the place of a name or id and is none.
    Malformed,
}

impl Untargeted {
    /// All, in the order of their metrics series.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Conflict, Self::Malformed];

    /// The metrics label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Conflict => "conflict",
            Self::Malformed => "malformed",
        }
    }
}

type Resolved<'a> = Result<Target<'a>, Untargeted>;

impl TargetMode {
    /// Reads `Target`; any word that is no mode is a container's name.
    pub fn from_setting(text: &str, path_key: Vec<u8>) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto { path_key }),
            "record" => Ok(Self::Record),
            "kernel" => Ok(Self::Kernel),
            _ => container_name(text.as_bytes())
                .map(|name| Self::Fixed(name.into()))
                .ok_or_else(|| {
                    "neither auto, record or kernel nor a container's name \
                     (letters, digits, _ . and -, beginning with a letter or digit)"
                        .into()
                }),
        }
    }

    /// Whether the record's text may be believed to come from the kernel.
    /// journald says so in `_TRANSPORT`; kmsg, which only the kernel and root
    /// can write, by the shape of its records. A key that is missing proves
    /// nothing: journald's may have been renamed, and any container's record
    /// lacks it.
    pub fn accepts(&self, body: Body<'_>) -> bool {
        if *self != Self::Kernel {
            return true;
        }
        let mut transports = body.values(b"_TRANSPORT").peekable();
        if transports.peek().is_some() {
            return transports.all(|value| matches!(value, Value::Text(b"kernel")));
        }
        let kmsg: [&[u8]; 3] = [b"priority", b"sequence", b"msg"];
        body.values(b"TRANSPORT").next().is_none()
            && kmsg.iter().all(|key| body.values(key).count() == 1)
    }

    /// The target of one matching record. `tag_id` is [`tag_id`] of its tag.
    pub fn resolve<'a>(
        &'a self,
        tag_id: Result<Option<&'a str>, Untargeted>,
        body: Body<'a>,
        text: &'a [u8],
    ) -> Resolved<'a> {
        match self {
            Self::Auto { path_key } => auto(tag_id?, body, path_key),
            Self::Record => record(body),
            Self::Kernel => kernel(text),
            Self::Fixed(name) => Ok(Target::Name(name)),
        }
    }
}

/// The one container id in a tag; two different ones are a conflict.
pub fn tag_id(tag: &[u8]) -> Result<Option<&str>, Untargeted> {
    only_id(tag)
}

fn auto<'a>(in_tag: Option<&'a str>, body: Body<'a>, path_key: &[u8]) -> Resolved<'a> {
    let in_path = match single(body, path_key) {
        Ok(Some(Value::Text(path))) => only_id(path)?,
        Ok(_) => None,
        // The application wrote one of them, and which cannot be told.
        Err(Doubled) if in_tag.is_none() => return Err(Untargeted::Conflict),
        Err(Doubled) => None,
    };
    match (in_tag, in_path) {
        (Some(a), Some(b)) if a != b => Err(Untargeted::Conflict),
        (Some(id), _) | (None, Some(id)) => Ok(Target::Id(id)),
        (None, None) => Err(Untargeted::Missing),
    }
}

/// The keys of one source: what it says in them is about one container.
type Family = [(&'static [u8], Kind)];

/// Docker's fluentd log driver.
const FLUENTD: &Family = &[(b"container_id", Kind::Id), (b"container_name", Kind::Name)];
/// Docker's journald log driver.
const JOURNALD: &Family = &[
    (b"CONTAINER_ID_FULL", Kind::Id),
    (b"CONTAINER_ID", Kind::Id),
    (b"CONTAINER_NAME", Kind::Name),
];
/// The kubernetes filter, in its own map.
const KUBERNETES: &Family = &[(b"docker_id", Kind::Id)];

/// An input writes the keys of one family, so those of another may be the
/// application's: they have to be shown to agree.
fn record(body: Body<'_>) -> Resolved<'_> {
    let mut found = Found::default();
    found.read(body, FLUENTD)?;
    found.read(body, JOURNALD)?;
    match single(body, b"kubernetes") {
        Ok(Some(Value::Map(kubernetes))) => found.read(kubernetes, KUBERNETES)?,
        Ok(_) => {}
        Err(Doubled) => return Err(Untargeted::Conflict),
    }
    found.target()
}

#[derive(Clone, Copy)]
enum Kind {
    Id,
    Name,
}

/// What a record's keys say, of which no two differ.
#[derive(Default)]
struct Found<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    /// Families that say anything, an id, a name.
    families: u8,
    with_id: u8,
    with_name: u8,
}

impl<'a> Found<'a> {
    fn read(&mut self, body: Body<'a>, family: &Family) -> Result<(), Untargeted> {
        let (mut has_id, mut has_name) = (false, false);
        for (key, kind) in family {
            let text = match single(body, key) {
                Ok(None) => continue,
                Ok(Some(Value::Text(text))) => text,
                Ok(Some(_)) => return Err(Untargeted::Malformed),
                Err(Doubled) => return Err(Untargeted::Conflict),
            };
            match kind {
                Kind::Id => self.note_id(text)?,
                Kind::Name => self.note_name(text)?,
            }
            has_id |= matches!(kind, Kind::Id);
            has_name |= matches!(kind, Kind::Name);
        }
        self.families += u8::from(has_id || has_name);
        self.with_id += u8::from(has_id);
        self.with_name += u8::from(has_name);
        Ok(())
    }

    fn note_id(&mut self, text: &'a [u8]) -> Result<(), Untargeted> {
        let id = container_id(text).ok_or(Untargeted::Malformed)?;
        self.id = Some(longer_id(self.id, id).ok_or(Untargeted::Conflict)?);
        Ok(())
    }

    fn note_name(&mut self, text: &'a [u8]) -> Result<(), Untargeted> {
        let name = container_name(text).ok_or(Untargeted::Malformed)?;
        if self.name.is_some_and(|known| known != name) {
            return Err(Untargeted::Conflict);
        }
        self.name = Some(name);
        Ok(())
    }

    /// What every family gives: an id that one alone gives may be made up.
    fn target(self) -> Resolved<'a> {
        match (self.id, self.name) {
            (Some(id), _) if self.with_id == self.families => Ok(Target::Id(id)),
            (_, Some(name)) if self.with_name == self.families => Ok(Target::Name(name)),
            (None, None) => Err(Untargeted::Missing),
            _ => Err(Untargeted::Conflict),
        }
    }
}

/// The longer of two ids of which one begins the other; none if they differ.
fn longer_id<'a>(known: Option<&'a str>, id: &'a str) -> Option<&'a str> {
    match known {
        Some(known) if known.starts_with(id) => Some(known),
        Some(known) if !id.starts_with(known) => None,
        _ => Some(id),
    }
}

/// A key occurs twice.
struct Doubled;

fn single<'a>(body: Body<'a>, key: &[u8]) -> Result<Option<Value<'a>>, Doubled> {
    let mut values = body.values(key);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Doubled),
    }
}

/// Digits of a whole container id.
const ID_LEN: usize = 64;

/// The only container id in a path or tag: a run of exactly 64 hex digits, none
/// of them upper-case. Looks at a window's bytes from its end, so that text
/// without long runs is passed over in leaps.
fn only_id(text: &[u8]) -> Result<Option<&str>, Untargeted> {
    let mut found: Option<&[u8]> = None;
    let mut start = 0;
    // No run that could be an id begins before `start`.
    while let Some(window) = text.get(start..start + ID_LEN) {
        if let Some(gap) = window.iter().rposition(|byte| !byte.is_ascii_hexdigit()) {
            start += gap + 1;
            continue;
        }
        let rest = &text[start + ID_LEN..];
        let longer = rest
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        if longer == 0 && !window.iter().any(u8::is_ascii_uppercase) {
            if found.is_some_and(|known| known != window) {
                return Err(Untargeted::Conflict);
            }
            found = Some(window);
        }
        start += ID_LEN + longer;
    }
    Ok(found.and_then(|id| std::str::from_utf8(id).ok()))
}

/// A container id as an input gives it: 12 to 64 lower-case hex digits.
fn container_id(text: &[u8]) -> Option<&str> {
    let is_id = (12..=64).contains(&text.len())
        && text
            .iter()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    std::str::from_utf8(text).ok().filter(|_| is_id)
}

/// A container name as Docker allows it, a leading `/` dropped.
fn container_name(text: &[u8]) -> Option<&str> {
    let name = text.strip_prefix(b"/").unwrap_or(text);
    let (first, rest) = name.split_first()?;
    let is_name = first.is_ascii_alphanumeric()
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
        && name.len() <= STRING_BYTES_MAX;
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

fn kernel(text: &[u8]) -> Resolved<'_> {
    let text = std::str::from_utf8(text).unwrap_or_else(|e| {
        // Both records are ASCII up to what is read here.
        std::str::from_utf8(&text[..e.valid_up_to()]).unwrap_or_default()
    });
    if let Some((_, xid)) = text.split_once("NVRM: Xid (") {
        return xid_pid(xid);
    }
    if let Some((_, oom)) = text.split_once("oom-kill:") {
        return oom_cgroup(oom);
    }
    Err(Untargeted::Missing)
}

/// `PCI:0000:01:00): 31, pid=1234, name=…`. The driver quotes the number in
/// some versions and writes `<unknown>` where it knows none. What follows the
/// pid (the process's name) is not the kernel's and not looked at.
fn xid_pid(text: &str) -> Resolved<'_> {
    let pid = text
        .split_once("): ")
        .and_then(|(_, rest)| rest.split_once(", "))
        .and_then(|(_, rest)| rest.strip_prefix("pid="))
        .ok_or(Untargeted::Missing)?;
    let pid = pid.trim_start_matches('\'');
    let end = pid.bytes().take_while(u8::is_ascii_digit).count();
    match pid[..end].parse() {
        Ok(0) | Err(_) => Err(Untargeted::Missing),
        Ok(pid) => Ok(Target::Pid(pid)),
    }
}

/// `constraint=…,cpuset=ID,mems_allowed=0,…,task_memcg=/docker/ID,task=…`:
/// the memory cgroup of the task that was killed. The first is the kernel's;
/// the task's own name comes after it. Not the cpuset: that is of the task that
/// happened to allocate when memory ran out, not of the one that was killed.
fn oom_cgroup(text: &str) -> Resolved<'_> {
    let field = |key: &str| {
        text.split(',')
            .take_while(|part| !part.starts_with("task="))
            .find_map(|part| part.strip_prefix(key))
            .filter(|path| !matches!(*path, "" | "/"))
    };
    let path = field("task_memcg=").ok_or(Untargeted::Missing)?;
    let is_path =
        path.len() <= STRING_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path {
        Ok(Target::Cgroup(path))
    } else {
        Err(Untargeted::Malformed)
    }
}

impl std::fmt::Display for TargetMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto { .. } => f.write_str("auto"),
            Self::Record => f.write_str("record"),
            Self::Kernel => f.write_str("kernel"),
            Self::Fixed(name) => write!(f, "container {name}"),
        }
    }
}

#[cfg(test)]
mod tests;
