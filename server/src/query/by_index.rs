//! Records that an index has found, sent to a client.

use std::io;

use data::record::StoredRecord;
use protocol::result_code::ResultCode;

use super::basic::{Query, Sending, unavailable};
use super::found::Found;
use super::lookup::Lookup;
use super::starts::Start;
use crate::index::SHEET;
use crate::record::PAGE;
use crate::transaction::reply::ReplyStream;

/// The partitions of a sheet that are read, as bits, and the views in which this node served them.
struct Served {
    views: [Option<u64>; SHEET as usize],
    partitions: u64,
}

impl Served {
    fn of(starts: &[Start], serving: &impl Fn(u16) -> Option<u64>) -> Self {
        let mut served = Self {
            views: [None; SHEET as usize],
            partitions: 0,
        };
        for start in starts {
            let place = start.partition % SHEET;
            if let Some(view) = served.views.get_mut(usize::from(place)) {
                *view = serving(start.partition);
            }
            served.partitions |= 1 << place;
        }
        served
    }

    /// Tells the client of those among some partitions that are not served as they were: what was read of them meanwhile
    /// may be a part only, so the client goes on elsewhere behind the last record that it got.
    fn check(
        &mut self,
        among: u64,
        starts: &[Start],
        serving: &impl Fn(u16) -> Option<u64>,
        output: &mut impl ReplyStream,
    ) {
        for start in starts {
            let place = start.partition % SHEET;
            if (self.partitions & among) >> place & 1 == 0 {
                continue;
            }
            let begun_in = self.views.get(usize::from(place)).copied().flatten();
            if begun_in.is_none() || serving(start.partition) != begun_in {
                unavailable(start.partition, output.buffer());
                self.partitions &= !(1 << place);
            }
        }
    }
}

impl Query<'_> {
    /// Sends the records that an index has found, in order of partition, then of value and digest; the code is that of the
    /// last message.
    ///
    /// What a sheet of the index has is found at one moment. Records are read one page after the other, so they may have
    /// changed since, or gone.
    pub(super) async fn send_found(
        &self,
        lookup: &Lookup,
        serving: impl Fn(u16) -> Option<u64>,
        sending: &mut Sending<'_>,
        output: &mut impl ReplyStream,
    ) -> io::Result<ResultCode> {
        let kind = lookup.value_type();
        let mut page: Vec<(StoredRecord, u64)> = Vec::new();
        let same_sheet =
            |one: &Start, other: &Start| one.partition / SHEET == other.partition / SHEET;
        for starts in self.starts.chunk_by(same_sheet) {
            let mut served = Served::of(starts, &serving);
            let mut found = Found::in_sheet(lookup, starts);
            served.check(u64::MAX, starts, &serving, output);
            loop {
                if sending.job.is_aborted() {
                    return Ok(ResultCode::QUERY_ABORT);
                }
                if lookup.index.is_dropped() {
                    return Ok(ResultCode::SINDEX_NOT_FOUND);
                }
                page.clear();
                let mut looked_at = 0;
                for _ in 0..self.page_size() {
                    let Some(entry) = found.next(served.partitions) else {
                        break;
                    };
                    looked_at |= 1 << (entry.handle.partition_id() % SHEET);
                    let read = found.read(lookup, sending.namespace, entry, &mut page);
                    match read.await {
                        Ok(fits) => lookup.count(&sending.namespace.stats, fits),
                        Err(error) => return Ok(error.result_code()),
                    }
                }
                if looked_at == 0 {
                    break;
                }
                let before = served.partitions;
                served.check(looked_at, starts, &serving, output);
                if served.partitions != before {
                    page.retain(|(record, _)| {
                        let place = record.digest().partition_id() % SHEET;
                        served.partitions >> place & 1 == 1
                    });
                }
                let rows = page.iter();
                let rows = rows.map(|(record, value)| (record, Some(kind.shown(*value))));
                if self.send_page(rows, sending, output).await? {
                    return Ok(ResultCode::OK);
                }
                sending.pause(output).await?;
            }
            sending.job.counts.partitions.add(starts.len() as u64);
            if self.is_late() {
                return Ok(ResultCode::TIMEOUT);
            }
            sending.pause(output).await?;
        }
        Ok(ResultCode::OK)
    }

    /// Entries between two looks at the outside: fewer where clients wait for each record.
    fn page_size(&self) -> usize {
        let limits = [self.max_records, self.records_per_second.into()];
        let limits = limits.into_iter().filter(|limit| *limit != 0);
        limits.fold(PAGE, |size, limit| {
            usize::try_from(limit).map_or(size, |limit| size.min(limit))
        })
    }
}
