//! Compressed streams, of libraries that go on from where they have stopped.
//!
//! * Data is one or more streams. Anything else behind the end is an error, unless it is ignored as
//!   padding: if the user allows that, the data before it has the expected size, and it does not begin
//!   as a stream does.
//! * A decoder gets the room that is left, and one byte when there is none, which shows that the data
//!   is too long. No size in the data is trusted.
//! * The caller is asked whether to stop after each piece of input or output.

use std::any::Any;
use std::fmt::Debug;

use crate::codecs::codec::{Codec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

/// The most bytes of input or output between two questions, some 0.1 s of the slowest decoder.
const PIECE: usize = 1 << 20;
/// The least room that is made for output of unknown size.
const LEAST: usize = 1 << 12;

/// What one step of a library has done.
pub struct Step {
    /// The bytes of input that it has taken.
    pub read: usize,
    /// The bytes of output that it has made.
    pub wrote: usize,
    /// Whether the stream has ended.
    pub ended: bool,
}

/// The decoder or the encoder of one stream.
pub trait Stream {
    /// Go on with some input and room for some output, both of at most `PIECE` bytes. `last` is whether
    /// the input is the rest of all.
    fn step(&mut self, src: &[u8], dst: &mut [u8], last: bool) -> Result<Step>;
}

/// What streams of a kind begin with, and what may follow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The name of the codec.
    pub stage: &'static str,
    /// What a further stream begins with; `None` if none may follow the first.
    pub magic: Option<&'static [u8]>,
    /// Whether padding is ignored if the decoded size is known.
    pub padded: bool,
}

/// A codec of streams: what makes it one of bytes.
pub trait Streamed: Any + Debug + Send + Sync + Sized {
    /// The name of the codec.
    const STAGE: &'static str;
    /// The bytes that are encoded within some 50 ms at least.
    const PROMPTLY: usize;

    /// Make the codec from its numbers, as Python describes it.
    fn from_numbers(numbers: &[i64]) -> Option<Self>;

    /// Return what its streams begin with, and what may follow them.
    fn kind(&self) -> Kind;

    /// Begin to decode a stream.
    fn decoder(&self) -> Result<impl Stream>;

    /// Begin to encode a stream.
    fn encoder(&self) -> Result<impl Stream>;
}

impl<T: Streamed> Codec for T {
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<T> {
        (name == T::STAGE).then(|| T::from_numbers(numbers))?
    }

    fn name(&self) -> &'static str {
        T::STAGE
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        _contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        decode(data, dst, &self.kind(), stop, || self.decoder())
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        _contexts: &mut Contexts,
    ) -> Result<()> {
        decode_to_vec(data, out, limit, &self.kind(), || self.decoder())
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, _contexts: &mut Contexts) -> Result<()> {
        encode(data, out, T::STAGE, self.encoder()?)
    }

    fn promptly(&self) -> usize {
        T::PROMPTLY
    }
}

/// Decode data that holds exactly `dst.len()` bytes. `begin` makes the decoder of one stream.
fn decode<S: Stream>(
    src: &[u8],
    dst: &mut [u8],
    kind: &Kind,
    stop: Option<Stop>,
    begin: impl FnMut() -> Result<S>,
) -> Result<()> {
    let expected = dst.len();
    let found = run(src, &mut Room::Fixed(dst), kind, stop, begin)?;
    if found == expected {
        return Ok(());
    }
    let message = format!("expected {expected} decoded bytes, but the data holds {found}");
    Err(Error::codec(kind.stage, message))
}

/// Decode data of unknown size, of at most `limit` bytes, and append the result to `out`.
fn decode_to_vec<S: Stream>(
    src: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    kind: &Kind,
    begin: impl FnMut() -> Result<S>,
) -> Result<()> {
    let start = out.len();
    let mut room = Room::Growing { out, start, limit };
    let found = run(src, &mut room, kind, None, begin);
    out.truncate(start + found.as_ref().unwrap_or(&0));
    found.map(|_| ())
}

/// Encode `src` as one stream and append it to `out`.
fn encode(
    src: &[u8],
    out: &mut Vec<u8>,
    stage: &'static str,
    mut encoder: impl Stream,
) -> Result<()> {
    let (start, limit) = (out.len(), usize::MAX);
    let mut room = Room::Growing { out, start, limit };
    let (mut at, mut made) = (0, 0);
    loop {
        let (piece, last) = piece(src, at);
        let step = encoder.step(piece, room.behind(made, stage)?, last)?;
        at += step.read;
        made += step.wrote;
        if step.ended && at == src.len() {
            break;
        }
        if step.ended || (step.read == 0 && step.wrote == 0) {
            let message = format!("{} bytes cannot be encoded", src.len());
            return Err(Error::codec(stage, message));
        }
    }
    out.truncate(start + made);
    Ok(())
}

/// Return the error of data that the library refuses.
pub fn damaged(stage: &'static str, why: &str) -> Error {
    Error::codec(stage, format!("the data cannot be decoded: {why}"))
}

/// Where the output goes.
enum Room<'a> {
    /// Memory of the size that is expected.
    Fixed(&'a mut [u8]),
    /// A buffer that grows behind `start`, by at most `limit` bytes.
    Growing {
        out: &'a mut Vec<u8>,
        start: usize,
        limit: usize,
    },
}

impl Room<'_> {
    /// Return some room behind what is filled; none if there is no more.
    fn behind(&mut self, filled: usize, stage: &'static str) -> Result<&mut [u8]> {
        match self {
            Room::Fixed(dst) => {
                let end = dst.len().min(filled + PIECE);
                Ok(&mut dst[filled..end])
            }
            Room::Growing { out, start, limit } => {
                let more = filled.clamp(LEAST, PIECE).min(*limit - filled);
                let (at, end) = (*start + filled, *start + filled + more);
                memory::reserve(out, end.saturating_sub(out.len()), stage)?;
                memory::resize(out, end, 0, stage)?;
                Ok(&mut out[at..])
            }
        }
    }

    /// Return the error of `size` bytes of data that hold more.
    fn exceeded(&self, size: usize, stage: &'static str) -> Error {
        let most = match self {
            Room::Fixed(dst) => format!("expected {} decoded bytes", dst.len()),
            Room::Growing { limit, .. } => format!("the limit is {limit} decoded bytes"),
        };
        Error::codec(
            stage,
            format!("{most}, but the {size} bytes of data hold more"),
        )
    }
}

/// Return the piece of the input at a place, and whether it is the last one.
fn piece(src: &[u8], at: usize) -> (&[u8], bool) {
    let end = src.len().min(at + PIECE);
    (src.get(at..end).unwrap_or_default(), end == src.len())
}

/// Decode all streams, and return how many bytes they hold.
fn run<S: Stream>(
    src: &[u8],
    room: &mut Room,
    kind: &Kind,
    stop: Option<Stop>,
    mut begin: impl FnMut() -> Result<S>,
) -> Result<usize> {
    let (mut at, mut found) = (0, 0);
    loop {
        let mut decoder = begin()?;
        loop {
            if stop.is_some_and(|stop| stop()) {
                return Err(Error::interrupted());
            }
            let (piece, last) = piece(src, at);
            let mut probe = [0];
            let part = room.behind(found, kind.stage)?;
            let full = part.is_empty();
            let step = decoder.step(piece, if full { &mut probe } else { part }, last)?;
            at += step.read;
            if full && step.wrote > 0 {
                return Err(room.exceeded(src.len(), kind.stage));
            }
            found += step.wrote;
            if step.ended {
                break;
            }
            if step.read == 0 && step.wrote == 0 {
                let message = format!("the data ends early, after {found} decoded bytes");
                return Err(Error::codec(kind.stage, message));
            }
        }
        let rest = src.get(at..).unwrap_or_default();
        let begins = kind.magic.is_some_and(|magic| rest.starts_with(magic));
        let whole = matches!(room, Room::Fixed(dst) if dst.len() == found);
        if rest.is_empty() || (kind.padded && whole && !begins) {
            return Ok(found);
        }
        if kind.magic.is_none() {
            let message = format!("{} bytes follow the end of the data", rest.len());
            return Err(Error::codec(kind.stage, message));
        }
    }
}

#[cfg(test)]
mod tests;
