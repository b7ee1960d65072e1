//! Copies agree with copying one element after the other.

use super::*;

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.roll(i + 1));
        }
    }
}

/// A factor that owns its lists.
#[derive(Debug, Clone)]
struct Owned {
    src: Vec<isize>,
    dst: Vec<isize>,
    listed: (bool, bool),
    span: bool,
}

impl Owned {
    fn factor(&self) -> Factor<'_> {
        let step = |list: &[isize]| {
            let first = list.first().copied().unwrap_or(0);
            (first, list.get(1).map_or(1, |second| second - first))
        };
        let len = self.src.len();
        let ((src_offset, src_stride), (dst_offset, dst_stride)) =
            (step(&self.src), step(&self.dst));
        if self.span {
            return Factor::Span {
                src_offset,
                src_stride,
                len,
                dst_offset,
                dst_stride,
            };
        }
        fn places(listed: bool, list: &[isize], start: isize, stride: isize) -> Places<'_> {
            if listed {
                Places::Listed(list)
            } else {
                Places::Even { start, stride }
            }
        }
        Factor::Points {
            src: places(self.listed.0, &self.src, src_offset, src_stride),
            dst: places(self.listed.1, &self.dst, dst_offset, dst_stride),
            len,
        }
    }
}

struct Case {
    item: usize,
    swap: Option<usize>,
    factors: Vec<Owned>,
    src: Vec<u8>,
    dst: Vec<u8>,
}

fn case(dice: &mut Dice) -> Case {
    const ITEMS: [usize; 16] = [1, 2, 3, 4, 5, 6, 8, 12, 16, 17, 20, 24, 32, 64, 100, 128];
    let item = ITEMS[dice.roll(ITEMS.len())];
    let units: Vec<usize> = [2, 4, 8, 16]
        .into_iter()
        .filter(|u| item.is_multiple_of(*u))
        .collect();
    let swap = match units.len() {
        0 => None,
        n => [None, Some(units[dice.roll(n)])][dice.roll(2)],
    };
    let ndim = dice.roll(5);
    let most = [40, 400, 24, 10, 6][ndim];
    let sizes: Vec<usize> = (0..ndim).map(|_| 1 + dice.roll(most)).collect();
    let dense = dice.roll(2) == 0;
    let layout = |dice: &mut Dice, dst: bool| {
        // Strides of the axes in a random order, dense or with gaps, some negative.
        let mut order: Vec<usize> = (0..ndim).collect();
        if dice.roll(2) == 0 {
            dice.shuffle(&mut order);
        }
        let mut strides = vec![0isize; ndim];
        let mut next = item;
        for &axis in order.iter().rev() {
            next *= if dense { 1 } else { 1 + dice.roll(2) };
            strides[axis] = next as isize;
            next *= sizes[axis];
            if !dense {
                next += dice.roll(9);
            }
            if dice.roll(4) == 0 {
                strides[axis] = -strides[axis];
            }
            if !dst && dice.roll(10) == 0 {
                strides[axis] = 0;
            }
        }
        strides
    };
    let (src_strides, dst_strides) = (layout(dice, false), layout(dice, true));
    let mut factors = Vec::new();
    for axis in 0..ndim {
        let walk = |stride: isize| -> Vec<isize> {
            let back = if stride < 0 {
                sizes[axis] as isize - 1
            } else {
                0
            };
            (0..sizes[axis] as isize)
                .map(|i| (i - back) * stride)
                .collect()
        };
        let (mut src, mut dst) = (walk(src_strides[axis]), walk(dst_strides[axis]));
        let span = dice.roll(3) > 0;
        let mut listed = (false, false);
        if !span {
            listed = (dice.roll(4) > 0, dice.roll(2) == 0);
            if listed.0 {
                for place in &mut src {
                    *place = src_strides[axis].abs() * dice.roll(sizes[axis]) as isize;
                }
            }
            if listed.1 {
                match dice.roll(3) {
                    0 => dice.shuffle(&mut dst),
                    1 => {
                        for place in &mut dst {
                            *place = dst_strides[axis].abs() * dice.roll(sizes[axis]) as isize;
                        }
                    }
                    _ => {}
                }
            }
        }
        if dice.roll(40) == 0 {
            src.clear();
            dst.clear();
        }
        factors.push(Owned {
            src,
            dst,
            listed,
            span,
        });
    }
    let end = |side: fn(&Owned) -> &Vec<isize>| -> usize {
        let most: isize = factors
            .iter()
            .map(|f| side(f).iter().copied().max().unwrap_or(0))
            .sum();
        most as usize + item
    };
    let src = (0..end(|f| &f.src)).map(|_| dice.roll(256) as u8).collect();
    let dst = vec![0xAA; end(|f| &f.dst)];
    Case {
        item,
        swap,
        factors,
        src,
        dst,
    }
}

/// Call a function for each element in C order.
fn naively(factors: &[Owned], f: &mut dyn FnMut(usize, usize)) {
    fn go(factors: &[Owned], s: isize, d: isize, f: &mut dyn FnMut(usize, usize)) {
        match factors.split_first() {
            None => f(s as usize, d as usize),
            Some((one, rest)) => {
                for (a, b) in one.src.iter().zip(&one.dst) {
                    go(rest, s + a, d + b, f);
                }
            }
        }
    }
    go(factors, 0, 0, f);
}

fn runs() -> usize {
    if cfg!(miri) {
        60
    } else {
        20_000
    }
}

#[test]
fn copies_as_a_loop_over_the_elements_does() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for number in 0..runs() {
        let mut case = case(&mut dice);
        let mut expected = case.dst.clone();
        naively(&case.factors, &mut |s, d| {
            let mut item = case.src[s..s + case.item].to_vec();
            if let Some(unit) = case.swap {
                item.chunks_mut(unit).for_each(<[u8]>::reverse);
            }
            expected[d..d + case.item].copy_from_slice(&item);
        });
        let factors: Vec<_> = case.factors.iter().map(Owned::factor).collect();
        let mut target = Target::from(&mut case.dst[..]);
        let src = Source::from(&case.src[..]);
        copy(src, &mut target, case.item, &factors, case.swap).unwrap();
        assert!(case.dst == expected, "case {number}: {:?}", case.factors);
    }
}

#[test]
fn transposes_blocks_larger_than_tiles() {
    let mut dice = Dice(9);
    let (rows, columns) = if cfg!(miri) { (20, 18) } else { (270, 150) };
    for item in [1, 2, 3, 4, 8, 16, 24, 32, 64, 128] {
        for swap in [None, Some(2), Some(4), Some(8), Some(16)] {
            if swap.is_some_and(|unit| item % unit != 0) {
                continue;
            }
            let (gap, at) = (dice.roll(3), dice.roll(70));
            let (wide, tall) = (item * (columns + gap), item * (rows + gap));
            let src: Vec<u8> = (0..tall * columns).map(|_| dice.roll(256) as u8).collect();
            let mut dst = vec![0; at + wide * rows];
            let mut expected = dst.clone();
            for y in 0..rows {
                for x in 0..columns {
                    let mut cell = src[x * tall + y * item..][..item].to_vec();
                    cell.chunks_mut(swap.unwrap_or(1)).for_each(<[u8]>::reverse);
                    expected[at + y * wide + x * item..][..item].copy_from_slice(&cell);
                }
            }
            let span = |src_stride, len, dst_offset, dst_stride| Factor::Span {
                src_offset: 0,
                src_stride,
                len,
                dst_offset,
                dst_stride,
            };
            let factors = [
                span(item as isize, rows, at as isize, wide as isize),
                span(tall as isize, columns, 0, item as isize),
            ];
            let mut target = Target::from(&mut dst[..]);
            copy(Source::from(&src[..]), &mut target, item, &factors, swap).unwrap();
            assert!(dst == expected, "{item} {swap:?}");
        }
    }
}

#[test]
fn fills_as_a_loop_over_the_elements_does() {
    let mut dice = Dice(77);
    for number in 0..runs() {
        let mut case = case(&mut dice);
        let pattern: Vec<u8> = match dice.roll(3) {
            0 => vec![dice.roll(256) as u8; case.item],
            _ => (0..case.item).map(|_| dice.roll(256) as u8).collect(),
        };
        let mut expected = case.dst.clone();
        naively(&case.factors, &mut |_, d| {
            expected[d..d + case.item].copy_from_slice(&pattern);
        });
        let factors: Vec<_> = case.factors.iter().map(Owned::factor).collect();
        fill(&mut Target::from(&mut case.dst[..]), &factors, &pattern).unwrap();
        assert!(case.dst == expected, "case {number}: {:?}", case.factors);
    }
}

#[test]
fn copies_back_what_it_copied() {
    let mut dice = Dice(5);
    for _ in 0..runs() / 10 {
        let mut case = case(&mut dice);
        let factors: Vec<_> = case.factors.iter().map(Owned::factor).collect();
        let back: Vec<_> = factors.iter().map(|factor| factor.reversed()).collect();
        let source = Source::from(&case.src[..]);
        copy(
            source,
            &mut Target::from(&mut case.dst[..]),
            case.item,
            &factors,
            None,
        )
        .unwrap();
        let mut expected = vec![0x55; case.src.len()];
        naively(&case.factors, &mut |s, d| {
            expected[s..s + case.item].copy_from_slice(&case.dst[d..d + case.item]);
        });
        let mut found = vec![0x55; case.src.len()];
        let source = Source::from(&case.dst[..]);
        let result = copy(
            source,
            &mut Target::from(&mut found[..]),
            case.item,
            &back,
            None,
        );
        // A source that repeats an element cannot be a destination.
        match result {
            Ok(()) => assert!(found == expected),
            Err(error) => assert!(error.message.contains("zero"), "{error}"),
        }
    }
}

#[test]
fn refuses_every_offset_outside() {
    let mut dice = Dice(11);
    let mut refused = 0;
    for _ in 0..runs() {
        let mut case = case(&mut dice);
        if case.factors.is_empty() || case.factors.iter().any(|f| f.src.is_empty()) {
            continue;
        }
        let at = dice.roll(case.factors.len());
        let by = [-1, 1, -(1 << 40), isize::MAX / 4, isize::MIN / 4][dice.roll(5)];
        let side = dice.roll(2);
        let factor = &mut case.factors[at];
        let list = if side == 0 {
            &mut factor.src
        } else {
            &mut factor.dst
        };
        list.iter_mut().for_each(|place| *place += by);
        let (mut low, mut high) = (0, case.item as isize);
        for factor in &case.factors {
            let list = if side == 0 { &factor.src } else { &factor.dst };
            low += list.iter().min().unwrap();
            high += list.iter().max().unwrap();
        }
        let len = if side == 0 {
            case.src.len()
        } else {
            case.dst.len()
        };
        let inside = low >= 0 && high <= len as isize;
        let factors: Vec<_> = case.factors.iter().map(Owned::factor).collect();
        let mut target = Target::from(&mut case.dst[..]);
        let result = copy(
            Source::from(&case.src[..]),
            &mut target,
            case.item,
            &factors,
            None,
        );
        assert_eq!(result.is_ok(), inside);
        refused += usize::from(!inside);
    }
    assert!(refused > runs() / 4);
}

#[test]
fn refuses_numbers_that_overflow() {
    let src = [0u8; 64];
    let mut dst = [0u8; 64];
    for stride in [isize::MAX, isize::MIN, 1 << 62, -(1 << 62)] {
        for len in [2, 3, usize::MAX, 1 << 63] {
            for (src_stride, dst_stride) in [(stride, 1), (1, stride), (stride, stride), (0, 0)] {
                let span = Factor::Span {
                    src_offset: stride,
                    src_stride,
                    len,
                    dst_offset: stride,
                    dst_stride,
                };
                for factors in [vec![span], vec![span; 3], vec![span, span.reversed()]] {
                    let mut target = Target::from(&mut dst[..]);
                    assert!(copy(Source::from(&src[..]), &mut target, 4, &factors, None).is_err());
                    assert!(fill(&mut target, &factors, &[1, 2]).is_err());
                    assert_eq!(run_of(4, &factors, 64, 64), None);
                    assert_eq!(source_extent(4, &factors, 64), None);
                }
            }
        }
    }
    assert!(span_of(8, &[1 << 40, 1 << 40], &[1 << 43, 8]).is_err());
}

#[test]
fn refuses_what_makes_no_sense() {
    let mut bytes = [0u8; 64];
    let start = bytes.as_mut_ptr();
    let span = Factor::Span {
        src_offset: 0,
        src_stride: 1,
        len: 8,
        dst_offset: 0,
        dst_stride: 1,
    };
    // SAFETY: only the check is reached.
    let (src, shared) = unsafe { (Source::new(start, 32), Shared::new(start.add(31), 32)) };
    let message = copy(src, &mut shared.target(), 1, &[span], None)
        .unwrap_err()
        .message;
    assert!(message.contains("overlap"));
    let other = [0u8; 64];
    let src = Source::from(&other[..]);
    assert!(copy(src, &mut shared.target(), 1, &[span], None).is_ok());
    for (item, unit) in [(4, 3), (4, 8), (6, 4), (4, 0), (64, 32)] {
        let result = copy(src, &mut shared.target(), item, &[], Some(unit));
        assert_eq!(
            result.is_err(),
            unit != 0 && item <= 32 || item == 64,
            "{item} {unit}"
        );
    }
    let list = [0isize, 1];
    let points = Factor::Points {
        src: Places::Listed(&list),
        dst: Places::Even {
            start: 0,
            stride: 1,
        },
        len: 3,
    };
    let message = copy(src, &mut shared.target(), 1, &[points], None)
        .unwrap_err()
        .message;
    assert_eq!(message, "expected 3 offsets of points, found 2");
}

#[test]
fn an_empty_selection_touches_nothing() {
    let span = Factor::Span {
        src_offset: 1 << 50,
        src_stride: 1,
        len: 0,
        dst_offset: -(1 << 50),
        dst_stride: 0,
    };
    let mut dst = [7u8; 4];
    copy(
        Source::from(&[][..]),
        &mut Target::from(&mut dst[..]),
        4,
        &[span],
        None,
    )
    .unwrap();
    fill(&mut Target::from(&mut dst[..]), &[span], &[1]).unwrap();
    assert_eq!(dst, [7; 4]);
}

#[test]
fn finds_fill_and_only_fill() {
    let mut dice = Dice(3);
    for _ in 0..runs() / 10 {
        let item = 1 + dice.roll(40);
        let pattern: Vec<u8> = (0..item).map(|_| dice.roll(3) as u8).collect();
        let mut bytes = pattern.repeat(dice.roll(60));
        assert!(is_fill(&bytes, &pattern));
        if bytes.is_empty() {
            continue;
        }
        let at = dice.roll(bytes.len());
        bytes[at] ^= 1 << dice.roll(8);
        assert!(!is_fill(&bytes, &pattern));
        bytes[at] = pattern[at % item];
        bytes.pop();
        assert_eq!(is_fill(&bytes, &pattern), bytes.len().is_multiple_of(item));
    }
    assert!(!is_fill(&[0], &[]));
    assert!(is_fill(&[], &[]));
}

/// Find the run in a destination of so many bytes.
fn run_of(item: usize, factors: &[Factor], src_len: usize, dst_len: usize) -> Option<usize> {
    let mut dst = vec![0; dst_len];
    contiguous_run(item, factors, src_len, &Target::from(&mut dst[..]))
}

#[test]
fn a_run_is_where_the_copy_would_write() {
    let mut dice = Dice(21);
    let (mut some, mut none) = (0, 0);
    for _ in 0..2 * runs() {
        let mut case = case(&mut dice);
        let factors: Vec<_> = case.factors.iter().map(Owned::factor).collect();
        let found = run_of(case.item, &factors, case.src.len(), case.dst.len());
        let mut by_run = case.dst.clone();
        let copied = copy(
            Source::from(&case.src[..]),
            &mut Target::from(&mut case.dst[..]),
            case.item,
            &factors,
            None,
        );
        let Some(start) = found else {
            // No run is overlooked.
            none += 1;
            let missed = copied.is_ok()
                && !case.src.is_empty()
                && source_extent(case.item, &factors, case.src.len()) == Some(0..case.src.len())
                && each_once_in_order(&case);
            assert!(!missed, "{:?}", case.factors);
            continue;
        };
        some += 1;
        copied.unwrap();
        Target::from(&mut by_run[..])
            .run(start, case.src.len())
            .unwrap()
            .copy_from_slice(&case.src);
        assert!(by_run == case.dst, "{:?}", case.factors);
        assert_eq!(
            source_extent(case.item, &factors, case.src.len()),
            Some(0..case.src.len())
        );
    }
    assert!(some > runs() / 100 && none > some, "{some} {none}");
}

/// Whether the factors walk upwards and move every element of the source by one distance.
fn each_once_in_order(case: &Case) -> bool {
    let mut pairs = vec![(0, 0)];
    for factor in &case.factors {
        pairs = pairs
            .iter()
            .flat_map(|&(src, dst)| {
                let steps = factor.src.iter().zip(&factor.dst);
                steps.map(move |(s, d)| (src + s, dst + d))
            })
            .collect();
    }
    let item = case.item;
    pairs.sort_unstable();
    case.factors.iter().all(|factor| factor.src.is_sorted())
        && pairs.len() * item == case.src.len()
        && pairs.iter().enumerate().all(|(i, &(src, dst))| {
            src == (i * item) as isize && dst - src == pairs[0].1 - pairs[0].0
        })
}

#[test]
fn a_whole_chunk_is_one_run_where_it_follows_itself() {
    // A chunk of (2, 3, 4) items of 2 bytes, into an array of (10, 3, 9).
    let span = |src_stride, len, dst_offset, dst_stride| Factor::Span {
        src_offset: 0,
        src_stride,
        len,
        dst_offset,
        dst_stride,
    };
    let factors = [span(24, 2, 54, 54), span(8, 3, 0, 18), span(2, 4, 4, 2)];
    assert_eq!(run_of(2, &factors, 48, 540), None);
    // Whole axes are one run.
    let factors = [span(24, 2, 54, 24), span(8, 3, 0, 8), span(2, 4, 4, 2)];
    assert_eq!(run_of(2, &factors, 48, 540), Some(58));
    assert_eq!(run_of(2, &factors, 48, 106), Some(58));
    assert_eq!(run_of(2, &factors, 48, 105), None);
    // The order of the result's axes does not matter.
    let factors = [factors[2], factors[0], factors[1]];
    assert_eq!(run_of(2, &factors, 48, 540), Some(58));
    // A part of the chunk is not a run, and neither is a transposed chunk.
    assert_eq!(run_of(2, &factors[1..], 48, 540), None);
    assert_eq!(source_extent(2, &factors[1..], 48), Some(0..42));
    let factors = [span(2, 4, 0, 6), span(8, 3, 0, 2)];
    assert_eq!(run_of(2, &factors, 24, 540), None);
    assert_eq!(run_of(2, &[span(-2, 4, 0, 2)], 8, 540), None);
}

#[test]
fn knows_the_span_of_an_array() {
    assert_eq!(span_of(4, &[], &[]), Ok((0, 4)));
    assert_eq!(span_of(4, &[3, 5], &[20, 4]), Ok((0, 60)));
    assert_eq!(span_of(4, &[3, 5], &[-20, 4]), Ok((40, 60)));
    assert_eq!(span_of(4, &[3, 0], &[-20, 4]), Ok((0, 0)));
    assert!(span_of(4, &[3], &[]).is_err());
}
