use super::cell::Square;
use super::point::edges_cross;
use super::{Point, Ring};

/// Pairs of edges that are looked at, at most, to see whether edges of a polygon cross: about a tenth of a second.
/// Lines as maps have them need a few for each edge.
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
        edges.sort_by(|a, b| a.low.total_cmp(&b.low));
        let mut pairs = 0;
        for (i, edge) in edges.iter().enumerate() {
            for other in edges.iter().skip(i + 1) {
                if other.low > edge.high {
                    break;
                }
                pairs += 1;
                if pairs > MAX_PAIRS {
                    return Err(Tangle::Effort);
                }
                if edge.crosses(other) {
                    return Err(Tangle::Crossing);
                }
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
    square.contains(a)
        || square.contains(b)
        || square
            .edges()
            .iter()
            .any(|(c, d)| edges_cross(a, b, *c, *d))
}

/// An edge with what it takes along the x axis. The arc may bulge beyond its ends by no more than the height of its
/// bow, so the box is made larger by that.
struct Edge {
    a: Point,
    b: Point,
    low: f64,
    high: f64,
}

impl Edge {
    fn new((a, b): (Point, Point)) -> Self {
        let chord = b.minus(a).length_squared();
        // The height of the bow of an arc of chord c is 1 - sqrt(1 - c²/4), at most c²/4.
        let bow = (chord / 4.0).min(1.0) + 1e-15;
        Self {
            a,
            b,
            low: a.x.min(b.x) - bow,
            high: a.x.max(b.x) + bow,
        }
    }

    fn crosses(&self, other: &Self) -> bool {
        let far = |a: f64, b: f64, c: f64, d: f64, bow: f64| {
            a.max(b) + bow < c.min(d) || c.max(d) + bow < a.min(b)
        };
        let bow = (self.high - self.a.x.max(self.b.x)) + (other.high - other.a.x.max(other.b.x));
        !far(self.a.y, self.b.y, other.a.y, other.b.y, bow)
            && !far(self.a.z, self.b.z, other.a.z, other.b.z, bow)
            && edges_cross(self.a, self.b, other.a, other.b)
    }
}
