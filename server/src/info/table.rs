//! The table of info commands.

use super::{
    Handler, Late, addresses, cluster, config, connection, distribution, dump, identity, jobs,
    latencies, logs, mesh, namespace, sindex, statistics, truncate, udf,
};
use crate::access::Permission;

/// How far a command is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It works.
    Works,
    /// It is kept for older clients and tools; newer ones use another.
    Legacy,
    /// It answers for a feature that is not here, as a server does on which nothing of it exists.
    Absent,
    /// It belongs to the enterprise edition and is refused as by the community edition.
    Enterprise,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it was asked.
    Here,
    /// On a thread of its own: it may take long or wait for a disk.
    Aside,
    /// The same, but mostly it only waits for a disk: a short one waits for no turn at first, nor does its thread stand back.
    AsideAtOnce,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct InfoCommand {
    /// The exact name.
    pub name: &'static str,
    /// What answers it.
    pub handler: Handler,
    /// What a user must be allowed to do.
    pub permission: Permission,
    /// How far it is there.
    pub class: Class,
    /// Where it runs.
    pub place: Place,
    /// For a change that goes to all nodes: the answer when it takes longer than anybody waits.
    pub late: Option<Late>,
    /// Parameters and meaning, in a sentence.
    pub help: &'static str,
}

const NONE: Permission = Permission::None;
const SYS: Permission = Permission::SysAdmin;
const UDF: Permission = Permission::UdfAdmin;
const SINDEX: Permission = Permission::SindexAdmin;
const TRUNCATE: Permission = Permission::Truncate;

const fn row(
    name: &'static str,
    handler: Handler,
    permission: Permission,
    class: Class,
    help: &'static str,
) -> InfoCommand {
    InfoCommand {
        name,
        handler,
        permission,
        class,
        place: Place::Here,
        late: None,
        help,
    }
}

const fn works(
    name: &'static str,
    handler: Handler,
    permission: Permission,
    help: &'static str,
) -> InfoCommand {
    row(name, handler, permission, Class::Works, help)
}

const fn slow(
    name: &'static str,
    handler: Handler,
    permission: Permission,
    help: &'static str,
) -> InfoCommand {
    InfoCommand {
        place: Place::Aside,
        ..works(name, handler, permission, help)
    }
}

/// A change that goes to all nodes.
const fn change(
    name: &'static str,
    handler: Handler,
    late: Late,
    place: Place,
    permission: Permission,
    help: &'static str,
) -> InfoCommand {
    InfoCommand {
        place,
        late: Some(late),
        ..works(name, handler, permission, help)
    }
}

const fn legacy(name: &'static str, handler: Handler, help: &'static str) -> InfoCommand {
    row(name, handler, NONE, Class::Legacy, help)
}

const fn absent(
    name: &'static str,
    handler: Handler,
    permission: Permission,
    help: &'static str,
) -> InfoCommand {
    row(name, handler, permission, Class::Absent, help)
}

const fn enterprise(name: &'static str, help: &'static str) -> InfoCommand {
    row(
        name,
        identity::enterprise_only,
        NONE,
        Class::Enterprise,
        help,
    )
}

/// All commands, by name.
#[must_use]
pub fn table() -> &'static [InfoCommand] {
    TABLE
}

#[rustfmt::skip]
const TABLE: &[InfoCommand] = &[
    works("admin-clear-std", addresses::admin_clear_std, NONE, "addresses of the admin port: HOST:PORT,…"),
    absent("admin-tls-std", identity::nothing, NONE, "addresses of the admin port with TLS: none"),
    works("alumni-clear-alt", addresses::alumni_clear_alt, NONE, "alternate addresses of all nodes ever seen, in the form of peers-clear-std"),
    works("alumni-clear-std", addresses::alumni_clear_std, NONE, "addresses of all nodes ever seen, in the form of peers-clear-std"),
    enterprise("alumni-tls-alt", "alternate addresses with TLS of all nodes ever seen"),
    enterprise("alumni-tls-std", "addresses with TLS of all nodes ever seen"),
    works("best-practices", identity::best_practices, NONE, "which recommendations for the machine are not followed: none is checked"),
    works("build", identity::build, NONE, "release of the reference that this server behaves like"),
    works("build_arch", identity::build_arch, NONE, "processor architecture of the build"),
    works("build_ee_sha", identity::nothing, NONE, "hash of the enterprise sources: empty"),
    works("build_os", identity::build_os, NONE, "operating system of the build"),
    works("build_sha", identity::build_sha, NONE, "name and version of this server's own sources"),
    works("build_time", identity::nothing, NONE, "time of the build: empty, builds are reproducible"),
    works("cluster-name", cluster::cluster_name, NONE, "configured name of the cluster, or null"),
    works("cluster-stable", cluster::cluster_stable, NONE, "cluster-stable:[size=N;][ignore-migrations=BOOL;][namespace=NS]: cluster key, if the cluster is as asked"),
    works("compatibility-id", identity::compatibility_id, NONE, "number that nodes of one cluster compare"),
    works("config-get", config::get, NONE, "another name of get-config"),
    works("config-set", config::set, SYS, "another name of set-config"),
    works("connection", identity::connection, NONE, "whether this connection came in on the admin port"),
    works("digests", identity::digests, NONE, "hash that makes digests of keys"),
    works("dump-cluster", dump::cluster, SYS, "writes the members of the cluster to the log"),
    works("dump-fabric", dump::cluster, SYS, "writes the members of the cluster to the log"),
    works("dump-hb", dump::cluster, SYS, "writes the members of the cluster to the log"),
    works("dump-rw", dump::namespaces, SYS, "writes what the namespaces hold to the log"),
    works("edition", identity::edition, NONE, "edition of the reference that this server behaves like"),
    enterprise("feature-key", "features that a licence opens"),
    works("features", identity::features, NONE, "features that clients look for, joined by ;"),
    works("get-config", config::get, NONE, "get-config:[context=service|network|namespace|mod-lua][;namespace=NS]: settings as name=value;…"),
    absent("get-stats", config::get_stats, NONE, "get-stats:context=xdr: statistics of shipping to other clusters: empty"),
    absent("health-outliers", identity::nothing, NONE, "nodes that differ from the others: none"),
    absent("health-stats", identity::nothing, NONE, "measures of the health of other nodes: none"),
    works("help", identity::help, NONE, "all commands joined by ;, or help/NAME: what one does"),
    slow("histogram", distribution::histogram, NONE, "histogram:namespace=NS;type=object-size|object-size-linear|ttl[;set=S]: distribution of sizes or remaining lives"),
    works("latencies", latencies::latencies, NONE, "latencies:[hist=NAME]: work per second and percentage slower than 1, 2, 4 … 65536 units, in the last ticker-interval"),
    works("log", logs::log, NONE, "log/ID[/CONTEXT]: level of each context of a log sink"),
    works("log-set", logs::log_set, SYS, "log-set:id=ID;CONTEXT=LEVEL: changes the level of a context, or of any"),
    works("logs", logs::logs, NONE, "log sinks as ID:PATH;…"),
    enterprise("masking", "rules that hide data"),
    enterprise("masking-show", "rules that hide data"),
    works("name", identity::node, NONE, "identity of the node"),
    works("namespace", namespace::namespace, NONE, "namespace/NS: gauges, counters and settings of a namespace"),
    works("namespaces", namespace::namespaces, NONE, "names of the namespaces joined by ;"),
    works("node", identity::node, NONE, "identity of the node"),
    works("partition-generation", cluster::partition_generation, NONE, "number that changes with the owners of partitions"),
    slow("partition-info", cluster::partition_info, NONE, "state of each partition of each namespace"),
    works("partitions", identity::partitions, NONE, "number of partitions of a namespace"),
    works("peers-clear-alt", addresses::peers_clear_alt, NONE, "alternate addresses of the other nodes, in the form of peers-clear-std"),
    works("peers-clear-std", addresses::peers_clear_std, NONE, "GENERATION,DEFAULT PORT,[[NODE,TLS NAME,[HOST:PORT,…]],…] of the other nodes"),
    works("peers-generation", addresses::peers_generation, NONE, "number that changes with the other nodes"),
    enterprise("peers-tls-alt", "alternate addresses with TLS of the other nodes"),
    enterprise("peers-tls-std", "addresses with TLS of the other nodes"),
    works("query-abort", jobs::abort, SYS, "query-abort:id=N: ends a query; of a background query, what it has done stays done"),
    works("query-abort-all", jobs::abort_all, SYS, "ends all queries"),
    works("query-show", jobs::show, NONE, "query-show[:id=N]: queries that run or ran: trid=N:ns=NS:…:status=S:…;…"),
    enterprise("quiesce", "hands this node's work to others"),
    enterprise("quiesce-undo", "takes quiesce back"),
    enterprise("rack-ids", "rack of each namespace"),
    enterprise("racks", "nodes of each rack"),
    works("rebalance-generation", cluster::rebalance_generation, NONE, "number that changes when partitions are given out anew"),
    works("recluster", cluster::recluster, SYS, "forms the cluster anew"),
    works("release", identity::release, NONE, "edition, version, system and sources as name=value;…"),
    works("replicas", cluster::replicas, NONE, "replicas[:max=N]: NS:REGIME,COLUMNS,BITMAP,…;… of the partitions that this node owns"),
    legacy("replicas-all", cluster::replicas_all, "replicas without the regime"),
    legacy("replicas-master", cluster::replicas_master, "replicas with the first column only"),
    enterprise("revive", "makes dead partitions of a strongly consistent namespace available"),
    enterprise("roster", "nodes of a strongly consistent namespace"),
    enterprise("roster-set", "sets the nodes of a strongly consistent namespace"),
    legacy("service", addresses::service, "addresses for clients: HOST:PORT;…"),
    works("service-clear-alt", addresses::service_clear_alt, NONE, "alternate addresses for clients: HOST:PORT,…"),
    works("service-clear-std", addresses::service_clear_std, NONE, "addresses for clients: HOST:PORT,…"),
    enterprise("service-tls-alt", "alternate addresses for clients with TLS"),
    enterprise("service-tls-std", "addresses for clients with TLS"),
    legacy("services", addresses::services, "addresses of the other nodes: HOST:PORT;…"),
    legacy("services-alternate", addresses::services_alternate, "alternate addresses of the other nodes: HOST:PORT;…"),
    legacy("services-alumni", addresses::services_alumni, "addresses of all nodes ever seen: HOST:PORT;…"),
    works("services-alumni-reset", mesh::reset_alumni, SYS, "forgets the nodes of the past that are not there now"),
    works("set-config", config::set, SYS, "set-config:context=service|network|namespace|mod-lua[;namespace=NS[;set=S]];NAME=VALUE: changes a dynamic setting"),
    works("sets", namespace::sets, NONE, "sets[/NS[/SET]]: gauges and settings of sets"),
    row("sindex", sindex::by_path, NONE, Class::Legacy, "sindex[/NS[/INDEX]]: older form of sindex-list and sindex-stat"),
    change("sindex-create", sindex::create, sindex::late, Place::Aside, SINDEX, "sindex-create:namespace=NS[;set=S];indexname=I[;indextype=default|list|mapkeys|mapvalues][;context=BASE64];bin=B|exp=BASE64;type=numeric|string|blob|geo2dsphere, or with set=S;indextype=set alone: makes a secondary index"),
    change("sindex-delete", sindex::delete, sindex::late, Place::Aside, SINDEX, "sindex-delete:namespace=NS;indexname=I: takes a secondary index away; ok also when there is none"),
    works("sindex-exists", sindex::exists, NONE, "sindex-exists:namespace=NS;indexname=I: true or false"),
    works("sindex-list", sindex::list, NONE, "sindex-list[:namespace=NS][;b64=true|false]: secondary indexes: ns=NS:indexname=I:…:state=RW|WO;…"),
    works("sindex-stat", sindex::stat, NONE, "sindex-stat:namespace=NS;indexname=I: entries, memory and progress of a secondary index"),
    works("statistics", statistics::statistics, NONE, "gauges and counters of the node as name=value;…"),
    works("status", identity::ok, NONE, "ok"),
    slow("tip", mesh::tip, SYS, "tip:host=H;port=P: sends heartbeats to a node of the mesh too"),
    slow("tip-clear", mesh::tip_clear, SYS, "tip-clear:[host-port-list=H:P,…]: sends no more heartbeats to these addresses, or any, for their having been told of by tip"),
    slow("truncate", truncate::truncate, TRUNCATE, "truncate:namespace=NS;set=S[;lut=N]: removes the records of a set last written before N, in ns since 1970, or now"),
    slow("truncate-namespace", truncate::truncate_namespace, TRUNCATE, "truncate-namespace:namespace=NS[;lut=N]: removes the records of a namespace"),
    works("truncate-namespace-undo", truncate::undo_namespace, TRUNCATE, "truncate-namespace-undo:namespace=NS: ok; removed records are gone"),
    works("truncate-undo", truncate::undo, TRUNCATE, "truncate-undo:namespace=NS;set=S: ok; removed records are gone"),
    slow("udf-clear-cache", udf::clear_cache, UDF, "makes every module's contexts anew"),
    works("udf-get", udf::get, NONE, "udf-get:filename=F: a module as type=LUA;content=BASE64;"),
    works("udf-list", udf::list, NONE, "registered modules: filename=F,hash=SHA1,type=LUA;…"),
    change("udf-put", udf::put, udf::late, Place::AsideAtOnce, UDF, "udf-put:filename=F;content=BASE64;content-len=N;udf-type=LUA: registers a module"),
    change("udf-remove", udf::remove, udf::late, Place::AsideAtOnce, UDF, "udf-remove:filename=F: removes a module; ok also when there is none"),
    works("udf-stats", udf::stats, NONE, "udf-stats[:filename=F]: contexts of each module; this server only"),
    slow("udf-status", udf::status, NONE, "udf-status[:filename=F]: which node of the cluster has which version of each module; this server only"),
    works("user-agent-set", connection::user_agent_set, NONE, "user-agent-set:value=BASE64: what the client on this connection calls itself"),
    works("user-agents", connection::user_agents, NONE, "user-agent=BASE64:count=N;… of the connections"),
    works("version", identity::version, NONE, "edition and build in words"),
    enterprise("xdr-get-filter", "filter of shipping to another cluster"),
    enterprise("xdr-set-filter", "sets the filter of shipping to another cluster"),
];
