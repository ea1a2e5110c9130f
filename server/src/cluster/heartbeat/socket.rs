use std::net::{SocketAddr, UdpSocket};

/// The heartbeat socket of a node, bound to its port.
pub struct HeartbeatSocket {
    pub(super) socket: UdpSocket,
    address: SocketAddr,
}

impl HeartbeatSocket {
    /// Binds the socket; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not of this machine.
    pub fn bind(address: SocketAddr) -> Result<Self, String> {
        let socket = UdpSocket::bind(address).map_err(|error| error.to_string())?;
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        Ok(Self { socket, address })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
