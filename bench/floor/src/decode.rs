//! The decoders, and the memory that each thread keeps for them.

use libdeflater::Decompressor;
use zstd_safe::DCtx;

/// How the chunks are compressed.
#[derive(Clone, Copy, PartialEq)]
pub enum Codec {
    None,
    Blosc,
    Zstd,
    Gzip,
}

impl Codec {
    pub fn named(name: &str) -> Codec {
        match name {
            "none" => Codec::None,
            "blosc" => Codec::Blosc,
            "zstd" => Codec::Zstd,
            "gzip" => Codec::Gzip,
            other => panic!("no codec {other}"),
        }
    }
}

pub struct Decoders {
    zstd: DCtx<'static>,
    gzip: Decompressor,
}

impl Decoders {
    /// Decodes all bytes of a chunk into its place, which has just their size.
    pub fn decode(&mut self, codec: Codec, stored: &[u8], place: &mut [u8]) {
        let size = place.len();
        let decoded = match codec {
            Codec::None => {
                place.copy_from_slice(stored);
                size
            }
            Codec::Zstd => self.zstd.decompress(place, stored).expect("a zstd frame"),
            Codec::Gzip => self
                .gzip
                .gzip_decompress(stored, place)
                .expect("a gzip member"),
            // SAFETY: both pointers are of slices that live through the call, and `size` is the
            // length of the second; the first holds what a writer of Blosc has written whole.
            Codec::Blosc => unsafe {
                let (from, to) = (stored.as_ptr().cast(), place.as_mut_ptr().cast());
                blosc_src::blosc_decompress_ctx(from, to, size, 1) as usize
            },
        };
        assert_eq!(decoded, size, "the size of a decoded chunk");
    }
}

/// What a thread reuses from chunk to chunk.
pub struct Scratch {
    pub stored: Vec<u8>,
    pub decoded: Vec<u8>,
    pub decoders: Decoders,
}

impl Scratch {
    pub fn new() -> Scratch {
        let decoders = Decoders {
            zstd: DCtx::create(),
            gzip: Decompressor::new(),
        };
        Scratch {
            stored: Vec::new(),
            decoded: Vec::new(),
            decoders,
        }
    }
}
