//! Info commands to a service.

use bytes::BytesMut;
use protocol::info::{Command, Params};
use server::contexts::commands::ModuleCommands;
use server::contexts::factory::ContextFactory;
use server::contexts::service::Service;
use server::info::udf;

type Handler = fn(&dyn ModuleCommands, &Params<'_>, &mut BytesMut);

fn handler(name: &str) -> Option<Handler> {
    Some(match name {
        "udf-put" => udf::udf_put,
        "udf-get" => udf::udf_get,
        "udf-list" => udf::udf_list,
        "udf-remove" => udf::udf_remove,
        "udf-clear-cache" => udf::udf_clear_cache,
        "udf-stats" => udf::udf_stats,
        "udf-status" => udf::udf_status,
        _ => return None,
    })
}

/// The answer to one command; none when it is no command on modules.
pub(crate) fn answer<F: ContextFactory>(
    service: &Service<F>,
    command: &Command<'_>,
) -> Option<Vec<u8>> {
    let mut out = BytesMut::new();
    handler(command.name)?(service, &command.params, &mut out);
    Some(out.to_vec())
}

/// The answer to one command.
pub(crate) fn ask<F: ContextFactory>(service: &Service<F>, command: &str) -> String {
    let answer = answer(service, &Command::parse(command.as_bytes())).expect("such a command");
    String::from_utf8(answer).expect("answers to UTF-8 requests are UTF-8")
}
