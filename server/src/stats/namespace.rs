//! Counters of a namespace.

use super::counter::counters;

counters! {
    /// What happened to a namespace since the start, as `namespace/<name>` reports it between its gauges and its settings.
    pub struct NamespaceStats {
        /// Requests by clients that failed before they started.
        client_tsvc_error,
        /// Requests by clients that timed out before they started.
        client_tsvc_timeout,
        /// Transactions handed to another node by clients that came to an end.
        client_proxy_complete,
        /// Transactions handed to another node by clients that failed.
        client_proxy_error,
        /// Transactions handed to another node by clients that timed out.
        client_proxy_timeout,
        /// Reads by clients that succeeded.
        client_read_success: BusyCounter,
        /// Reads by clients that failed.
        client_read_error,
        /// Reads by clients that timed out.
        client_read_timeout,
        /// Reads by clients that found no record.
        client_read_not_found: BusyCounter,
        /// Reads by clients that were filtered out.
        client_read_filtered_out,
        /// Writes by clients that succeeded.
        client_write_success: BusyCounter,
        /// Writes by clients that failed.
        client_write_error,
        /// Writes by clients that timed out.
        client_write_timeout,
        /// Writes by clients that were filtered out.
        client_write_filtered_out,
        /// Writes sent by XDR that succeeded.
        xdr_client_write_success,
        /// Writes sent by XDR that failed.
        xdr_client_write_error,
        /// Writes sent by XDR that timed out.
        xdr_client_write_timeout,
        /// Deletes by clients that succeeded.
        client_delete_success: BusyCounter,
        /// Deletes by clients that failed.
        client_delete_error,
        /// Deletes by clients that timed out.
        client_delete_timeout,
        /// Deletes by clients that found no record.
        client_delete_not_found: BusyCounter,
        /// Deletes by clients that were filtered out.
        client_delete_filtered_out,
        /// Deletes sent by XDR that succeeded.
        xdr_client_delete_success,
        /// Deletes sent by XDR that failed.
        xdr_client_delete_error,
        /// Deletes sent by XDR that timed out.
        xdr_client_delete_timeout,
        /// Deletes sent by XDR that found no record.
        xdr_client_delete_not_found,
        /// Record UDF calls by clients that came to an end.
        client_udf_complete: BusyCounter,
        /// Record UDF calls by clients that failed.
        client_udf_error,
        /// Record UDF calls by clients that timed out.
        client_udf_timeout,
        /// Record UDF calls by clients that were filtered out.
        client_udf_filtered_out,
        /// Record UDF calls that changed nothing by clients.
        client_lang_read_success: BusyCounter,
        /// Record UDF calls that wrote by clients.
        client_lang_write_success: BusyCounter,
        /// Record UDF calls that deleted by clients.
        client_lang_delete_success: BusyCounter,
        /// Record UDF calls that failed in Lua by clients.
        client_lang_error,
        /// Requests proxied from another node that failed before they started.
        from_proxy_tsvc_error,
        /// Requests proxied from another node that timed out before they started.
        from_proxy_tsvc_timeout,
        /// Reads proxied from another node that succeeded.
        from_proxy_read_success,
        /// Reads proxied from another node that failed.
        from_proxy_read_error,
        /// Reads proxied from another node that timed out.
        from_proxy_read_timeout,
        /// Reads proxied from another node that found no record.
        from_proxy_read_not_found,
        /// Reads proxied from another node that were filtered out.
        from_proxy_read_filtered_out,
        /// Writes proxied from another node that succeeded.
        from_proxy_write_success,
        /// Writes proxied from another node that failed.
        from_proxy_write_error,
        /// Writes proxied from another node that timed out.
        from_proxy_write_timeout,
        /// Writes proxied from another node that were filtered out.
        from_proxy_write_filtered_out,
        /// XDR writes proxied from another node that succeeded.
        xdr_from_proxy_write_success,
        /// XDR writes proxied from another node that failed.
        xdr_from_proxy_write_error,
        /// XDR writes proxied from another node that timed out.
        xdr_from_proxy_write_timeout,
        /// Deletes proxied from another node that succeeded.
        from_proxy_delete_success,
        /// Deletes proxied from another node that failed.
        from_proxy_delete_error,
        /// Deletes proxied from another node that timed out.
        from_proxy_delete_timeout,
        /// Deletes proxied from another node that found no record.
        from_proxy_delete_not_found,
        /// Deletes proxied from another node that were filtered out.
        from_proxy_delete_filtered_out,
        /// XDR deletes proxied from another node that succeeded.
        xdr_from_proxy_delete_success,
        /// XDR deletes proxied from another node that failed.
        xdr_from_proxy_delete_error,
        /// XDR deletes proxied from another node that timed out.
        xdr_from_proxy_delete_timeout,
        /// XDR deletes proxied from another node that found no record.
        xdr_from_proxy_delete_not_found,
        /// Record UDF calls proxied from another node that came to an end.
        from_proxy_udf_complete,
        /// Record UDF calls proxied from another node that failed.
        from_proxy_udf_error,
        /// Record UDF calls proxied from another node that timed out.
        from_proxy_udf_timeout,
        /// Record UDF calls proxied from another node that were filtered out.
        from_proxy_udf_filtered_out,
        /// Record UDF calls that changed nothing proxied from another node.
        from_proxy_lang_read_success,
        /// Record UDF calls that wrote proxied from another node.
        from_proxy_lang_write_success,
        /// Record UDF calls that deleted proxied from another node.
        from_proxy_lang_delete_success,
        /// Record UDF calls that failed in Lua proxied from another node.
        from_proxy_lang_error,
        /// Batch requests that failed before they started.
        batch_sub_tsvc_error,
        /// Batch requests that timed out before they started.
        batch_sub_tsvc_timeout,
        /// Batch transactions handed to another node that came to an end.
        batch_sub_proxy_complete,
        /// Batch transactions handed to another node that failed.
        batch_sub_proxy_error,
        /// Batch transactions handed to another node that timed out.
        batch_sub_proxy_timeout,
        /// Batch reads that succeeded.
        batch_sub_read_success: BusyCounter,
        /// Batch reads that failed.
        batch_sub_read_error,
        /// Batch reads that timed out.
        batch_sub_read_timeout,
        /// Batch reads that found no record.
        batch_sub_read_not_found: BusyCounter,
        /// Batch reads that were filtered out.
        batch_sub_read_filtered_out,
        /// Batch writes that succeeded.
        batch_sub_write_success: BusyCounter,
        /// Batch writes that failed.
        batch_sub_write_error,
        /// Batch writes that timed out.
        batch_sub_write_timeout,
        /// Batch writes that were filtered out.
        batch_sub_write_filtered_out,
        /// Batch deletes that succeeded.
        batch_sub_delete_success: BusyCounter,
        /// Batch deletes that failed.
        batch_sub_delete_error,
        /// Batch deletes that timed out.
        batch_sub_delete_timeout,
        /// Batch deletes that found no record.
        batch_sub_delete_not_found: BusyCounter,
        /// Batch deletes that were filtered out.
        batch_sub_delete_filtered_out,
        /// Batch record UDF calls that came to an end.
        batch_sub_udf_complete: BusyCounter,
        /// Batch record UDF calls that failed.
        batch_sub_udf_error,
        /// Batch record UDF calls that timed out.
        batch_sub_udf_timeout,
        /// Batch record UDF calls that were filtered out.
        batch_sub_udf_filtered_out,
        /// Batch record UDF calls that changed nothing.
        batch_sub_lang_read_success: BusyCounter,
        /// Batch record UDF calls that wrote.
        batch_sub_lang_write_success: BusyCounter,
        /// Batch record UDF calls that deleted.
        batch_sub_lang_delete_success: BusyCounter,
        /// Batch record UDF calls that failed in Lua.
        batch_sub_lang_error,
        /// Batch requests proxied from another node that failed before they started.
        from_proxy_batch_sub_tsvc_error,
        /// Batch requests proxied from another node that timed out before they started.
        from_proxy_batch_sub_tsvc_timeout,
        /// Batch reads proxied from another node that succeeded.
        from_proxy_batch_sub_read_success,
        /// Batch reads proxied from another node that failed.
        from_proxy_batch_sub_read_error,
        /// Batch reads proxied from another node that timed out.
        from_proxy_batch_sub_read_timeout,
        /// Batch reads proxied from another node that found no record.
        from_proxy_batch_sub_read_not_found,
        /// Batch reads proxied from another node that were filtered out.
        from_proxy_batch_sub_read_filtered_out,
        /// Batch writes proxied from another node that succeeded.
        from_proxy_batch_sub_write_success,
        /// Batch writes proxied from another node that failed.
        from_proxy_batch_sub_write_error,
        /// Batch writes proxied from another node that timed out.
        from_proxy_batch_sub_write_timeout,
        /// Batch writes proxied from another node that were filtered out.
        from_proxy_batch_sub_write_filtered_out,
        /// Batch deletes proxied from another node that succeeded.
        from_proxy_batch_sub_delete_success,
        /// Batch deletes proxied from another node that failed.
        from_proxy_batch_sub_delete_error,
        /// Batch deletes proxied from another node that timed out.
        from_proxy_batch_sub_delete_timeout,
        /// Batch deletes proxied from another node that found no record.
        from_proxy_batch_sub_delete_not_found,
        /// Batch deletes proxied from another node that were filtered out.
        from_proxy_batch_sub_delete_filtered_out,
        /// Batch record UDF calls proxied from another node that came to an end.
        from_proxy_batch_sub_udf_complete,
        /// Batch record UDF calls proxied from another node that failed.
        from_proxy_batch_sub_udf_error,
        /// Batch record UDF calls proxied from another node that timed out.
        from_proxy_batch_sub_udf_timeout,
        /// Batch record UDF calls proxied from another node that were filtered out.
        from_proxy_batch_sub_udf_filtered_out,
        /// Batch record UDF calls that changed nothing proxied from another node.
        from_proxy_batch_sub_lang_read_success,
        /// Batch record UDF calls that wrote proxied from another node.
        from_proxy_batch_sub_lang_write_success,
        /// Batch record UDF calls that deleted proxied from another node.
        from_proxy_batch_sub_lang_delete_success,
        /// Batch record UDF calls that failed in Lua proxied from another node.
        from_proxy_batch_sub_lang_error,
        /// Requests of background UDF queries that failed before they started.
        udf_sub_tsvc_error,
        /// Requests of background UDF queries that timed out before they started.
        udf_sub_tsvc_timeout,
        /// Record UDF calls of background UDF queries that came to an end.
        udf_sub_udf_complete: BusyCounter,
        /// Record UDF calls of background UDF queries that failed.
        udf_sub_udf_error,
        /// Record UDF calls of background UDF queries that timed out.
        udf_sub_udf_timeout,
        /// Record UDF calls of background UDF queries that were filtered out.
        udf_sub_udf_filtered_out,
        /// Record UDF calls that changed nothing of background UDF queries.
        udf_sub_lang_read_success: BusyCounter,
        /// Record UDF calls that wrote of background UDF queries.
        udf_sub_lang_write_success: BusyCounter,
        /// Record UDF calls that deleted of background UDF queries.
        udf_sub_lang_delete_success: BusyCounter,
        /// Record UDF calls that failed in Lua of background UDF queries.
        udf_sub_lang_error,
        /// Requests of background operation queries that failed before they started.
        ops_sub_tsvc_error,
        /// Requests of background operation queries that timed out before they started.
        ops_sub_tsvc_timeout,
        /// Writes of background operation queries that succeeded.
        ops_sub_write_success: BusyCounter,
        /// Writes of background operation queries that failed.
        ops_sub_write_error,
        /// Writes of background operation queries that timed out.
        ops_sub_write_timeout,
        /// Writes of background operation queries that were filtered out.
        ops_sub_write_filtered_out,
        /// Duplicate resolutions asked of other nodes.
        dup_res_ask,
        /// Duplicate resolutions answered after reading the record.
        dup_res_respond_read,
        /// Duplicate resolutions answered without reading the record.
        dup_res_respond_no_read,
        /// Duplicate resolution sent again for read transactions.
        retransmit_all_read_dup_res,
        /// Duplicate resolution sent again for write transactions.
        retransmit_all_write_dup_res,
        /// Duplicate resolution sent again for delete transactions.
        retransmit_all_delete_dup_res,
        /// Duplicate resolution sent again for UDF transactions.
        retransmit_all_udf_dup_res,
        /// Duplicate resolution sent again for batch sub read transactions.
        retransmit_all_batch_sub_read_dup_res,
        /// Duplicate resolution sent again for batch sub write transactions.
        retransmit_all_batch_sub_write_dup_res,
        /// Duplicate resolution sent again for batch sub delete transactions.
        retransmit_all_batch_sub_delete_dup_res,
        /// Duplicate resolution sent again for batch sub UDF transactions.
        retransmit_all_batch_sub_udf_dup_res,
        /// Duplicate resolution sent again for UDF sub transactions.
        retransmit_udf_sub_dup_res,
        /// Duplicate resolution sent again for ops sub transactions.
        retransmit_ops_sub_dup_res,
        /// Replica pings sent again for read transactions.
        retransmit_all_read_repl_ping,
        /// Replica pings sent again for batch sub read transactions.
        retransmit_all_batch_sub_read_repl_ping,
        /// Replica writes sent again for write transactions.
        retransmit_all_write_repl_write,
        /// Replica writes sent again for delete transactions.
        retransmit_all_delete_repl_write,
        /// Replica writes sent again for UDF transactions.
        retransmit_all_udf_repl_write,
        /// Replica writes sent again for batch sub write transactions.
        retransmit_all_batch_sub_write_repl_write,
        /// Replica writes sent again for batch sub delete transactions.
        retransmit_all_batch_sub_delete_repl_write,
        /// Replica writes sent again for batch sub UDF transactions.
        retransmit_all_batch_sub_udf_repl_write,
        /// Replica writes sent again for UDF sub transactions.
        retransmit_udf_sub_repl_write,
        /// Replica writes sent again for ops sub transactions.
        retransmit_ops_sub_repl_write,
        /// Primary index short queries that came to an end.
        pi_query_short_basic_complete,
        /// Primary index short queries that failed.
        pi_query_short_basic_error,
        /// Primary index short queries that timed out.
        pi_query_short_basic_timeout,
        /// Primary index long queries that came to an end.
        pi_query_long_basic_complete,
        /// Primary index long queries that failed.
        pi_query_long_basic_error,
        /// Primary index long queries that were aborted.
        pi_query_long_basic_abort,
        /// Primary index aggregations that came to an end.
        pi_query_aggr_complete,
        /// Primary index aggregations that failed.
        pi_query_aggr_error,
        /// Primary index aggregations that were aborted.
        pi_query_aggr_abort,
        /// Primary index background UDF queries that came to an end.
        pi_query_udf_bg_complete,
        /// Primary index background UDF queries that failed.
        pi_query_udf_bg_error,
        /// Primary index background UDF queries that were aborted.
        pi_query_udf_bg_abort,
        /// Primary index background operation queries that came to an end.
        pi_query_ops_bg_complete,
        /// Primary index background operation queries that failed.
        pi_query_ops_bg_error,
        /// Primary index background operation queries that were aborted.
        pi_query_ops_bg_abort,
        /// Secondary index short queries that came to an end.
        si_query_short_basic_complete,
        /// Secondary index short queries that failed.
        si_query_short_basic_error,
        /// Secondary index short queries that timed out.
        si_query_short_basic_timeout,
        /// Secondary index long queries that came to an end.
        si_query_long_basic_complete,
        /// Secondary index long queries that failed.
        si_query_long_basic_error,
        /// Secondary index long queries that were aborted.
        si_query_long_basic_abort,
        /// Secondary index aggregations that came to an end.
        si_query_aggr_complete,
        /// Secondary index aggregations that failed.
        si_query_aggr_error,
        /// Secondary index aggregations that were aborted.
        si_query_aggr_abort,
        /// Secondary index background UDF queries that came to an end.
        si_query_udf_bg_complete,
        /// Secondary index background UDF queries that failed.
        si_query_udf_bg_error,
        /// Secondary index background UDF queries that were aborted.
        si_query_udf_bg_abort,
        /// Secondary index background operation queries that came to an end.
        si_query_ops_bg_complete,
        /// Secondary index background operation queries that failed.
        si_query_ops_bg_error,
        /// Secondary index background operation queries that were aborted.
        si_query_ops_bg_abort,
        /// Geographic region queries.
        geo_region_query_reqs,
        /// Cells covered by geographic region queries.
        geo_region_query_cells,
        /// Points looked at by geographic region queries.
        geo_region_query_points,
        /// Points that geographic region queries found outside the region.
        geo_region_query_falsepos,
        /// Touches caused by reads that failed before they started.
        read_touch_tsvc_error,
        /// Touches caused by reads that timed out before they started.
        read_touch_tsvc_timeout,
        /// Touches caused by reads that succeeded.
        read_touch_success,
        /// Touches caused by reads that failed.
        read_touch_error,
        /// Touches caused by reads that timed out.
        read_touch_timeout,
        /// Touches caused by reads that were not needed.
        read_touch_skip,
        /// Re-replications that failed before they started.
        re_repl_tsvc_error,
        /// Re-replications that timed out before they started.
        re_repl_tsvc_timeout,
        /// Re-replications that succeeded.
        re_repl_success,
        /// Re-replications that failed.
        re_repl_error,
        /// Re-replications that timed out.
        re_repl_timeout,
        /// Verifying reads of multi-record transactions that succeeded.
        mrt_verify_read_success,
        /// Verifying reads of multi-record transactions that failed.
        mrt_verify_read_error,
        /// Verifying reads of multi-record transactions that timed out.
        mrt_verify_read_timeout,
        /// Roll-forwards of multi-record transactions that succeeded.
        mrt_roll_forward_success,
        /// Roll-forwards of multi-record transactions that failed.
        mrt_roll_forward_error,
        /// Roll-forwards of multi-record transactions that timed out.
        mrt_roll_forward_timeout,
        /// Roll-forwards by transaction monitors that succeeded.
        mrt_monitor_roll_forward_success,
        /// Roll-forwards by transaction monitors that failed.
        mrt_monitor_roll_forward_error,
        /// Roll-forwards by transaction monitors that timed out.
        mrt_monitor_roll_forward_timeout,
        /// Roll-backs of multi-record transactions that succeeded.
        mrt_roll_back_success,
        /// Roll-backs of multi-record transactions that failed.
        mrt_roll_back_error,
        /// Roll-backs of multi-record transactions that timed out.
        mrt_roll_back_timeout,
        /// Roll-backs by transaction monitors that succeeded.
        mrt_monitor_roll_back_success,
        /// Roll-backs by transaction monitors that failed.
        mrt_monitor_roll_back_error,
        /// Roll-backs by transaction monitors that timed out.
        mrt_monitor_roll_back_timeout,
        /// Requests refused because of the XDR write settings.
        fail_xdr_forbidden,
        /// Requests refused because too many waited for the record.
        fail_key_busy,
        /// XDR requests refused because the record was busy.
        fail_xdr_key_busy,
        /// Writes refused by the generation check.
        fail_generation,
        /// Writes refused because the record was above `max-record-size`.
        fail_record_too_big,
        /// Client writes that lost a conflict.
        fail_client_lost_conflict,
        /// XDR writes that lost a conflict.
        fail_xdr_lost_conflict,
        /// Requests blocked by a multi-record transaction.
        fail_mrt_blocked,
        /// Multi-record transaction reads whose version had changed.
        fail_mrt_version_mismatch,
        /// Records deleted because their last bin went.
        deleted_last_bin,
        /// Tombstones made by rolling monitors of multi-record transactions.
        mrt_monitor_roll_tombstone_creates,
        /// Writes whose shorter life was ignored.
        ttl_reductions_ignored,
        /// Writes that shortened the life of a record.
        ttl_reductions_applied,
    }
}

counters! {
    /// Removals that no client asked for, reported among the gauges of `namespace/<name>`.
    pub struct RemovalStats {
        /// Records removed because their life had ended.
        expired_objects,
        /// Records removed to make room.
        evicted_objects,
    }
}
