//! The floor of the benchmark: what a read costs that does nothing but open, read, decompress and
//! copy each chunk into one result, on a number of threads.
//!
//! It knows one case: arrays of four-byte elements and three dimensions whose chunks all exist and
//! divide the array. It checks nothing, since what it reads was written for it; what it has read is
//! compared by who asked for it.
//!
//! `floor FOLDER PREFIX SEPARATOR CHUNK INNER CODEC THREADS` then obeys lines of its input:
//! `boxes FILE` takes the boxes to read, one a line, as start and stop of each axis; `read` reads
//! them, one after another, and says how many nanoseconds it took; `dump FILE` writes what was read.

mod decode;
mod result;

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use decode::{Codec, Scratch};
use result::{copy, Result};

pub type Triple = [usize; 3];
pub const ITEM: usize = 4;

/// A region of the array: `start` and `stop` of each axis.
#[derive(Clone, Copy)]
pub struct Region {
    pub start: Triple,
    pub stop: Triple,
}

impl Region {
    pub fn shape(&self) -> Triple {
        [0, 1, 2].map(|axis| self.stop[axis] - self.start[axis])
    }

    fn nbytes(&self) -> usize {
        self.shape().iter().product::<usize>() * ITEM
    }

    /// The regions of a grid that meet this one, with their places in the grid.
    fn cut(&self, grid: Triple) -> Vec<(Triple, Region)> {
        let range =
            |axis: usize| self.start[axis] / grid[axis]..self.stop[axis].div_ceil(grid[axis]);
        let mut found = Vec::new();
        for z in range(0) {
            for y in range(1) {
                for x in range(2) {
                    let at = [z, y, x];
                    let start = [0, 1, 2].map(|axis| at[axis] * grid[axis]);
                    let stop = [0, 1, 2].map(|axis| start[axis] + grid[axis]);
                    found.push((at, Region { start, stop }));
                }
            }
        }
        found
    }
}

/// Where the bytes of a chunk are: a file of their own, or a range of an open one.
enum Source {
    Own(String),
    Range(usize, u64, usize),
}

struct Array {
    folder: String,
    prefix: String,
    separator: String,
    chunk: Triple,
    inner: Option<Triple>,
    codec: Codec,
}

impl Array {
    fn path(&self, at: Triple) -> String {
        let key = at.map(|number| number.to_string()).join(&self.separator);
        format!("{}/{}{key}", self.folder, self.prefix)
    }

    /// Reads one region into a result of its own.
    fn read(&self, region: &Region, scratch: &mut [Scratch]) -> Result {
        let result = Result::new(region.nbytes());
        let mut files = Vec::new();
        let mut jobs = Vec::new();
        for (at, chunk) in region.cut(self.chunk) {
            match self.inner {
                None => jobs.push((Source::Own(self.path(at)), chunk)),
                Some(inner) => {
                    let file = File::open(self.path(at)).expect("a shard");
                    self.parts(&file, files.len(), &chunk, region, inner, &mut jobs);
                    files.push(file);
                }
            }
        }
        let next = AtomicUsize::new(0);
        let work = |scratch: &mut Scratch| {
            while let Some((source, chunk)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.job(source, chunk, region, &files, &result, scratch);
            }
        };
        // One chunk needs no second thread; of more, each thread gets at least one.
        let (own, others) = scratch.split_first_mut().expect("at least one thread");
        std::thread::scope(|scope| {
            for other in others.iter_mut().take(jobs.len().saturating_sub(1)) {
                scope.spawn(|| work(other));
            }
            work(own);
        });
        result
    }

    /// Lists the inner chunks of a shard that meet the region.
    fn parts(
        &self,
        file: &File,
        number: usize,
        shard: &Region,
        region: &Region,
        inner: Triple,
        jobs: &mut Vec<(Source, Region)>,
    ) {
        let counts = [0, 1, 2].map(|axis| self.chunk[axis] / inner[axis]);
        // Offset and length of each inner chunk, and a checksum behind them.
        let mut index = vec![0; counts.iter().product::<usize>() * 16 + 4];
        let size = file.metadata().expect("the size of a shard").len();
        let offset = size - index.len() as u64;
        file.read_exact_at(&mut index, offset)
            .expect("the index of a shard");
        let number_at = |at| u64::from_le_bytes(index[at..at + 8].try_into().expect("eight bytes"));
        let wanted = Region {
            start: [0, 1, 2].map(|axis| region.start[axis].max(shard.start[axis])),
            stop: [0, 1, 2].map(|axis| region.stop[axis].min(shard.stop[axis])),
        };
        for (at, chunk) in wanted.cut(inner) {
            let [z, y, x] = [0, 1, 2].map(|axis| at[axis] % counts[axis]);
            let entry = ((z * counts[1] + y) * counts[2] + x) * 16;
            let length = number_at(entry + 8) as usize;
            jobs.push((Source::Range(number, number_at(entry), length), chunk));
        }
    }

    fn job(
        &self,
        source: &Source,
        chunk: &Region,
        region: &Region,
        files: &[File],
        result: &Result,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            stored,
            decoded,
            decoders,
        } = scratch;
        match source {
            Source::Own(path) => {
                let mut file = File::open(path).expect("a chunk");
                let size = file.metadata().expect("the size of a chunk").len() as usize;
                stored.resize(size.max(stored.len()), 0);
                stored.truncate(size);
                file.read_exact(stored).expect("the bytes of a chunk");
            }
            Source::Range(file, offset, length) => {
                stored.resize(*length, 0);
                files[*file]
                    .read_exact_at(stored, *offset)
                    .expect("the bytes of an inner chunk");
            }
        }
        if let Some(place) = result.run(chunk, region) {
            decoders.decode(self.codec, stored, place);
        } else if self.codec == Codec::None {
            copy(stored, chunk, region, result);
        } else {
            decoded.resize(chunk.nbytes(), 0);
            decoders.decode(self.codec, stored, decoded);
            copy(decoded, chunk, region, result);
        }
    }
}

fn triple(text: &str) -> Triple {
    let numbers: Vec<usize> = text
        .split(',')
        .map(|n| n.parse().expect("a number"))
        .collect();
    numbers.try_into().expect("three numbers")
}

fn regions(path: &str) -> Vec<Region> {
    let text = std::fs::read_to_string(path).expect("a file of boxes");
    let region = |line: &str| {
        let (start, stop) = line.split_once(' ').expect("start and stop");
        Region {
            start: triple(start),
            stop: triple(stop),
        }
    };
    text.lines().map(region).collect()
}

fn main() {
    let [folder, prefix, separator, chunk, inner, codec, threads] =
        <[String; 7]>::try_from(std::env::args().skip(1).collect::<Vec<_>>()).expect("7 arguments");
    let array = Array {
        folder,
        prefix,
        separator,
        chunk: triple(&chunk),
        inner: (inner != "-").then(|| triple(&inner)),
        codec: Codec::named(&codec),
    };
    let threads: usize = threads.parse().expect("a number of threads");
    let mut scratch: Vec<Scratch> = (0..threads).map(|_| Scratch::new()).collect();
    let mut boxes = Vec::new();
    let mut results: Vec<Result> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a command");
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("boxes", path) => {
                boxes = regions(path);
                boxes.len() as u128
            }
            ("read", _) => {
                results.clear();
                let start = Instant::now();
                results.extend(boxes.iter().map(|region| array.read(region, &mut scratch)));
                start.elapsed().as_nanos()
            }
            ("dump", path) => {
                let mut file = File::create(path).expect("a file to write to");
                results
                    .iter()
                    .for_each(|one| file.write_all(one.bytes()).expect("written bytes"));
                results.len() as u128
            }
            (other, _) => panic!("no command {other}"),
        };
        println!("{answer}");
    }
}
