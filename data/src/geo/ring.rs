use super::Point;
use super::point::{SURELY_BEYOND, changes_side, corner_is_inside};

/// A point near the north pole that no one names: from there on, crossings are counted.
const ORIGIN: Point = Point::new(
    -0.009_999_466_435_025_02,
    0.002_592_454_260_932_412,
    0.999_946_643_502_502,
);

/// A closed line of great-circle edges. Its inside is the smaller of the two parts into which it divides the sphere.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Counter-clockwise around the inside; the first is not repeated. At least three, and none equal to the next.
    corners: Vec<Point>,
    origin_is_inside: bool,
}

impl Ring {
    /// `corners`: at least three, without repeats.
    pub(super) fn new(mut corners: Vec<Point>) -> Self {
        if left_area(&corners) < 0.0 {
            corners.reverse();
        }
        let mut ring = Self {
            corners,
            origin_is_inside: false,
        };
        if let [before, corner, after, ..] = *ring.corners.as_slice() {
            ring.origin_is_inside =
                corner_is_inside(before, corner, after) != ring.contains(corner);
        }
        ring
    }

    pub(super) fn corners(&self) -> &[Point] {
        &self.corners
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        let ends = self.corners.iter().skip(1).chain(self.corners.first());
        self.corners.iter().copied().zip(ends.copied())
    }

    /// Whether a point lies inside. A point on the line belongs to one side or the other, always the same.
    pub(super) fn contains(&self, p: Point) -> bool {
        let plane = ORIGIN.cross(p);
        let crossings = self
            .edges()
            .filter(|(a, b)| !are_beside(plane, *a, *b) && changes_side(ORIGIN, p, *a, *b))
            .count();
        self.origin_is_inside != (crossings % 2 == 1)
    }
}

/// Whether both ends of an edge are surely on the same side of a plane, so that nothing in the plane crosses the edge. Most
/// edges are, and to ask this costs a tenth of asking exactly.
fn are_beside(plane: Point, a: Point, b: Point) -> bool {
    let (a, b) = (plane.dot(a), plane.dot(b));
    a.min(b) > SURELY_BEYOND || a.max(b) < -SURELY_BEYOND
}

/// Area to the left of a closed line, between -2π and 2π: below zero when the right side is the smaller one.
fn left_area(corners: &[Point]) -> f64 {
    let [first, rest @ ..] = corners else {
        return 0.0;
    };
    let sum: f64 = rest
        .iter()
        .zip(rest.iter().skip(1))
        .map(|(b, c)| triangle(*first, *b, *c))
        .sum();
    let sphere = 4.0 * std::f64::consts::PI;
    sum - sphere * (sum / sphere).round()
}

/// Area of a triangle, below zero when it runs clockwise. From differences, so that the smallest ones have a sign.
fn triangle(a: Point, b: Point, c: Point) -> f64 {
    let volume = a.dot(b.minus(a).cross(c.minus(a)));
    2.0 * volume.atan2(1.0 + a.dot(b) + b.dot(c) + c.dot(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_that_are_passed_over_are_crossed_by_nothing() {
        let corner = |number: u32| {
            let angle = f64::from(number) / 500.0 * std::f64::consts::TAU;
            Point::from_degrees(13.0 + angle.cos(), 52.0 + angle.sin())
        };
        let ring = Ring::new((0..500).map(corner).collect());
        let mut beside = 0;
        let near = (0..500).map(|n| Point::from_degrees(12.0 + f64::from(n) * 0.004, 52.1));
        // Corners are the hard case: the plane goes through them.
        for p in near.chain((0..500).map(corner)) {
            let plane = ORIGIN.cross(p);
            for (a, b) in ring.edges().filter(|(a, b)| are_beside(plane, *a, *b)) {
                beside += 1;
                assert!(!changes_side(ORIGIN, p, a, b));
            }
        }
        assert!(beside > 1_000 * 500 / 10 * 9, "{beside}");
    }
}
