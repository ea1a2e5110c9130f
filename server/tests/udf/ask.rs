//! Info commands to a service.

use bytes::BytesMut;
use protocol::info::{Command, Params};
use server::contexts::factory::ContextFactory;
use server::modules::changes as info;
use server::modules::service::Service;

type Handler<F> = fn(&Service<F>, &Params<'_>, &mut BytesMut);

fn handler<F: ContextFactory>(name: &str) -> Option<Handler<F>> {
    Some(match name {
        "udf-put" => |service, params, out| info::udf_put(service, service, params, out),
        "udf-get" => info::udf_get,
        "udf-list" => info::udf_list,
        "udf-remove" => |service, params, out| info::udf_remove(service, params, out),
        "udf-clear-cache" => info::udf_clear_cache,
        "udf-stats" => info::udf_stats,
        "udf-status" => info::udf_status,
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
