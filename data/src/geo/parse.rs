//! From GeoJSON text to a geometry.

use super::json::Json;
use super::polygon::Tangle;
use super::{CellId, Circle, GeoError, Geometry, Place, Point, Polygon, Region, Ring};

/// The members that are read, each as its text.
#[derive(Default)]
struct Members<'a> {
    kind: Option<&'a [u8]>,
    coordinates: Option<&'a [u8]>,
    geometry: Option<&'a [u8]>,
}

/// Reads the text of a geometry, or of a `Feature` with one.
pub(super) fn parse(text: &[u8]) -> Result<Geometry, GeoError> {
    let members = members(text)?;
    if kind(&members)? != "Feature" {
        return geometry(&members);
    }
    let inner = members.geometry.ok_or(GeoError::Missing("geometry"))?;
    geometry(&self::members(inner)?)
}

fn members(text: &[u8]) -> Result<Members<'_>, GeoError> {
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

fn geometry(members: &Members<'_>) -> Result<Geometry, GeoError> {
    let kind = kind(members)?;
    let read: fn(&mut Json<'_>) -> Result<Geometry, GeoError> = match kind.as_str() {
        "Point" => |json| Ok(Geometry::Point(Place::new(position(json)?))),
        "Polygon" => |json| Ok(Geometry::Region(Region::Polygons(vec![polygon(json)?]))),
        "MultiPolygon" => |json| Ok(Geometry::Region(Region::Polygons(each(json, polygon)?))),
        "AeroCircle" => |json| Ok(Geometry::Region(Region::Circle(circle(json)?))),
        _ => return Err(GeoError::Kind),
    };
    let text = members
        .coordinates
        .ok_or(GeoError::Missing("coordinates"))?;
    read(&mut Json::new(text))
}

/// The elements of an array.
fn each<T>(
    json: &mut Json<'_>,
    mut element: impl FnMut(&mut Json<'_>) -> Result<T, GeoError>,
) -> Result<Vec<T>, GeoError> {
    let mut out = Vec::new();
    if !json.eat(b'[') {
        return Err(GeoError::Coordinates);
    }
    if json.eat(b']') {
        return Ok(out);
    }
    loop {
        out.push(element(json)?);
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
fn position(json: &mut Json<'_>) -> Result<Point, GeoError> {
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
fn circle(json: &mut Json<'_>) -> Result<Circle, GeoError> {
    expect(json, b'[')?;
    let center = position(json)?;
    expect(json, b',')?;
    let radius = json.number().ok_or(GeoError::Coordinates)?;
    expect(json, b']')?;
    Ok(Circle::new(center, radius))
}

/// Rings, the outer one first.
fn polygon(json: &mut Json<'_>) -> Result<Polygon, GeoError> {
    Polygon::new(each(json, ring)?).map_err(|tangle| match tangle {
        Tangle::Crossing => GeoError::Crossing,
        Tangle::Effort => GeoError::Effort,
    })
}

/// At least four positions without repeats, the last one that of the first.
fn ring(json: &mut Json<'_>) -> Result<Ring, GeoError> {
    let mut corners = each(json, position)?;
    corners.dedup();
    if corners.len() < 4 || corners.first() != corners.last() {
        return Err(GeoError::Ring);
    }
    corners.pop();
    Ok(Ring::new(corners))
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
