use super::cell::Square;
use super::point::edges_cross;
use super::{Point, Ring};

/// Pairs of edges that are looked at, at most, to see whether edges of a polygon cross: so many for each edge beyond a
/// number that any small polygon may have, and never more than a total, which take some ten milliseconds. Lines as maps have
/// them need a few for each edge.
const PAIRS_PER_EDGE: usize = 400;
const FREE_PAIRS: usize = 200_000;
const MAX_PAIRS: usize = 4_000_000;

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
}

impl Polygon {
    pub(super) fn new(rings: Vec<Ring>) -> Result<Self, Tangle> {
        let polygon = Self { rings };
        let mut edges: Vec<Edge> = polygon.edges().map(Edge::new).collect();
        // Teeth of a comb lie side by side along one axis, and one after the other along another.
        let of_axis = |axis| (pairs_along(axis, &edges), axis);
        let Some((pairs, axis)) = AXES.into_iter().map(of_axis).min() else {
            return Ok(polygon);
        };
        let limit = (FREE_PAIRS + PAIRS_PER_EDGE * edges.len()).min(MAX_PAIRS);
        if pairs > limit {
            return Err(Tangle::Effort);
        }
        edges.sort_by(|a, b| a.along(axis).low.total_cmp(&b.along(axis).low));
        for (i, edge) in edges.iter().enumerate() {
            let high = edge.along(axis).high;
            let near = edges.iter().skip(i + 1);
            if near
                .take_while(|other| other.along(axis).low <= high)
                .any(|other| edge.crosses(other))
            {
                return Err(Tangle::Crossing);
            }
        }
        Ok(polygon)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        self.rings.iter().flat_map(Ring::edges)
    }

    pub(super) fn contains(&self, p: Point) -> bool {
        match self.rings.as_slice() {
            [] => false,
            [outer, holes @ ..] => outer.contains(p) && !holes.iter().any(|hole| hole.contains(p)),
        }
    }

    /// Some corner of each ring.
    pub(super) fn corners(&self) -> impl Iterator<Item = Point> {
        self.rings
            .iter()
            .filter_map(|ring| ring.corners().first().copied())
    }
}

/// Whether an edge meets a square, its inside included.
pub(super) fn meets((a, b): (Point, Point), square: &Square) -> bool {
    !square.lies_beyond_a_side(a, b)
        && (square.contains(a)
            || square.contains(b)
            || square
                .edges()
                .iter()
                .any(|(c, d)| edges_cross(a, b, *c, *d)))
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

    fn crosses(&self, other: &Self) -> bool {
        !self.x.is_apart(other.x)
            && !self.y.is_apart(other.y)
            && !self.z.is_apart(other.z)
            && edges_cross(self.a, self.b, other.a, other.b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CellId;
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
    fn what_is_beyond_a_side_of_a_square_does_not_meet_it() {
        let center = Point::from_degrees(10.5, 2.0);
        let mut beyond = 0;
        for level in 1..=20 {
            for cell in CellId::leaf(center).parent(level - 1).children() {
                let square = cell.square();
                for (a, b) in comb(400) {
                    if square.lies_beyond_a_side(a, b) {
                        beyond += 1;
                        assert!(!square.contains(a) && !square.contains(b));
                        let mut sides = square.edges().into_iter();
                        assert!(!sides.any(|(c, d)| edges_cross(a, b, c, d)));
                    }
                }
            }
        }
        // Else it would not be worth its while.
        assert!(beyond > 20 * 4 * 400 / 2, "{beyond}");
    }
}
