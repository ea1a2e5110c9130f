//! `tip`, `tip-clear` and `services-alumni-reset`: what operators tell a node of its mesh.

use std::net::{SocketAddr, ToSocketAddrs};

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::text;
use crate::cluster::Mesh;

fn mesh<'a>(call: &Call<'a>) -> Result<&'a Mesh, InfoError> {
    call.node.mesh.as_deref().ok_or_else(|| {
        InfoError::new(
            ResultCode::UNSUPPORTED_FEATURE,
            "this node runs alone: it has no mesh to add nodes to",
        )
    })
}

/// `tip:host=H;port=P`
pub(super) fn tip(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mesh = mesh(call)?;
    let host = call.params.get("host").filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| InfoError::parameter("missing 'host'"))?;
    let port = call.params.get("port").filter(|port| !port.is_empty());
    let port = port.ok_or_else(|| InfoError::parameter("missing 'port'"))?;
    let address = resolved(host, port)?;
    if !mesh.tip(address) {
        return Err(InfoError::parameter("too many addresses"));
    }
    text(out, "ok");
    Ok(())
}

/// `tip-clear:[host-port-list=H:P,…]`
pub(super) fn tip_clear(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mesh = mesh(call)?;
    match call.params.get("host-port-list") {
        None | Some("" | "all") => mesh.clear_all(),
        Some(list) => {
            // All or none: what cannot be read is said before anything is done.
            let mut addresses = Vec::new();
            for item in list.split(',') {
                let parts = item.rsplit_once(':');
                let (host, port) =
                    parts.ok_or_else(|| InfoError::parameter("bad 'host-port-list'"))?;
                addresses.push(resolved(host, port)?);
            }
            for address in addresses {
                // One that nobody told of is as good as cleared.
                mesh.clear(address);
            }
        }
    }
    text(out, "ok");
    Ok(())
}

/// `services-alumni-reset`: a node that runs alone has none to forget.
pub(super) fn reset_alumni(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    if let Some(mesh) = &call.node.mesh {
        mesh.forget_alumni();
    }
    text(out, "ok");
    Ok(())
}

/// The first address of a host. May ask the name service.
fn resolved(host: &str, port: &str) -> Result<SocketAddr, InfoError> {
    let port: u16 = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| InfoError::parameter("bad port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| InfoError::parameter(format!("host `{host}` is not known")))
}
