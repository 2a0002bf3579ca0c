//! Reads MessagePack over borrowed bytes, one header at a time.
//!
//! Kept true: no recursion, no allocation, no length believed before its bytes
//! are there. Stepping over a value costs time in proportion to its bytes,
//! however deep it nests and whatever counts it claims.
//!
//! Not here: what a record is (see `chunk`), or building values.

/// One value's header. A string, binary or extension comes with its bytes; an
/// array or map with its count of entries, which follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head<'a> {
    /// nil
    Nil,
    /// true, false
    Bool(bool),
    /// An integer of zero or more.
    UInt(u64),
    /// An integer below zero.
    Int(i64),
    /// Both widths of float.
    Float(f64),
    /// Any bytes: MessagePack does not promise UTF-8.
    Str(&'a [u8]),
    /// Binary.
    Bin(&'a [u8]),
    /// An extension's type and bytes.
    Ext(i8, &'a [u8]),
    /// Values that follow.
    Array(u32),
    /// Pairs of values that follow.
    Map(u32),
}

impl Head<'_> {
    /// Values that follow this header and belong to it.
    fn children(self) -> u64 {
        match self {
            Self::Array(n) => u64::from(n),
            Self::Map(n) => 2 * u64::from(n),
            _ => 0,
        }
    }
}

/// Why no further value can be read; `at` is the offset of the value's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the bytes that the reader was given.
    pub at: usize,
    /// What is wrong there.
    pub kind: DamageKind,
}

/// See [`Damage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The bytes end inside a value.
    Truncated,
    /// 0xc1, which MessagePack never uses.
    Reserved,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            DamageKind::Truncated => "the bytes end inside the value",
            DamageKind::Reserved => "the byte 0xc1, which MessagePack never uses,",
        };
        write!(f, "{what} at offset {}", self.at)
    }
}

/// A position in MessagePack bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next header.
    pub fn position(&self) -> usize {
        self.at
    }

    /// True when every byte has been read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The bytes from the next header on.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Reads one header; of a string, binary or extension its bytes too. After
    /// an error the position is unchanged.
    pub fn head(&mut self) -> Result<Head<'a>, Damage> {
        let start = self.at;
        let head = self.read_head();
        if head.is_err() {
            self.at = start;
        }
        head.map_err(|kind| Damage { at: start, kind })
    }

    /// Steps over one whole value. After an error the position is somewhere
    /// inside it.
    pub fn skip(&mut self) -> Result<(), Damage> {
        self.skip_values(1)
    }

    /// Steps over what follows a header that was just read and belongs to it.
    pub fn skip_children(&mut self, head: Head<'a>) -> Result<(), Damage> {
        self.skip_values(head.children())
    }

    /// A count instead of a stack: values still to come, at all depths
    /// together. It cannot overflow, as each header adds less than 2^33 and
    /// costs a byte.
    fn skip_values(&mut self, count: u64) -> Result<(), Damage> {
        let mut left = count;
        while left > 0 {
            left = left - 1 + self.head()?.children();
        }
        Ok(())
    }

    fn read_head(&mut self) -> Result<Head<'a>, DamageKind> {
        let marker = self.byte()?;
        Ok(match marker {
            0x00..=0x7f => Head::UInt(u64::from(marker)),
            0x80..=0x8f => Head::Map(u32::from(marker & 0x0f)),
            0x90..=0x9f => Head::Array(u32::from(marker & 0x0f)),
            0xa0..=0xbf => Head::Str(self.take(usize::from(marker & 0x1f))?),
            0xc0 => Head::Nil,
            0xc1 => return Err(DamageKind::Reserved),
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4..=0xc6 => {
                let len = self.length(marker - 0xc4)?;
                Head::Bin(self.take(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.length(marker - 0xc7)?;
                self.extension(len)?
            }
            0xca => Head::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Head::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Head::UInt(u64::from(self.byte()?)),
            0xcd => Head::UInt(u64::from(u16::from_be_bytes(self.array()?))),
            0xce => Head::UInt(u64::from(u32::from_be_bytes(self.array()?))),
            0xcf => Head::UInt(u64::from_be_bytes(self.array()?)),
            0xd0 => signed(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => signed(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => signed(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => signed(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.length(marker - 0xd9)?;
                Head::Str(self.take(len)?)
            }
            0xdc => Head::Array(u32::from(u16::from_be_bytes(self.array()?))),
            0xdd => Head::Array(u32::from_be_bytes(self.array()?)),
            0xde => Head::Map(u32::from(u16::from_be_bytes(self.array()?))),
            0xdf => Head::Map(u32::from_be_bytes(self.array()?)),
            0xe0..=0xff => Head::Int(i64::from(marker.cast_signed())),
        })
    }

    /// A length of 1, 2 or 4 bytes for a width of 0, 1 or 2.
    fn length(&mut self, width: u8) -> Result<usize, DamageKind> {
        Ok(match width {
            0 => usize::from(self.byte()?),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn extension(&mut self, len: usize) -> Result<Head<'a>, DamageKind> {
        let kind = self.byte()?.cast_signed();
        Ok(Head::Ext(kind, self.take(len)?))
    }

    fn byte(&mut self) -> Result<u8, DamageKind> {
        let byte = *self.bytes.get(self.at).ok_or(DamageKind::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DamageKind> {
        let (bytes, _) = self
            .rest()
            .split_first_chunk()
            .ok_or(DamageKind::Truncated)?;
        self.at += N;
        Ok(*bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DamageKind> {
        let bytes = self.rest().get(..len).ok_or(DamageKind::Truncated)?;
        self.at += len;
        Ok(bytes)
    }
}

fn signed(value: i64) -> Head<'static> {
    match u64::try_from(value) {
        Ok(value) => Head::UInt(value),
        Err(_) => Head::Int(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Head<'_> {
        let mut reader = Reader::new(bytes);
        let head = reader.head().expect("a header");
        assert!(reader.is_at_end(), "{bytes:x?} left bytes over");
        head
    }

    #[test]
    fn every_marker_reads_as_the_format_says() {
        assert_eq!(one(&[0x00]), Head::UInt(0));
        assert_eq!(one(&[0x7f]), Head::UInt(127));
        assert_eq!(one(&[0x8f]), Head::Map(15));
        assert_eq!(one(&[0x9f]), Head::Array(15));
        assert_eq!(one(&[0xa2, b'h', b'i']), Head::Str(b"hi"));
        assert_eq!(one(&[0xc0]), Head::Nil);
        assert_eq!(one(&[0xc2]), Head::Bool(false));
        assert_eq!(one(&[0xc3]), Head::Bool(true));
        assert_eq!(one(&[0xc4, 1, 9]), Head::Bin(&[9]));
        assert_eq!(one(&[0xc5, 0, 1, 9]), Head::Bin(&[9]));
        assert_eq!(one(&[0xc6, 0, 0, 0, 1, 9]), Head::Bin(&[9]));
        assert_eq!(one(&[0xc7, 1, 5, 9]), Head::Ext(5, &[9]));
        assert_eq!(one(&[0xc8, 0, 1, 0xff, 9]), Head::Ext(-1, &[9]));
        assert_eq!(one(&[0xc9, 0, 0, 0, 1, 5, 9]), Head::Ext(5, &[9]));
        assert_eq!(one(&[0xca, 0x3f, 0xc0, 0, 0]), Head::Float(1.5));
        assert_eq!(one(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), Head::Float(1.5));
        assert_eq!(one(&[0xcc, 200]), Head::UInt(200));
        assert_eq!(one(&[0xcd, 1, 0]), Head::UInt(256));
        assert_eq!(one(&[0xce, 0, 1, 0, 0]), Head::UInt(65_536));
        assert_eq!(one(&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]), Head::UInt(1 << 32));
        assert_eq!(one(&[0xd0, 0x80]), Head::Int(-128));
        assert_eq!(one(&[0xd0, 0x05]), Head::UInt(5));
        assert_eq!(one(&[0xd1, 0xff, 0xfe]), Head::Int(-2));
        assert_eq!(one(&[0xd2, 0xff, 0xff, 0xff, 0xff]), Head::Int(-1));
        assert_eq!(
            one(&[0xd3, 0xff, 255, 255, 255, 255, 255, 255, 255]),
            Head::Int(-1)
        );
        assert_eq!(one(&[0xd4, 0, 9]), Head::Ext(0, &[9]));
        assert_eq!(
            one(&[0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
            Head::Ext(0, &[1, 2, 3, 4, 5, 6, 7, 8])
        );
        assert_eq!(one(&[0xd9, 1, b'x']), Head::Str(b"x"));
        assert_eq!(one(&[0xda, 0, 1, b'x']), Head::Str(b"x"));
        assert_eq!(one(&[0xdb, 0, 0, 0, 1, b'x']), Head::Str(b"x"));
        assert_eq!(one(&[0xdc, 1, 0]), Head::Array(256));
        assert_eq!(one(&[0xdd, 0, 1, 0, 0]), Head::Array(65_536));
        assert_eq!(one(&[0xde, 1, 0]), Head::Map(256));
        assert_eq!(one(&[0xdf, 0, 1, 0, 0]), Head::Map(65_536));
        assert_eq!(one(&[0xe0]), Head::Int(-32));
        assert_eq!(one(&[0xff]), Head::Int(-1));
    }

    #[test]
    fn every_proper_prefix_of_a_value_is_truncated() {
        let whole = [
            0x82, 0xa1, b'k', 0xcd, 1, 2, 0xc0, 0x92, 0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xca, 0, 0,
            0, 0,
        ];
        assert_eq!(Reader::new(&whole).skip(), Ok(()));
        for len in 0..whole.len() {
            let damage = Reader::new(&whole[..len]).skip().expect_err("truncated");
            assert_eq!(damage.kind, DamageKind::Truncated, "{len}");
        }
    }

    #[test]
    fn a_million_levels_are_skipped_in_constant_stack() {
        let mut bomb = vec![0x91; 1_000_000];
        bomb.push(0xc0);
        let mut reader = Reader::new(&bomb);
        assert_eq!(reader.skip(), Ok(()));
        assert!(reader.is_at_end());
    }

    #[test]
    fn huge_counts_and_lengths_end_at_the_last_byte() {
        for bytes in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[0xc6, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 0, b'x'],
        ] {
            let damage = Reader::new(bytes).skip().expect_err("too short");
            assert_eq!(damage.kind, DamageKind::Truncated);
        }
    }

    #[test]
    fn the_reserved_byte_is_damage_at_its_offset() {
        let damage = Reader::new(&[0x92, 0xc0, 0xc1])
            .skip()
            .expect_err("reserved");
        assert_eq!(
            damage,
            Damage {
                at: 2,
                kind: DamageKind::Reserved
            }
        );
    }
}
