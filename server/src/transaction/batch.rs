use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use protocol::header::{MessageType, OpenFrame};
use protocol::message::{BatchFlags, BatchRow, BatchRows, Message, MessageHeader};
use protocol::result_code::ResultCode;

use super::forward::{self, Elsewhere, Row};
use super::placement::{Done, Passage, Placement};
use super::reply::{self, ReplyStream, ReplyTo};
use super::request::{Request, parse_filter};
use super::single;
use super::target::Target;
use super::work::Work;
use super::{Sender, Services};
use data::filter::Filter;
use data::work::{Meter, TimeIsUp};

/// Time limit of a batch that states none.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(30);

/// A frame of rows is sent when it has grown to this.
const FLUSH_BYTES: usize = 1 << 20;

/// Most bytes of answers that are kept back until all rows have run.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// Work of a row besides its ops, in steps: some microseconds.
const ROW_STEPS: usize = 64;

/// Answers a batch: one message a row in the order of the request, then one that ends the reply.
///
/// All rows run, also those behind one that fails; what is answered then depends on the flags of the batch:
///
/// | flags | rows | last message |
/// |---|---|---|
/// | RESPOND_ALL | all | 0 |
/// | RETURN_ERROR_ROWS alone | all | code of the failing row with the highest place |
/// | neither | none, if one fails | that code |
/// | any, but a row is malformed or names no namespace of this node | none; those before it have run | 4 |
///
/// Rows run one after the other; a client spreads a batch over the connections of several nodes, and rows of one request
/// that wait for the same record would only queue behind each other.
pub(crate) async fn answer(
    sender: Sender,
    services: &impl Services,
    message: &Message<'_>,
    received: Instant,
    output: &mut impl ReplyStream,
) -> io::Result<()> {
    let stats = services.stats();
    stats.batch_index_initiate.inc();
    let clock = Clock::of(message, received, services.transaction_max());
    let result = match begin(services, message, clock.deadline) {
        Ok((rows, filter)) => {
            let mut work = Work::until(clock.deadline);
            match Survey::of(services, &rows, &mut work).await {
                Ok(survey) => {
                    let elsewhere = match (sender, survey.all_are_here) {
                        (Sender::Client, false) => {
                            let rows = (0..).zip(rows.clone().map_while(Result::ok));
                            forward::batch(services, message, rows, clock.deadline).await
                        }
                        _ => Elsewhere::default(),
                    };
                    let batch = Batch {
                        services,
                        message,
                        filter,
                        clock,
                        work,
                    };
                    let answers = Answers::of(&rows, &survey);
                    batch.run(rows, elsewhere, answers, output).await?
                }
                Err(TimeIsUp) => ResultCode::TIMEOUT,
            }
        }
        Err(code) => code,
    };
    match result {
        ResultCode::OK => stats.batch_index_complete.inc(),
        ResultCode::TIMEOUT => stats.batch_index_timeout.inc(),
        _ => stats.batch_index_error.inc(),
    }
    stats.batch_latency.record(received.elapsed());
    reply::last(output.buffer(), result);
    Ok(())
}

/// A filter for all rows, or what is wrong with it.
type SharedFilter = Arc<Result<Filter, ResultCode>>;

/// Refuses a batch as a whole, or finds its rows.
fn begin<'a>(
    services: &impl Services,
    message: &Message<'a>,
    deadline: Instant,
) -> Result<(BatchRows<'a>, Option<SharedFilter>), ResultCode> {
    let data = message.fields.batch().ok_or(ResultCode::PARAMETER)?;
    let rows = BatchRows::parse(data).map_err(|error| error.result_code())?;
    if rows.count == 0 {
        return Err(ResultCode::PARAMETER);
    }
    let limit = services.batch_max_requests();
    if limit != 0 && rows.count > limit {
        return Err(ResultCode::BATCH_MAX_REQUESTS);
    }
    let filter = message.fields.filter_exp();
    let filter = filter
        .map(|data| parse_filter(data, deadline))
        .transpose()?;
    Ok((rows, filter.map(|filter| Arc::new(Ok(filter)))))
}

/// Time limits of a batch.
struct Clock {
    deadline: Instant,
    /// Limit of each row by itself, where the client stated none for the batch.
    row_limit: Option<Duration>,
}

impl Clock {
    fn of(message: &Message<'_>, received: Instant, transaction_max: Duration) -> Self {
        match message.header.transaction_ttl {
            0 => Self {
                deadline: received + DEFAULT_TIME_LIMIT,
                row_limit: Some(transaction_max),
            },
            ms => Self {
                deadline: received + Duration::from_millis(ms.into()),
                row_limit: None,
            },
        }
    }

    fn row_deadline(&self, now: Instant) -> Instant {
        self.row_limit
            .map_or(self.deadline, |limit| self.deadline.min(now + limit))
    }
}

/// What becomes of the answers to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// They are sent as they come.
    Sent,
    /// They are kept until all rows have run, and forgotten when one of them fails.
    Kept,
    /// They are not wanted.
    Forgotten,
}

/// What is known of the rows before the first one runs.
#[derive(Clone, Copy, Debug)]
struct Survey {
    /// No row is malformed or names no namespace of this node.
    all_are_sound: bool,
    /// No record is known to be elsewhere.
    all_are_here: bool,
}

impl Survey {
    /// Reads all rows once. That alone may take long: a row has up to 65,535 fields, and as many ops.
    async fn of(
        services: &impl Services,
        rows: &BatchRows<'_>,
        work: &mut Work,
    ) -> Result<Self, TimeIsUp> {
        let mut survey = Self {
            all_are_sound: true,
            all_are_here: true,
        };
        for row in rows.clone() {
            let Ok(row) = row else {
                survey.all_are_sound = false;
                break;
            };
            work.steps(steps_to_read(&row))?;
            work.rest().await?;
            let name = row.fields.namespace().ok().flatten();
            survey.all_are_sound &= name.is_some_and(|name| services.namespace(name).is_some());
            survey.all_are_here &= services.placement().is_here(&row.digest);
        }
        Ok(survey)
    }
}

/// Work of a row besides that of its ops. One that repeats another has fields too.
fn steps_to_read(row: &BatchRow<'_>) -> usize {
    ROW_STEPS + usize::from(row.header.n_fields) + usize::from(row.header.n_ops)
}

impl Answers {
    fn of(rows: &BatchRows<'_>, survey: &Survey) -> Self {
        if !survey.all_are_sound {
            Self::Forgotten
        } else if rows
            .flags
            .intersects(BatchFlags::RESPOND_ALL | BatchFlags::RETURN_ERROR_ROWS)
        {
            Self::Sent
        } else {
            Self::Kept
        }
    }
}

/// A batch that runs.
struct Batch<'b, S> {
    services: &'b S,
    message: &'b Message<'b>,
    filter: Option<SharedFilter>,
    clock: Clock,
    work: Work,
}

impl<S: Services> Batch<'_, S> {
    /// Runs the rows; the code is that of the whole batch.
    async fn run(
        self,
        rows: BatchRows<'_>,
        mut elsewhere: Elsewhere,
        mut answers: Answers,
        output: &mut impl ReplyStream,
    ) -> io::Result<ResultCode> {
        let Self {
            services,
            message,
            filter,
            clock,
            mut work,
        } = self;
        let flags = rows.flags;
        let begin = output.buffer().len();
        let mut frame = None;
        let mut result = ResultCode::OK;
        for (number, row) in (0_u32..).zip(rows) {
            let now = Instant::now();
            if now > clock.deadline || work.rest().await.is_err() {
                result = ResultCode::TIMEOUT;
                break;
            }
            let out = output.buffer();
            let open = frame.get_or_insert_with(|| OpenFrame::begin(out, MessageType::Message));
            let before = out.len();
            let Some(row) = row.ok() else {
                result = ResultCode::PARAMETER;
                break;
            };
            let code = loop {
                let done = match elsewhere.take(number) {
                    Some(answered) => Some(write_row(answered, row.index, out).into()),
                    None => {
                        let deadline = clock.row_deadline(now);
                        answer_row(services, &row, filter.as_ref(), now, deadline, out).await
                    }
                };
                match done {
                    Some(Done::Answered(code)) => break Some(code),
                    None => break None,
                    Some(Done::Moved) => {}
                    Some(Done::Doubtful) => {
                        out.truncate(before);
                        break Some(ReplyTo::row(out, row.index).plain(ResultCode::TIMEOUT.into()));
                    }
                }
                out.truncate(before);
                let row = std::iter::once((number, row));
                elsewhere = forward::batch(services, message, row, clock.deadline).await;
            };
            let Some(code) = code else {
                result = ResultCode::PARAMETER;
                break;
            };
            // The clock is looked at before the next row.
            let _ = work.steps(steps_to_read(&row));
            if is_failure(code) && !flags.contains(BatchFlags::RESPOND_ALL) {
                result = code;
                if answers == Answers::Kept {
                    answers = Answers::Forgotten;
                }
            }
            match answers {
                Answers::Forgotten => out.truncate(before),
                Answers::Sent if open.body_len(out) >= FLUSH_BYTES => {
                    close(frame.take(), out);
                    output.flush().await?;
                }
                // So much is not kept: whoever asks for it gets it, and hears of a failure at the end.
                Answers::Kept if open.body_len(out) >= MAX_KEPT_BYTES => answers = Answers::Sent,
                Answers::Sent | Answers::Kept => {}
            }
        }
        let out = output.buffer();
        close(frame, out);
        if answers == Answers::Forgotten {
            out.truncate(begin);
        }
        Ok(result)
    }
}

/// Answers one row; `None` when it names no namespace of this node, which ends the batch.
async fn answer_row(
    services: &impl Services,
    row: &BatchRow<'_>,
    filter: Option<&SharedFilter>,
    now: Instant,
    deadline: Instant,
    out: &mut BytesMut,
) -> Option<Done> {
    let reply = ReplyTo::row(out, row.index);
    let name = row.fields.namespace().ok().flatten()?;
    let namespace = services.namespace(name)?;
    let request = match Request::of_row(row, filter, deadline) {
        Ok(request) => request,
        Err(code) => {
            namespace.stats.batch_sub_tsvc_error.inc();
            return Some(reply.plain(code.into()).into());
        }
    };
    let target = Target {
        services,
        namespace,
        digest: &row.digest,
    };
    if services.placement().is_here(&row.digest) {
        return Some(single::answer(target, &request, now, reply).await);
    }
    // Rows of others were passed on; what is here may have to be fetched first.
    match forward::place(Sender::Node, target, &request, &[]).await {
        Passage::Here => Some(single::answer(target, &request, now, reply).await),
        Passage::Answered(_) => Some(reply.plain(ResultCode::UNAVAILABLE.into()).into()),
        Passage::Refused(code) => Some(reply.plain(code.into()).into()),
    }
}

/// Writes the answer to a row that ran elsewhere, with the number that the client gave it.
fn write_row(row: Row, index: u32, out: &mut BytesMut) -> ResultCode {
    match row {
        Row::Answered(header, rest) => {
            let header = MessageHeader {
                transaction_ttl: index,
                ..header
            };
            out.put_slice(&header.to_bytes());
            out.put_slice(&rest);
            header.result
        }
        Row::Failed(code) => ReplyTo::row(out, index).plain(code.into()),
    }
}

/// Whether a row's code makes the batch fail where not all rows are wanted.
fn is_failure(code: ResultCode) -> bool {
    !matches!(
        code,
        ResultCode::OK | ResultCode::NOT_FOUND | ResultCode::FILTERED_OUT
    )
}

/// Ends a frame of rows; one without rows is taken back.
fn close(frame: Option<OpenFrame>, out: &mut BytesMut) {
    match frame {
        Some(frame) if frame.body_len(out) == 0 => frame.cancel(out),
        // Frames are sent long before they reach the limit; only a single huge row could get there, and it was refused.
        Some(frame) => drop(frame.finish(out)),
        None => {}
    }
}
