//! A plan, as Python makes it, and the same cut again for the inside of a shard.
//!
//! * A plan is the product of its parts. Nothing is kept for each chunk: a worker computes a piece from
//!   its number.
//! * A factor says where its elements lie along the axes of a chunk, and where they go along one axis
//!   of the result, as positions. The copy decides what a position is in bytes.
//! * The extent of a chunk is the shape of its valid part, which lies inside the array. Only the grid
//!   knows it, so a plan carries it.
//! * All numbers were checked by their maker: Python for a plan, `Plan::make` for the inside of a shard.

use std::borrow::Cow;

/// Where the elements of a factor go along their axis of the result.
#[derive(Debug, Clone)]
pub enum Out<'a> {
    /// One after the other, from here on.
    From(i64),
    /// Each to its own place.
    At(Cow<'a, [i64]>),
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
    },
    Points {
        axes: Vec<usize>,
        chunk: Vec<Vec<i64>>,
        bounds: Vec<usize>,
        inner: Vec<Vec<i64>>,
        out: Out<'static>,
        /// The extent of each chunk, with one row for each axis.
        extent: Vec<Vec<i64>>,
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
        let mut found = vec![0; self.chunk.len()];
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
}

/// The intersection of a selection and a grid.
#[derive(Debug, Clone)]
pub struct Plan {
    parts: Vec<Part>,
    ndim: usize,
    size: usize,
}

impl Plan {
    /// Make a plan of parts.
    pub fn new(parts: Vec<Part>, ndim: usize) -> Plan {
        let size = parts.iter().map(Part::entries).product();
        Plan { parts, ndim, size }
    }

    /// Return the number of chunks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Cut the factors of a piece by a grid of `chunks` inside a chunk of `shape`.
    pub fn make(factors: &[Factor], shape: &[usize], chunks: &[usize]) -> Plan {
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
                    *start,
                    *step,
                    *size,
                    *out,
                    shape[*axis] as i64,
                    chunks[*axis] as i64,
                ),
                Factor::Points { axes, coords, out } => {
                    cut_points(axes, coords, out, shape, chunks)
                }
            })
            .collect();
        Plan::new(parts, shape.len())
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

    /// Return what is selected of chunk `number`.
    pub fn piece(&self, number: usize) -> Piece<'_> {
        let mut chunk = vec![0; self.ndim];
        let mut factors = Vec::with_capacity(self.parts.len());
        let mut whole = true;
        for (part, g) in self.entries(number) {
            match part {
                Part::Span {
                    axis,
                    step,
                    chunk: chunks,
                    start,
                    size,
                    out,
                    extent,
                } => {
                    // As many elements as there are: their step is one.
                    whole &= size[g] == extent[g];
                    chunk[*axis] = chunks[g];
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
                    chunk: chunks,
                    bounds,
                    inner,
                    out,
                    whole: covers,
                    ..
                } => {
                    whole &= covers[g];
                    let range = bounds[g]..bounds[g + 1];
                    for (axis, coordinate) in axes.iter().zip(&chunks[g]) {
                        chunk[*axis] = *coordinate;
                    }
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
            chunk,
            factors,
            whole,
            plan: self,
            number,
        }
    }
}

fn cut_span(
    axis: usize,
    start: i64,
    step: i64,
    count: i64,
    place: i64,
    length: i64,
    chunk: i64,
) -> Part {
    let (mut chunks, mut starts, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut outs, mut extent) = (Vec::new(), Vec::new());
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
    Part::Span {
        axis,
        step,
        chunk: chunks,
        start: starts,
        size: sizes,
        out: outs,
        extent,
    }
}

fn cut_points(
    axes: &[usize],
    coords: &[Cow<[i64]>],
    out: &Out,
    shape: &[usize],
    chunks: &[usize],
) -> Part {
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
    let mut order: Vec<usize> = (0..count).collect();
    let sorted = (1..count).all(|n| compare(n - 1, n).is_le());
    if !sorted {
        // A stable sort, so that the last of two values for one element is written last.
        order.sort_by(|a, b| compare(*a, *b));
    }
    let mut bounds = vec![0];
    let mut ids = Vec::new();
    for (place, n) in order.iter().enumerate() {
        if place == 0 {
            ids.push(id(*n));
        } else if compare(order[place - 1], *n).is_ne() {
            bounds.push(place);
            ids.push(id(*n));
        }
    }
    if count > 0 {
        bounds.push(count);
    }
    let inner: Vec<Vec<i64>> = coords
        .iter()
        .zip(&size)
        .map(|(row, size)| order.iter().map(|n| row[*n] % size).collect())
        .collect();
    let out = match out {
        Out::From(first) if sorted => Out::From(*first),
        Out::From(first) => Out::At(order.iter().map(|n| first + *n as i64).collect()),
        Out::At(places) => Out::At(order.iter().map(|n| places[*n]).collect()),
    };
    let extent: Vec<Vec<i64>> = axes
        .iter()
        .zip(&size)
        .enumerate()
        .map(|(row, (axis, size))| {
            let length = shape[*axis] as i64;
            let ids = ids.iter();
            ids.map(|id| *size.min(&(length - id[row] * size)))
                .collect()
        })
        .collect();
    let mut whole = vec![false; ids.len()];
    if let [row] = extent.as_slice() {
        for (g, extent) in row.iter().map(|extent| *extent as usize).enumerate() {
            let mine = &inner[0][bounds[g]..bounds[g + 1]];
            if mine.len() >= extent {
                let mut seen = mine.to_vec();
                seen.sort_unstable();
                seen.dedup();
                whole[g] = seen.len() == extent;
            }
        }
    }
    Part::Points {
        axes: axes.to_vec(),
        chunk: ids,
        bounds,
        inner,
        out,
        extent,
        whole,
    }
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
        let plan = Plan::make(&factors, &[10], &[4]);
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
        let plan = Plan::make(&factors, &[10], &[4]);
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
        let plan = Plan::make(&everything(&[10]), &[10], &[4]);
        assert!((0..3).all(|n| plan.piece(n).whole));
        assert_eq!([0, 1, 2].map(|n| plan.piece(n).extent()), [[4], [4], [2]]);
        let half = [Factor::Span {
            axis: 0,
            start: 0,
            step: 2,
            size: 5,
            out: 0,
        }];
        let plan = Plan::make(&half, &[10], &[4]);
        assert!((0..3).all(|n| !plan.piece(n).whole));
    }
}
