//! The `lzma` of numcodecs, which is the `xz` of N5: .xz files, .lzma files and raw data.
//!
//! * A .xz file has any filters when it is decoded, because it names them. What is encoded, and raw
//!   data, has the usual ones: LZMA2 with a preset, and differences before it.
//! * Data states how large its dictionary is, of which only the filled part takes memory. A larger one
//!   than the limit is refused. Raw data gets that of the preset.
//! * Of several .xz files, each but the last one must end where the next begins.

use liblzma::stream::{self, Action, Check, Filters, LzmaOptions, Status};

use crate::codecs::codec::number;
use crate::codecs::streams::{damaged, Kind, Step, Stream, Streamed};
use crate::error::{Error, Result};

const STAGE: &str = "lzma";
/// What a .xz file begins with.
const MAGIC: &[u8] = b"\xFD7zXZ\0";
/// The bytes of the dictionary of the usual preset.
const DICTIONARY: usize = 8 << 20;
/// The most filters before LZMA2.
const MOST: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Xz,
    Alone,
    Raw,
}

/// The container, how to encode, and what follows the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    format: Format,
    /// The checksum of a .xz file, by its number in the format.
    check: u32,
    /// The level, and maybe the bit of the slower variant.
    preset: u32,
    /// The most bytes that a decoder may take.
    limit: u64,
    /// Whether padding is ignored if the decoded size is known.
    padded: bool,
    /// For each difference, the distance of the bytes, less one.
    deltas: Vec<u8>,
}

impl Streamed for Params {
    const STAGE: &'static str = STAGE;
    // By the slowest preset.
    const PROMPTLY: usize = 1 << 17;

    /// The numbers are the format, the checksum, the preset, the most bytes that a decoder may take,
    /// whether padding is ignored, and the distances of the differences.
    fn from_numbers(numbers: &[i64]) -> Option<Params> {
        let format = match numbers.first()? {
            1 => Format::Xz,
            2 => Format::Alone,
            3 => Format::Raw,
            _ => return None,
        };
        let distances = numbers.get(5..)?;
        if distances.len() > MOST || (format == Format::Alone && !distances.is_empty()) {
            return None;
        }
        let deltas = distances.iter().map(|each| u8::try_from(each - 1).ok());
        let made = Params {
            format,
            check: number(numbers, 1)?,
            preset: number(numbers, 2)?,
            limit: number(numbers, 3)?,
            padded: number::<u8>(numbers, 4)? != 0,
            deltas: deltas.collect::<Option<_>>()?,
        };
        made.check()?;
        made.filters().ok().map(|_| made)
    }

    fn kind(&self) -> Kind {
        Kind {
            stage: STAGE,
            magic: (self.format != Format::Raw).then_some(MAGIC),
            // The others have no checksum.
            padded: self.padded && self.format == Format::Xz,
        }
    }

    fn decoder(&self) -> Result<impl Stream> {
        let made = match self.format {
            Format::Xz => stream::Stream::new_stream_decoder(self.limit, 0),
            Format::Alone => stream::Stream::new_lzma_decoder(self.limit),
            Format::Raw => stream::Stream::new_raw_decoder(&self.filters()?),
        };
        made.map(Coder).map_err(failed)
    }

    fn encoder(&self) -> Result<impl Stream> {
        let made = match self.format {
            Format::Xz => {
                let check = self.check().unwrap_or(Check::Crc64);
                stream::Stream::new_stream_encoder(&self.filters()?, check)
            }
            Format::Alone => stream::Stream::new_lzma_encoder(&self.options()?),
            Format::Raw => stream::Stream::new_raw_encoder(&self.filters()?),
        };
        made.map(Coder).map_err(failed)
    }
}

impl Params {
    fn check(&self) -> Option<Check> {
        match self.check {
            0 => Some(Check::None),
            1 => Some(Check::Crc32),
            4 => Some(Check::Crc64),
            10 => Some(Check::Sha256),
            _ => None,
        }
    }

    fn options(&self) -> Result<LzmaOptions> {
        LzmaOptions::new_preset(self.preset).map_err(failed)
    }

    fn filters(&self) -> Result<Filters> {
        let mut filters = Filters::new();
        for distance in &self.deltas {
            filters.delta_properties(&[*distance]).map_err(failed)?;
        }
        filters.lzma2(&self.options()?);
        Ok(filters)
    }
}

/// The library's decoder or encoder of one stream.
struct Coder(stream::Stream);

impl Stream for Coder {
    fn step(&mut self, src: &[u8], dst: &mut [u8], last: bool) -> Result<Step> {
        let before = (self.0.total_in(), self.0.total_out());
        let action = if last { Action::Finish } else { Action::Run };
        let status = self.0.process(src, dst, action).map_err(failed)?;
        Ok(Step {
            read: (self.0.total_in() - before.0) as usize,
            wrote: (self.0.total_out() - before.1) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}

fn failed(error: stream::Error) -> Error {
    match error {
        stream::Error::Mem => Error::memory(STAGE, DICTIONARY),
        stream::Error::MemLimit => damaged(STAGE, "its dictionary is over the limit"),
        stream::Error::Format => damaged(STAGE, "it begins as no such file does"),
        stream::Error::Options => damaged(STAGE, "it has options that are not supported"),
        _ => damaged(STAGE, "it is damaged"),
    }
}
