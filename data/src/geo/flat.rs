//! Edges as a face of the cube around the sphere shows them: an arc is a straight line there, a cell an upright rectangle.

use super::Point;
use super::cell::{Square, face_uv, is_ahead};
use super::point::edges_cross;

/// How far apart two places of a face, -1 to 1, must be computed to be, to be apart whatever the rounding.
const SURELY_APART: f64 = 1e-14;

/// How much of the product of two lengths a determinant is computed wrong at most, and of a length, by its ends.
const ERROR: f64 = 1e-15;

/// An edge that meets a face.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlatEdge {
    a: Point,
    b: Point,
    line: Option<Line>,
}

/// An edge that is before the face as a whole.
#[derive(Clone, Copy, Debug)]
struct Line {
    a: (f64, f64),
    b: (f64, f64),
}

impl FlatEdge {
    pub(super) fn new(face: u32, (a, b): (Point, Point)) -> Self {
        let is_before = is_ahead(face, a) && is_ahead(face, b);
        Self {
            a,
            b,
            line: is_before.then(|| Line {
                a: face_uv(face, a),
                b: face_uv(face, b),
            }),
        }
    }

    /// Whether it meets a square of the face, the square's inside included.
    pub(super) fn meets(&self, square: &Square) -> bool {
        let sure = self
            .line
            .as_ref()
            .and_then(|line| line.surely_meets(square));
        sure.unwrap_or_else(|| self.meets_exactly(square))
    }

    /// The same by exact arithmetic.
    fn meets_exactly(&self, square: &Square) -> bool {
        let (a, b) = (self.a, self.b);
        !square.lies_beyond_a_side(a, b)
            && (square.contains(a)
                || square.contains(b)
                || square
                    .edges()
                    .iter()
                    .any(|(c, d)| edges_cross(a, b, *c, *d)))
    }
}

/// A stretch of an axis.
type Stretch = [f64; 2];

/// Whether two stretches of an axis surely have a piece in common, or surely have not.
fn surely_overlap([low, high]: Stretch, [from, to]: Stretch) -> Option<bool> {
    let (before, behind) = (to - low, high - from);
    match before.min(behind) {
        common if common < -SURELY_APART => Some(false),
        common if common > SURELY_APART => Some(true),
        _ => None,
    }
}

impl Line {
    /// As [`FlatEdge::meets`], where plain arithmetic has it for sure. Two convex figures meet unless there is a line between
    /// them, along a side of one of them.
    fn surely_meets(&self, square: &Square) -> Option<bool> {
        let ((au, av), (bu, bv)) = (self.a, self.b);
        let ([u0, u1], [v0, v1]) = (square.u, square.v);
        let overlaps = [
            surely_overlap([au.min(bu), au.max(bu)], [u0, u1]),
            surely_overlap([av.min(bv), av.max(bv)], [v0, v1]),
        ];
        if overlaps.contains(&Some(false)) {
            return Some(false);
        }
        let holds_an_end = [self.a, self.b].into_iter().any(|(u, v)| {
            let apart = [u - u0, u1 - u, v - v0, v1 - v];
            apart.into_iter().all(|apart| apart > SURELY_APART)
        });
        if holds_an_end {
            return Some(true);
        }
        let (du, dv) = (bu - au, bv - av);
        let (mut are_left, mut are_right) = (true, true);
        for (u, v) in [(u0, v0), (u1, v0), (u1, v1), (u0, v1)] {
            let (cu, cv) = (u - au, v - av);
            let side = du * cv - dv * cu;
            let lengths = (du.abs() + dv.abs(), cu.abs() + cv.abs());
            let error = ERROR * (lengths.0 * lengths.1 + lengths.0 + lengths.1);
            if side.abs() <= error {
                return None;
            }
            are_left &= side > 0.0;
            are_right &= side < 0.0;
        }
        if are_left || are_right {
            return Some(false);
        }
        // Along all three directions they overlap.
        (overlaps == [Some(true); 2]).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CellId;
    use super::*;

    /// Teeth that lie one above the other, and lines along sides of cells.
    fn edges() -> Vec<(Point, Point)> {
        let corner = |number: u32| {
            let east = if number.is_multiple_of(2) { 10.0 } else { 11.0 };
            Point::from_degrees(east, 0.01 * f64::from(number))
        };
        let teeth = (0..400).map(|n| (corner(n), corner(n + 1)));
        let round = (0..400_u32).map(|n| {
            let angle = f64::from(n);
            let end = Point::from_degrees(10.5 + 3.0 * angle.cos(), 2.0 + 3.0 * angle.sin());
            (Point::from_degrees(10.5, 2.0), end)
        });
        let sides = (1..=20).flat_map(|level| {
            let cell = CellId::leaf(Point::from_degrees(10.5, 2.0)).parent(level);
            cell.square().edges()
        });
        teeth.chain(round).chain(sides).collect()
    }

    #[test]
    fn what_is_sure_is_so() {
        let center = Point::from_degrees(10.5, 2.0);
        let edges: Vec<_> = edges()
            .into_iter()
            .map(|edge| FlatEdge::new(0, edge))
            .collect();
        let (mut apart, mut met, mut unsure) = (0, 0, 0);
        for level in 1..=20 {
            for cell in CellId::leaf(center).parent(level - 1).children() {
                let square = cell.square();
                for edge in &edges {
                    let exactly = edge.meets_exactly(&square);
                    match edge.line.unwrap().surely_meets(&square) {
                        Some(surely) => assert_eq!(surely, exactly, "{cell:?} {edge:?}"),
                        None => unsure += 1,
                    }
                    apart += usize::from(!exactly);
                    met += usize::from(exactly);
                }
            }
        }
        // Else it would not be worth its while.
        assert!(unsure * 20 < met + apart, "{unsure} of {}", met + apart);
        assert!(
            met > 1_000 && apart > 1_000 && unsure > 0,
            "{met} {apart} {unsure}"
        );
    }

    #[test]
    fn what_is_beyond_a_side_of_a_square_does_not_meet_it() {
        let center = Point::from_degrees(10.5, 2.0);
        let (mut beyond, mut all) = (0, 0);
        for level in 1..=20 {
            for cell in CellId::leaf(center).parent(level - 1).children() {
                let square = cell.square();
                for (a, b) in edges() {
                    all += 1;
                    if square.lies_beyond_a_side(a, b) {
                        beyond += 1;
                        assert!(!square.contains(a) && !square.contains(b));
                        let mut sides = square.edges().into_iter();
                        assert!(!sides.any(|(c, d)| edges_cross(a, b, c, d)));
                    }
                }
            }
        }
        assert!(beyond > all / 3, "{beyond} of {all}");
    }
}
