//! Windows as lines of a table.

use std::fmt::Write as _;

use super::drive::Window;

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// What was sent, to what.
    pub name: String,
    /// Over how many connections.
    pub connections: usize,
    /// What was measured.
    pub window: Window,
}

/// A table of all rows, with its head; latencies and processor time in microseconds.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<20} {:>11} {:>10} {:>8} {:>8} {:>8} {:>8} {:>7} {:>10}\n",
        "workload", "connections", "ops/s", "p50", "p95", "p99", "p99.9", "errors", "cpu us/op"
    );
    for row in rows {
        let window = &row.window;
        let cpu = window
            .cpu_us_per_operation()
            .map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:>11} {:>10.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>7} {:>10}",
            row.name,
            row.connections,
            window.throughput(),
            window.latency_us(50.0),
            window.latency_us(95.0),
            window.latency_us(99.0),
            window.latency_us(99.9),
            window.errors,
            cpu
        );
        if window.lost > 0 {
            let _ = writeln!(text, "  {} connections were lost", window.lost);
        }
        if let Some(error) = &window.first_error {
            let _ = writeln!(text, "  first error: {error}");
        }
    }
    text
}
