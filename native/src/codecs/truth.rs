//! Truth values: every stored byte but zero means true, which is one in memory.

use crate::codecs::typed::Typed;
use crate::error::Result;

/// The codec has no configuration.
#[derive(Debug)]
pub struct Params;

impl Typed for Params {
    fn make(name: &str, _numbers: &[i64], _word: &str) -> Option<Params> {
        (name == "truth").then_some(Params)
    }

    fn name(&self) -> &'static str {
        "bytes"
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            *byte = u8::from(*byte != 0);
        }
        Ok(())
    }

    fn encode_in_place(&self, _bytes: &mut [u8]) -> Result<()> {
        Ok(())
    }
}
