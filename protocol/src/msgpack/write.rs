use bytes::BufMut;

use crate::bounds::Fit as _;
use crate::particle::ParticleType;

/// Writes nil.
pub fn write_nil(out: &mut impl BufMut) {
    out.put_u8(0xc0);
}

/// Writes a truth value.
pub fn write_bool(out: &mut impl BufMut, value: bool) {
    out.put_u8(if value { 0xc3 } else { 0xc2 });
}

/// Writes an integer in its smallest form: unsigned forms from 0, signed ones below.
pub fn write_integer(out: &mut impl BufMut, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        match (
            u8::try_from(value),
            u16::try_from(value),
            u32::try_from(value),
        ) {
            (Ok(value @ ..=0x7f), ..) => out.put_u8(value),
            (Ok(value), ..) => out.put_slice(&[0xcc, value]),
            (_, Ok(value), _) => {
                out.put_u8(0xcd);
                out.put_u16(value);
            }
            (_, _, Ok(value)) => {
                out.put_u8(0xce);
                out.put_u32(value);
            }
            _ => {
                out.put_u8(0xcf);
                out.put_u64(value);
            }
        }
        return;
    }
    match (
        i8::try_from(value),
        i16::try_from(value),
        i32::try_from(value),
    ) {
        (Ok(value @ -32..), ..) => out.put_i8(value),
        (Ok(value), ..) => {
            out.put_u8(0xd0);
            out.put_i8(value);
        }
        (_, Ok(value), _) => {
            out.put_u8(0xd1);
            out.put_i16(value);
        }
        (_, _, Ok(value)) => {
            out.put_u8(0xd2);
            out.put_i32(value);
        }
        _ => {
            out.put_u8(0xd3);
            out.put_i64(value);
        }
    }
}

/// Writes a double.
pub fn write_float(out: &mut impl BufMut, value: f64) {
    out.put_u8(0xcb);
    out.put_f64(value);
}

/// Writes a string, blob or GeoJSON text: the type goes before the content.
pub fn write_text(out: &mut impl BufMut, kind: ParticleType, content: &[u8]) {
    write_text_header(out, content.len() + 1);
    out.put_u8(kind.0);
    out.put_slice(content);
}

/// Head of the str family. `size` counts the type byte. Sizes of more than 32 bits do not occur: a frame is smaller.
pub(crate) fn write_text_header(out: &mut impl BufMut, size: usize) {
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(size @ ..=31), _) => out.put_u8(0xa0 | size),
        (Ok(size), _) => out.put_slice(&[0xd9, size]),
        (_, Ok(size)) => {
            out.put_u8(0xda);
            out.put_u16(size);
        }
        _ => {
            out.put_u8(0xdb);
            out.put_u32(size.fit::<u32>());
        }
    }
}

/// Writes the head of a list of so many elements, order metadata included.
pub fn write_list_header(out: &mut impl BufMut, count: usize) {
    write_collection_header(out, count, 0x90, 0xdc, 0xdd);
}

/// Writes the head of a map of so many pairs, order metadata included.
pub fn write_map_header(out: &mut impl BufMut, count: usize) {
    write_collection_header(out, count, 0x80, 0xde, 0xdf);
}

fn write_collection_header(out: &mut impl BufMut, count: usize, fix: u8, short: u8, long: u8) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count @ ..=15), _) => out.put_u8(fix | count),
        (_, Ok(count)) => {
            out.put_u8(short);
            out.put_u16(count);
        }
        _ => {
            out.put_u8(long);
            out.put_u32(count.fit::<u32>());
        }
    }
}

/// Writes order metadata: the first element of a list; the first key of a map, where a nil must follow.
pub fn write_order(out: &mut impl BufMut, flags: u8) {
    out.put_slice(&[0xc7, 0x00, flags]);
}
