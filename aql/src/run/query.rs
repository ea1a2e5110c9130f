//! Statements about many records: SELECT without a key, EXECUTE in the background.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use protocol::key::Digest;
use protocol::limits::{MAX_BIN_NAME, PARTITIONS};
use protocol::message::{FieldType, Info1, Info2, Info3, MessageHeader, MessageWriter, OpCode};
use protocol::msgpack::{write_integer, write_list_header, write_text};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;
use tools::records::{self, Node, RecordsError};

use super::convert;
use super::session::Session;
use super::{Failure, Ran, code};
use crate::language::statement::{
    Bins, Clause, Condition, IndexOver, Invocation, Literal, Place, Select, Target,
};
use crate::show::{Printer, Row};

/// Rounds, at least, in which partitions that no node would read are asked for again.
const ROUNDS: usize = 6;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// Records, and names, that are looked at for names of bins.
const SAMPLE: usize = 32;

/// Tries that the original makes when there is no index, each of which it tells.
const INDEX_TRIES: usize = 6;

/// What an index query asks for.
#[derive(Clone, Debug)]
pub(super) struct Range {
    over: IndexOver,
    bin: String,
    condition: Condition,
    /// A second condition on another bin: what of the first one's records is wanted.
    filter: Option<Clause>,
}

/// A query that is ready to be sent, but for its partitions.
pub(super) struct Query<'q> {
    pub(super) place: &'q Place,
    pub(super) range: Option<Range>,
    pub(super) header: MessageHeader,
    pub(super) bins: &'q [String],
    pub(super) limit: Option<u64>,
    pub(super) records_per_second: u32,
    /// Module, function, arguments, and what is done with it: 1 aggregate, 2 in the background.
    pub(super) call: Option<(&'q str, &'q str, &'q [u8], u8)>,
}

/// A node with the partitions that it is asked for.
type Share = (Arc<Node>, Vec<u16>);

/// Why a node has not read all that it was asked for.
enum Asked {
    /// It was not reached, or went away; another may be asked.
    Node(Failure),
    /// The query is at its end.
    Final(Failure),
}

/// How far a query is.
struct Reading {
    /// Partitions that are not read to their end, ascending.
    missing: Vec<u16>,
    /// The last record of each partition that was printed: it goes on behind it.
    last: BTreeMap<u16, Digest>,
    /// Partitions that the node at hand would not read.
    refused: Vec<u16>,
    /// Names of bins of the first records.
    bins: Vec<String>,
}

impl Reading {
    fn new() -> Self {
        Self {
            missing: (0..PARTITIONS).collect(),
            last: BTreeMap::new(),
            refused: Vec::new(),
            bins: Vec::new(),
        }
    }

    /// A node has read its partitions, but for those that it refused.
    fn done(&mut self, partitions: &[u16]) {
        let refused = std::mem::take(&mut self.refused);
        self.missing.retain(|partition| {
            partitions.binary_search(partition).is_err() || refused.contains(partition)
        });
    }

    /// Partitions to be read from their beginning, and records behind which others go on.
    fn starts(&self, partitions: &[u16]) -> (Vec<u16>, Vec<Digest>) {
        let whole = |partition: &&u16| !self.last.contains_key(partition);
        (
            partitions.iter().filter(whole).copied().collect(),
            partitions
                .iter()
                .filter_map(|partition| self.last.get(partition).copied())
                .collect(),
        )
    }
}

/// A number that names a query: never 0.
pub(super) fn task_id() -> u64 {
    // The standard library's hashers are seeded at random.
    RandomState::new().build_hasher().finish() | 1
}

impl Query<'_> {
    /// The request for some partitions: those that are read from their beginning, and the records behind which others go
    /// on. Background queries have none.
    pub(super) fn request(
        &self,
        task: u64,
        partitions: Option<(&[u16], &[Digest])>,
        limit: Option<u64>,
    ) -> Result<BytesMut, Failure> {
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &self.header);
        message.namespace(&self.place.namespace);
        if let Some(set) = &self.place.set {
            message.set(set);
        }
        if self.records_per_second > 0 {
            message.field(
                FieldType::RECORDS_PER_SECOND,
                &self.records_per_second.to_be_bytes(),
            );
        }
        message.field(FieldType::TASK_ID, &task.to_be_bytes());
        if let Some(range) = &self.range {
            let (over, _) = range.over.code();
            if over != 0 {
                message.field(FieldType::INDEX_TYPE, &[over]);
            }
            message.field(FieldType::INDEX_RANGE, &range.encode()?);
        }
        if let Some((module, function, arguments, what)) = self.call {
            message.field(FieldType::UDF_OP, &[what]);
            message.field(FieldType::UDF_PACKAGE, module.as_bytes());
            message.field(FieldType::UDF_FUNCTION, function.as_bytes());
            message.field(FieldType::UDF_ARGLIST, arguments);
        }
        if let Some(filter) = self.range.as_ref().and_then(|range| range.filter.as_ref()) {
            message.field(FieldType::FILTER_EXP, &equals(filter)?);
        }
        if let Some((whole, behind)) = partitions {
            if !whole.is_empty() {
                let bytes: Vec<u8> = whole
                    .iter()
                    .flat_map(|partition| partition.to_le_bytes())
                    .collect();
                message.field(FieldType::PID_ARRAY, &bytes);
            }
            if !behind.is_empty() {
                let bytes: Vec<u8> = behind.iter().flat_map(|digest| digest.0).collect();
                message.field(FieldType::DIGEST_ARRAY, &bytes);
            }
        }
        if let Some(limit) = limit {
            message.field(FieldType::MAX_RECORDS, &limit.to_be_bytes());
        }
        for bin in self.bins {
            message.op(OpCode::READ, bin.as_bytes(), ParticleRef::NIL);
        }
        message
            .finish()
            .map_err(|error| Failure::own(error.to_string()))?;
        Ok(out)
    }
}

impl Range {
    fn encode(&self) -> Result<Vec<u8>, Failure> {
        let mut out = vec![1, name_length(&self.bin)?];
        out.extend_from_slice(self.bin.as_bytes());
        let (kind, from, to): (ParticleType, Vec<u8>, Vec<u8>) = match &self.condition {
            Condition::Equal(Literal::Integer(number)) => {
                let bytes = number.to_be_bytes().to_vec();
                (ParticleType::INTEGER, bytes.clone(), bytes)
            }
            Condition::Between(from, to) => (
                ParticleType::INTEGER,
                from.to_be_bytes().to_vec(),
                to.to_be_bytes().to_vec(),
            ),
            Condition::Equal(Literal::Text(text)) => {
                let bytes = text.clone().into_bytes();
                (ParticleType::STRING, bytes.clone(), bytes)
            }
            Condition::Within(text) | Condition::Contains(text) => {
                let bytes = text.clone().into_bytes();
                (ParticleType::GEOJSON, bytes.clone(), bytes)
            }
            Condition::Equal(_) => return Err(not_compared(&self.bin)),
        };
        out.push(kind.0);
        for bound in [from, to] {
            let length = u32::try_from(bound.len());
            out.put_u32(length.map_err(|_| not_compared(&self.bin))?);
            out.extend_from_slice(&bound);
        }
        Ok(out)
    }
}

/// The length of a bin's name, which no query may cut: a longer one would be read as another request.
fn name_length(bin: &str) -> Result<u8, Failure> {
    match u8::try_from(bin.len()) {
        Ok(length) if bin.len() <= MAX_BIN_NAME => Ok(length),
        _ => Err(Failure::own(format!(
            "bin name `{bin}` is longer than {MAX_BIN_NAME} bytes"
        ))),
    }
}

/// The filter expression `bin == value`: `[1, [81, type, name], value]`.
fn equals(clause: &Clause) -> Result<Vec<u8>, Failure> {
    const EQUAL: i64 = 1;
    const BIN: i64 = 81;
    const OF_INTEGER: i64 = 2;
    const OF_STRING: i64 = 3;
    let mut out = Vec::new();
    write_list_header(&mut out, 3);
    write_integer(&mut out, EQUAL);
    write_list_header(&mut out, 3);
    write_integer(&mut out, BIN);
    let is_text = matches!(clause.condition, Condition::Equal(Literal::Text(_)));
    write_integer(&mut out, if is_text { OF_STRING } else { OF_INTEGER });
    // A name is a text without a type: at most 15 bytes, so its length stands in the first one.
    out.push(0xa0 | name_length(&clause.bin)?);
    out.extend_from_slice(clause.bin.as_bytes());
    match &clause.condition {
        Condition::Equal(Literal::Text(text)) => {
            write_text(&mut out, ParticleType::STRING, text.as_bytes());
        }
        Condition::Equal(Literal::Integer(number)) => write_integer(&mut out, *number),
        _ => return Err(not_compared(&clause.bin)),
    }
    Ok(out)
}

/// The parser lets no such literal be compared.
fn not_compared(bin: &str) -> Failure {
    Failure::own(format!("Error: Unsupported query data type for bin: {bin}"))
}

impl Session {
    /// `SELECT` without a key.
    pub(super) async fn select_many(&mut self, select: &Select, printer: &mut Printer<'_>) -> Ran {
        let begun = Instant::now();
        let range = match self.range(&select.place, &select.target).await {
            Ok(range) => range,
            Err(failure) => {
                // A query that cannot be sent has no rows.
                printer.begin(&[])?;
                printer.cut_off()?;
                return Err(failure);
            }
        };
        let records_per_second = self.records_per_second()?;
        let (named, info1): (&[String], Info1) = match &select.bins {
            _ if self.settings.no_bins => (&[], Info1::READ | Info1::GET_NO_BINS),
            Bins::All => (&[], Info1::READ | Info1::GET_ALL),
            Bins::Named(names) => (names, Info1::READ),
        };
        // No limit is written as 0, as in the original; for an index it is that of no rows there.
        let limit = select.limit.filter(|limit| *limit > 0);
        let query = Query {
            place: &select.place,
            range,
            header: MessageHeader {
                info1,
                info3: Info3::PARTITION_DONE,
                record_ttl: u32::MAX,
                ..MessageHeader::default()
            },
            bins: named,
            limit,
            records_per_second,
            call: None,
        };
        printer.begin(named)?;
        let mut reading = Reading::new();
        let ended = self.stream(&query, &mut reading, printer).await;
        self.see_bins(reading.bins);
        if let Err(failure) = ended {
            printer.cut_off()?;
            return Err(failure);
        }
        printer.end(None, begun.elapsed())?;
        Ok(printer.done(None)?)
    }

    /// Sends a query to all nodes, again where a partition was not there, and prints each record.
    async fn stream(
        &mut self,
        query: &Query<'_>,
        reading: &mut Reading,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let end = Instant::now() + self.settings.limit();
        let mut left = query.limit;
        let mut failed = Failure::answer(ResultCode::UNAVAILABLE, None);
        for round in 0.. {
            if round > 0 {
                if round >= ROUNDS && Instant::now() >= end {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                if let Err(error) = self.records.look_again().await {
                    failed = Failure::own(error.to_string());
                    continue;
                }
            }
            let namespace = query.place.namespace.as_str();
            for (node, partitions) in self.shares(namespace, &reading.missing)? {
                let (whole, behind) = reading.starts(&partitions);
                let request = query.request(task_id(), Some((&whole, &behind)), left)?;
                let answered = self
                    .read_share(&node, (namespace, &request), reading, &mut left, printer)
                    .await;
                match answered {
                    Ok(()) => reading.done(&partitions),
                    // Another node goes on behind the records that were printed. In an index their order is another.
                    Err(Asked::Node(failure))
                        if query.range.is_none() || reading.last.is_empty() =>
                    {
                        failed = failure;
                    }
                    Err(Asked::Node(failure) | Asked::Final(failure)) => return Err(failure),
                }
                if left == Some(0) {
                    return Ok(());
                }
            }
            if reading.missing.is_empty() {
                return Ok(());
            }
        }
        Err(failed)
    }

    /// Has one node read its partitions.
    async fn read_share(
        &self,
        node: &Arc<Node>,
        (namespace, request): (&str, &[u8]),
        reading: &mut Reading,
        left: &mut Option<u64>,
        printer: &mut Printer<'_>,
    ) -> Result<(), Asked> {
        reading.refused.clear();
        let mut rows_failed = None;
        let limit = self.settings.socket_limit();
        let answered = records::query(node, request, limit, |message| {
            let header = &message.header;
            if header.info3.contains(Info3::PARTITION_DONE) {
                if header.result != ResultCode::OK {
                    reading.refused.extend(u16::try_from(header.generation));
                }
                return true;
            }
            if *left == Some(0) {
                return true;
            }
            if let Ok(Some(digest)) = message.fields.digest() {
                reading.last.insert(digest.partition_id(), digest);
            }
            if let Some(left) = left {
                *left -= 1;
            }
            let row = self.found(namespace, message);
            if let Ok(row) = &row
                && reading.last.len() <= SAMPLE
                && reading.bins.len() < SAMPLE
            {
                reading
                    .bins
                    .extend(row.bins.iter().map(|(name, _)| name.clone()));
            }
            match row.and_then(|row| Ok(printer.row(row)?)) {
                Ok(()) => true,
                Err(failure) => {
                    rows_failed = Some(failure);
                    false
                }
            }
        })
        .await;
        if let Some(failure) = rows_failed {
            return Err(Asked::Final(failure));
        }
        match answered {
            Ok(ResultCode::OK) => Ok(()),
            Ok(ResultCode::SINDEX_NOT_FOUND) => Err(Asked::Final(no_index(node))),
            Ok(code) => Err(Asked::Final(Failure::answer(code, None))),
            Err(error @ (RecordsError::Client(_) | RecordsError::Ask(_))) => {
                Err(Asked::Node(error.into()))
            }
            Err(error) => Err(Asked::Final(error.into())),
        }
    }

    /// Which node reads which of the partitions that are missing.
    fn shares(&self, namespace: &str, missing: &[u16]) -> Result<Vec<Share>, Failure> {
        let picture = self.records.picture();
        if !picture.has_namespace(namespace) {
            return Err(Failure::Told {
                code: 20,
                text: format!("Invalid namespace: {namespace}"),
            });
        }
        let share = |node: &Arc<Node>| {
            let mut partitions = picture.partitions_of(namespace, node);
            // Both are ascending.
            partitions.retain(|partition| missing.binary_search(partition).is_ok());
            (Arc::clone(node), partitions)
        };
        let shares = picture.nodes().iter().map(share);
        Ok(shares
            .filter(|(_, partitions)| !partitions.is_empty())
            .collect())
    }

    /// `EXECUTE` on all records, or on those that an index finds.
    pub(super) async fn execute_many(
        &mut self,
        call: &Invocation,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let arguments = convert::arguments(&call.arguments)?;
        let range = self.range(&call.place, &call.target).await?;
        let scans = range.is_none();
        let query = Query {
            place: &call.place,
            range,
            header: MessageHeader {
                info2: Info2::WRITE,
                ..MessageHeader::default()
            },
            bins: &[],
            limit: None,
            records_per_second: self.records_per_second()?,
            call: Some((&call.module, &call.function, &arguments, 2)),
        };
        let task = task_id();
        let request = query.request(task, None, None)?;
        for node in self.records.picture().nodes() {
            let limit = self.settings.limit();
            match records::query(node, &request, limit, |_| true).await? {
                // A set that is not there has no records to work on.
                ResultCode::OK | ResultCode::NOT_FOUND => {}
                code => return Err(Failure::answer(code, None)),
            }
        }
        let kind = if scans { "Scan" } else { "Query" };
        Ok(printer.done(Some(&format!("{kind} job ({task}) created.")))?)
    }

    /// What an index is asked for; none for all records. Of two clauses the one with an index is chosen.
    pub(super) async fn range(
        &mut self,
        place: &Place,
        target: &Target,
    ) -> Result<Option<Range>, Failure> {
        let Target::Where { over, clauses } = target else {
            return Ok(None);
        };
        let plain = |clause: &Clause, filter: Option<&Clause>| Range {
            over: *over,
            bin: clause.bin.clone(),
            condition: clause.condition.clone(),
            filter: filter.cloned(),
        };
        match clauses.as_slice() {
            [first, second] => {
                let chosen = self.indexed(place, first, second).await?;
                Ok(Some(match chosen {
                    Chosen::First => plain(first, Some(second)),
                    Chosen::Second => plain(second, Some(first)),
                }))
            }
            [only, ..] => Ok(Some(plain(only, None))),
            [] => Ok(None),
        }
    }

    /// Which of two clauses has an index; of two the one whose values have fewer records each.
    async fn indexed(
        &mut self,
        place: &Place,
        first: &Clause,
        second: &Clause,
    ) -> Result<Chosen, Failure> {
        let Some(node) = self.records.picture().nodes().first().cloned() else {
            return Err(Failure::own("no node to ask"));
        };
        let namespace = &place.namespace;
        let list = self
            .records
            .info(&node, &format!("sindex-list:namespace={namespace}"))
            .await?;
        let of_clause = |clause: &Clause| {
            let kind = match clause.condition {
                Condition::Equal(Literal::Text(_)) => "string",
                _ => "numeric",
            };
            list.split(';').find_map(|entry| {
                let value = |name: &str| {
                    entry
                        .split(':')
                        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                };
                // An index over a whole set has no bin, and is passed over.
                let fits = value("bin") == Some(clause.bin.as_str())
                    && value("type").is_some_and(|found| found.eq_ignore_ascii_case(kind))
                    && value("indextype").is_none_or(|over| over.eq_ignore_ascii_case("default"))
                    && match (value("set"), &place.set) {
                        (Some(set), Some(wanted)) => set == wanted,
                        (Some(set), None) => set.eq_ignore_ascii_case("null"),
                        (None, set) => set.is_none(),
                    };
                fits.then(|| value("indexname").unwrap_or("").to_owned())
            })
        };
        match (of_clause(first), of_clause(second)) {
            (Some(_), None) => Ok(Chosen::First),
            (None, Some(_)) => Ok(Chosen::Second),
            (None, None) => Err(Failure::own(
                "Error: at least one bin needs a secondary index defined",
            )),
            (Some(one), Some(other)) => {
                let one = self.entries_per_value(namespace, &one).await?;
                let other = self.entries_per_value(namespace, &other).await?;
                // An index that no node tells the figure of is the worse one; of equals the first is taken.
                Ok(match (one, other) {
                    (Some(one), Some(other)) if other < one => Chosen::Second,
                    (None, Some(_)) => Chosen::Second,
                    _ => Chosen::First,
                })
            }
        }
    }

    /// Records for each value of an index, on average over the nodes that tell it.
    async fn entries_per_value(
        &self,
        namespace: &str,
        index: &str,
    ) -> Result<Option<f64>, Failure> {
        let command = format!("sindex-stat:namespace={namespace};indexname={index}");
        let (mut sum, mut nodes) = (0.0, 0.0);
        for node in self.records.picture().nodes() {
            let answer = self.records.info(node, &command).await?;
            if let Some(figure) = entries_per_value(&answer) {
                sum += figure;
                nodes += 1.0;
            }
        }
        Ok((nodes > 0.0).then_some(sum / nodes))
    }

    /// The limit of scans, as it is sent.
    fn records_per_second(&self) -> Result<u32, Failure> {
        let number = self.settings.scan_records_per_second;
        u32::try_from(number).map_err(|_| {
            Failure::own(format!(
                "SCAN_RECORDS_PER_SECOND is {number}, expected 0 to {}",
                u32::MAX
            ))
        })
    }

    /// The nodes that own partitions, once each partition has an owner.
    async fn settled(&mut self, namespace: &str) -> Result<Vec<Arc<Node>>, Failure> {
        let all: Vec<u16> = (0..PARTITIONS).collect();
        let end = Instant::now() + self.settings.limit();
        loop {
            let shares = self.shares(namespace, &all)?;
            let owned: usize = shares.iter().map(|(_, partitions)| partitions.len()).sum();
            if owned == all.len() {
                return Ok(shares.into_iter().map(|(node, _)| node).collect());
            }
            if Instant::now() >= end {
                return Err(Failure::answer(ResultCode::UNAVAILABLE, None));
            }
            tokio::time::sleep(PAUSE).await;
            self.records
                .look_again()
                .await
                .map_err(|error| Failure::own(error.to_string()))?;
        }
    }

    /// Aggregations ask each node for its partitions, and get values instead of records.
    pub(super) async fn values(
        &mut self,
        query: &Query<'_>,
        mut on_row: impl FnMut(Row) -> Result<(), Failure>,
    ) -> Ran {
        let namespace = query.place.namespace.as_str();
        for node in self.settled(namespace).await? {
            let request = query.request(task_id(), None, None)?;
            let mut failed = None;
            let session = &*self;
            let code = records::query(&node, &request, self.settings.socket_limit(), |message| {
                let row = session.found(namespace, message);
                match row.and_then(&mut on_row) {
                    Ok(()) => true,
                    Err(failure) => {
                        failed = Some(failure);
                        false
                    }
                }
            })
            .await?;
            if let Some(failure) = failed {
                return Err(failure);
            }
            match code {
                // A set that is not there has no records.
                ResultCode::OK | ResultCode::NOT_FOUND => {}
                code => return Err(Failure::answer(code, None)),
            }
        }
        Ok(())
    }
}

/// What a node tells: the figure itself, or what older servers have in its place.
fn entries_per_value(answer: &str) -> Option<f64> {
    let number = |name: &str| {
        answer.split(';').find_map(|pair| {
            pair.strip_prefix(name)?
                .strip_prefix('=')?
                .parse::<f64>()
                .ok()
        })
    };
    number("entries_per_bval").or_else(|| {
        let keys = number("keys").filter(|keys| *keys > 0.0)?;
        Some(number("entries")? / keys)
    })
}

enum Chosen {
    First,
    Second,
}

/// What the original tells when there is no index: its tries, and what may help.
fn no_index(node: &Arc<Node>) -> Failure {
    let name = code::name(ResultCode::SINDEX_NOT_FOUND);
    let mut text = format!("{name}\nsub-errors:\n");
    for attempt in 1..=INDEX_TRIES {
        text += &format!("201,{attempt},{},{name}\n", node.address());
    }
    text += "Make sure a sindex is created and that strings are enclosed in quotes";
    Failure::Told { code: 201, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_index_costs_is_read_from_new_and_old_servers() {
        for (answer, figure) in [
            ("entries=10;entries_per_bval=3;used_bytes=1", Some(3.0)),
            ("keys=4;entries=10;load_pct=100", Some(2.5)),
            ("keys=0;entries=0", None),
            ("entries=10", None),
            ("ERROR:201:no-index", None),
        ] {
            assert_eq!(entries_per_value(answer), figure, "{answer}");
        }
    }

    #[test]
    fn a_name_that_no_bin_has_is_refused_and_not_cut() {
        for (length, fits) in [
            (1, true),
            (15, true),
            (16, false),
            (32, false),
            (300, false),
        ] {
            let name = "b".repeat(length);
            let got = name_length(&name).ok().map(usize::from);
            assert_eq!(got, fits.then_some(length), "{length} bytes");
        }
    }
}
