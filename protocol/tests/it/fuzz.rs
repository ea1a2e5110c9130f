//! The fuzz bodies on fixed seeds: valid messages, and mutations of them.

use protocol::fuzz::TARGETS;

use crate::hex;

/// Mutations of each seed and target; a minute of libFuzzer does far more, this is what every run affords.
const ROUNDS: usize = 400;

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        // Extreme bytes make lengths and counts lie.
        match self.below(4) {
            0 => 0,
            1 => 0xff,
            _ => self.next().to_be_bytes()[7],
        }
    }

    fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(7) {
                0 => data.truncate(at),
                1 if !data.is_empty() => data[at] = self.byte(),
                2 if !data.is_empty() => data[at] ^= 1 << self.below(8),
                3 => data.insert(at, self.byte()),
                4 if !data.is_empty() => drop(data.remove(at)),
                5 => {
                    let end = at + self.below(data.len() - at);
                    let part = data[at..end].to_vec();
                    data.splice(at..at, part);
                }
                _ => {
                    let from = self.below(other.len());
                    data.splice(at.., other[from..].iter().copied());
                }
            }
        }
        data
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = hex::FRAMES.iter().map(|text| hex::bytes(text)).collect();
    seeds.extend(hex::FRAMES.iter().map(|text| hex::body(text)));
    let others = [
        "00 00 00 02 0d 00 00 00 00 b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6 0e
         00 01 00 00 00 00 00 00 00 00 01 00 00 00 00 00 05 00 74 65 73 74
         00 00 00 01 b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6 01",
        "83 c7 00 01 c0 a2 03 61 01 a2 03 62 02",
        "94 c7 00 01 01 02 03",
        "95 c0 c3 cb 3f f8 00 00 00 00 00 00 82 02 91 05 01 a3 17 7b 7d d9 02 03 61",
        "13 82 02 00 01 00",
        "14 93 01 cc 80 d3 00 00 00 00 00 00 00 05",
        "01 ff ff",
        "df 00 00 00 02 c4 02 03 61 01 da 00 02 03 62 dd 00 00 00 01 d0 fb",
    ];
    seeds.extend(others.iter().map(|text| hex::bytes(text)));
    seeds.push(
        b"udf-put:filename=a.lua;content=eA==;content-len=4;udf-type=LUA;\nnode\nsets/test/demo\n"
            .to_vec(),
    );
    seeds.push(b"node\tA\nbuild\t8.1\n".to_vec());
    seeds.push(b"error=compile_error;file=a.lua;line=3;message=PGVvZj4=".to_vec());
    seeds.push(format!("test:0,1,{}8=", "/".repeat(682)).into_bytes());
    let mut point = vec![23, 0, 0, 0];
    point.extend_from_slice(br#"{"type":"Point","coordinates":[1.5,2]}"#);
    seeds.push(point);
    let mut compressed = bytes::BytesMut::new();
    protocol::compress::encode(&mut compressed, &hex::body(hex::GET)).unwrap();
    seeds.push(compressed[8..].to_vec());
    seeds.push(Vec::new());
    seeds
}

#[test]
fn every_body_holds_on_valid_messages_and_their_truncations() {
    for (_, body) in TARGETS {
        for seed in seeds() {
            (0..=seed.len()).for_each(|end| body(&seed[..end]));
        }
    }
}

#[test]
fn every_body_holds_on_mutations_from_fixed_seeds() {
    let seeds = seeds();
    for (index, (_, body)) in TARGETS.iter().enumerate() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 + index as u64);
        for seed in &seeds {
            for _ in 0..ROUNDS {
                let other = random.below(seeds.len());
                body(&random.mutate(seed, &seeds[other]));
            }
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_is_one_of_these() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    found.sort();
    let mut named: Vec<_> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    named.sort();
    assert_eq!(found, named);
}
