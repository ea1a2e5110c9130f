//! From registers to numbers.

use protocol::bounds::Fit as _;

use super::sketch::{Shape, Sketch, SketchBuilder};
use crate::operation::OperationError;
use crate::work::Meter;

/// 2^63: no set has so many elements.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// How many elements were added, about.
pub(super) fn count(sketch: &Sketch<'_>) -> u64 {
    match sketch.cached() {
        0 => computed_count(sketch),
        cached => cached,
    }
}

/// The same, without the cached count.
pub(super) fn computed_count(sketch: &Sketch<'_>) -> u64 {
    let mut ranks = [0_u32; 65];
    for register in sketch.registers() {
        let rank = (register >> sketch.shape.minhash_bits).fit::<usize>();
        if let Some(count) = ranks.get_mut(rank) {
            *count += 1;
        }
    }
    let [zero, ranks @ .., last] = ranks;
    let n = sketch.shape.registers() as f64;
    let mut z = n * tau(f64::from(last) / n);
    z = 0.5 * (z + f64::from(last));
    for count in ranks.iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += n * sigma(f64::from(zero) / n);
    let alpha = match sketch.shape.index_bits {
        4 => 0.673,
        5 => 0.697,
        6 => 0.709,
        _ => 0.7213 / (1.0 + 1.079 / n),
    };
    // Infinite z makes 0. Registers that are all full make z 0, and what the reference then gives is 2^63.
    let estimate = (alpha * n * n / z).round();
    if estimate < TOO_LARGE {
        estimate as u64
    } else {
        1 << 63
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// The form to which all can be brought: fewest index bits; the minhash bits, if all have the same.
pub(super) fn common(sketches: &[Sketch<'_>]) -> Option<Shape> {
    let mut shapes = sketches.iter().map(|sketch| sketch.shape);
    let first = shapes.next()?;
    Some(shapes.fold(first, |common, shape| Shape {
        index_bits: common.index_bits.min(shape.index_bits),
        minhash_bits: if common.minhash_bits == shape.minhash_bits {
            common.minhash_bits
        } else {
            0
        },
    }))
}

/// The union in the given form.
pub(super) fn union(
    sketches: &[Sketch<'_>],
    shape: Shape,
    work: &mut dyn Meter,
) -> Result<SketchBuilder, OperationError> {
    let mut union = SketchBuilder::empty(shape);
    for sketch in sketches {
        work.steps(sketch.shape.registers())?;
        merge(&mut union, sketch, shape);
    }
    Ok(union)
}

fn merge(into: &mut SketchBuilder, sketch: &Sketch<'_>, shape: Shape) {
    let mask = shape.registers() - 1;
    for (index, value) in sketch.registers().enumerate() {
        if value == 0 {
            continue;
        }
        let value = if shape.minhash_bits == 0 {
            value >> sketch.shape.minhash_bits
        } else {
            value
        };
        into.raise(index & mask, value);
    }
}

/// The count of the intersection.
pub(super) fn intersect_count(
    sketches: &[Sketch<'_>],
    work: &mut dyn Meter,
) -> Result<u64, OperationError> {
    let Some(shape) = common(sketches) else {
        return Ok(0);
    };
    let union_count = computed_count(&union(sketches, shape, work)?.as_sketch());
    if shape.minhash_bits > 0 {
        let similarity = similarity(sketches, work)?;
        return Ok(if similarity.is_nan() {
            0
        } else {
            (union_count as f64 * similarity).round() as u64
        });
    }
    let mut sum = 0_u64;
    for sketch in sketches {
        work.steps(sketch.shape.registers())?;
        sum = sum.saturating_add(count(sketch));
    }
    match sketches {
        [_] => Ok(sum),
        [_, _] => Ok(sum.saturating_sub(union_count)),
        [a, b, c] => {
            let mut pairs = 0_u64;
            for pair in [[*a, *b], [*a, *c], [*b, *c]] {
                pairs = pairs.saturating_add(intersect_count(&pair, work)?);
            }
            let exclusive = i128::from(sum) - i128::from(pairs);
            let shared = i128::from(union_count) - exclusive;
            Ok(shared.max(0).fit::<u64>())
        }
        _ => Ok(0),
    }
}

/// Intersection divided by union; NaN for empty sketches.
pub(super) fn similarity(
    sketches: &[Sketch<'_>],
    work: &mut dyn Meter,
) -> Result<f64, OperationError> {
    let Some(shape) = common(sketches) else {
        return Ok(f64::NAN);
    };
    let union = union(sketches, shape, work)?;
    if shape.minhash_bits == 0 {
        let shared = intersect_count(sketches, work)? as f64;
        return Ok(shared / computed_count(&union.as_sketch()) as f64);
    }
    let empty = sketches
        .iter()
        .filter(|sketch| sketch.looks_empty())
        .count();
    if empty > 0 {
        return Ok(if empty == sketches.len() {
            f64::NAN
        } else {
            0.0
        });
    }
    let used = union
        .as_sketch()
        .registers()
        .filter(|value| *value > 0)
        .count() as f64;
    let mut folded = Vec::with_capacity(sketches.len());
    for sketch in sketches {
        work.steps(sketch.shape.registers())?;
        let mut fold = SketchBuilder::empty(shape);
        merge(&mut fold, sketch, shape);
        folded.push(fold);
    }
    let mut shared = 0_usize;
    if let Some((first, others)) = folded.split_first() {
        for index in 0..shape.registers() {
            let value = first.as_sketch().register(index);
            let agree = others
                .iter()
                .all(|other| other.as_sketch().register(index) == value);
            shared += usize::from(value > 0 && agree);
        }
    }
    let collisions = match sketches {
        [a, b] => collisions(count(a) as f64, count(b) as f64, shape),
        _ => 0.0,
    };
    Ok(((shared as f64 - collisions) / used).max(0.0))
}

/// How many registers of two sketches agree by chance.
fn collisions(a: f64, b: f64, shape: Shape) -> f64 {
    let n = shape.registers() as f64;
    let mut sum = 0.0;
    for rank in 1..=64_i32 {
        let low = if rank == 64 {
            0.0
        } else {
            2_f64.powi(-rank) / n
        };
        let high = 2_f64.powi(1 - rank) / n;
        let chance = |count: f64| (1.0 - low).powf(count) - (1.0 - high).powf(count);
        sum += chance(a) * chance(b);
    }
    sum * n / 2_f64.powi(shape.minhash_bits.into())
}
