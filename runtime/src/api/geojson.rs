//! The type `GeoJSON` and the global `geojson`.

use crate::machine::frame::{Frame, Raise};
use crate::machine::object::{Class, Metamethods, Object};
use crate::machine::value::Text;

/// Defines the global `geojson`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    frame.define_callable("geojson", &[], construct);
    frame.push_table(0, 0);
    frame.define_class(
        Class::GeoJson,
        &Metamethods {
            methods: &[("__tostring", tostring)],
        },
    );
    frame.pop(1);
}

/// `geojson(text)`; the text is not looked at.
fn construct(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.top() != 2 || frame.is_absent(2) {
        return Ok(0);
    }
    let text = frame.check_bytes(2)?;
    frame.push_object(Object::GeoJson(Text::new(&frame.shared().memory, text)));
    Ok(1)
}

/// The text in double quotes.
fn tostring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let Object::GeoJson(text) = frame.check_object(1, Class::GeoJson)? else {
        return Ok(0);
    };
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    quoted.extend(text.iter());
    quoted.push(b'"');
    frame.push_bytes(&quoted);
    Ok(1)
}
