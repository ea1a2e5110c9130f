//! `dump-*`: writes what the node knows to its log, for the people who read that.

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::text;

/// `dump-cluster`, `dump-fabric`, `dump-hb`: the members.
pub(super) fn cluster(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    tracing::info!(
        target: "clustering",
        "node {} cluster-key {:x} cluster-size {} principal {}",
        call.node.id,
        view.key,
        view.size(),
        view.principal
    );
    for peer in &view.peers {
        tracing::info!(target: "clustering", "peer {} at {:?}", peer.id, peer.addresses);
    }
    text(out, "ok");
    Ok(())
}

/// `dump-rw`: what is stored, and the locks that are held or waited for.
pub(super) fn namespaces(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    for namespace in &call.node.namespaces {
        let usage = namespace.usage();
        tracing::info!(
            target: "rw",
            "{{{}}} objects {} bytes {}",
            namespace.name(),
            usage.objects(),
            usage.bytes()
        );
    }
    text(out, "ok");
    Ok(())
}
