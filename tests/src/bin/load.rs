//! Load on a server of this protocol: throughput, latencies, errors, and the server's processor time per operation.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tests::error::Result;
use tests::load::{Load, Row, Workload, table};

/// Put load on a server and measure it.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's address and port.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// What to send; may be given several times.
    #[arg(long, required = true)]
    workload: Vec<Workload>,
    /// How many connections; may be given several times.
    #[arg(long, default_values_t = [16])]
    connections: Vec<usize>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before measuring.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warm_up: u64,
    /// The server's process on this machine, for its processor time.
    #[arg(long)]
    pid: Option<u32>,
    /// The namespace of the records.
    #[arg(long, default_value = "test")]
    namespace: String,
}

async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for workload in &arguments.workload {
        workload.prepare(arguments.address, &arguments.namespace)?;
        for connections in &arguments.connections {
            let frames = workload.frames(&arguments.namespace)?;
            let load = Load::start(arguments.address, frames, *connections).await?;
            tokio::time::sleep(Duration::from_secs(arguments.warm_up)).await;
            let window = load
                .window(Duration::from_secs(arguments.seconds), arguments.pid)
                .await?;
            load.stop().await;
            rows.push(Row {
                name: workload.to_string(),
                connections: *connections,
                window,
            });
        }
    }
    Ok(rows)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(rows) => {
            print!("{}", table(&rows));
            let clean = rows
                .iter()
                .all(|row| row.window.errors == 0 && row.window.lost == 0);
            ExitCode::from(u8::from(!clean))
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
