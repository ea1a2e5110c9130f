//! Reading and changing settings.

use std::borrow::Cow;
use std::fmt::Display;

use bytes::BytesMut;
use protocol::info::InfoError;

use super::fields::{Fields, text};
use super::{Call, namespace};
use crate::config::{NamespaceSettings, SetError, Setting, Support};

/// `get-config[:context=C[;namespace=NS]]`; without a context `service` and `network` together.
pub(super) fn get(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let config = &call.node.config;
    let mut report = String::new();
    match call.params.get("context") {
        None => {
            config.service.report(&mut report);
            config.network.report(&mut report);
        }
        Some("service") => config.service.report(&mut report),
        Some("network") => config.network.report(&mut report),
        Some("namespace") => report = namespace::settings(call.namespace()?),
        Some("mod-lua") => config.mod_lua.report(&mut report),
        // Contexts of the enterprise edition hold nothing.
        Some("security" | "xdr") => {}
        Some(_) => return Err(InfoError::parameter("invalid context")),
    }
    Fields::new(out, ';').all(&report);
    Ok(())
}

/// `get-stats:context=xdr`: nothing is shipped to other clusters.
pub(super) fn get_stats(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    match call.params.required("context")? {
        "xdr" => Ok(()),
        _ => Err(InfoError::parameter("invalid context")),
    }
}

/// Where a change goes.
enum Target<'a> {
    Service,
    Network,
    ModLua,
    Namespace(&'a NamespaceSettings),
    Set(&'a NamespaceSettings, &'a str),
}

/// Keys that say where a change goes rather than what changes.
const ADDRESS_KEYS: &[&str] = &["context", "namespace", "ns", "id", "set"];

impl Target<'_> {
    /// Checks a change, and makes it when `apply` is set.
    fn change(
        &self,
        call: &Call<'_>,
        name: &str,
        value: &str,
        apply: bool,
    ) -> Result<Option<&'static Setting>, SetError> {
        macro_rules! on {
            ($settings:expr, $name:expr) => {{
                let settings = $settings;
                let name = $name;
                if apply {
                    settings.change(name, value).map(Some)
                } else {
                    settings.check(name, value).map(|()| None)
                }
            }};
        }
        let config = &call.node.config;
        match self {
            Self::Service => on!(&config.service, name),
            Self::Network => on!(&config.network, name),
            Self::ModLua => on!(&config.mod_lua, name),
            Self::Namespace(settings) => on!(*settings, &namespace_setting(settings, name)),
            Self::Set(settings, set) => on!(settings.set_settings_or_new(set), name),
        }
    }
}

impl Target<'_> {
    /// Refuses a life of records that nothing would end, as the reference does.
    fn allows(&self, name: &str, value: &str) -> Result<(), InfoError> {
        let digits = value.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        match self {
            Self::Namespace(settings)
                if name == "default-ttl"
                    && digits.parse() != Ok(0_u64)
                    && settings.nsup_period() == 0
                    && !settings.allow_ttl_without_nsup() =>
            {
                let why = "nothing would remove the records: set nsup-period, or allow-ttl-without-nsup true";
                Err(refusal(name, value, &why))
            }
            _ => Ok(()),
        }
    }
}

/// Settings of storage go without the name of their block in changes.
fn namespace_setting<'n>(settings: &NamespaceSettings, name: &'n str) -> Cow<'n, str> {
    let in_block = format!("storage-engine.{name}");
    if !settings.has(name) && settings.has(&in_block) {
        Cow::Owned(in_block)
    } else {
        Cow::Borrowed(name)
    }
}

/// `set-config:context=C[;namespace=NS[;set=SET]];NAME=VALUE`: all of several changes are made, or none.
pub(super) fn set(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let target = match call.params.required("context")? {
        "service" => Target::Service,
        "network" => Target::Network,
        "mod-lua" => Target::ModLua,
        "namespace" => {
            let settings = &*call.namespace()?.settings;
            match call.params.get("set") {
                None => Target::Namespace(settings),
                Some(_) => Target::Set(
                    settings,
                    call.params
                        .required_at_most("set", protocol::limits::MAX_SET_NAME)?,
                ),
            }
        }
        "security" | "xdr" => return Err(InfoError::enterprise_only()),
        _ => return Err(InfoError::parameter("invalid context")),
    };
    let changes: Vec<(Cow<'_, str>, Cow<'_, str>)> = call
        .params
        .pairs()
        .map(|(name, value)| {
            (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            )
        })
        .filter(|(name, _)| !ADDRESS_KEYS.contains(&name.as_ref()))
        .collect();
    if changes.is_empty() {
        return Err(InfoError::parameter("invalid set-config parameter"));
    }
    for (name, value) in &changes {
        let checked = target.change(call, name, value, false);
        checked
            .map_err(|error| refusal(name, value, &error))
            .and_then(|_| target.allows(name, value))?;
    }
    for (name, value) in &changes {
        let setting = target
            .change(call, name, value, true)
            .map_err(|error| refusal(name, value, &error))?;
        let effect = match setting.map(|setting| setting.support) {
            Some(Support::Reported) => " (without effect on this server)",
            _ => "",
        };
        tracing::info!(target: "config", "set-config: {name} changed to {value}{effect}");
    }
    text(out, "ok");
    Ok(())
}

/// The reference answers all alike; the log says what is wrong.
fn refusal(name: &str, value: &str, why: &dyn Display) -> InfoError {
    tracing::info!(target: "config", "set-config: {name} is not changed to {value}: {why}");
    InfoError::parameter("invalid set-config parameter")
}
