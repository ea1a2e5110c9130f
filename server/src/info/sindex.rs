//! Secondary indexes: made, taken away, listed. Checks and texts stand in the order of the real server's
//! (`tests/golden/sindex.jsonl`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use data::bin::BinName;
use data::expression::{Expression, ExpressionType};
use data::filter;
use data::work::UnitsLeft;
use protocol::info::{Command, InfoError, Params};
use protocol::limits::{MAX_BIN_NAME, MAX_SET_NAME};
use protocol::result_code::ResultCode;

use super::fields::{Fields, text};
use super::{Call, ConnectionState};
use crate::index::{
    Definition, DefinitionError, Index, IndexChangeError, IndexContext, IndexType, Indexed,
    SetIndex, Slot, Source, ValueType,
};
use crate::node::Node;
use crate::record::Namespace;

/// Longest values, characters.
const MAX_NAME: usize = 63;
const MAX_NAMESPACE: usize = 31;
const MAX_LISTED_NAMESPACE: usize = 127;
const MAX_CONTEXT: usize = 2047;
const MAX_EXPRESSION: usize = 16_383;
const MAX_INDEX_TYPE: usize = 9;
const MAX_TYPE: usize = 11;
const MAX_INDEX_DATA: usize = 27;

/// A value that may be missing, but not empty or too long.
fn optional<'p>(params: &Params<'p>, key: &str, max: usize) -> Result<Option<&'p str>, InfoError> {
    match params.get(key) {
        None => Ok(None),
        Some(_) => params.required_at_most(key, max).map(Some),
    }
}

/// The namespace's name, under either of its keys; its errors have their own code.
fn namespace_name<'p>(params: &Params<'p>, max: usize) -> Result<&'p str, InfoError> {
    let refused = |what: &str| InfoError::new(ResultCode::NAMESPACE, what.to_owned());
    match params.get("namespace").or_else(|| params.get("ns")) {
        None => Err(refused("missing 'namespace'")),
        Some("") => Err(refused("missing 'namespace' value")),
        Some(name) if name.len() > max => Err(refused("'namespace' value too long")),
        Some(name) => Ok(name),
    }
}

/// `sindex-create`
pub(super) fn create(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let params = &call.params;
    let name = params.required_at_most("indexname", MAX_NAME)?;
    // Lists of indexes could not be taken apart again.
    if name.contains(|c: char| c == ':' || c.is_control()) {
        return Err(InfoError::parameter(
            "bad 'indexname' - must not contain ':' or control characters",
        ));
    }
    let namespace = namespace_name(params, MAX_NAMESPACE)?;
    let is_set = params
        .get("indextype")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("set"));
    let indexed = if is_set {
        Indexed::Set(set_index(params)?)
    } else {
        Indexed::Values(definition(params)?)
    };
    // An unknown namespace of an index of values is no error: clients learn of it when they ask for the index.
    if let Indexed::Set(set) = &indexed {
        let namespace = call.node.namespace(namespace);
        let namespace = namespace.ok_or_else(|| InfoError::parameter("namespace not found"))?;
        namespace
            .set(set)
            .map_err(|error| InfoError::parameter(error.to_string()))?;
    }
    let defined = call.node.indexes.define(namespace, name, indexed);
    defined.map_err(refusal)?;
    text(out, "ok");
    Ok(())
}

/// A change that goes on, but took longer than anybody waits.
pub(super) fn late(
    _: &Node,
    connection: &ConnectionState,
    command: &Command<'_>,
    out: &mut BytesMut,
) {
    tracing::warn!(target: "sindex", "{} of {} is still being done", command.name, connection.peer());
    text(out, refusal(IndexChangeError::Timeout).to_string());
}

/// A refusal of the indexes of the node.
fn refusal(error: IndexChangeError) -> InfoError {
    let code = match &error {
        IndexChangeError::Definition(DefinitionError::TooMany) => ResultCode::SINDEX_MAX_COUNT,
        IndexChangeError::Definition(_) => ResultCode::SINDEX_FOUND,
        IndexChangeError::Timeout => ResultCode::TIMEOUT,
        IndexChangeError::Store(error) => {
            tracing::error!(target: "sindex", "{error}");
            ResultCode::UNKNOWN
        }
    };
    InfoError::new(code, error.to_string())
}

fn set_index(params: &Params<'_>) -> Result<Box<str>, InfoError> {
    for key in ["context", "indexdata", "type", "bin", "exp"] {
        if params.get(key).is_some() {
            return Err(InfoError::parameter(format!(
                "{key} parameter is not supported for set index"
            )));
        }
    }
    params.required_at_most("set", MAX_SET_NAME).map(Into::into)
}

fn definition(params: &Params<'_>) -> Result<Definition, InfoError> {
    let set = optional(params, "set", MAX_SET_NAME)?;
    let context = optional(params, "context", MAX_CONTEXT)?
        .map(context)
        .transpose()?;
    let index_type = match optional(params, "indextype", MAX_INDEX_TYPE)? {
        None => IndexType::Default,
        Some(name) => IndexType::of_name(name).ok_or_else(|| {
            InfoError::parameter(
                "bad 'indextype' - must be one of 'default', 'list', 'mapkeys', 'mapvalues'",
            )
        })?,
    };
    let (source, value_type) = match (params.get("indexdata"), params.get("type")) {
        (None, None) => {
            return Err(InfoError::parameter(
                "both 'indexdata' and 'type' are missing",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(InfoError::parameter(
                "both 'indexdata' and 'type' are specified",
            ));
        }
        (Some(data), None) => {
            let (name, value_type) = old_form(data)?;
            (Source::Bin { name, context }, value_type)
        }
        (None, Some(_)) => new_form(params, context, index_type)?,
    };
    if index_type == IndexType::MapKeys && value_type == ValueType::Geo2dSphere {
        return Err(InfoError::parameter(
            "bad 'indexdata' bin type for 'indextype' 'mapkeys' - must be one of 'numeric', 'string', 'blob'",
        ));
    }
    Ok(Definition {
        set: set.map(Into::into),
        source,
        index_type,
        value_type,
    })
}

fn context(encoded: &str) -> Result<IndexContext, InfoError> {
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| InfoError::parameter("'context' invalid base64"))?;
    IndexContext::parse(&bytes).map_err(|error| InfoError::parameter(format!("'context' {error}")))
}

const TYPES: &str = "must be one of 'numeric', 'string', 'blob', 'geo2dsphere'";

/// `bin,type`
fn old_form(data: &str) -> Result<(BinName, ValueType), InfoError> {
    let refused = |what: &str| InfoError::parameter(format!("'indexdata' {what}"));
    if data.len() > MAX_INDEX_DATA {
        return Err(refused("value too long"));
    }
    let (bin, kind) = data
        .split_once(',')
        .ok_or_else(|| refused("missing bin type"))?;
    if bin.is_empty() {
        return Err(refused("missing bin name"));
    }
    let name = BinName::new(bin.as_bytes()).ok_or_else(|| refused("bin name too long"))?;
    let kind = ValueType::of_name(kind)
        .ok_or_else(|| InfoError::parameter(format!("bad 'indexdata' bin type - {TYPES}")))?;
    Ok((name, kind))
}

fn new_form(
    params: &Params<'_>,
    context: Option<IndexContext>,
    index_type: IndexType,
) -> Result<(Source, ValueType), InfoError> {
    let kind = params.required_at_most("type", MAX_TYPE)?;
    let kind = ValueType::of_name(kind)
        .ok_or_else(|| InfoError::parameter(format!("bad 'type' - {TYPES}")))?;
    let bin = optional(params, "bin", MAX_BIN_NAME)?;
    let source = match (bin, params.get("exp")) {
        (None, None) => {
            return Err(InfoError::parameter("both 'bin' and 'exp' are missing"));
        }
        (Some(_), Some(_)) => {
            return Err(InfoError::parameter("both 'bin' and 'exp' are specified"));
        }
        (Some(bin), None) => Source::Bin {
            name: BinName::new(bin.as_bytes())
                .ok_or_else(|| InfoError::parameter("'bin' value too long"))?,
            context,
        },
        (None, Some(_)) if context.is_some() => {
            return Err(InfoError::parameter(
                "both 'context' and 'exp' are specified",
            ));
        }
        (None, Some(_)) => {
            let encoded = params.required_at_most("exp", MAX_EXPRESSION)?;
            expression(encoded, index_type, kind)?
        }
    };
    Ok((source, kind))
}

fn expression(encoded: &str, index_type: IndexType, kind: ValueType) -> Result<Source, InfoError> {
    let bad = || InfoError::parameter("bad 'exp'");
    let bytes = STANDARD.decode(encoded).map_err(|_| bad())?;
    let expression =
        Expression::parse(&bytes, &mut UnitsLeft(filter::MAX_UNITS)).map_err(|_| bad())?;
    if !expression.is_of_bins_only() {
        return Err(bad());
    }
    let name = |kind: ExpressionType| match kind {
        ExpressionType::Integer => "numeric",
        kind => kind.name(),
    };
    let expected = match (index_type, kind) {
        (IndexType::List, _) => ExpressionType::List,
        (IndexType::MapKeys | IndexType::MapValues, _) => ExpressionType::Map,
        (IndexType::Default, ValueType::Numeric) => ExpressionType::Integer,
        (IndexType::Default, ValueType::String) => ExpressionType::String,
        (IndexType::Default, ValueType::Blob) => ExpressionType::Blob,
        (IndexType::Default, ValueType::Geo2dSphere) => ExpressionType::GeoJson,
    };
    let found = expression.kind();
    if found != expected {
        return Err(InfoError::parameter(format!(
            "bad 'exp' - expression type '{}' does not match expected type '{}'",
            name(found),
            name(expected)
        )));
    }
    Ok(Source::Expression {
        bytes: bytes.into(),
        expression: Arc::new(expression),
    })
}

/// `sindex-delete`: `ok` also when there is no index of the name, or no such namespace.
pub(super) fn delete(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let name = call.params.required_at_most("indexname", MAX_NAME)?;
    let namespace = namespace_name(&call.params, MAX_NAMESPACE)?;
    let removed = call.node.indexes.remove(namespace, name);
    removed.map_err(refusal)?;
    text(out, "ok");
    Ok(())
}

/// The namespace of a command that wants one which is there.
fn known<'n>(call: &Call<'n>) -> Result<&'n Arc<Namespace>, InfoError> {
    let name = namespace_name(&call.params, MAX_LISTED_NAMESPACE)?;
    let namespace = call.node.namespace(name);
    namespace.ok_or_else(InfoError::namespace_not_found)
}

/// `sindex-exists`
pub(super) fn exists(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let name = call.params.required_at_most("indexname", MAX_NAME)?;
    text(out, known(call)?.indexes.named(name).is_some());
    Ok(())
}

/// `sindex-list[:namespace=NS][;b64=true|false]`
pub(super) fn list(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let is_encoded = match call.params.get("b64") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) if other.len() > 5 => {
            return Err(InfoError::parameter("'b64' value too long"));
        }
        Some(_) => return Err(InfoError::parameter("bad b64")),
    };
    let is_named = ["namespace", "ns"]
        .iter()
        .any(|key| call.params.get(key).is_some());
    if !is_named {
        list_of(&call.node.namespaces, is_encoded, true, out);
        return Ok(());
    }
    match known(call) {
        Ok(namespace) => list_of(std::slice::from_ref(namespace), is_encoded, true, out),
        // The reference answers twice.
        Err(error) => text(out, format_args!("{error};{error}")),
    }
    Ok(())
}

fn list_of(namespaces: &[Arc<Namespace>], is_encoded: bool, with_sets: bool, out: &mut BytesMut) {
    let mut entries = Fields::new(out, ';');
    for namespace in namespaces {
        for slot in namespace.indexes.all() {
            match slot {
                Slot::Values(index) => entries.item(entry(namespace, &index, is_encoded)),
                Slot::Set(SetIndex { name, set }) if with_sets => entries.item(format_args!(
                    "ns={}:indexname={name}:set={set}:indextype=set",
                    namespace.name()
                )),
                Slot::Set(_) => {}
            }
        }
    }
}

fn entry(namespace: &Namespace, index: &Index, is_encoded: bool) -> String {
    const NULL: &str = "null";
    let definition = &index.definition;
    let (bin, context, exp) = match &definition.source {
        Source::Bin { name, context } => {
            let context = context.as_ref().map(|context| match is_encoded {
                true => STANDARD.encode(context.given()),
                false => context.text(),
            });
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            (Some(name), context, None)
        }
        Source::Expression { bytes, .. } => {
            let exp = match is_encoded {
                true => Some(STANDARD.encode(bytes)),
                false => definition.source.expression_text(),
            };
            (None, None, exp)
        }
    };
    let or_null = |part: &Option<String>| part.clone().unwrap_or_else(|| NULL.to_owned());
    format!(
        "ns={}:indexname={}:set={}:bin={}:type={}:indextype={}:context={}:exp={}:state={}",
        namespace.name(),
        index.name(),
        definition.set.as_deref().unwrap_or(NULL),
        or_null(&bin),
        definition.value_type.name(),
        definition.index_type.name(),
        or_null(&context),
        or_null(&exp),
        if index.is_ready() { "RW" } else { "WO" }
    )
}

/// `sindex[/NS[/INDEX]]`: the older form of `sindex-list`, without set indexes, and with an index that of `sindex-stat`.
pub(super) fn by_path(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let path = String::from_utf8_lossy(call.params.text);
    if path.is_empty() {
        list_of(&call.node.namespaces, false, false, out);
        return Ok(());
    }
    let (namespace, index) = match path.split_once('/') {
        Some((namespace, index)) => (namespace, Some(index)),
        None => (&*path, None),
    };
    let Some(namespace) = call.node.namespace(namespace) else {
        text(out, "ns_type=unknown");
        return Ok(());
    };
    match index {
        Some(index) => stat_of(namespace, index, out),
        None => {
            list_of(std::slice::from_ref(namespace), false, false, out);
            Ok(())
        }
    }
}

/// `sindex-stat`
pub(super) fn stat(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let name = call.params.required_at_most("indexname", MAX_NAME)?;
    stat_of(known(call)?, name, out)
}

fn stat_of(namespace: &Namespace, name: &str, out: &mut BytesMut) -> Result<(), InfoError> {
    let slot = namespace.indexes.named(name);
    let slot = slot.ok_or_else(|| InfoError::new(ResultCode::SINDEX_NOT_FOUND, "no index"))?;
    let mut fields = Fields::new(out, ';');
    match slot {
        Slot::Values(index) => {
            let (per_value, per_record) = index.averages();
            fields.put("entries", index.entries());
            fields.put("used_bytes", index.bytes());
            fields.put("entries_per_bval", per_value);
            fields.put("entries_per_rec", per_record);
            fields.put("load_pct", index.load_percent());
            fields.put("load_time", index.load_ms());
            fields.put("stat_gc_recs", 0);
        }
        Slot::Set(index) => {
            let objects = |set: &str| {
                namespace
                    .sets()
                    .get(set)
                    .map_or(0, |set| set.usage().objects())
            };
            fields.put("entries", objects(&index.set));
            fields.put("used_bytes", namespace.set_index_memory());
            fields.put("load_pct", 100);
        }
    }
    Ok(())
}

/// What all other indexes of a namespace take, bytes.
pub(super) fn index_bytes(namespace: &Namespace) -> u64 {
    let of_values = |slot| match slot {
        Slot::Values(index) => index.bytes(),
        Slot::Set(_) => 0,
    };
    namespace.indexes.all().into_iter().map(of_values).sum()
}
