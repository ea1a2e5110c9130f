//! Addresses of one's own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::LazyLock;

use regex::Regex;

/// The last numbers of the nodes' addresses.
const NODES: [u8; 3] = [11, 12, 13];

static RECORDED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"127\.0\.0\.(1[123])\b").unwrap());

/// `127.x.y`, in place of the recorded `127.0.0`.
pub(super) struct Loopback {
    second: u8,
    third: u8,
    own: Regex,
    /// Others of this machine see by it that the addresses are taken.
    _lock: File,
}

impl Loopback {
    /// Addresses that nobody else uses.
    pub(super) fn take() -> Self {
        let start = usize::try_from(std::process::id()).unwrap();
        for number in (0..81).map(|step| (start + step * 7) % 81) {
            let (second, third) = (1 + number / 9, 1 + number % 9);
            let (second, third) = (u8::try_from(second).unwrap(), u8::try_from(third).unwrap());
            let name = format!("asd-tests-127.{second}.{third}.lock");
            let lock = File::create(std::env::temp_dir().join(name));
            // The lock goes with this process, however it ends; the empty file stays.
            let lock = lock.ok().filter(|lock| lock.try_lock().is_ok());
            let free = || {
                NODES.iter().all(|last| {
                    TcpListener::bind((Ipv4Addr::new(127, second, third, *last), 3000)).is_ok()
                })
            };
            if let Some(lock) = lock
                && free()
            {
                return Self {
                    second,
                    third,
                    own: Regex::new(&format!(r"127\.{second}\.{third}\.(1[123])\b")).unwrap(),
                    _lock: lock,
                };
            }
        }
        panic!(
            "port 3000 is taken on every 127.x.y.11 to .13: does a server listen on all addresses?"
        );
    }

    /// The address that stands for a recorded one.
    pub(super) fn address(&self, recorded: &str) -> IpAddr {
        self.enter(recorded).parse().unwrap()
    }

    /// A recorded text with the addresses of this run.
    pub(super) fn enter(&self, text: &str) -> String {
        let (second, third) = (self.second, self.third);
        RECORDED
            .replace_all(text, format!("127.{second}.{third}.$1"))
            .into_owned()
    }

    /// A text of this run with the recorded addresses.
    pub(super) fn leave(&self, text: &str) -> String {
        self.own.replace_all(text, "127.0.0.$1").into_owned()
    }
}
