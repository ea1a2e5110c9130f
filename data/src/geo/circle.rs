use super::{Point, cell::Square};

/// Radius of the Earth in meters, as the real server takes it.
const EARTH_RADIUS: f64 = 6_371_000.0;

/// All points within a distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    center: Point,
    /// Half of the square of the chord from the middle to the rim: 0 to 2, below 0 for no point at all.
    height: f64,
}

impl Circle {
    /// A radius below zero gives a circle without points.
    pub(super) fn new(center: Point, radius_in_meters: f64) -> Self {
        let angle = radius_in_meters / EARTH_RADIUS;
        let height = if angle < 0.0 {
            -1.0
        } else if angle >= std::f64::consts::PI {
            2.0
        } else {
            let half = (0.5 * angle).sin();
            2.0 * half * half
        };
        Self { center, height }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.height >= 2.0
    }

    pub(super) fn contains(&self, p: Point) -> bool {
        p.minus(self.center).length_squared() <= 2.0 * self.height
    }

    pub(super) fn touches(&self, square: &Square) -> bool {
        square.corners.iter().any(|corner| self.contains(*corner)) || self.reaches_into(square)
    }

    pub(super) fn covers(&self, square: &Square) -> bool {
        square.corners.iter().all(|corner| self.contains(*corner))
            && !self.outside().reaches_into(square)
    }

    fn outside(&self) -> Self {
        Self {
            center: self.center.opposite(),
            height: if self.height >= 2.0 {
                -1.0
            } else {
                2.0 - self.height.max(0.0)
            },
        }
    }

    /// Whether the circle meets the square although it holds none of its corners.
    fn reaches_into(&self, square: &Square) -> bool {
        // A square that a circle larger than a hemisphere meets without a corner would be as large.
        if self.height >= 1.0 || self.height < 0.0 {
            return false;
        }
        if square.contains(self.center) {
            return true;
        }
        let sin_squared = self.height * (2.0 - self.height);
        for (a, b) in square.edges() {
            // Points inwards.
            let edge = a.cross(b);
            let side = self.center.dot(edge);
            if side > 0.0 {
                continue;
            }
            if side * side > sin_squared * edge.length_squared() {
                return false;
            }
            let across = edge.cross(self.center);
            if across.dot(a) < 0.0 && across.dot(b) > 0.0 {
                return true;
            }
        }
        false
    }
}
