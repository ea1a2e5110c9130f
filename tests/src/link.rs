//! What lies between a node and the others: relays for its datagrams and connections, which can be cut towards chosen
//! nodes. A cut link loses everything and closes nothing, like a cable.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a relay looks whether it is cut or closed.
const LOOK: Duration = Duration::from_millis(10);

/// Largest datagram, bytes.
const MAX_DATAGRAM: usize = 65_535;

#[derive(Debug, Default)]
struct Shared {
    cut: Mutex<HashSet<IpAddr>>,
    closed: AtomicBool,
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    fn is_cut(&self, other: IpAddr) -> bool {
        let cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        cut.contains(&other)
    }

    fn passed(&self, length: usize) {
        self.datagrams.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// The relays of one node; dropping them closes them.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    /// Relays what arrives at `outside` to `inside`, and back.
    pub fn open(
        outside: Ipv4Addr,
        inside: Ipv4Addr,
        datagram_port: u16,
        connection_port: u16,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let datagrams = UdpSocket::bind((outside, datagram_port))?;
        datagrams.set_read_timeout(Some(LOOK))?;
        let connections = TcpListener::bind((outside, connection_port))?;
        connections.set_nonblocking(true)?;
        let (for_datagrams, for_connections) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || {
            relay_datagrams(&datagrams, (inside, datagram_port).into(), &for_datagrams)
        });
        thread::spawn(move || {
            relay_connections(
                &connections,
                (inside, connection_port).into(),
                &for_connections,
            )
        });
        Ok(Self { shared })
    }

    /// Loses everything between the node and this one.
    pub fn cut(&self, other: Ipv4Addr) {
        self.change(|cut| cut.insert(other.into()));
    }

    /// Datagrams that passed in both directions, and their bytes.
    pub fn traffic(&self) -> (u64, u64) {
        let shared = &self.shared;
        (
            shared.datagrams.load(Ordering::Relaxed),
            shared.bytes.load(Ordering::Relaxed),
        )
    }

    /// Loses nothing any more.
    pub fn heal(&self) {
        self.change(|cut| {
            cut.clear();
            true
        });
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<IpAddr>) -> bool) {
        let cut = self.shared.cut.lock();
        change(&mut cut.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused
    )
}

fn relay_datagrams(outside: &UdpSocket, inside: SocketAddr, shared: &Arc<Shared>) {
    // One socket towards the node for each sender, so that its answers find back.
    let mut senders: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    while !shared.is_closed() {
        let (length, sender) = match outside.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if is_pause(&error) => continue,
            Err(_) => return,
        };
        if shared.is_cut(sender.ip()) {
            continue;
        }
        let socket = match senders.entry(sender) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => match towards(inside, outside, sender, shared) {
                Ok(socket) => new.insert(socket),
                Err(_) => continue,
            },
        };
        shared.passed(length);
        // A node that is down loses its datagrams.
        let _ = socket.send(buffer.get(..length).unwrap_or_default());
    }
}

/// A socket towards the node, whose answers go back to the sender.
fn towards(
    inside: SocketAddr,
    outside: &UdpSocket,
    sender: SocketAddr,
    shared: &Arc<Shared>,
) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(inside)?;
    socket.set_read_timeout(Some(LOOK))?;
    let (answers, back) = (socket.try_clone()?, outside.try_clone()?);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !shared.is_closed() {
            match answers.recv(&mut buffer) {
                Ok(length) if !shared.is_cut(sender.ip()) => {
                    shared.passed(length);
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let _ = back.send_to(bytes, sender);
                }
                Ok(_) => {}
                Err(error) if is_pause(&error) => {}
                Err(_) => return,
            }
        }
    });
    Ok(socket)
}

fn relay_connections(outside: &TcpListener, inside: SocketAddr, shared: &Arc<Shared>) {
    while !shared.is_closed() {
        let Ok((near, other)) = outside.accept() else {
            thread::sleep(LOOK);
            continue;
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let Ok(far) = TcpStream::connect(inside) else {
                return;
            };
            // What is relayed in pieces must not wait for acknowledgements; that it cannot be set so only makes it slow.
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else {
                return;
            };
            let for_answers = Arc::clone(&shared);
            thread::spawn(move || copy(far_again, near_again, other.ip(), &for_answers));
            copy(near, far, other.ip(), &shared);
        });
    }
}

/// Copies until one end closes; while the link is cut, nothing is read.
fn copy(mut from: TcpStream, mut to: TcpStream, other: IpAddr, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    let ready = from
        .set_nonblocking(false)
        .and_then(|()| from.set_read_timeout(Some(LOOK)));
    while ready.is_ok() && !shared.is_closed() {
        if shared.is_cut(other) {
            thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                if to
                    .write_all(buffer.get(..length).unwrap_or_default())
                    .is_err()
                {
                    break;
                }
            }
            Err(error) if is_pause(&error) => {}
            Err(_) => break,
        }
    }
    // The other direction may have closed them already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
