//! Counters of the whole server.

use super::counter::counters;
use super::histogram::Histogram;

counters! {
    /// What happened to the node since the start, as `statistics` reports it.
    pub struct ServerStats {
        /// Client connections accepted.
        client_connections_opened,
        /// Client connections closed.
        client_connections_closed,
        /// Connections accepted on the admin port.
        admin_connections_opened,
        /// Connections closed on the admin port.
        admin_connections_closed,
        /// Connections closed because they were idle, or left replies unread, for longer than `proto-fd-idle-ms`.
        reaped_fds,
        /// Info commands answered.
        info_complete,
        /// Info commands that waited longer than `info-max-ms`.
        info_timeout,
        /// Frames and messages that could not be taken apart.
        demarshal_error,
        /// Client requests refused before their namespace was known.
        early_tsvc_client_error,
        /// Requests proxied from other nodes refused before their namespace was known.
        early_tsvc_from_proxy_error,
        /// Batch rows proxied from other nodes refused before their namespace was known.
        early_tsvc_from_proxy_batch_sub_error,
        /// Batch requests begun.
        batch_index_initiate,
        /// Batch requests answered.
        batch_index_complete,
        /// Batch requests refused as a whole.
        batch_index_error,
        /// Batch requests that timed out.
        batch_index_timeout,
        /// Info commands in a form that newer servers no longer take.
        deprecated_requests,
        with {
            /// How long batch requests took: `batch-index`.
            batch_latency: Histogram,
        }
    }
}
