//! Commands that do not just run on the node that got them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::bounds::{Fit as _, Within as _};
use protocol::header::HEADER_SIZE;
use protocol::key::Digest;
use protocol::message::{
    BatchFlags, BatchRow, BatchRows, BatchWriter, FieldType, Info1, Info2, Info3,
    MESSAGE_HEADER_SIZE, Message, MessageHeader, MessageWriter,
};
use protocol::result_code::ResultCode;

use super::placement::{NotForwarded, Passage, Placement};
use super::request::Request;
use super::target::Target;
use super::{Sender, Services};
use crate::config::node_id::NodeId;

/// Pause before a batch's rows are sent on their way again.
const PAUSE: Duration = Duration::from_millis(5);

/// Where a single command runs.
pub(crate) async fn place<S: Services>(
    sender: Sender,
    target: Target<'_, S>,
    request: &Request<'_>,
    body: &[u8],
) -> Passage {
    let Target {
        services,
        namespace,
        digest,
    } = target;
    if sender == Sender::Node
        && services
            .placement()
            .elsewhere(digest.partition_id())
            .is_some()
    {
        // Since it was looked at, the partition has got another owner.
        return Passage::Refused(ResultCode::UNAVAILABLE);
    }
    let repeatable = !request.header.info2.contains(Info2::WRITE);
    services
        .placement()
        .pass(namespace.name(), digest, body, repeatable, request.deadline)
        .await
}

/// Whether this node owns every record that a message is about.
pub(crate) fn owns_all(services: &impl Services, body: &[u8]) -> bool {
    let Ok(message) = Message::parse(body) else {
        // It is answered with an error, here as anywhere.
        return true;
    };
    let owns = |digest: &Digest| services.placement().owns(digest.partition_id());
    if message.header.info1.contains(Info1::BATCH) {
        let rows = message.fields.batch().map(BatchRows::parse);
        return match rows {
            Some(Ok(rows)) => rows.flatten().all(|row| owns(&row.digest)),
            _ => true,
        };
    }
    message
        .fields
        .digest()
        .ok()
        .flatten()
        .is_none_or(|digest| owns(&digest))
}

/// Rows of a batch that other nodes have run, by their place in the batch.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    rows: HashMap<u32, Row>,
}

/// What became of a row elsewhere.
#[derive(Debug)]
pub(crate) enum Row {
    /// The message that answers it: its header, which numbers the row by its place, and what follows.
    Answered(MessageHeader, Vec<u8>),
    /// Nobody answered.
    Failed(ResultCode),
}

impl Elsewhere {
    fn fail(&mut self, places: Vec<u32>, code: ResultCode) {
        let failed = places.into_iter().map(|place| (place, Row::Failed(code)));
        self.rows.extend(failed);
    }

    fn answered(&mut self, places: Vec<u32>, frames: &[u8]) {
        let mut answered = rows_of(frames);
        for place in places {
            let row = answered
                .remove(&place)
                .unwrap_or(Row::Failed(ResultCode::TIMEOUT));
            self.rows.insert(place, row);
        }
    }

    /// Takes the row at this place, if it ran elsewhere.
    pub(crate) fn take(&mut self, place: u32) -> Option<Row> {
        self.rows.remove(&place)
    }
}

/// Has other nodes run the rows whose records they own, one node after the other: clients send most rows to their owners
/// themselves.
pub(crate) async fn batch(
    services: &impl Services,
    message: &Message<'_>,
    rows: impl Iterator<Item = (u32, BatchRow<'_>)> + Clone,
    deadline: Instant,
) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    loop {
        let mut groups: HashMap<NodeId, Group> = HashMap::new();
        for (place, row) in rows.clone() {
            if elsewhere.rows.contains_key(&place) || services.placement().is_here(&row.digest) {
                continue;
            }
            if let Some(owner) = services.placement().elsewhere(row.digest.partition_id()) {
                groups
                    .entry(owner)
                    .or_insert_with(Group::new)
                    .add(place, &row);
            }
        }
        if groups.is_empty() {
            return elsewhere;
        }
        let mut again = false;
        for (owner, group) in groups {
            let (places, question) = group.question(message);
            let Some(question) = question else {
                elsewhere.fail(places, ResultCode::RECORD_TOO_BIG);
                continue;
            };
            match services
                .placement()
                .forward(owner, &question, deadline)
                .await
            {
                Ok(frames) => elsewhere.answered(places, &frames),
                Err(NotForwarded::NothingHappened) if Instant::now() + PAUSE < deadline => {
                    again = true;
                }
                // It may have been done.
                Err(_) => elsewhere.fail(places, ResultCode::TIMEOUT),
            }
        }
        if again {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Rows for one node.
struct Group {
    places: Vec<u32>,
    rows: BatchWriter,
}

impl Group {
    /// No rows yet; every one will want an answer.
    fn new() -> Self {
        Self {
            places: Vec::new(),
            rows: BatchWriter::new(BatchFlags::RESPOND_ALL | BatchFlags::RETURN_ERROR_ROWS),
        }
    }

    /// Adds a row, numbered by its place: clients may number two rows alike.
    fn add(&mut self, place: u32, row: &BatchRow<'_>) {
        self.places.push(place);
        self.rows.copy(place, row);
    }

    /// The places of the rows, and the body of a batch of them; none for one that is too large.
    fn question(self, message: &Message<'_>) -> (Vec<u32>, Option<BytesMut>) {
        (self.places, question(self.rows, message))
    }
}

/// The body of a batch of these rows, which is otherwise like the message that brought them.
fn question(rows: BatchWriter, message: &Message<'_>) -> Option<BytesMut> {
    let mut frame = BytesMut::new();
    let mut writer = MessageWriter::new(&mut frame, &message.header);
    for field in message.fields.iter() {
        match field.kind {
            FieldType::BATCH_INDEX | FieldType::BATCH_WITH_SET => {}
            kind => {
                writer.field(kind, field.data);
            }
        }
    }
    rows.finish_into(&mut writer).ok()?;
    writer.finish().ok()?;
    let _header = frame.split_to(HEADER_SIZE);
    Some(frame)
}

/// The rows in the frames of a reply, by the number that they were given.
fn rows_of(mut frames: &[u8]) -> HashMap<u32, Row> {
    let mut rows = HashMap::new();
    while let Some((header, rest)) = frames.split_first_chunk::<HEADER_SIZE>() {
        let Ok(header) = protocol::header::Header::parse(*header) else {
            break;
        };
        let size = header.size.at_most::<usize>();
        let Some((mut body, after)) = rest.split_at_checked(size) else {
            break;
        };
        frames = after;
        while let Ok((message, rest)) = Message::parse_first(body) {
            let length = body.len() - rest.len();
            let bytes = body.within(..length);
            let header = message.header;
            if !header.info3.contains(Info3::LAST) {
                let rest = bytes.within(MESSAGE_HEADER_SIZE..);
                let row = Row::Answered(header, rest.to_vec());
                rows.insert(header.transaction_ttl, row);
            }
            body = rest;
        }
    }
    rows
}
