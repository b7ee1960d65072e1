//! The types of numbers that codecs calculate with.

/// A type of number, without its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// A type of number in a byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its kind and size.
    pub kind: Kind,
    /// Whether its byte order is not the machine's.
    pub swapped: bool,
}

impl Number {
    /// Return the type that NumPy spells like this (`<i4`, `|u1`), or `None` for any other.
    pub fn parse(text: &str) -> Option<Number> {
        let native = if cfg!(target_endian = "big") {
            '>'
        } else {
            '<'
        };
        let order = text.chars().next()?;
        let kind = match text.get(1..)? {
            "i1" => Kind::I8,
            "i2" => Kind::I16,
            "i4" => Kind::I32,
            "i8" => Kind::I64,
            "u1" => Kind::U8,
            "u2" => Kind::U16,
            "u4" => Kind::U32,
            "u8" => Kind::U64,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => return None,
        };
        let swapped = match order {
            '|' | '=' => false,
            '<' | '>' => order != native && kind.size() > 1,
            _ => return None,
        };
        Some(Number { kind, swapped })
    }

    /// Return its size in bytes.
    pub fn size(self) -> usize {
        self.kind.size()
    }
}

impl Kind {
    /// Return its size in bytes.
    pub fn size(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }
}

/// Evaluate an expression with the Rust type of a kind, under a name.
macro_rules! by_type {
    ($kind:expr, $name:ident => $body:expr) => {
        by_type!(@ $kind, $name, $body;
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64)
    };
    (@ $kind:expr, $name:ident, $body:expr; $($variant:ident $rust:ty),+) => {
        match $kind {
            $($crate::codecs::numbers::Kind::$variant => {
                type $name = $rust;
                $body
            })+
        }
    };
}

pub(crate) use by_type;
