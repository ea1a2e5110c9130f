//! Records that an index has found, sent to a client.

use std::io;

use data::record::StoredRecord;
use protocol::result_code::ResultCode;

use super::basic::{PageEnd, Query, Sending, unavailable};
use super::found::Found;
use super::lookup::Lookup;
use crate::index::SHEET;
use crate::record::PAGE;
use crate::storage::PARTITIONS;
use crate::transaction::reply::ReplyStream;

/// The partitions of a sheet that are read, as bits, and the view in which this node serves them.
struct Served {
    sheet: u16,
    partitions: u64,
    view: u64,
}

impl Served {
    /// Those that are served. The client is told of the others.
    fn of(
        sheet: u16,
        wanted: u64,
        serving: &impl Fn(u16) -> (u64, u64),
        output: &mut impl ReplyStream,
    ) -> Self {
        let (partitions, view) = serving(sheet);
        let mut served = Self {
            sheet,
            partitions: wanted,
            view,
        };
        served.lose(wanted & !partitions, output);
        served
    }

    /// Looks whether some of them are served as they were. What was read of others meanwhile may be a part only.
    fn check(
        &mut self,
        among: u64,
        serving: &impl Fn(u16) -> (u64, u64),
        output: &mut impl ReplyStream,
    ) {
        let (partitions, view) = serving(self.sheet);
        let still = if view == self.view { partitions } else { 0 };
        self.lose(self.partitions & among & !still, output);
    }

    /// Has the client go on elsewhere with these, behind the last record that it got.
    fn lose(&mut self, lost: u64, output: &mut impl ReplyStream) {
        self.partitions &= !lost;
        let all = (self.sheet * SHEET..(self.sheet + 1) * SHEET).zip(0_u32..);
        all.filter(|(_, place)| lost >> place & 1 == 1)
            .for_each(|(partition, _)| unavailable(partition, output.buffer()));
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
        serving: impl Fn(u16) -> (u64, u64),
        sending: &mut Sending<'_>,
        output: &mut impl ReplyStream,
    ) -> io::Result<ResultCode> {
        let kind = lookup.value_type();
        let mut page: Vec<(StoredRecord, u64)> = Vec::new();
        for sheet in 0..PARTITIONS / SHEET {
            let wanted = self.starts.in_sheet(sheet);
            if wanted == 0 {
                continue;
            }
            let mut served = Served::of(sheet, wanted, &serving, output);
            let mut found = Found::in_sheet(lookup, sheet, wanted, self.starts.resumed_in(sheet));
            served.check(u64::MAX, &serving, output);
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
                    let read =
                        found.read(lookup, sending.namespace, entry, self.deadline, &mut page);
                    match read.await {
                        Ok(fits) => lookup.count(&sending.namespace.stats, fits),
                        Err(error) => return Ok(error.result_code()),
                    }
                    // To compare a record with a region of many corners takes a while.
                    if sending.turn.is_over() {
                        if self.is_late() {
                            return Ok(ResultCode::TIMEOUT);
                        }
                        sending.turn.pause(output).await?;
                    }
                }
                if looked_at == 0 {
                    break;
                }
                let before = served.partitions;
                served.check(looked_at, &serving, output);
                if served.partitions != before {
                    page.retain(|(record, _)| {
                        let place = record.digest().partition_id() % SHEET;
                        served.partitions >> place & 1 == 1
                    });
                }
                let rows = page.iter();
                let rows = rows.map(|(record, value)| (record, Some(kind.shown(*value))));
                match self.send_page(rows, sending, output).await? {
                    PageEnd::More => {}
                    PageEnd::Enough => return Ok(ResultCode::OK),
                    PageEnd::Late => return Ok(ResultCode::TIMEOUT),
                }
                sending.turn.pause(output).await?;
            }
            sending
                .job
                .counts
                .partitions
                .add(wanted.count_ones().into());
            if self.is_late() {
                return Ok(ResultCode::TIMEOUT);
            }
            sending.turn.pause(output).await?;
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
