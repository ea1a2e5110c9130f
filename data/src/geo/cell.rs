//! S2 cells: the sphere as six faces of a cube, each divided into four again and again, down to about a centimetre.
//!
//! A number of 64 bits names a cell: three bits for the face, two a level along a space-filling (Hilbert) curve, a one,
//! zeros. So the cells inside a cell are a range of numbers. The numbers are those of the S2 library, because clients
//! and tools know them and stored values carry them.

use protocol::bounds::Fit as _;

use super::Point;
use super::point::SURELY_BEYOND;

/// Level of the smallest cells, the leaves.
pub const MAX_LEVEL: u32 = 30;

/// Cells along the edge of a face at the level of the leaves.
const LEAVES: u32 = 1 << MAX_LEVEL;

/// Four numbers of two bits for each of four orientations of the curve: where the quarter with these bits of i and j stands
/// on the curve.
const POSITION: u32 = table([0, 1, 3, 2, 0, 3, 1, 2, 2, 3, 1, 0, 2, 1, 3, 0]);

/// The reverse: the bits of i and j of the quarter at this place of the curve.
const QUARTER: u32 = table([0, 1, 3, 2, 0, 2, 3, 1, 3, 2, 0, 1, 3, 1, 0, 2]);

/// How the orientation changes inside the quarter at this place.
const TURN: u32 = table([1, 0, 0, 3, 1, 0, 0, 3, 1, 0, 0, 3, 1, 0, 0, 3]);

const fn table(entries: [u32; 16]) -> u32 {
    let mut packed = 0;
    let mut i = 0;
    while i < 16 {
        #[expect(
            clippy::indexing_slicing,
            reason = "the index is below 16, and this runs when compiled"
        )]
        {
            packed |= entries[i] << (2 * i);
        }
        i += 1;
    }
    packed
}

const fn look_up(table: u32, orientation: u32, place: u32) -> u32 {
    table >> (2 * (orientation * 4 + place)) & 3
}

/// The number of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u64);

impl CellId {
    /// The leaf that holds a point.
    #[must_use]
    pub fn leaf(point: Point) -> Self {
        let face = face(point);
        let (u, v) = face_uv(face, point);
        Self::of_leaf(face, leaf_index(st(u)), leaf_index(st(v)))
    }

    fn of_leaf(face: u32, i: u32, j: u32) -> Self {
        let mut orientation = face & 1;
        let mut id = u64::from(face);
        for level in (0..MAX_LEVEL).rev() {
            let quarter = (i >> level & 1) << 1 | (j >> level & 1);
            let position = look_up(POSITION, orientation, quarter);
            id = id << 2 | u64::from(position);
            orientation ^= look_up(TURN, 0, position);
        }
        Self(id << 1 | 1)
    }

    /// A whole face, 0 to 5.
    #[must_use]
    pub fn face(face: u32) -> Self {
        Self(u64::from(face) << 61 | 1 << 60)
    }

    fn lowest_bit(self) -> u64 {
        self.0 & self.0.wrapping_neg()
    }

    /// 0 for a face, 30 for a leaf.
    #[must_use]
    pub fn level(self) -> u32 {
        MAX_LEVEL.saturating_sub(self.0.trailing_zeros() / 2)
    }

    /// The cell of a lower level (a larger one) around this one.
    #[must_use]
    pub fn parent(self, level: u32) -> Self {
        let bit = 1_u64 << (2 * MAX_LEVEL.saturating_sub(level));
        Self(self.0 & bit.wrapping_neg() | bit)
    }

    /// The four quarters, in the order of the curve; none of a leaf.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let bit = self.lowest_bit() >> 2;
        let first = self.0.wrapping_sub(self.lowest_bit()).wrapping_add(bit);
        (0..4_u64)
            .take_while(move |_| bit != 0)
            .map(move |i| Self(first.wrapping_add(i * 2 * bit)))
    }

    /// First and last number of what lies inside, itself included.
    #[must_use]
    pub fn range(self) -> (u64, u64) {
        let inside = self.lowest_bit() - 1;
        (self.0 - inside, self.0 + inside)
    }

    /// Whether the other is the same cell or lies inside.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        let (first, last) = self.range();
        (first..=last).contains(&other.0)
    }

    /// The face that it is on, 0 to 5.
    pub(super) fn face_number(self) -> u32 {
        (self.0 >> 61).fit::<u32>() // three bits always fit
    }

    /// Face, and i and j of a leaf in it.
    fn parts(self) -> (u32, u32, u32) {
        let face = self.face_number();
        let (mut i, mut j, mut orientation) = (0, 0, face & 1);
        for level in (0..MAX_LEVEL).rev() {
            let position = (self.0 >> (2 * level + 1) & 3).fit::<u32>(); // two bits always fit
            let quarter = look_up(QUARTER, orientation, position);
            i = i << 1 | quarter >> 1;
            j = j << 1 | quarter & 1;
            orientation ^= look_up(TURN, 0, position);
        }
        (face, i, j)
    }

    /// The middle of a leaf.
    #[must_use]
    pub fn leaf_center(self) -> Point {
        let (face, i, j) = self.parts();
        let middle = |i: u32| uv((f64::from(i) + 0.5) / f64::from(LEAVES));
        point(face, middle(i), middle(j)).unit()
    }

    /// The cell as a piece of a face.
    pub(super) fn square(self) -> Square {
        let (face, i, j) = self.parts();
        let size = 1_u32 << MAX_LEVEL.saturating_sub(self.level());
        let side = |i: u32| {
            let low = i & size.wrapping_neg();
            [low, low + size].map(|edge| uv(f64::from(edge) / f64::from(LEAVES)))
        };
        let (u, v) = (side(i), side(j));
        let ([u0, u1], [v0, v1]) = (u, v);
        let corners = [(u0, v0), (u1, v0), (u1, v1), (u0, v1)];
        let corners = corners.map(|(u, v)| point(face, u, v).unit());
        let [a, b, c, d] = corners;
        Square {
            face,
            u,
            v,
            corners,
            inward: [(a, b), (b, c), (c, d), (d, a)].map(|(from, to)| from.cross(to)),
        }
    }
}

/// A cell as a piece of a face.
#[derive(Clone, Copy, Debug)]
pub(super) struct Square {
    face: u32,
    /// What it takes of its face, first and last, -1 to 1.
    pub(super) u: [f64; 2],
    pub(super) v: [f64; 2],
    /// Counter-clockwise.
    pub(super) corners: [Point; 4],
    /// What points away from the plane of each edge, to the side on which the square lies.
    inward: [Point; 4],
}

impl Square {
    pub(super) fn contains(&self, p: Point) -> bool {
        let (u, v) = face_uv(self.face, p);
        let within = |[low, high]: [f64; 2], value| low <= value && value <= high;
        is_ahead(self.face, p) && within(self.u, u) && within(self.v, v)
    }

    /// Whether two points, and so the arc between them, are surely beyond the same side. Not to be so says nothing.
    pub(super) fn lies_beyond_a_side(&self, a: Point, b: Point) -> bool {
        self.inward
            .iter()
            .any(|inward| inward.dot(a) < -SURELY_BEYOND && inward.dot(b) < -SURELY_BEYOND)
    }

    /// The four edges, counter-clockwise.
    pub(super) fn edges(&self) -> [(Point, Point); 4] {
        let [a, b, c, d] = self.corners;
        [(a, b), (b, c), (c, d), (d, a)]
    }
}

fn face(p: Point) -> u32 {
    let (x, y, z) = (p.x.abs(), p.y.abs(), p.z.abs());
    let (axis, value) = if x > y && x > z {
        (0, p.x)
    } else if y > z && x <= y {
        (1, p.y)
    } else {
        (2, p.z)
    };
    if value < 0.0 { axis + 3 } else { axis }
}

/// Whether a face shows a point: whether it lies before the plane through the middle that is parallel to the face.
pub(super) fn is_ahead(face: u32, p: Point) -> bool {
    let ahead = match face {
        0 => p.x,
        1 => p.y,
        2 => p.z,
        3 => -p.x,
        4 => -p.y,
        _ => -p.z,
    };
    ahead > 0.0
}

/// Where a face shows a point that is ahead: -1 to 1 on the face itself.
pub(super) fn face_uv(face: u32, p: Point) -> (f64, f64) {
    match face {
        0 => (p.y / p.x, p.z / p.x),
        1 => (-p.x / p.y, p.z / p.y),
        2 => (-p.x / p.z, -p.y / p.z),
        3 => (p.z / p.x, p.y / p.x),
        4 => (p.z / p.y, -p.x / p.y),
        _ => (-p.y / p.z, -p.x / p.z),
    }
}

fn point(face: u32, u: f64, v: f64) -> Point {
    match face {
        0 => Point::new(1.0, u, v),
        1 => Point::new(-u, 1.0, v),
        2 => Point::new(-u, -v, 1.0),
        3 => Point::new(-1.0, -v, -u),
        4 => Point::new(v, -1.0, -u),
        _ => Point::new(v, u, -1.0),
    }
}

/// From a place on the cube, -1 to 1, to one in which cells have nearly the same size on the sphere, 0 to 1.
fn st(u: f64) -> f64 {
    if u >= 0.0 {
        0.5 * (1.0 + 3.0 * u).sqrt()
    } else {
        1.0 - 0.5 * (1.0 - 3.0 * u).sqrt()
    }
}

fn uv(s: f64) -> f64 {
    if s >= 0.5 {
        (1.0 / 3.0) * (4.0 * s * s - 1.0)
    } else {
        (1.0 / 3.0) * (1.0 - 4.0 * (1.0 - s) * (1.0 - s))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range before"
)]
fn leaf_index(s: f64) -> u32 {
    (s * f64::from(LEAVES))
        .floor()
        .clamp(0.0, f64::from(LEAVES - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that the S2 library gives, as its documentation and the real server's stored points show them.
    #[test]
    fn numbers_are_those_of_s2() {
        assert_eq!(CellId::face(0).0, 0x1000_0000_0000_0000);
        assert_eq!(
            CellId::leaf(Point::new(1.0, 0.0, 0.0)).0,
            0x1000_0000_0000_0001
        );
        let mountain_view = CellId::leaf(Point::from_degrees(-122.0838, 37.3861));
        assert_eq!(mountain_view.parent(8).0 >> 44, 0x0008_08fb);
    }

    #[test]
    fn a_leaf_and_its_middle_find_each_other() {
        for i in 0..2000_u32 {
            let longitude = f64::from(i) * 0.179 - 179.0;
            let latitude = (f64::from(i) * 0.731).sin() * 89.9;
            let point = Point::from_degrees(longitude, latitude);
            let leaf = CellId::leaf(point);
            assert_eq!(leaf.level(), 30);
            assert_eq!(CellId::leaf(leaf.leaf_center()), leaf);
            assert!(leaf.leaf_center().minus(point).length_squared() < 1e-17);
            for level in 0..30 {
                let parent = leaf.parent(level);
                assert_eq!(parent.level(), level);
                assert!(parent.contains(leaf) && parent.square().contains(leaf.leaf_center()));
                assert_eq!(parent.children().filter(|c| c.contains(leaf)).count(), 1);
            }
        }
    }
}
