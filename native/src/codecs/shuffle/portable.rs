//! The bit transpose for any processor.

/// Transpose 8 x 8 bits in each word of eight bytes, in a form that the compiler vectorises for the
/// caller's processor.
#[inline(always)]
pub(super) fn transpose_words(words: &mut [u8]) {
    for bytes in words.chunks_exact_mut(8) {
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        let mut x = u64::from_le_bytes(word);
        // Swap the off-diagonal blocks of 1, 2 and 4 bits.
        let t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
        x ^= t ^ (t << 7);
        let t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
        x ^= t ^ (t << 14);
        let t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
        x ^= t ^ (t << 28);
        bytes.copy_from_slice(&x.to_le_bytes());
    }
}
