//! Where clients reach this node and its peers.

use std::fmt::Display;
use std::net::IpAddr;

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, text};
use crate::cluster::Peer;
use crate::config::{NetworkSettings, local_addresses};

/// Port that lists of peers leave out.
const DEFAULT_PORT: &str = ":3000";

/// `host:port` as clients read it, brackets around IPv6.
fn host_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// Addresses with their port: `any` becomes the addresses of the machine.
fn expand(hosts: &[String], port: u16) -> Vec<String> {
    hosts
        .iter()
        .flat_map(|host| match host.as_str() {
            "any" => local_addresses(),
            host => vec![host.to_owned()],
        })
        .map(|host| host_port(&host, port))
        .collect()
}

/// What clients are told: the access addresses, else those listened on.
pub(crate) fn standard(network: &NetworkSettings) -> Vec<String> {
    let port = match network.service_access_port() {
        0 => network.service_port(),
        port => port,
    };
    let access = network.service_access_addresses();
    if access.is_empty() {
        expand(&network.service_addresses(), port)
    } else {
        expand(&access, port)
    }
}

/// What clients are told that ask for alternate addresses.
pub(crate) fn alternate(network: &NetworkSettings) -> Vec<String> {
    let port = match network.service_alternate_access_port() {
        0 => network.service_port(),
        port => port,
    };
    expand(&network.service_alternate_access_addresses(), port)
}

fn list(out: &mut BytesMut, separator: char, items: impl IntoIterator<Item = impl Display>) {
    let mut fields = Fields::new(out, separator);
    for item in items {
        fields.item(item);
    }
}

pub(super) fn service_clear_std(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    list(out, ',', standard(&call.node.config.network));
    Ok(())
}

pub(super) fn service_clear_alt(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    list(out, ',', alternate(&call.node.config.network));
    Ok(())
}

/// The older form of the same.
pub(super) fn service(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    list(out, ';', standard(&call.node.config.network));
    Ok(())
}

pub(super) fn admin_clear_std(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let network = &call.node.config.network;
    let port = network.admin_port();
    if port != 0 {
        list(out, ',', expand(&network.admin_addresses(), port));
    }
    Ok(())
}

type AddressesOf = fn(&Peer) -> &[String];

fn standard_of(peer: &Peer) -> &[String] {
    &peer.addresses
}

fn alternate_of(peer: &Peer) -> &[String] {
    &peer.alternate_addresses
}

/// `generation,default port,[[id,tls name,[host,…]],…]`; peers without such an address are left out.
fn peer_list(out: &mut BytesMut, generation: u64, peers: &[Peer], addresses: AddressesOf) {
    text(out, format_args!("{generation},3000,["));
    let mut fields = Fields::new(out, ',');
    for peer in peers {
        let hosts: Vec<String> = addresses(peer)
            .iter()
            .map(|address| {
                let host = address.strip_suffix(DEFAULT_PORT).unwrap_or(address);
                host.to_owned()
            })
            .collect();
        if !hosts.is_empty() {
            fields.item(format_args!("[{},,[{}]]", peer.id, hosts.join(",")));
        }
    }
    text(out, ']');
}

pub(super) fn peers_clear_std(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    peer_list(out, view.peers_generation, &view.peers, standard_of);
    Ok(())
}

pub(super) fn peers_clear_alt(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    peer_list(out, view.peers_generation, &view.peers, alternate_of);
    Ok(())
}

pub(super) fn alumni_clear_std(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    peer_list(out, view.peers_generation, &view.alumni, standard_of);
    Ok(())
}

pub(super) fn alumni_clear_alt(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    peer_list(out, view.peers_generation, &view.alumni, alternate_of);
    Ok(())
}

/// The older forms: `host:port` joined by `;`.
fn flat(out: &mut BytesMut, peers: &[Peer], addresses: AddressesOf) {
    list(out, ';', peers.iter().flat_map(addresses));
}

pub(super) fn services(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    flat(out, &call.node.cluster.load().peers, standard_of);
    Ok(())
}

pub(super) fn services_alternate(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    flat(out, &call.node.cluster.load().peers, alternate_of);
    Ok(())
}

pub(super) fn services_alumni(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    flat(out, &call.node.cluster.load().alumni, standard_of);
    Ok(())
}

pub(super) fn peers_generation(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, call.node.cluster.load().peers_generation);
    Ok(())
}
