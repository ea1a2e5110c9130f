//! The answer of `udf-status`: which node of the cluster has which version of which module. Of this server only; the
//! real one has nothing like it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

use crate::catalogue::version::Summary;
use crate::modules::status::NodeModules;

/// Writes a row for each module and node, of one module if `file_name` is given:
/// `filename=F,node=ID,state=S,generation=G,time=T,from=ID,hash=H;`.
///
/// `state` is `ok` when the node has the newest version, `older` or `missing` when it does not, `unreachable` when it
/// did not answer. `time` is in ms since 2010, `from` the node where the version was registered; version and hash are
/// left out where there is none. `error=BASE64` is added when the node could not store the module, or did not answer. A
/// module that was removed is listed while a node still has it, or could not remove it.
pub(super) fn write(nodes: &[NodeModules], file_name: Option<&str>, out: &mut BytesMut) {
    let mut newest: BTreeMap<&str, &Summary> = BTreeMap::new();
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for said in nodes.iter().filter_map(|node| node.said.as_ref().ok()) {
        for (name, summary) in &said.modules {
            let best = newest.entry(name).or_insert(summary);
            *best = summary.max(best);
            if summary.hash.is_some() {
                listed.insert(name);
            }
        }
        listed.extend(said.failures.keys().map(String::as_str));
    }
    for name in listed {
        if file_name.is_some_and(|wanted| wanted != name) {
            continue;
        }
        for node in nodes {
            row(name, newest.get(name).copied(), node, out);
        }
    }
}

fn row(name: &str, newest: Option<&Summary>, node: &NodeModules, out: &mut BytesMut) {
    let (summary, error) = match &node.said {
        Ok(said) => (said.modules.get(name), said.failures.get(name)),
        Err(error) => (None, Some(error)),
    };
    let state = match (&node.said, summary) {
        (Err(_), _) => "unreachable",
        (Ok(_), None) => "missing",
        (Ok(_), summary) if summary == newest => "ok",
        (Ok(_), Some(_)) => "older",
    };
    let mut row = format!("filename={name},node={},state={state}", node.node);
    if let Some(Summary { version, hash }) = summary {
        // Writing to a string does not fail.
        let _ = write!(
            row,
            ",generation={},time={},from={:X}",
            version.generation, version.time_ms, version.node
        );
        if let Some(hash) = hash {
            let _ = write!(row, ",hash={hash}");
        } else {
            row.push_str(",removed=true");
        }
    }
    if let Some(error) = error {
        let _ = write!(row, ",error={}", STANDARD.encode(error));
    }
    row.push(';');
    out.put_slice(row.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::modules::status::Said;

    fn node(node: &str, modules: &[(&str, &str)], failures: &[(&str, &str)]) -> NodeModules {
        let modules = modules
            .iter()
            .map(|(name, summary)| (Arc::from(*name), summary.parse().unwrap()));
        let failures = failures
            .iter()
            .map(|(name, error)| ((*name).to_owned(), (*error).to_owned()));
        NodeModules {
            node: node.to_owned(),
            said: Ok(Said {
                modules: modules.collect(),
                failures: failures.collect(),
            }),
        }
    }

    #[test]
    fn every_node_has_a_row_for_every_module() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let new = format!("0,2,70,A1,{hash}");
        let old = format!("0,1,60,B2,{hash}");
        let mut nodes = vec![
            node("A1", &[("a.lua", &new), ("gone.lua", "0,4,9,A1,-")], &[]),
            node(
                "B2",
                &[("a.lua", &old), ("gone.lua", "0,4,9,A1,-")],
                &[("a.lua", "disk full")],
            ),
            node("C3", &[], &[]),
        ];
        nodes.push(NodeModules {
            node: "D4".to_owned(),
            said: Err("no answer".to_owned()),
        });
        let mut out = BytesMut::new();
        write(&nodes, None, &mut out);
        let expected = format!(
            "filename=a.lua,node=A1,state=ok,generation=2,time=70,from=A1,hash={hash};\
             filename=a.lua,node=B2,state=older,generation=1,time=60,from=B2,hash={hash},error=ZGlzayBmdWxs;\
             filename=a.lua,node=C3,state=missing;\
             filename=a.lua,node=D4,state=unreachable,error=bm8gYW5zd2Vy;"
        );
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        out.clear();
        write(&nodes, Some("gone.lua"), &mut out);
        assert!(out.is_empty(), "{out:?}");
    }
}
