//! The bare server that figures are compared with: tokio, and one fixed reply to every frame.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use clap::Parser;
use protocol::codec::first_frame;
use protocol::header::HEADER_SIZE;
use tests::error::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answer every frame with the same reply.
#[derive(Debug, Parser)]
struct Arguments {
    /// The reply, a whole frame in hexadecimal digits.
    #[arg(long)]
    reply: String,
    /// Port on 127.0.0.1, 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

async fn answer(mut stream: TcpStream, reply: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = BytesMut::with_capacity(4096);
    loop {
        let mut frames = 0;
        while let Ok(Some(frame)) = first_frame(&received) {
            let size = HEADER_SIZE + frame.body.len();
            received.advance(size);
            frames += 1;
        }
        for _ in 0..frames {
            stream.write_all(reply).await?;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let reply: Arc<[u8]> = unhex(&arguments.reply)
        .ok_or_else(|| Error::Unexpected("--reply takes hexadecimal digits".into()))?
        .into();
    let listener = TcpListener::bind(("127.0.0.1", arguments.port))
        .await
        .map_err(Error::io("listen"))?;
    let address = listener.local_addr().map_err(Error::io("listen"))?;
    println!("listening on {address}");
    loop {
        let (stream, _) = listener.accept().await.map_err(Error::io("accept"))?;
        let reply = Arc::clone(&reply);
        // A client that goes away ends its connection, nothing else.
        tokio::spawn(async move { answer(stream, &reply).await });
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}
