//! GeoJSON values: read and checked, points in regions on the sphere, cells and coverings for indexes.
//!
//! Positions are degrees, radii meters; edges are great circles. The test of a point against a region is exact for the
//! middle of the point's smallest cell (about a centimetre wide): that is what the real server asks.
//!
//! All work is counted by a [`Meter`] as it is done. It is proportional to the corners, of whose edges no more than a
//! number lie side by side: reading a polygon and covering it takes some microseconds a corner.

mod cell;
mod circle;
mod covering;
mod flat;
mod json;
mod parse;
mod point;
mod polygon;
mod ring;
#[cfg(test)]
mod tests;

use protocol::particle::{Particle, ParticleRef, ParticleType};

use crate::work::{Meter, TimeIsUp};

pub use cell::{CellId, MAX_LEVEL};
pub use circle::Circle;
pub use covering::Fineness;
pub use point::Point;
pub use polygon::Polygon;
pub use ring::Ring;

/// What a GeoJSON text says.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// A place.
    Point(Place),
    /// Many places.
    Region(Region),
}

/// A point as regions and indexes know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The smallest cell that it is in.
    pub cell: CellId,
    center: Point,
}

/// A part of the sphere.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// All within a distance.
    Circle(Circle),
    /// Everything that is in one of these.
    Polygons(Vec<Polygon>),
}

/// Why a text is no geometry. Stored values answer 160, queries and expressions 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeoError {
    /// No JSON object, or more than one.
    #[error("no JSON object: byte {byte} is out of place")]
    Json {
        /// Where reading ended.
        byte: usize,
    },
    /// A member that must be there is not, or is no text where it must be one.
    #[error("member `{0}` is missing or of another type")]
    Missing(&'static str),
    /// Neither `Point`, `Polygon`, `MultiPolygon`, `AeroCircle` nor a `Feature` with one.
    #[error("the type is none of Point, Polygon, MultiPolygon, AeroCircle, Feature")]
    Kind,
    /// Not the numbers and arrays that the type has.
    #[error("the coordinates are not those of the type")]
    Coordinates,
    /// Degrees beyond 180 and 90.
    #[error("longitude beyond 180 or latitude beyond 90 degrees")]
    Range,
    /// A ring that is open or has too few corners.
    #[error("a ring has fewer than four positions or is not closed")]
    Ring,
    /// Edges of a polygon cross.
    #[error("edges of the polygon cross")]
    Crossing,
    /// A polygon with so many edges side by side that they cannot be compared in time.
    #[error("too many edges of the polygon lie side by side")]
    Effort,
    /// The time of the request is up.
    #[error(transparent)]
    Time(#[from] TimeIsUp),
    /// A circle that is everything has no covering.
    #[error("the circle is larger than the Earth")]
    Everything,
    /// The bytes before the text are cut short.
    #[error("the cells before the text are cut short")]
    Cells,
}

impl Geometry {
    /// Reads a GeoJSON text.
    ///
    /// Errors: [`GeoError`], when the text is not a JSON object of one of the known types with its coordinates, and when
    /// the time is up.
    pub fn parse(text: &[u8], work: &mut dyn Meter) -> Result<Self, GeoError> {
        parse::parse(text, work)
    }

    /// Whether one is a point, the other a region, and the point inside.
    ///
    /// # Errors
    /// The time is up.
    pub fn matches(&self, other: &Self, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        match (self, other) {
            (Self::Point(place), Self::Region(region))
            | (Self::Region(region), Self::Point(place)) => region.contains(*place, work),
            _ => Ok(false),
        }
    }

    /// Cells that hold all of it, in order of their numbers: one leaf for a point.
    ///
    /// Errors: [`GeoError::Everything`], [`GeoError::Time`].
    pub fn cover(&self, fineness: Fineness, work: &mut dyn Meter) -> Result<Vec<CellId>, GeoError> {
        match self {
            Self::Point(place) => Ok(vec![place.cell]),
            Self::Region(Region::Circle(circle)) if circle.is_everything() => {
                Err(GeoError::Everything)
            }
            Self::Region(region) => Ok(covering::cover(region, fineness, work)?),
        }
    }
}

impl Region {
    /// Whether a point is inside.
    ///
    /// # Errors
    /// The time is up.
    pub fn contains(&self, place: Place, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        self.holds(place.center, work)
    }

    fn holds(&self, point: Point, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        match self {
            Self::Circle(circle) => Ok(circle.contains(point)),
            Self::Polygons(polygons) => {
                // Even one that is told to be elsewhere by a single look costs that.
                work.steps(polygons.len())?;
                for polygon in polygons {
                    if polygon.contains(point, work)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// Checks the text of a value that is to be stored.
///
/// Errors: [`GeoError`]; the answer is then [`protocol::result_code::ResultCode::GEO_INVALID_GEOJSON`].
pub fn validate(text: &[u8], work: &mut dyn Meter) -> Result<Geometry, GeoError> {
    let geometry = Geometry::parse(text, work)?;
    match &geometry {
        Geometry::Region(Region::Circle(circle)) if circle.is_everything() => {
            Err(GeoError::Everything)
        }
        _ => Ok(geometry),
    }
}

/// The form in which a GeoJSON particle of a request is stored: flags 0, the cells of its covering, the text.
///
/// Errors: as [`validate`], and when the bytes before the text are cut short.
pub fn stored(data: &[u8], work: &mut dyn Meter) -> Result<Particle, GeoError> {
    let text = ParticleRef::new(ParticleType::GEOJSON, data)
        .as_geojson()
        .ok_or(GeoError::Cells)?;
    let cells = validate(text, work)?.cover(Fineness::STORED, work)?;
    let mut data = Vec::with_capacity(3 + cells.len() * 8 + text.len());
    data.push(0);
    // A covering has a few dozen cells at most.
    data.extend_from_slice(&u16::try_from(cells.len()).unwrap_or(u16::MAX).to_be_bytes());
    for cell in &cells {
        data.extend_from_slice(&cell.0.to_be_bytes());
    }
    data.extend_from_slice(text);
    Ok(Particle::new(ParticleType::GEOJSON, data))
}
