use protocol::key::Digest;
use protocol::message::OpCode;
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::*;
use crate::work::{Meter, NoMemory, TimeIsUp, Unmetered};

const LIMITS: Limits = Limits {
    max_particle_bytes: 1 << 27,
};
const METADATA: Metadata<'_> = Metadata {
    digest: &Digest([7; 20]),
    set: b"demo",
    key: None,
    generation: 1,
    void_time: 0,
    last_update_ms: 5_000,
    size: &64_u64,
};

/// What ops answer: op, bin, value.
type Answers = Vec<(u8, String, Particle)>;
type NamedBins = Vec<(String, Particle)>;

fn name(text: &str) -> BinName {
    BinName::new(text.as_bytes()).unwrap()
}

fn op<'a>(code: OpCode, bin: &'a str, value: ParticleRef<'a>) -> Op<'a> {
    Op {
        op: code,
        particle: value.kind,
        flags: 0,
        name: bin.as_bytes(),
        value: value.data,
    }
}

fn particle(kind: u8, data: &[u8]) -> Particle {
    Particle::new(ParticleType(kind), data.to_vec())
}

/// Applies ops to bins; gives the code, the answers as (op, bin, value), and the bins.
fn run(
    bins: &[(&str, Particle)],
    ops: &[(OpCode, &str, Particle)],
    respond_all: bool,
) -> Result<(Answers, NamedBins), ResultCode> {
    let stored = bins
        .iter()
        .map(|(bin, value)| (name(bin), value.as_ref(), Landmarks::NONE))
        .collect::<Vec<_>>();
    let mut working = Working::of(stored.into_iter(), ops.len());
    let mut answers = Vec::new();
    let mut work = Unmetered::default();
    let mut surroundings = Surroundings {
        limits: LIMITS,
        work: &mut work,
        metadata: METADATA,
        now_ms: 6_000,
    };
    for (code, bin, value) in ops {
        let checked = check(
            &op(*code, bin, value.as_ref()),
            true,
            &mut Unmetered::default(),
        )
        .map_err(|error| error.code)?;
        let answer = |code: OpCode, bin: &BinName, value: ParticleRef<'_>| {
            answers.push((code.0, bin.to_string(), value.to_particle()));
        };
        working
            .apply(&checked, &mut surroundings, respond_all, answer)
            .map_err(|error| error.code)?;
    }
    let bins = working
        .into_bins()
        .map(|(bin, value)| (bin.to_string(), value.into_particle()))
        .collect();
    Ok((answers, bins))
}

fn one(bin: Option<Particle>, code: OpCode, operand: Particle) -> Result<Particle, ResultCode> {
    let bins = bin.map(|value| ("a", value));
    let (_, bins) = run(bins.as_slice(), &[(code, "a", operand)], false)?;
    Ok(bins.into_iter().next().unwrap().1)
}

#[test]
fn what_is_added_to_what() {
    let text = |text: &str| Particle::string(text.to_owned());
    let geo = Particle::geojson(br#"{"type":"Point","coordinates":[1,2]}"#);
    let (add, append, prepend) = (OpCode::INCR, OpCode::APPEND, OpCode::PREPEND);
    let (misfit, bad) = (ResultCode::INCOMPATIBLE_TYPE, ResultCode::PARAMETER);
    #[rustfmt::skip]
    let cases = [
        (Some(Particle::integer(5)), add, Particle::integer(3), Ok(Particle::integer(8))),
        (Some(Particle::integer(i64::MAX)), add, Particle::integer(1), Ok(Particle::integer(i64::MIN))),
        (Some(Particle::integer(5)), add, particle(1, &[1, 2]), Ok(Particle::integer(263))),
        (Some(Particle::integer(5)), add, particle(1, &[1, 2, 3]), Err(bad)),
        (Some(Particle::integer(5)), add, Particle::float(1.0), Err(misfit)),
        (Some(Particle::float(2.5)), add, Particle::float(0.25), Ok(Particle::float(2.75))),
        (Some(Particle::integer(5)), append, Particle::integer(3), Err(misfit)),
        (Some(text("abc")), append, text("x"), Ok(text("abcx"))),
        (Some(text("abc")), prepend, text("x"), Ok(text("xabc"))),
        (Some(text("abc")), append, particle(4, b"x"), Err(misfit)),
        (Some(text("abc")), add, text("x"), Err(misfit)),
        (Some(particle(7, b"ab")), append, particle(7, b"c"), Ok(particle(7, b"abc"))),
        (Some(text("abc")), append, Particle::NIL, Err(bad)),
        (Some(text("abc")), append, particle(99, b"x"), Err(bad)),
        // The type of the bin counts before the bytes of the operand.
        (Some(text("abc")), append, particle(20, b"\x92"), Err(misfit)),
        (Some(Particle::bool(true)), append, Particle::bool(true), Err(misfit)),
        (Some(geo.clone()), append, geo.clone(), Err(ResultCode::UNKNOWN)),
        (Some(geo), append, particle(99, b"x"), Err(bad)),
        (None, append, Particle::integer(-3), Ok(Particle::integer(-3))),
        (None, add, text("xy"), Ok(text("xy"))),
        (None, prepend, particle(20, b"\x91\x09"), Ok(particle(20, b"\x91\x09"))),
        (None, append, particle(20, b"\x92"), Err(ResultCode::UNKNOWN)),
        (None, append, particle(17, &[2]), Err(bad)),
        (None, add, Particle::NIL, Err(bad)),
        (None, add, particle(5, &[1]), Err(bad)),
    ];
    for (bin, code, operand, expected) in cases {
        let shown = format!("{bin:?} {code:?} {operand:?}");
        assert_eq!(one(bin, code, operand), expected, "{shown}");
    }
}

#[test]
fn operations_see_what_those_before_them_did() {
    let integer = Particle::integer;
    let before = [("a", integer(1)), ("b", integer(2)), ("c", integer(3))];
    let (answers, bins) = run(
        &before,
        &[
            (OpCode::INCR, "a", integer(4)),
            (OpCode::READ, "a", Particle::NIL),
            (OpCode::WRITE, "a", Particle::NIL),
            (OpCode::READ, "a", Particle::NIL),
            (OpCode::TOUCH, "a name longer than any bin's", integer(1)),
            (OpCode::READ, "", Particle::NIL),
        ],
        true,
    )
    .unwrap();
    let expected = [
        (5, "a", Particle::NIL),
        (1, "a", integer(5)),
        (2, "a", Particle::NIL),
        (1, "a", Particle::NIL),
        (1, "c", integer(3)),
        (1, "b", integer(2)),
    ]
    .map(|(code, bin, value)| (code, bin.to_owned(), value));
    assert_eq!(answers, expected);
    assert_eq!(
        bins,
        [("c".to_owned(), integer(3)), ("b".to_owned(), integer(2))],
        "the last bin takes the place of the one removed"
    );
}

#[test]
fn a_bad_operand_is_an_error_of_its_place() {
    let good = Particle::integer(1);
    let bad = particle(99, b"");
    let misfit = Particle::string("x");
    let ops = |first: &Particle, second: &Particle| {
        run(
            &[("i", Particle::integer(5))],
            &[
                (OpCode::APPEND, "i", first.clone()),
                (OpCode::INCR, "i", second.clone()),
            ],
            false,
        )
        .map(drop)
    };
    assert_eq!(ops(&misfit, &bad), Err(ResultCode::INCOMPATIBLE_TYPE));
    assert_eq!(ops(&bad, &misfit), Err(ResultCode::PARAMETER));
    let unnamed = [
        (OpCode::INCR, "i", bad),
        (OpCode::WRITE, "nnnnnnnnnnnnnnnn", good),
    ];
    assert_eq!(
        check(
            &op(unnamed[1].0, unnamed[1].1, unnamed[1].2.as_ref()),
            false,
            &mut Unmetered::default(),
        )
        .map(drop)
        .map_err(|error| error.code),
        Err(ResultCode::BIN_NAME)
    );
}

#[test]
fn many_bins_are_found_by_name_and_stay_in_order() {
    let count = 1000;
    let names = (0..count)
        .map(|number| format!("b{number}"))
        .collect::<Vec<_>>();
    let mut ops = Vec::new();
    for (number, name) in names.iter().enumerate() {
        ops.push((
            OpCode::WRITE,
            name.as_str(),
            Particle::integer(i64::try_from(number).unwrap()),
        ));
    }
    ops.push((OpCode::WRITE, "b0", Particle::NIL));
    ops.push((OpCode::INCR, "b999", Particle::integer(1)));
    ops.push((OpCode::INCR, "b0", Particle::integer(7)));
    let (_, bins) = run(&[], &ops, false).unwrap();
    assert_eq!(bins.len(), count);
    assert_eq!(bins[0], ("b999".to_owned(), Particle::integer(1000)));
    assert_eq!(bins[999], ("b0".to_owned(), Particle::integer(7)));
    assert_eq!(bins[500], ("b500".to_owned(), Particle::integer(500)));
}

/// Appending and prepending against joining whole values.
#[test]
fn growing_at_both_ends_gives_the_joined_bytes() {
    let mut expected = b"middle".to_vec();
    let mut ops = Vec::new();
    for number in 0..300_u16 {
        let piece = number.to_be_bytes().repeat(usize::from(number % 5));
        if number % 3 == 0 {
            expected.extend_from_slice(&piece);
            ops.push((OpCode::APPEND, "a", particle(4, &piece)));
        } else {
            expected.splice(0..0, piece.iter().copied());
            ops.push((OpCode::PREPEND, "a", particle(4, &piece)));
        }
    }
    let (_, bins) = run(&[("a", particle(4, b"middle"))], &ops, false).unwrap();
    assert_eq!(bins, [("a".to_owned(), particle(4, &expected))]);
}

/// What 32,000 appends to a bin of a megabyte copy: not the bin each time.
#[test]
fn the_buffer_is_grown_seldom() {
    let mut growing = Growing::from(particle(4, &vec![0; 1 << 20]).as_ref());
    let (mut moves, mut place) = (0, std::ptr::null());
    for _ in 0..32_000 {
        growing.append(b"y");
        growing.prepend(b"x");
        let now = growing.as_ref().data.as_ptr_range().end;
        let moved = now.cast::<u8>() as usize != place as usize + 1;
        moves += usize::from(moved);
        place = now;
    }
    assert!(moves <= 4, "{moves} moves");
    assert_eq!(growing.as_ref().data.len(), (1 << 20) + 64_000);
}

/// Counts work, and what is held, up to a limit.
struct Memory {
    units: usize,
    held: usize,
    most: usize,
    limit: usize,
}

impl Meter for Memory {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.units += units;
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), NoMemory> {
        self.held += bytes;
        self.most = self.most.max(self.held);
        match self.held <= self.limit {
            true => Ok(()),
            false => Err(NoMemory),
        }
    }

    fn let_go(&mut self, bytes: usize) {
        self.held -= bytes;
    }
}

#[test]
fn what_operations_make_is_held_until_it_is_replaced_and_bounded_in_all() {
    const KB: usize = 1_000;
    // Resize to so many bytes; and what clears all.
    let resize = |bytes: u16| particle(4, &[&[0x92, 0, 0xcd][..], &bytes.to_be_bytes()].concat());
    let sent = |bytes: usize| particle(4, &vec![7; bytes]);
    let (bits, write, append) = (OpCode::BITS_MODIFY, OpCode::WRITE, OpCode::APPEND);
    type Step = (OpCode, &'static str, Particle);
    type Ended = Result<usize, ResultCode>;
    #[rustfmt::skip]
    let cases: [(&str, Vec<Step>, usize, Ended); 7] = [
        ("one after the other", vec![(bits, "a", resize(20_000)), (bits, "b", resize(20_000))], 1 << 20, Ok(40 * KB)),
        ("again and again", (0..50).map(|_| (bits, "a", resize(20_000))).collect(), 1 << 20, Ok(20 * KB)),
        ("sent over it", vec![(bits, "a", resize(20_000)), (write, "a", sent(60_000))], 1 << 20, Ok(0)),
        ("removed", vec![(bits, "a", resize(20_000)), (OpCode::DELETE_ALL, "", Particle::NIL)], 1 << 20, Ok(0)),
        ("grown", vec![(write, "a", sent(20_000)), (append, "a", sent(5_000))], 1 << 20, Ok(50 * KB)),
        ("more than a record may", vec![(bits, "a", resize(60_000)), (bits, "b", resize(60_000))], 1 << 20, Err(ResultCode::RECORD_TOO_BIG)),
        ("more than there is", vec![(bits, "a", resize(30_000)), (bits, "b", resize(30_000))], 50 * KB, Err(ResultCode::DEVICE_OVERLOAD)),
    ];
    for (name, ops, limit, expected) in cases {
        let mut working = Working::of(std::iter::empty(), ops.len());
        let mut work = Memory {
            units: 0,
            held: 0,
            most: 0,
            limit,
        };
        let done = ops.iter().try_for_each(|(code, bin, value)| {
            let op = op(*code, bin, value.as_ref());
            let checked = check(&op, true, &mut Unmetered::default())?;
            let mut surroundings = Surroundings {
                limits: Limits {
                    max_particle_bytes: 100 * KB,
                },
                work: &mut work,
                metadata: METADATA,
                now_ms: 6_000,
            };
            working.apply(&checked, &mut surroundings, false, |_, _, _| {})
        });
        assert_eq!(
            done.map(|()| work.held).map_err(|error| error.code),
            expected,
            "{name}"
        );
        assert!(work.most <= 100 * KB, "{name}");
    }
}

#[test]
fn whatever_makes_a_value_counts_its_bytes() {
    // [0, 16]: a new sketch of 2^16 registers; [0, 60,000]: a bitmap of so many bytes.
    let sketch = particle(4, &[0x92, 0, 16]);
    let bitmap = particle(4, &[0x92, 0, 0xcd, 0xea, 0x60]);
    for (code, operand) in [(OpCode::HLL_MODIFY, sketch), (OpCode::BITS_MODIFY, bitmap)] {
        let op = op(code, "a", operand.as_ref());
        let checked = check(&op, true, &mut Unmetered::default()).unwrap();
        let mut work = Memory {
            units: 0,
            held: 0,
            most: 0,
            limit: usize::MAX,
        };
        let mut working = Working::of(std::iter::empty(), 1);
        let mut surroundings = Surroundings {
            limits: LIMITS,
            work: &mut work,
            metadata: METADATA,
            now_ms: 6_000,
        };
        working
            .apply(&checked, &mut surroundings, false, |_, _, _| {})
            .unwrap();
        assert!(work.held > 40_000, "{code:?}");
        assert!(work.units >= work.held / 8, "{code:?}");
    }
}
