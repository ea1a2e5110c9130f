//! From GeoJSON text to a geometry.

use super::json::Json;
use super::polygon::Tangle;
use super::{CellId, Circle, GeoError, Geometry, Place, Point, Polygon, Region, Ring};
use crate::work::Meter;

/// Units of work: a byte of a text that is checked, before its members are read, and a position.
const BYTE_UNITS: usize = 8;
const POSITION_UNITS: usize = 256;

/// The members that are read, each as its text.
#[derive(Default)]
struct Members<'a> {
    kind: Option<&'a [u8]>,
    coordinates: Option<&'a [u8]>,
    geometry: Option<&'a [u8]>,
}

/// Reads the text of a geometry, or of a `Feature` with one.
pub(super) fn parse(text: &[u8], work: &mut dyn Meter) -> Result<Geometry, GeoError> {
    let members = members(text, work)?;
    if kind(&members)? != "Feature" {
        return geometry(&members, work);
    }
    let inner = members.geometry.ok_or(GeoError::Missing("geometry"))?;
    geometry(&self::members(inner, work)?, work)
}

fn members<'a>(text: &'a [u8], work: &mut dyn Meter) -> Result<Members<'a>, GeoError> {
    work.spend(text.len() * BYTE_UNITS)?;
    let mut members = Members::default();
    let mut json = Json::new(text);
    let complete = json.members(|name, value| match name {
        "type" => members.kind = Some(value),
        "coordinates" => members.coordinates = Some(value),
        "geometry" => members.geometry = Some(value),
        _ => {}
    });
    match complete {
        Some(()) if json.is_finished() => Ok(members),
        _ => Err(GeoError::Json { byte: json.at() }),
    }
}

fn kind(members: &Members<'_>) -> Result<String, GeoError> {
    members
        .kind
        .and_then(|text| Json::new(text).string())
        .ok_or(GeoError::Missing("type"))
}

fn geometry(members: &Members<'_>, work: &mut dyn Meter) -> Result<Geometry, GeoError> {
    let kind = kind(members)?;
    let read: fn(&mut Json<'_>, &mut dyn Meter) -> Result<Geometry, GeoError> = match kind.as_str()
    {
        "Point" => |json, work| Ok(Geometry::Point(Place::new(position(json, work)?))),
        "Polygon" => |json, work| {
            let polygon = polygon(json, work)?;
            Ok(Geometry::Region(Region::Polygons(vec![polygon])))
        },
        "MultiPolygon" => |json, work| {
            let polygons = each(json, work, polygon)?;
            Ok(Geometry::Region(Region::Polygons(polygons)))
        },
        "AeroCircle" => |json, work| Ok(Geometry::Region(Region::Circle(circle(json, work)?))),
        _ => return Err(GeoError::Kind),
    };
    let text = members
        .coordinates
        .ok_or(GeoError::Missing("coordinates"))?;
    read(&mut Json::new(text), work)
}

/// The elements of an array.
fn each<T>(
    json: &mut Json<'_>,
    work: &mut dyn Meter,
    element: impl Fn(&mut Json<'_>, &mut dyn Meter) -> Result<T, GeoError>,
) -> Result<Vec<T>, GeoError> {
    let mut out = Vec::new();
    if !json.eat(b'[') {
        return Err(GeoError::Coordinates);
    }
    if json.eat(b']') {
        return Ok(out);
    }
    loop {
        out.push(element(json, work)?);
        if json.eat(b']') {
            return Ok(out);
        }
        if !json.eat(b',') {
            return Err(GeoError::Coordinates);
        }
    }
}

fn expect(json: &mut Json<'_>, byte: u8) -> Result<(), GeoError> {
    match json.eat(byte) {
        true => Ok(()),
        false => Err(GeoError::Coordinates),
    }
}

/// `[longitude, latitude]`.
fn position(json: &mut Json<'_>, work: &mut dyn Meter) -> Result<Point, GeoError> {
    work.spend(POSITION_UNITS)?;
    expect(json, b'[')?;
    let longitude = json.number().ok_or(GeoError::Coordinates)?;
    expect(json, b',')?;
    let latitude = json.number().ok_or(GeoError::Coordinates)?;
    expect(json, b']')?;
    if longitude.abs() > 180.0 || latitude.abs() > 90.0 {
        return Err(GeoError::Range);
    }
    Ok(Point::from_degrees(longitude, latitude))
}

/// `[[longitude, latitude], radius]`.
fn circle(json: &mut Json<'_>, work: &mut dyn Meter) -> Result<Circle, GeoError> {
    expect(json, b'[')?;
    let center = position(json, work)?;
    expect(json, b',')?;
    let radius = json.number().ok_or(GeoError::Coordinates)?;
    expect(json, b']')?;
    Ok(Circle::new(center, radius))
}

/// Rings, the outer one first.
fn polygon(json: &mut Json<'_>, work: &mut dyn Meter) -> Result<Polygon, GeoError> {
    Polygon::new(each(json, work, ring)?, work).map_err(|tangle| match tangle {
        Tangle::Crossing => GeoError::Crossing,
        Tangle::Effort => GeoError::Effort,
        Tangle::Time(time) => time.into(),
    })
}

/// At least four positions without repeats, the last one that of the first.
fn ring(json: &mut Json<'_>, work: &mut dyn Meter) -> Result<Ring, GeoError> {
    let mut corners = each(json, work, position)?;
    corners.dedup();
    if corners.len() < 4 || corners.first() != corners.last() {
        return Err(GeoError::Ring);
    }
    corners.pop();
    Ok(Ring::new(corners, work)?)
}

impl Place {
    fn new(exact: Point) -> Self {
        let cell = CellId::leaf(exact);
        Self {
            cell,
            center: cell.leaf_center(),
        }
    }
}
