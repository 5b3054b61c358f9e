//! What the tests of this room share: namespaces of their own, `ip` as the witness, bytes to read.

/// Bytes written in hexadecimal, with any spaces.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Frames that resemble the given ones: every truncation, every byte set to extremes, and many with random changes
/// and lengths. The same ones each time.
pub(crate) fn noise(seeds: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let mut frames = Vec::new();
    for seed in seeds {
        frames.extend((0..=seed.len()).map(|length| seed[..length].to_vec()));
        for at in 0..seed.len() {
            for value in [0, 1, 31, 32, 127, 128, 255] {
                let mut frame = seed.clone();
                frame[at] = value;
                frames.push(frame);
            }
        }
    }
    let mut state: u64 = 0x5eed;
    let mut random = move |below: usize| {
        // xorshift64 (Marsaglia).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..20_000 {
        let mut frame = seeds[round % seeds.len()].clone();
        for _ in 0..=random(6) {
            let at = random(frame.len());
            frame[at] = u8::try_from(random(256)).unwrap();
        }
        frame.resize(random(120), 0xa5);
        frames.push(frame);
    }
    frames.into_iter()
}
