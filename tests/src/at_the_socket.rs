//! What operations cost a server: its processor time for a call, in turns with a plain get of 20 bytes.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use protocol::header::HEADER_SIZE;
use protocol::result_code::ResultCode;

use crate::asd::{Asd, RunningAsd};
use crate::connection::Connection;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::load::cpu_time_of_threads;
use crate::operations::{self, OperationCase};
use crate::records::RecordKey;

/// Turns of a case and of what it is compared with; the median counts.
const TURNS: usize = 9;

/// Prints a table: each case that is `wanted`, one request at a time on one connection, the processor time of all threads of
/// `asd` for it, and how many times that of a get of 20 bytes this is.
///
/// # Errors
/// The server cannot be started, or refuses a request.
pub fn report(asd: &Path, calls: u32, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let directory = Directory::new("costs")?;
    let storage = "storage-engine memory {\n        data-size 1G\n    }";
    let server = Asd::new(asd, directory.path()).storage(storage).start()?;
    let mut connection = server.connect()?;
    let plain = RecordKey::new("test", "demo", "plain");
    let plain = operations::cases(&plain)?.into_iter().next();
    let plain = plain.ok_or_else(|| Error::Unexpected("there are no cases".to_owned()))?;
    ask(&mut connection, &plain.before, 1)?;
    println!("| operation, at the socket | us | get of 20 bytes, us | ratio |");
    println!("|---|---|---|---|");
    for case in operations::cases(&RecordKey::new("test", "demo", "costs"))? {
        if !wanted(&case.name) {
            continue;
        }
        ask(&mut connection, &case.before, 1)?;
        row(&server, &mut connection, &plain, &case, calls)?;
    }
    Ok(())
}

fn row(
    server: &RunningAsd,
    connection: &mut Connection,
    plain: &OperationCase,
    case: &OperationCase,
    calls: u32,
) -> Result<()> {
    let mut turns = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let mut cost = |frame: &BytesMut| -> Result<Duration> {
            let before = cpu_time_of_threads(server.pid())?;
            ask(connection, frame, calls)?;
            Ok((cpu_time_of_threads(server.pid())? - before) / calls)
        };
        turns.push((cost(&case.measured)?, cost(&plain.measured)?));
    }
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(TURNS / 2).copied().unwrap_or(f64::NAN)
    };
    let own = median(turns.iter().map(|turn| us(turn.0)).collect());
    let plain = median(turns.iter().map(|turn| us(turn.1)).collect());
    let ratio = median(turns.iter().map(|turn| us(turn.0) / us(turn.1)).collect());
    println!("| {} | {own:.2} | {plain:.2} | {ratio:.2} |", case.name);
    Ok(())
}

/// Sends a request so many times, the next one when the answer has come.
fn ask(connection: &mut Connection, frame: &BytesMut, times: u32) -> Result<()> {
    for _ in 0..times {
        connection.send(frame)?;
        let (_, body) = connection.receive()?;
        let code = body.get(5).copied().map(u16::from);
        if code != Some(u16::from(ResultCode::OK.0)) {
            return Err(Error::Unexpected(format!(
                "a request of {} bytes was answered by {code:?}",
                frame.len() - HEADER_SIZE
            )));
        }
    }
    Ok(())
}
