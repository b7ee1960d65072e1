//! A plan, as Python makes it, and the same cut again for the inside of a shard.
//!
//! * A plan is the product of its parts. Nothing is kept for each chunk: a worker computes a piece from
//!   its number.
//! * A factor says where its elements lie along the axes of a chunk, and where they go along one axis
//!   of the result, as positions. The copy decides what a position is in bytes.
//! * The extent of a chunk is the shape of its valid part, which lies inside the array. Only the grid
//!   knows it, so a plan carries it. So it does with the shape of a chunk as it is stored, if the
//!   chunks of the grid differ in shape; the inner chunks of a shard never do.
//! * All numbers were checked by their maker: Python for a plan, `Plan::make` for the inside of a shard.

use std::borrow::Cow;

use crate::error::Result;
use crate::memory;

const STAGE: &str = "plan";

/// Where the elements of a factor go along their axis of the result.
#[derive(Debug, Clone)]
pub enum Out<'a> {
    /// One after the other, from here on.
    From(i64),
    /// Each to its own place.
    At(Cow<'a, [i64]>),
}

impl Out<'_> {
    /// Return the same, without a copy of the list.
    pub fn borrowed(&self) -> Out<'_> {
        match self {
            Out::From(first) => Out::From(*first),
            Out::At(places) => Out::At(Cow::Borrowed(places)),
        }
    }
}

/// What a piece selects along one axis of the result.
#[derive(Debug, Clone)]
pub enum Factor<'a> {
    /// Elements of one axis at equal distances.
    Span {
        axis: usize,
        start: i64,
        step: i64,
        size: i64,
        out: i64,
    },
    /// Elements of several axes together, with one row of coordinates for each axis.
    Points {
        axes: Cow<'a, [usize]>,
        coords: Vec<Cow<'a, [i64]>>,
        out: Out<'a>,
    },
}

impl Factor<'_> {
    /// Return the number of elements.
    pub fn size(&self) -> usize {
        match self {
            Factor::Span { size, .. } => *size as usize,
            Factor::Points { coords, .. } => coords.first().map_or(0, |row| row.len()),
        }
    }
}

/// One factor cut by the grid, with an entry for each chunk that it meets.
#[derive(Debug, Clone)]
pub enum Part {
    Span {
        axis: usize,
        step: i64,
        chunk: Vec<i64>,
        start: Vec<i64>,
        size: Vec<i64>,
        out: Vec<i64>,
        /// The extent of each chunk along the axis.
        extent: Vec<i64>,
        /// The length of each chunk along the axis as it is stored, unless all have the same.
        full: Option<Vec<i64>>,
    },
    Points {
        axes: Vec<usize>,
        chunk: Vec<Vec<i64>>,
        bounds: Vec<usize>,
        inner: Vec<Vec<i64>>,
        out: Out<'static>,
        /// The extent of each chunk, with one row for each axis.
        extent: Vec<Vec<i64>>,
        /// The shape of each chunk as it is stored, with one row for each axis, unless all have the same.
        full: Option<Vec<Vec<i64>>>,
        /// Whether every valid element along the axes is selected.
        whole: Vec<bool>,
    },
}

impl Part {
    fn entries(&self) -> usize {
        match self {
            Part::Span { chunk, .. } => chunk.len(),
            Part::Points { chunk, .. } => chunk.len(),
        }
    }

    fn varies(&self) -> bool {
        match self {
            Part::Span { full, .. } => full.is_some(),
            Part::Points { full, .. } => full.is_some(),
        }
    }
}

/// What a plan selects of one chunk.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    /// The chunk's coordinates in its grid.
    pub chunk: Vec<i64>,
    /// What is selected inside the chunk, in the order of the result's axes.
    pub factors: Vec<Factor<'a>>,
    /// Whether every valid element of the chunk is selected.
    pub whole: bool,
    plan: &'a Plan,
    number: usize,
}

impl Piece<'_> {
    /// Return the shape of the chunk's valid part. It is computed here because reading needs none.
    pub fn extent(&self) -> Vec<usize> {
        let mut found: Vec<usize> = self.chunk.iter().map(|_| 0).collect();
        for (part, g) in self.plan.entries(self.number) {
            match part {
                Part::Span { axis, extent, .. } => found[*axis] = extent[g] as usize,
                Part::Points { axes, extent, .. } => {
                    for (axis, row) in axes.iter().zip(extent) {
                        found[*axis] = row[g] as usize;
                    }
                }
            }
        }
        found
    }

    /// Return the shape of the chunk as it is stored, or `None` if that is the `common` one of all.
    pub fn shape(&self, common: &[usize]) -> Option<Vec<usize>> {
        if !self.plan.varies {
            return None;
        }
        #[allow(clippy::disallowed_methods)] // One number for each axis.
        let mut found = common.to_vec();
        for (part, g) in self.plan.entries(self.number) {
            match part {
                Part::Span {
                    axis,
                    full: Some(full),
                    ..
                } => found[*axis] = full[g] as usize,
                Part::Points {
                    axes,
                    full: Some(full),
                    ..
                } => {
                    for (axis, row) in axes.iter().zip(full) {
                        found[*axis] = row[g] as usize;
                    }
                }
                Part::Span { .. } | Part::Points { .. } => {}
            }
        }
        (found != common).then_some(found)
    }
}

/// The intersection of a selection and a grid.
#[derive(Debug, Clone)]
pub struct Plan {
    parts: Vec<Part>,
    ndim: usize,
    size: usize,
    /// Whether the chunks may differ in shape.
    varies: bool,
}

impl Plan {
    /// Make a plan of parts.
    pub fn new(parts: Vec<Part>, ndim: usize) -> Plan {
        let size = parts.iter().map(Part::entries).product();
        let varies = parts.iter().any(Part::varies);
        Plan {
            parts,
            ndim,
            size,
            varies,
        }
    }

    /// Return the number of chunks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Cut the factors of a piece by a grid of `chunks` inside a chunk of `shape`.
    pub fn make(factors: &[Factor], shape: &[usize], chunks: &[usize]) -> Result<Plan> {
        let parts = factors
            .iter()
            .map(|factor| match factor {
                Factor::Span {
                    axis,
                    start,
                    step,
                    size,
                    out,
                } => cut_span(
                    *axis,
                    (*start, *step, *size),
                    *out,
                    shape[*axis] as i64,
                    chunks[*axis] as i64,
                ),
                Factor::Points { axes, coords, out } => {
                    cut_points(axes, coords, out, shape, chunks)
                }
            })
            .collect::<Result<_>>()?;
        Ok(Plan::new(parts, shape.len()))
    }

    /// Return the entry of each part that chunk `number` consists of.
    fn entries(&self, mut number: usize) -> impl Iterator<Item = (&Part, usize)> {
        let mut stride = self.size;
        self.parts.iter().map(move |part| {
            stride /= part.entries();
            let g = number / stride;
            number %= stride;
            (part, g)
        })
    }

    /// Return the coordinates of chunk `number` in its grid.
    pub fn chunk(&self, number: usize) -> Vec<i64> {
        let mut found: Vec<i64> = (0..self.ndim).map(|_| 0).collect();
        for (part, g) in self.entries(number) {
            match part {
                Part::Span { axis, chunk, .. } => found[*axis] = chunk[g],
                Part::Points { axes, chunk, .. } => {
                    for (axis, coordinate) in axes.iter().zip(&chunk[g]) {
                        found[*axis] = *coordinate;
                    }
                }
            }
        }
        found
    }

    /// Return what is selected of chunk `number`.
    pub fn piece(&self, number: usize) -> Piece<'_> {
        let mut factors = Vec::new();
        let mut whole = true;
        for (part, g) in self.entries(number) {
            match part {
                Part::Span {
                    axis,
                    step,
                    start,
                    size,
                    out,
                    extent,
                    ..
                } => {
                    // As many elements as there are: their step is one.
                    whole &= size[g] == extent[g];
                    factors.push(Factor::Span {
                        axis: *axis,
                        start: start[g],
                        step: *step,
                        size: size[g],
                        out: out[g],
                    });
                }
                Part::Points {
                    axes,
                    bounds,
                    inner,
                    out,
                    whole: covers,
                    ..
                } => {
                    whole &= covers[g];
                    let range = bounds[g]..bounds[g + 1];
                    factors.push(Factor::Points {
                        axes: Cow::Borrowed(axes),
                        coords: inner
                            .iter()
                            .map(|row| Cow::Borrowed(&row[range.clone()]))
                            .collect(),
                        out: match out {
                            Out::From(first) => Out::From(first + range.start as i64),
                            Out::At(places) => Out::At(Cow::Borrowed(&places[range])),
                        },
                    });
                }
            }
        }
        Piece {
            chunk: self.chunk(number),
            factors,
            whole,
            plan: self,
            number,
        }
    }
}

fn cut_span(
    axis: usize,
    (start, step, count): (i64, i64, i64),
    place: i64,
    length: i64,
    chunk: i64,
) -> Result<Part> {
    // No more entries than elements, nor than chunks of the axis.
    let most = count.clamp(0, length.max(0) / chunk + 1) as usize;
    let room = || memory::with_room(most, STAGE);
    let (mut chunks, mut starts, mut sizes) = (room()?, room()?, room()?);
    let (mut outs, mut extent) = (room()?, room()?);
    let mut done = 0;
    while done < count {
        let position = start + done * step;
        let k = position.div_euclid(chunk);
        // How far the chunk goes on in the direction of the step.
        let room = if step > 0 {
            (k + 1) * chunk - 1 - position
        } else {
            position - k * chunk
        };
        let size = (room / step.abs() + 1).min(count - done);
        chunks.push(k);
        starts.push(position - k * chunk);
        sizes.push(size);
        outs.push(place + done);
        extent.push(chunk.min(length - k * chunk));
        done += size;
    }
    Ok(Part::Span {
        axis,
        step,
        chunk: chunks,
        start: starts,
        size: sizes,
        out: outs,
        extent,
        full: None,
    })
}

fn cut_points(
    axes: &[usize],
    coords: &[Cow<[i64]>],
    out: &Out,
    shape: &[usize],
    chunks: &[usize],
) -> Result<Part> {
    let count = coords.first().map_or(0, |row| row.len());
    let size: Vec<i64> = axes.iter().map(|axis| chunks[*axis] as i64).collect();
    let id = |n: usize| -> Vec<i64> {
        coords
            .iter()
            .zip(&size)
            .map(|(row, size)| row[n] / size)
            .collect()
    };
    let compare = |a: usize, b: usize| {
        coords
            .iter()
            .zip(&size)
            .map(|(row, size)| (row[a] / size).cmp(&(row[b] / size)))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    };
    let mut order: Vec<usize> = memory::collected(0..count, STAGE)?;
    let sorted = (1..count).all(|n| compare(n - 1, n).is_le());
    if !sorted {
        // Of two values for one element, the last is written last.
        order.sort_unstable_by(|a, b| compare(*a, *b).then(a.cmp(b)));
    }
    let mut bounds = Vec::from([0]);
    let mut ids = Vec::new();
    for (place, n) in order.iter().enumerate() {
        if place == 0 {
            memory::push(&mut ids, id(*n), STAGE)?;
        } else if compare(order[place - 1], *n).is_ne() {
            memory::push(&mut bounds, place, STAGE)?;
            memory::push(&mut ids, id(*n), STAGE)?;
        }
    }
    if count > 0 {
        memory::push(&mut bounds, count, STAGE)?;
    }
    let inner: Vec<Vec<i64>> = coords
        .iter()
        .zip(&size)
        .map(|(row, size)| memory::collected(order.iter().map(|n| row[*n] % size), STAGE))
        .collect::<Result<_>>()?;
    let out = match out {
        Out::From(first) if sorted => Out::From(*first),
        Out::From(first) => {
            let places = order.iter().map(|n| first + *n as i64);
            Out::At(memory::collected(places, STAGE)?.into())
        }
        Out::At(places) => {
            let places = order.iter().map(|n| places[*n]);
            Out::At(memory::collected(places, STAGE)?.into())
        }
    };
    let extent: Vec<Vec<i64>> = axes
        .iter()
        .zip(&size)
        .enumerate()
        .map(|(row, (axis, size))| {
            let length = shape[*axis] as i64;
            let extents = ids.iter().map(|id| *size.min(&(length - id[row] * size)));
            memory::collected(extents, STAGE)
        })
        .collect::<Result<_>>()?;
    let mut whole: Vec<bool> = memory::collected(ids.iter().map(|_| false), STAGE)?;
    if let [row] = extent.as_slice() {
        for (g, extent) in row.iter().map(|extent| *extent as usize).enumerate() {
            let mine = &inner[0][bounds[g]..bounds[g + 1]];
            if mine.len() >= extent {
                let mut seen = memory::copied(mine, STAGE)?;
                seen.sort_unstable();
                seen.dedup();
                whole[g] = seen.len() == extent;
            }
        }
    }
    Ok(Part::Points {
        #[allow(clippy::disallowed_methods)] // One item for each axis.
        axes: axes.to_vec(),
        chunk: ids,
        bounds,
        inner,
        out,
        extent,
        full: None,
        whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Return the factors that select all of a chunk's valid part.
    fn everything(extent: &[usize]) -> Vec<Factor<'static>> {
        extent
            .iter()
            .enumerate()
            .map(|(axis, size)| Factor::Span {
                axis,
                start: 0,
                step: 1,
                size: *size as i64,
                out: 0,
            })
            .collect()
    }

    #[test]
    fn a_span_is_cut_in_its_own_order() {
        let factors = [Factor::Span {
            axis: 0,
            start: 9,
            step: -2,
            size: 5,
            out: 0,
        }];
        let plan = Plan::make(&factors, &[10], &[4]).unwrap();
        let found: Vec<(i64, i64, i64)> = (0..plan.size())
            .map(|n| {
                let piece = plan.piece(n);
                match piece.factors[0] {
                    Factor::Span {
                        start, size, out, ..
                    } => (start + 4 * piece.chunk[0], size, out),
                    Factor::Points { .. } => unreachable!(),
                }
            })
            .collect();
        assert_eq!(found, [(9, 1, 0), (7, 2, 1), (3, 2, 3)]);
    }

    #[test]
    fn points_are_grouped_by_chunk_and_keep_their_places() {
        let coords = [Cow::Owned(vec![5, 0, 5, 9])];
        let factors = [Factor::Points {
            axes: Cow::Owned(vec![0]),
            coords: coords.to_vec(),
            out: Out::From(10),
        }];
        let plan = Plan::make(&factors, &[10], &[4]).unwrap();
        assert_eq!(plan.size(), 3);
        assert_eq!([0, 1, 2].map(|n| plan.piece(n).extent()), [[4], [4], [2]]);
        let piece = plan.piece(1);
        assert_eq!(piece.chunk, [1]);
        match &piece.factors[0] {
            Factor::Points { coords, out, .. } => {
                assert_eq!(coords[0].as_ref(), [1, 1]);
                assert!(matches!(out, Out::At(places) if places.as_ref() == [10, 12]));
            }
            Factor::Span { .. } => unreachable!(),
        }
    }

    #[test]
    fn a_chunk_is_whole_when_all_its_valid_elements_are_selected() {
        let plan = Plan::make(&everything(&[10]), &[10], &[4]).unwrap();
        assert!((0..3).all(|n| plan.piece(n).whole));
        assert_eq!([0, 1, 2].map(|n| plan.piece(n).extent()), [[4], [4], [2]]);
        let half = [Factor::Span {
            axis: 0,
            start: 0,
            step: 2,
            size: 5,
            out: 0,
        }];
        let plan = Plan::make(&half, &[10], &[4]).unwrap();
        assert!((0..3).all(|n| !plan.piece(n).whole));
    }
}
