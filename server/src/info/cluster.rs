//! The cluster and its partitions.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::{Fields, text};
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;

pub(super) fn cluster_name(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let name = call.node.config.service.cluster_name();
    text(out, name.as_deref().unwrap_or("null"));
    Ok(())
}

pub(super) fn partition_generation(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.connection.follows(&call.node.followers);
    text(out, call.node.cluster.load().partition_generation);
    Ok(())
}

pub(super) fn rebalance_generation(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, call.node.cluster.load().rebalance_generation);
    Ok(())
}

/// `replicas[:max=N]`: per namespace regime, number of columns, and a bitmap for each column.
pub(super) fn replicas(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let max = match call.params.get("max") {
        None => usize::MAX,
        Some(max) => max
            .parse()
            .ok()
            .filter(|max| *max > 0)
            .ok_or_else(|| InfoError::parameter("bad 'max'"))?,
    };
    bitmaps(call, out, max, "0,");
    Ok(())
}

/// The older form without a regime.
pub(super) fn replicas_all(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    bitmaps(call, out, usize::MAX, "");
    Ok(())
}

fn bitmaps(call: &Call<'_>, out: &mut BytesMut, max: usize, regime: &str) {
    let view = call.node.cluster.load();
    let columns: Vec<String> = view
        .replicas
        .iter()
        .take(max)
        .map(protocol::partition_map::PartitionMap::encode)
        .collect();
    let mut fields = Fields::new(out, ';');
    for namespace in &call.node.namespaces {
        let name = namespace.name();
        fields.item(format_args!(
            "{name}:{regime}{},{}",
            columns.len(),
            columns.join(",")
        ));
    }
}

pub(super) fn replicas_master(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    let Some(master) = view.replicas.first() else {
        return Ok(());
    };
    let master = master.encode();
    let mut fields = Fields::new(out, ';');
    for namespace in &call.node.namespaces {
        fields.item(format_args!("{}:{master}", namespace.name()));
    }
    Ok(())
}

/// `partition-info`: a line for each partition of each namespace, after a line that names the columns.
pub(super) fn partition_info(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let view = call.node.cluster.load();
    let node = call.node.id;
    let columns = view.replicas.len();
    let mut rows = Fields::new(out, ';');
    rows.item(
        "namespace:partition:state:n_replicas:replica:succession:n_dupl:working_master:proxy_dst:\
         emigrates:lead_emigrates:immigrates:records:tombstones:regime:tree_id:version:final_version",
    );
    for namespace in &call.node.namespaces {
        let name = namespace.name();
        for partition in 0..PARTITIONS {
            let replica = view.replicas.iter().position(|map| map.has(partition));
            let records = namespace.partition_objects(partition);
            let key = view.key;
            match replica {
                Some(replica) => {
                    let (master, subset) = match replica {
                        0 => (node.to_string(), 'm'),
                        _ => ("0".to_owned(), '-'),
                    };
                    rows.item(format_args!(
                        "{name}:{partition}:S:{columns}:{replica}:{replica}:0:{master}:{node}:0:0:0:{records}:0:0:1:\
                         {key:012x}.0.{subset}p-:{key:012x}.0.{subset}p-"
                    ));
                }
                None => rows.item(format_args!(
                    "{name}:{partition}:A:{columns}:-1:{columns}:0:0:0:0:0:0:{records}:0:0:0:\
                     000000000000.0.-p-:{key:012x}.0.-p-"
                )),
            }
        }
    }
    Ok(())
}

/// `cluster-stable:[size=N;][ignore-migrations=bool;][namespace=NS]`: the cluster key when the cluster is as asked.
pub(super) fn cluster_stable(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let unstable = |why: &'static str| InfoError::new(ResultCode::CLUSTER_KEY_MISMATCH, why);
    let view = call.node.cluster.load();
    if let Some(size) = call.params.get("size") {
        let size: usize = size
            .parse()
            .map_err(|_| InfoError::parameter("bad 'size'"))?;
        if size != view.size() {
            return Err(unstable("cluster not specified size"));
        }
    }
    if !matches!(
        call.params.get("ignore-migrations"),
        None | Some("true" | "false" | "yes" | "no")
    ) {
        return Err(InfoError::parameter("bad 'ignore-migrations'"));
    }
    let ignores_migrations = matches!(call.params.get("ignore-migrations"), Some("true" | "yes"));
    let asked: Vec<_> = match call.namespace_name() {
        Some(_) => vec![call.namespace()?],
        None => call.node.namespaces.iter().collect(),
    };
    let migrates = |namespace: &&std::sync::Arc<Namespace>| {
        let stats = &namespace.migration;
        stats.outgoing.load(Ordering::Relaxed) + stats.incoming.load(Ordering::Relaxed) != 0
    };
    if !view.integrity || (!ignores_migrations && asked.iter().any(migrates)) {
        return Err(unstable("unstable cluster"));
    }
    text(out, format_args!("{:X}", view.key));
    Ok(())
}

/// `recluster:`: the principal forms the cluster anew; a node alone has nothing to form.
pub(super) fn recluster(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let principal = call.node.cluster.load().principal;
    text(
        out,
        if principal == call.node.id {
            "ok"
        } else {
            "ignored-by-non-principal"
        },
    );
    Ok(())
}
