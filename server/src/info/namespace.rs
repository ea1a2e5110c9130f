//! Namespaces and their sets.

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, chosen, text};
use super::namespace_gauges;
use crate::record::Namespace;
use data::record::Set;

pub(super) fn namespaces(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    for namespace in &call.node.namespaces {
        fields.item(namespace.name());
    }
    Ok(())
}

/// `namespace/NS`: gauges, counters, settings, in the order of the reference.
pub(super) fn namespace(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    // Of all commands with a path, this one alone wants the slash.
    let name = match call.separator {
        Some(b'/') => call.params.path().next().unwrap_or_default(),
        _ => "",
    };
    let Some(namespace) = call.node.namespace(name) else {
        text(out, "type=unknown");
        return Ok(());
    };
    let mut fields = Fields::new(out, ';');
    namespace_gauges::put(namespace, &call.node.cluster.load(), &mut fields);
    namespace.stats.each(|name, value| fields.put(name, value));
    fields.all(&settings(namespace));
    Ok(())
}

/// The settings of a namespace as `name=value;…`, with the name of its stripe.
pub(super) fn settings(namespace: &Namespace) -> String {
    const ENGINE: &str = "storage-engine=memory;";
    let mut settings = String::new();
    namespace.settings.report(&mut settings);
    if namespace_gauges::has_stripe(namespace)
        && let Some(at) = settings.find(ENGINE)
    {
        settings.insert_str(at + ENGINE.len(), "storage-engine.stripe[0]=stripe-0;");
    }
    settings
}

/// `sets[/NS[/SET]]`
pub(super) fn sets(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut path = call.params.path();
    let (namespace, set) = (path.next(), path.next());
    let Some(name) = namespace else {
        for namespace in &call.node.namespaces {
            all_sets(namespace, out);
        }
        return Ok(());
    };
    let Some(namespace) = call.node.namespace(name) else {
        text(out, "ns_type=unknown");
        return Ok(());
    };
    match set {
        None => all_sets(namespace, out),
        Some(set) => {
            if let Some(set) = namespace.sets().get(set) {
                one_set(namespace, set, &mut Fields::new(out, ':'));
                text(out, ';');
            }
        }
    }
    Ok(())
}

fn all_sets(namespace: &Namespace, out: &mut BytesMut) {
    for set in namespace.sets().all() {
        let mut fields = Fields::new(out, ':');
        fields.put("ns", namespace.name());
        fields.put("set", chosen(set.name()));
        one_set(namespace, set, &mut fields);
        text(out, ';');
    }
}

fn one_set(namespace: &Namespace, set: &Set, fields: &mut Fields<'_>) {
    fields.put("objects", set.usage().objects());
    fields.put("tombstones", 0);
    fields.put("data_used_bytes", set.usage().bytes());
    fields.put("truncate_lut", set.truncate_lut_ms());
    fields.put("sindexes", namespace.indexes.of_set(set.name()));
    fields.put("index_populating", false);
    fields.put("truncating", false);
    let mut settings = String::new();
    namespace
        .settings
        .set_settings(set.name())
        .unwrap_or_default()
        .report(&mut settings);
    // A set index makes it so, however it was made.
    if namespace
        .indexes
        .indexed_sets()
        .iter()
        .any(|set_name| **set_name == *set.name())
    {
        settings = settings.replace("enable-index=false", "enable-index=true");
    }
    fields.all(&settings.replace(';', ":"));
}
