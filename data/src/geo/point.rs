//! Points on the unit sphere and on which side of an edge they lie, decided exactly.

use robust::{Coord, Coord3D};

/// A point on the unit sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
}

impl Point {
    pub(super) const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// From degrees.
    #[must_use]
    pub fn from_degrees(longitude: f64, latitude: f64) -> Self {
        let (longitude, latitude) = (longitude.to_radians(), latitude.to_radians());
        let (sin, cos) = (latitude.sin(), latitude.cos());
        Self::new(cos * longitude.cos(), cos * longitude.sin(), sin)
    }

    pub(super) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(super) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }

    pub(super) fn length_squared(self) -> f64 {
        self.dot(self)
    }

    pub(super) fn unit(self) -> Self {
        let length = self.length_squared().sqrt();
        Self::new(self.x / length, self.y / length, self.z / length)
    }

    pub(super) fn opposite(self) -> Self {
        Self::new(-self.x, -self.y, -self.z)
    }

    /// A direction at right angles, the same for the same point.
    fn aside(self) -> Self {
        let (x, y, z) = (self.x.abs(), self.y.abs(), self.z.abs());
        let other = if x > y && x > z {
            Self::new(0.012, 0.0053, 1.0)
        } else if y > z {
            Self::new(1.0, 0.0053, 0.00457)
        } else {
            Self::new(0.012, 1.0, 0.00457)
        };
        self.cross(other).unit()
    }

    fn is_before(self, other: Self) -> bool {
        (self.x, self.y, self.z) < (other.x, other.y, other.z)
    }
}

/// How far from a plane a point of the sphere must be computed to be, to be on that side whatever the rounding.
pub(super) const SURELY_BEYOND: f64 = 1e-14;

/// Sign of `a × b · c`: 1 when the three run counter-clockwise, -1 clockwise. 0 only if two of them are the same.
///
/// Exact; three points on one great circle are decided as if each were moved by an amount of its own that is smaller
/// than any number ("simulation of simplicity"), so that all answers about the same points agree with each other.
pub(super) fn sign(a: Point, b: Point, c: Point) -> i32 {
    if a == b || b == c || c == a {
        return 0;
    }
    if let Some(sign) = sure_sign(a, b, c) {
        return sign;
    }
    let exact = robust::orient3d(coord(a), coord(b), coord(c), coord(ZERO));
    match of(exact) {
        0 => perturbed(a, b, c),
        sign => sign,
    }
}

/// How much of the product of two lengths the determinant of their directions is computed wrong at most; it is less than
/// 1e-15, see `s2::StableSign`.
const SIGN_ERROR: f64 = 2e-15;

/// The same where plain arithmetic has it for sure: nearly always, and for a tenth of the price. From differences, so that
/// it has it for points close together as well.
pub(super) fn sure_sign(a: Point, b: Point, c: Point) -> Option<i32> {
    let (from_c_to_a, from_c_to_b) = (a.minus(c), b.minus(c));
    let volume = from_c_to_a.cross(from_c_to_b).dot(c);
    let lengths = from_c_to_a.length_squared() * from_c_to_b.length_squared();
    (volume * volume > SIGN_ERROR * SIGN_ERROR * lengths).then(|| of(volume))
}

const ZERO: Point = Point::new(0.0, 0.0, 0.0);

fn coord(p: Point) -> Coord3D<f64> {
    Coord3D {
        x: p.x,
        y: p.y,
        z: p.z,
    }
}

fn of(value: f64) -> i32 {
    if value > 0.0 {
        1
    } else if value < 0.0 {
        -1
    } else {
        0
    }
}

/// Exact sign of `a · d - b · c`, the determinant of two rows.
fn plane(a: f64, b: f64, c: f64, d: f64) -> i32 {
    of(robust::orient2d(
        Coord { x: a, y: b },
        Coord { x: c, y: d },
        Coord { x: 0.0, y: 0.0 },
    ))
}

/// The sign of three points on one great circle: the first of the terms, in falling order of size, that is not zero.
fn perturbed(a: Point, b: Point, c: Point) -> i32 {
    let (mut a, mut b, mut c, mut turns) = (a, b, c, 1);
    if b.is_before(a) {
        (a, b, turns) = (b, a, -turns);
    }
    if c.is_before(b) {
        (b, c, turns) = (c, b, -turns);
    }
    if b.is_before(a) {
        (a, b, turns) = (b, a, -turns);
    }
    let terms: [&dyn Fn() -> i32; 12] = [
        &|| plane(b.x, b.y, c.x, c.y),
        &|| plane(b.z, b.x, c.z, c.x),
        &|| plane(b.y, b.z, c.y, c.z),
        &|| plane(c.x, c.y, a.x, a.y),
        &|| of(c.x),
        &|| -of(c.y),
        &|| plane(c.z, c.x, a.z, a.x),
        &|| of(c.z),
        &|| plane(a.x, a.y, b.x, b.y),
        &|| -of(b.x),
        &|| of(b.y),
        &|| of(a.x),
    ];
    let mut terms = terms.into_iter().map(|term| term());
    turns * terms.find(|term| *term != 0).unwrap_or(1)
}

/// Whether `a`, `b`, `c` are met in this order when one turns counter-clockwise around `center`.
fn is_turn(a: Point, b: Point, c: Point, center: Point) -> bool {
    let votes = [
        sign(b, center, a) >= 0,
        sign(c, center, b) >= 0,
        sign(a, center, c) > 0,
    ];
    votes.into_iter().filter(|vote| *vote).count() >= 2
}

/// Whether the inside of two edges has a point in common. Edges that share an end do not.
pub(super) fn edges_cross(a: Point, b: Point, c: Point, d: Point) -> bool {
    let acb = -sign(a, b, c);
    if acb == 0 {
        return false;
    }
    let bda = sign(a, b, d);
    acb == bda && acb == -sign(c, d, b) && acb == sign(c, d, a)
}

/// Whether going from `a` to `b` changes the side of a closed line, as far as its edge from `c` to `d` is concerned:
/// like [`edges_cross`], and at a common end for exactly one of the edges that meet there.
pub(super) fn changes_side(a: Point, b: Point, c: Point, d: Point) -> bool {
    if a == b || c == d {
        false
    } else if a == d {
        is_turn(a.aside(), c, b, a)
    } else if b == c {
        is_turn(b.aside(), d, a, b)
    } else if a == c {
        b == d || is_turn(a.aside(), d, b, a)
    } else if b == d {
        is_turn(b.aside(), c, a, b)
    } else {
        edges_cross(a, b, c, d)
    }
}

/// Whether a corner of a closed line belongs to its left side, by the rule of [`changes_side`].
pub(super) fn corner_is_inside(before: Point, corner: Point, after: Point) -> bool {
    is_turn(corner.aside(), before, after, corner)
}
