//! A node in this process, for programs that measure: requests go straight to its dispatch.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runtime::context::{Limits, LuaFactory};
use server::config::Config;
use server::contexts::ServerHost;
use server::contexts::service::Service;
use server::log::Log;
use server::modules::settings::UdfSettings;
use server::net::running::Running;
use server::node::Node;
use server::transaction::functions::LuaFunctions;

/// A node with the embedded configuration and these modules, by file name, their contexts made.
///
/// # Errors
/// The directory cannot be used, or a module is refused.
pub fn node(
    directory: &Path,
    modules: &[(&str, &str)],
) -> Result<Running, Box<dyn std::error::Error>> {
    let config = Config::embedded()?;
    let log = Log::open(&config.logging, false)?;
    let user_path = directory.join("lua");
    let factory = LuaFactory::new(
        &user_path.to_string_lossy(),
        false,
        false,
        Limits::default(),
        Arc::new(ServerHost),
    );
    let functions = Arc::new(Service::open(
        UdfSettings::new(directory, &user_path),
        factory,
    )?);
    for (file, source) in modules {
        functions.put(file, &STANDARD.encode(source))?;
    }
    functions.wait_until_warm(Duration::from_secs(20));
    let node = Arc::new(Node::new(config, log, Arc::clone(&functions) as _));
    Ok(Running {
        node,
        functions: LuaFunctions(functions),
        placement: server::cluster::records::ClusterPlacement(None),
    })
}
