//! One line of the log.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use protocol::bounds::Within as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Level as EventLevel};

use super::context::EventContext;
use super::{CONTEXTS, Level};

/// Bytes of a line at most, without its line feed.
const LINE_BYTES_MAX: usize = 4_095;

/// The end of the year 9999 in milliseconds: the calendar has no later days.
const CALENDAR_END_MS: u64 = 253_402_300_800_000;

/// The level of an event by Aerospike's names.
pub(super) fn level_of(level: EventLevel) -> Level {
    match level {
        EventLevel::ERROR => Level::Critical,
        EventLevel::WARN => Level::Warning,
        EventLevel::INFO => Level::Info,
        EventLevel::DEBUG => Level::Debug,
        EventLevel::TRACE => Level::Detail,
    }
}

/// `Nov 25 2026 03:00:00 GMT`, with `.123` behind the seconds on demand.
pub(super) fn time(out: &mut String, unix_ms: u64, millis: bool) {
    if unix_ms < CALENDAR_END_MS {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms);
        // `Wed, 25 Nov 2026 03:00:00 GMT`: each part has its place.
        let date = HttpDate::from(time).to_string();
        for part in [8..12, 5..8, 12..25] {
            out.push_str(date.within(part));
        }
    } else {
        out.push_str(&(unix_ms / 1_000).to_string());
    }
    // Writing to a String cannot fail.
    if millis {
        let _ = write!(out, ".{:03}", unix_ms % 1_000);
    }
    out.push_str(" GMT");
}

/// Writes the whole line, its line feed included.
pub(super) fn write(
    event: &Event<'_>,
    context: &EventContext,
    level: Level,
    unix_ms: u64,
    millis: bool,
) -> String {
    let mut line = String::with_capacity(160);
    time(&mut line, unix_ms, millis);
    let name = CONTEXTS.get(context.position).copied().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(line, ": {level} ({name}): ");
    let metadata = event.metadata();
    if let (false, Some(file)) = (context.is_script, metadata.file()) {
        let file = file.rsplit('/').next().unwrap_or(file);
        let _ = write!(line, "({file}:{}) ", metadata.line().unwrap_or(0));
    }
    let mut fields = Fields {
        message: String::new(),
        others: String::new(),
    };
    event.record(&mut fields);
    let text = fields.message + &fields.others;
    // A text may come from a script or a peer: it must not fake lines of its own.
    for character in text.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\0' => line.push_str("\\0"),
            '\t' => line.push('\t'),
            // Nor may it reach a terminal as an order, or turn the text around.
            other if other.is_control() || is_mark(other) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(other));
            }
            other => line.push(other),
        }
        if line.len() > LINE_BYTES_MAX {
            break;
        }
    }
    let mut end = line.len().min(LINE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line.push('\n');
    line
}

/// Marks that change the direction of the text behind them.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A whole line of the log about itself, its line feed included.
pub(super) fn plain(level: Level, text: &str, unix_ms: u64, millis: bool) -> String {
    let mut line = String::with_capacity(160);
    time(&mut line, unix_ms, millis);
    // Writing to a String cannot fail.
    let _ = writeln!(line, ": {level} (misc): {text}");
    line
}

/// The message, and ` name=value` for each other field.
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => {
                let _ = write!(self.others, " {name}={value}");
            }
        }
    }
}
