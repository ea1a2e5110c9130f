//! `histogram:`: how the sizes and the remaining lives of records are distributed. Looks at every record when asked.

use crate::storage::answer::wait_on_this_thread;
use bytes::BytesMut;
use data::record::StoredRecord;
use protocol::bounds::Fit as _;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, text};
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;

/// Buckets of the linear size histogram.
const SIZE_BUCKETS: u64 = 1_024;
/// Buckets of the life histogram.
const LIFE_BUCKETS: u64 = 100;

/// `histogram:namespace=NS;type=T[;set=S]` with `T` one of `object-size`, `object-size-linear`, `ttl`.
pub(super) fn histogram(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let namespace = call.namespace()?;
    let set = call.params.get("set");
    match call.params.required("type")? {
        "object-size" => {
            let mut counts = [0_u64; u64::BITS as usize];
            each(namespace, set, |record| {
                let power = record.size().max(1).ilog2() as usize;
                if let Some(count) = counts.get_mut(power) {
                    *count += 1;
                }
            })?;
            let mut fields = Fields::new(out, ':');
            fields.put("units", "bytes");
            for (power, count) in (0_u32..).zip(counts) {
                if count > 0 {
                    fields.put(
                        format_args!("[{}-{})", short(1 << power), short(2_u64 << power)),
                        count,
                    );
                }
            }
        }
        "object-size-linear" => {
            let width = namespace.settings.max_record_size();
            let bucket = width.div_ceil(SIZE_BUCKETS).max(1);
            let mut linear = Linear::new(SIZE_BUCKETS, bucket);
            each(namespace, set, |record| linear.add(record.size()))?;
            linear.write(out, "bytes");
        }
        "ttl" => {
            let now = data::record::seconds(namespace.now_ms());
            let life = |record: &StoredRecord| u64::from(record.void_time().saturating_sub(now));
            let mut longest = 0;
            each(namespace, set, |record| longest = longest.max(life(record)))?;
            let bucket = longest.div_ceil(LIFE_BUCKETS).max(1);
            let mut linear = Linear::new(LIFE_BUCKETS, bucket);
            // As in the reference, records that live for ever are in the first bucket.
            each(namespace, set, |record| linear.add(life(record)))?;
            linear.write(out, "seconds");
        }
        _ => return Err(InfoError::parameter("unrecognized histogram type")),
    }
    Ok(())
}

/// Visits the records of a namespace, or of one of its sets.
fn each(
    namespace: &Namespace,
    set: Option<&str>,
    mut visit: impl FnMut(&StoredRecord),
) -> Result<(), InfoError> {
    let now_ms = namespace.now_ms();
    for partition in 0..PARTITIONS {
        let mut scan = namespace.scan(partition, None).outlines();
        loop {
            let page = wait_on_this_thread(scan.page())
                .map_err(|error| InfoError::new(error.result_code(), error.to_string()))?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                let wanted = set.is_none_or(|set| set == record.set_name());
                if wanted && namespace.is_live(record, now_ms) {
                    visit(record);
                }
            }
        }
    }
    Ok(())
}

/// A power of two with the unit that makes it short.
fn short(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
    let thousands = bytes.max(1).ilog2() / 10;
    let unit = usize::try_from(thousands)
        .ok()
        .and_then(|at| UNITS.get(at))
        .copied()
        .unwrap_or_default();
    format!("{}{unit}", bytes >> (thousands * 10))
}

/// A histogram of equal buckets; the last takes what is above.
struct Linear {
    bucket: u64,
    counts: Vec<u64>,
}

impl Linear {
    fn new(buckets: u64, bucket: u64) -> Self {
        Self {
            bucket,
            counts: (0..buckets).map(|_| 0).collect(),
        }
    }

    fn add(&mut self, value: u64) {
        let last = self.counts.len().saturating_sub(1);
        let at = usize::try_from(value / self.bucket).unwrap_or(last);
        if let Some(count) = self.counts.get_mut(at.min(last)) {
            *count += 1;
        }
    }

    fn write(&self, out: &mut BytesMut, units: &str) {
        let buckets = self.counts.len().fit::<u64>();
        let width = self.bucket * buckets;
        text(
            out,
            format_args!(
                "units={units}:hist-width={width}:bucket-width={}:buckets=",
                self.bucket
            ),
        );
        let mut fields = Fields::new(out, ',');
        for count in &self.counts {
            fields.item(count);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_short() {
        let cases = [
            (1, "1"),
            (512, "512"),
            (1 << 10, "1K"),
            (1 << 19, "512K"),
            (1 << 20, "1M"),
            (1 << 30, "1G"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(super::short(bytes), expected);
        }
    }
}
