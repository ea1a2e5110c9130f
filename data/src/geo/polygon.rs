use super::point::{SURELY_BEYOND, edges_cross, sure_sign};
use super::ring::EXACT_UNITS;
use super::{Point, Ring};
use crate::work::{Meter, TimeIsUp};
use protocol::bounds::Within as _;

/// Pairs of edges that are looked at, at most, to see whether edges of a polygon cross: so many for each edge beyond a
/// number that any small polygon may have, and never more than a total, which take some ten milliseconds. Lines as maps have
/// them need a few for each edge.
const PAIRS_PER_EDGE: usize = 400;
const FREE_PAIRS: usize = 200_000;
const MAX_PAIRS: usize = 4_000_000;

/// Units of work: an edge put in order along an axis, and a pair.
const ORDER_UNITS: usize = 128;
const PAIR_UNITS: usize = 8;

/// An outer ring and the holes in it. Without rings it has no points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polygon {
    rings: Vec<Ring>,
}

/// Why rings make no polygon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tangle {
    /// Two edges cross.
    Crossing,
    /// Too many edges lie side by side to look at all pairs of them.
    Effort,
    /// The time is up.
    Time(TimeIsUp),
}

impl From<TimeIsUp> for Tangle {
    fn from(time: TimeIsUp) -> Self {
        Self::Time(time)
    }
}

impl Polygon {
    pub(super) fn new(rings: Vec<Ring>, work: &mut dyn Meter) -> Result<Self, Tangle> {
        let polygon = Self { rings };
        let mut edges: Vec<Edge> = polygon.edges().map(Edge::new).collect();
        // Teeth of a comb lie side by side along one axis, and one after the other along another.
        let mut least = None;
        for axis in AXES {
            work.spend(edges.len() * ORDER_UNITS)?;
            let pairs = (pairs_along(axis, &edges), axis);
            least = Some(least.map_or(pairs, |least| pairs.min(least)));
        }
        let Some((pairs, axis)) = least else {
            return Ok(polygon);
        };
        let limit = (FREE_PAIRS + PAIRS_PER_EDGE * edges.len()).min(MAX_PAIRS);
        if pairs > limit {
            return Err(Tangle::Effort);
        }
        work.spend(edges.len() * ORDER_UNITS)?;
        edges.sort_by(|a, b| a.along(axis).low.total_cmp(&b.along(axis).low));
        for (i, edge) in edges.iter().enumerate() {
            let high = edge.along(axis).high;
            let others = edges.within(i + 1..);
            let near = others.partition_point(|other| other.along(axis).low <= high);
            work.spend(near * PAIR_UNITS)?;
            for other in others.iter().take(near) {
                let crosses = match edge.surely_crosses(other) {
                    Some(crosses) => crosses,
                    None => {
                        work.spend(EXACT_UNITS)?;
                        edges_cross(edge.a, edge.b, other.a, other.b)
                    }
                };
                if crosses {
                    return Err(Tangle::Crossing);
                }
            }
        }
        Ok(polygon)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        self.rings.iter().flat_map(Ring::edges)
    }

    /// Whether a point is in the outer ring and in none of the others.
    ///
    /// # Errors
    /// The time is up.
    pub(super) fn contains(&self, p: Point, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        let [outer, holes @ ..] = self.rings.as_slice() else {
            return Ok(false);
        };
        if !outer.contains(p, work)? {
            return Ok(false);
        }
        for hole in holes {
            if hole.contains(p, work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Corners of all rings.
    pub(super) fn corner_count(&self) -> usize {
        self.rings.iter().map(|ring| ring.corners().len()).sum()
    }

    /// Some corner of each ring.
    pub(super) fn corners(&self) -> impl Iterator<Item = Point> {
        self.rings
            .iter()
            .filter_map(|ring| ring.corners().first().copied())
    }
}

/// The axes of space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Axis {
    X,
    Y,
    Z,
}

const AXES: [Axis; 3] = [Axis::X, Axis::Y, Axis::Z];

/// A stretch of an axis.
#[derive(Clone, Copy)]
struct Stretch {
    low: f64,
    high: f64,
}

impl Stretch {
    fn is_apart(self, other: Self) -> bool {
        self.high < other.low || other.high < self.low
    }
}

/// How many pairs of edges overlap along an axis.
fn pairs_along(axis: Axis, edges: &[Edge]) -> usize {
    let mut lows: Vec<f64> = edges.iter().map(|edge| edge.along(axis).low).collect();
    lows.sort_by(f64::total_cmp);
    let up_to = |high: f64| lows.partition_point(|low| *low <= high);
    // Of those that begin before an edge ends, all but itself and those that begin before it.
    let all: usize = edges.iter().map(|edge| up_to(edge.along(axis).high)).sum();
    all.saturating_sub(edges.len() * (edges.len() + 1) / 2)
}

/// An edge with what it takes along the axes. The arc may bulge beyond its ends by no more than the height of its bow, so
/// the box is made larger by that.
struct Edge {
    a: Point,
    b: Point,
    /// What points away from its plane, to its left.
    left: Point,
    x: Stretch,
    y: Stretch,
    z: Stretch,
}

impl Edge {
    fn new((a, b): (Point, Point)) -> Self {
        let chord = b.minus(a).length_squared();
        // The height of the bow of an arc of chord c is 1 - sqrt(1 - c²/4), at most c²/4.
        let bow = (chord / 4.0).min(1.0) + 1e-15;
        let stretch = |a: f64, b: f64| Stretch {
            low: a.min(b) - bow,
            high: a.max(b) + bow,
        };
        Self {
            a,
            b,
            left: a.cross(b),
            x: stretch(a.x, b.x),
            y: stretch(a.y, b.y),
            z: stretch(a.z, b.z),
        }
    }

    fn along(&self, axis: Axis) -> Stretch {
        match axis {
            Axis::X => self.x,
            Axis::Y => self.y,
            Axis::Z => self.z,
        }
    }

    /// Whether two edges cross, as [`edges_cross`], where that is sure without exact arithmetic.
    fn surely_crosses(&self, other: &Self) -> Option<bool> {
        let is_apart = self.x.is_apart(other.x)
            || self.y.is_apart(other.y)
            || self.z.is_apart(other.z)
            || self.is_on_a_side(other)
            || other.is_on_a_side(self);
        if is_apart {
            return Some(false);
        }
        let (a, b, c, d) = (self.a, self.b, other.a, other.b);
        if a == c || a == d || b == c || b == d {
            return Some(false);
        }
        // Closer together than the products of whole directions can tell.
        let (of_c, of_d) = (sure_sign(a, b, c)?, sure_sign(a, b, d)?);
        if of_c == of_d {
            return Some(false);
        }
        let (of_a, of_b) = (sure_sign(c, d, a)?, sure_sign(c, d, b)?);
        Some(of_a != of_b && of_c != of_a)
    }

    /// Whether another edge is surely on one side of the plane of this one.
    fn is_on_a_side(&self, other: &Self) -> bool {
        let (a, b) = (self.left.dot(other.a), self.left.dot(other.b));
        a.min(b) > SURELY_BEYOND || a.max(b) < -SURELY_BEYOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Teeth that lie one above the other, as many as there are edges but two.
    fn comb(teeth: u32) -> Vec<(Point, Point)> {
        let corner = |number: u32| {
            let east = if number.is_multiple_of(2) { 10.0 } else { 11.0 };
            Point::from_degrees(east, 0.01 * f64::from(number))
        };
        (0..teeth).map(|n| (corner(n), corner(n + 1))).collect()
    }

    #[test]
    fn edges_are_compared_along_the_axis_where_they_lie_apart() {
        let edges: Vec<_> = comb(1_000).into_iter().map(Edge::new).collect();
        let all = edges.len() * (edges.len() - 1) / 2;
        assert_eq!(pairs_along(Axis::Y, &edges), all);
        // Each touches the next, and bows make a few more overlap.
        assert!(pairs_along(Axis::Z, &edges) < 5 * edges.len());
        let counted = (0..edges.len())
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .filter(|(i, j)| !edges[*i].z.is_apart(edges[*j].z))
            .count();
        assert_eq!(pairs_along(Axis::Z, &edges), counted);
    }

    #[test]
    fn what_surely_crosses_does() {
        let all = comb(60).into_iter().chain((0..60).map(|n| {
            let at = f64::from(n);
            (
                Point::from_degrees(10.0 + at * 0.01, 0.6),
                Point::from_degrees(10.9 - at * 0.005, 0.01 * at),
            )
        }));
        // A grid of few numbers, where many are on one line.
        let grid = (0..150_u32).map(|n| {
            let place = |n: u32| f64::from(n % 5);
            (
                Point::from_degrees(10.0 + place(n), place(n / 5)),
                Point::from_degrees(10.0 + place(n / 7), 1.0 + place(n / 3)),
            )
        });
        let all: Vec<_> = all
            .chain(grid)
            .filter(|(a, b)| a != b)
            .map(Edge::new)
            .collect();
        let (mut crossing, mut unsure) = (0, 0);
        for one in &all {
            for other in &all {
                let exactly = edges_cross(one.a, one.b, other.a, other.b);
                crossing += u32::from(exactly);
                match one.surely_crosses(other) {
                    Some(surely) => assert_eq!(surely, exactly),
                    None => unsure += 1,
                }
            }
        }
        assert!(crossing > 500 && unsure > 10, "{crossing} {unsure}");
    }
}
