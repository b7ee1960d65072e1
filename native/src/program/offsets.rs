//! The factors of a piece as byte offsets, which is what a copy takes.

use crate::copy::{self, Places};
use crate::error::Result;
use crate::memory;
use crate::plan::{Factor, Out};

const STAGE: &str = "copy";

/// Where elements lie in the working array that is read to or written from.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The offset of the first element in bytes.
    pub offset: isize,
    /// The distance in bytes of neighbours along each axis of the result.
    pub strides: &'a [isize],
}

/// The offsets of points, which a copy borrows.
#[derive(Default)]
pub struct Offsets {
    lists: Vec<(Vec<isize>, Option<Vec<isize>>)>,
}

impl Offsets {
    /// Return the factors of a piece as byte offsets, with the chunk as the source and the frame as the
    /// destination.
    pub fn factors<'a>(
        &'a mut self,
        factors: &[Factor],
        strides: &[isize],
        frame: Frame,
    ) -> Result<Vec<copy::Factor<'a>>> {
        self.lists.clear();
        // The frame's own offset is added to the first factor.
        let base = |place: usize| if place == 0 { frame.offset } else { 0 };
        for (place, (factor, stride)) in factors.iter().zip(frame.strides).enumerate() {
            if let Factor::Points { axes, coords, out } = factor {
                let count = factor.size();
                let src = (0..count).map(|n| {
                    axes.iter()
                        .zip(coords)
                        .map(|(axis, row)| row[n] as isize * strides[*axis])
                        .sum()
                });
                let src = memory::collected(src, STAGE)?;
                let dst = match out {
                    Out::From(_) => None,
                    Out::At(places) => {
                        let start = base(place);
                        let places = places.iter().map(|p| start + *p as isize * stride);
                        Some(memory::collected(places, STAGE)?)
                    }
                };
                self.lists.push((src, dst));
            }
        }
        let mut lists = self.lists.iter();
        let found = factors
            .iter()
            .zip(frame.strides)
            .enumerate()
            .map(|(place, (factor, stride))| {
                let start = base(place);
                match factor {
                    Factor::Span {
                        axis,
                        start: first,
                        step,
                        size,
                        out,
                    } => copy::Factor::Span {
                        src_offset: *first as isize * strides[*axis],
                        src_stride: *step as isize * strides[*axis],
                        len: *size as usize,
                        dst_offset: start + *out as isize * stride,
                        dst_stride: *stride,
                    },
                    Factor::Points { out, .. } => {
                        // As many lists were made as there are factors of points.
                        let (src, dst) = lists.next().expect("a list for each factor of points");
                        copy::Factor::Points {
                            src: Places::Listed(src),
                            dst: match (out, dst) {
                                (Out::From(first), _) => Places::Even {
                                    start: start + *first as isize * stride,
                                    stride: *stride,
                                },
                                (Out::At(_), Some(places)) => Places::Listed(places),
                                (Out::At(_), None) => unreachable!("listed above"),
                            },
                            len: src.len(),
                        }
                    }
                }
            })
            .collect();
        Ok(found)
    }
}
