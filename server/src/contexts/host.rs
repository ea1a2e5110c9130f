//! The server as who runs scripts: their lines go to its log, the time of day comes from its clock.

use runtime::host::{Host, Lane, Level, ScriptLine};

use super::lane::slow_lane;
use crate::clock;
use crate::log::{SCRIPT_STREAM, SCRIPT_UDF};

/// This server.
#[derive(Clone, Copy, Debug)]
pub struct ServerHost;

impl Host for ServerHost {
    fn unix_ms(&self) -> u64 {
        clock::unix_ms()
    }

    fn line(&self, line: &ScriptLine<'_>) {
        let ScriptLine {
            level,
            source,
            line,
            text,
            in_stream,
        } = *line;
        // The target of an event is a constant.
        macro_rules! line {
            ($target:expr) => {
                match level {
                    Level::Error => tracing::error!(target: $target, "({source}:{line}) {text}"),
                    Level::Warn => tracing::warn!(target: $target, "({source}:{line}) {text}"),
                    Level::Info => tracing::info!(target: $target, "({source}:{line}) {text}"),
                    Level::Debug => tracing::debug!(target: $target, "({source}:{line}) {text}"),
                    Level::Trace => tracing::trace!(target: $target, "({source}:{line}) {text}"),
                }
            };
        }
        if in_stream {
            line!(SCRIPT_STREAM);
        } else {
            line!(SCRIPT_UDF);
        }
    }

    fn warn(&self, text: &str) {
        tracing::warn!(target: "udf", "{text}");
    }

    fn lane(&self) -> &'static dyn Lane {
        slow_lane()
    }
}
