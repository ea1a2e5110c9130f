use super::Point;
use super::point::{SURELY_BEYOND, changes_side, corner_is_inside};
use crate::work::{Meter, TimeIsUp};

/// A point near the north pole that no one names: from there on, crossings are counted.
const ORIGIN: Point = Point::new(
    -0.009_999_466_435_025_02,
    0.002_592_454_260_932_412,
    0.999_946_643_502_502,
);

/// Units of work: an edge of which crossings are asked, one that has to be asked exactly, and an edge's part of the area.
const EDGE_UNITS: usize = 8;
pub(super) const EXACT_UNITS: usize = 1_000;
const AREA_UNITS: usize = 64;

/// A closed line of great-circle edges. Its inside is the smaller of the two parts into which it divides the sphere.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Counter-clockwise around the inside; the first is not repeated. At least three, and none equal to the next.
    corners: Vec<Point>,
    origin_is_inside: bool,
    /// Everything inside is in here.
    around: Option<Cap>,
}

/// What is within a distance of a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cap {
    center: Point,
    /// The least product of the center and a point inside, rounding included: above 0, less than half a sphere.
    least: f64,
}

impl Cap {
    /// The cap around corners, if they have one that is less than half a sphere.
    fn of(corners: &[Point]) -> Option<Self> {
        let zero = Point::new(0.0, 0.0, 0.0);
        let sum = corners.iter().fold(zero, |sum, corner| sum.plus(*corner));
        if sum.length_squared() < 1e-6 {
            return None;
        }
        let center = sum.unit();
        let products = corners.iter().map(|corner| center.dot(*corner));
        let least = products.fold(1.0, f64::min) - SURELY_BEYOND;
        // Well below a half, so that the arcs between corners are inside as well.
        (least > 0.01).then_some(Self { center, least })
    }

    fn contains(self, p: Point) -> bool {
        self.center.dot(p) >= self.least
    }
}

impl Ring {
    /// `corners`: at least three, without repeats.
    ///
    /// # Errors
    /// The time is up.
    pub(super) fn new(mut corners: Vec<Point>, work: &mut dyn Meter) -> Result<Self, TimeIsUp> {
        work.spend(corners.len() * AREA_UNITS)?;
        if left_area(&corners) < 0.0 {
            corners.reverse();
        }
        let around = Cap::of(&corners);
        let mut ring = Self {
            corners,
            origin_is_inside: false,
            around: None,
        };
        if let [before, corner, after, ..] = *ring.corners.as_slice() {
            ring.origin_is_inside =
                corner_is_inside(before, corner, after) != ring.contains(corner, work)?;
        }
        // Lines of hardly any area may be around all else, as they are read here: then all beyond the cap is inside.
        if let Some(cap) = around
            && !ring.contains(cap.center.opposite(), work)?
        {
            ring.around = around;
        }
        Ok(ring)
    }

    pub(super) fn corners(&self) -> &[Point] {
        &self.corners
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        let ends = self.corners.iter().skip(1).chain(self.corners.first());
        self.corners.iter().copied().zip(ends.copied())
    }

    /// Whether a point lies inside. A point on the line belongs to one side or the other, always the same.
    ///
    /// # Errors
    /// The time is up.
    pub(super) fn contains(&self, p: Point, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        if self.around.is_some_and(|cap| !cap.contains(p)) {
            return Ok(false);
        }
        work.spend(self.corners.len() * EDGE_UNITS)?;
        let plane = ORIGIN.cross(p);
        let mut is_inside = self.origin_is_inside;
        for (a, b) in self.edges() {
            let changes = match surely_changes_side(plane, p, a, b) {
                Some(changes) => changes,
                None => {
                    work.spend(EXACT_UNITS)?;
                    changes_side(ORIGIN, p, a, b)
                }
            };
            is_inside ^= changes;
        }
        Ok(is_inside)
    }
}

/// Whether going from [`ORIGIN`] to `p`, both of which are in the plane, changes the side of an edge, where that is sure
/// without exact arithmetic: nearly always, and for a tenth of the price.
fn surely_changes_side(plane: Point, p: Point, a: Point, b: Point) -> Option<bool> {
    // Most edges lie beside the plane.
    let (of_a, of_b) = (plane.dot(a), plane.dot(b));
    if of_a.min(of_b) > SURELY_BEYOND || of_a.max(of_b) < -SURELY_BEYOND {
        return Some(false);
    }
    let edge = a.cross(b);
    let (of_origin, of_p) = (edge.dot(ORIGIN), edge.dot(p));
    if of_origin.min(of_p) > SURELY_BEYOND || of_origin.max(of_p) < -SURELY_BEYOND {
        return Some(false);
    }
    let all = [of_a, of_b, of_origin, of_p];
    let are_sure = all.iter().all(|value| value.abs() > SURELY_BEYOND);
    // Both planes are crossed; at the same place, or at the opposite one.
    are_sure.then_some((of_a > 0.0) == (of_p > 0.0))
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
    use crate::work::Unmetered;

    #[test]
    fn what_is_sure_is_so() {
        let corner = |number: u32| {
            let angle = f64::from(number) / 500.0 * std::f64::consts::TAU;
            // Teeth, so that many edges cross the plane.
            let radius = 1.0 + f64::from(number % 2);
            Point::from_degrees(13.0 + radius * angle.cos(), 52.0 + radius * angle.sin())
        };
        let mut work = Unmetered::default();
        let ring = Ring::new((0..500).map(corner).collect(), &mut work).unwrap();
        let (mut sure, mut changing, mut unsure, mut inside) = (0, 0, 0, 0);
        let near = (0..500).map(|n| Point::from_degrees(12.0 + f64::from(n) * 0.004, 52.1));
        let far = (0..500).map(|n| Point::from_degrees(f64::from(n), f64::from(n % 90)));
        // Corners are the hard case: the plane goes through them.
        for p in near.chain(far).chain((0..500).map(corner)) {
            let plane = ORIGIN.cross(p);
            let mut parity = ring.origin_is_inside;
            for (a, b) in ring.edges() {
                let changes = changes_side(ORIGIN, p, a, b);
                parity ^= changes;
                match surely_changes_side(plane, p, a, b) {
                    Some(surely) => {
                        assert_eq!(surely, changes);
                        sure += 1;
                        changing += u32::from(changes);
                    }
                    None => unsure += 1,
                }
            }
            assert_eq!(ring.contains(p, &mut work), Ok(parity));
            inside += u32::from(parity);
        }
        assert!(ring.around.is_some() && inside > 500, "{inside}");
        assert!(changing > 500, "{changing}");
        assert!(unsure > 500 && sure > 100 * unsure, "{sure} {unsure}");
    }

    #[test]
    fn rings_without_a_cap_are_those_of_half_a_sphere() {
        let mut work = Unmetered::default();
        let mut cap = |corners: &[(f64, f64)]| {
            let corners = corners.iter().map(|(x, y)| Point::from_degrees(*x, *y));
            let ring = Ring::new(corners.collect(), &mut work).unwrap();
            ring.around.is_some()
        };
        assert!(cap(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]));
        assert!(!cap(&[(0.0, 0.0), (120.0, 0.0), (-120.0, 1.0)]));
        assert!(!cap(&[(0.0, 0.0), (90.0, 0.0), (180.0, 1.0), (-90.0, 0.0)]));
    }
}
