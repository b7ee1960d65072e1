//! Numbers that look random, for tests.

/// Return endless numbers that a seed other than zero determines.
pub fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    }
}

/// Return bytes of all values.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut next = numbers(seed);
    (0..size).map(|_| (next() >> 40) as u8).collect()
}

/// Return bytes of few values, so that there is something to compress.
pub fn few_values(size: usize, seed: u64) -> Vec<u8> {
    let mut next = numbers(seed);
    (0..size).map(|_| (next() >> 60) as u8).collect()
}
