//! The blocks of a frame that can be replaced one by one.

use std::borrow::Cow;
use std::ops::Range;

use super::decode::Header;
use super::encode::Layout;
use super::frame::{Params, Shuffle, HEADER};
use super::streams::Context;
use crate::error::Result;

/// A frame whose blocks are cut and filtered as a new frame's would be.
pub struct Blocks<'a> {
    frame: &'a [u8],
    header: Header<'a>,
    layout: Layout,
    spans: Vec<Range<usize>>,
}

impl<'a> Blocks<'a> {
    /// Look at a frame of `nbytes` decoded bytes. Return `None` for one that is stored, that was made
    /// with other settings, or that is not sound.
    pub fn of(frame: &'a [u8], nbytes: usize, params: &Params) -> Option<Blocks<'a>> {
        let header = Header::parse(frame, nbytes).ok()?;
        let layout = Layout::new(nbytes, params).ok()?;
        let shuffle = match params.shuffle {
            Shuffle::Byte if layout.typesize == 1 => Shuffle::None,
            shuffle => shuffle,
        };
        let same = header.typesize == layout.typesize
            && header.blocksize == layout.blocksize
            && header.split == layout.split
            && header.shuffle == shuffle
            && header.format == params.compressor.format();
        if !same || header.stored || layout.stored() {
            return None;
        }
        let spans = (0..header.block_count())
            .map(|i| header.block_span(i).ok())
            .collect::<Option<_>>()?;
        Some(Blocks {
            frame,
            header,
            layout,
            spans,
        })
    }

    /// Return the decoded size of every block but the last.
    pub fn block_size(&self) -> usize {
        self.layout.blocksize
    }

    /// Decode block `i` into all of `dst`, which has its size.
    pub fn decode(&self, i: usize, dst: &mut [u8], context: &mut Context) -> Result<()> {
        self.header.decode_block(i, dst, context)
    }

    /// Encode the bytes of a block. Return `None` if they take more than a stored frame.
    pub fn encode(&self, src: &[u8], context: &mut Context) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let room = self.header.nbytes;
        let fits = self.layout.encode_block(src, &mut out, room, context)?;
        Ok(fits.then_some(out))
    }

    /// Return the parts of the frame with new blocks in the places of some. Return `None` if a stored
    /// frame takes less.
    pub fn assemble(&self, new: Vec<Option<Vec<u8>>>) -> Option<Vec<Cow<'a, [u8]>>> {
        let mut head = self.frame[..HEADER].to_vec();
        let mut parts = Vec::new();
        let mut at = HEADER + 4 * new.len();
        // The old blocks since the last new one, which follow each other in the frame.
        let mut run: Range<usize> = 0..0;
        for (span, block) in self.spans.iter().zip(new) {
            head.extend_from_slice(&u32::try_from(at).ok()?.to_le_bytes());
            at += block.as_ref().map_or(span.len(), Vec::len);
            if block.is_none() && run.end == span.start {
                run.end = span.end;
                continue;
            }
            parts.push(Cow::Borrowed(&self.frame[std::mem::take(&mut run)]));
            match block {
                Some(block) => parts.push(Cow::Owned(block)),
                None => run = span.clone(),
            }
        }
        parts.push(Cow::Borrowed(&self.frame[run]));
        if at > self.header.nbytes + HEADER {
            return None;
        }
        head[12..HEADER].copy_from_slice(&u32::try_from(at).ok()?.to_le_bytes());
        parts.insert(0, Cow::Owned(head));
        Some(parts)
    }
}
