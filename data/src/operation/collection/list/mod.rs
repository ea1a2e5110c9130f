//! Operations on lists.

mod modify;
mod select;
mod unique;
mod value_list;

use super::super::arguments::{Arguments, malformed};
use super::answer::{Reply, block, inapplicable, range, single};
use super::stored::{Rebuilt, Stored};
use super::{Done, unchanged};
use crate::operation::OperationError;
use crate::work::Meter;
pub(super) use modify::{moved, order_flags};
pub(super) use value_list::split as split_values;

/// The number of elements of a range where none is given.
const ALL: u64 = u32::MAX as u64;

/// The number of elements at this place of the arguments.
pub(super) fn number(arguments: &Arguments<'_>, place: usize) -> Result<u64, OperationError> {
    Ok(arguments.optional_unsigned(place)?.unwrap_or(ALL))
}

/// Applies a list operation.
pub(super) fn apply<'a>(
    list: &Stored<'a>,
    arguments: &Arguments<'a>,
    work: &mut dyn Meter,
) -> Result<Done<'a>, OperationError> {
    match arguments.number {
        0..=13 => modify::apply(list, arguments, work),
        16 => unchanged(Reply::number(list.count)),
        17 => {
            let index = arguments.integer(0)?;
            let place = single(index, list.count).ok_or_else(|| out_of_range(index, list.count))?;
            unchanged(Reply::Element(list.item(place, work)?))
        }
        18 => {
            let range = range(arguments.integer(0)?, number(arguments, 1)?, list.count);
            unchanged(block(list.span(&range, work)?, range.len()))
        }
        19..=27 => select::apply(list, arguments.number, arguments, work)
            .map(|selected| (None, selected.reply)),
        32..=40 => {
            let selected = select::apply(list, arguments.number - 13, arguments, work)?;
            let rebuilt = selected.remove(list, work)?;
            Ok((rebuilt, selected.reply))
        }
        number => Err(malformed(&format!("there is no list operation {number}"))),
    }
}

/// The error of an index or rank that is not there.
pub(super) fn out_of_range(index: i64, count: usize) -> OperationError {
    inapplicable(format!("{index} is out of range of {count} elements"))
}

/// The list with these parts.
fn rebuilt<'a>(
    list: &Stored<'a>,
    count: usize,
    parts: impl IntoIterator<Item = std::borrow::Cow<'a, [u8]>>,
) -> Option<Rebuilt<'a>> {
    Some(Rebuilt::of(list, count, parts))
}
