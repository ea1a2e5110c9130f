//! Statements of older versions: indexes, statistics, truncating, jobs, accounts.

use protocol::bounds::Fit as _;
use protocol::value::Value;

use super::info::{refusal, text};
use super::session::Session;
use super::{Failure, Ran};
use crate::language::statement::{IndexOver, Listing, Place, Statistics, Until};
use crate::show::{Printer, Row};

/// Nanoseconds between 1970 and 2010: nothing is older than that.
const LUT_LEAST: u64 = 1_262_304_000_000_000_000;

impl Session {
    /// Sends a command to one node, or to each.
    async fn command(&mut self, command: &str, every: bool) -> Ran {
        let nodes = self.records.picture().nodes().to_vec();
        let count = if every { nodes.len() } else { 1 };
        for node in nodes.into_iter().take(count) {
            let answer = self.records.info(&node, command).await?;
            if let Some((code, text)) = refusal(&answer) {
                return Err(Failure::Told {
                    code,
                    text: format!("{text} from {}", node.address()),
                });
            }
        }
        Ok(())
    }

    /// `CREATE INDEX`
    pub(super) async fn create_index(
        &mut self,
        name: &str,
        place: &Place,
        bin: &str,
        over: IndexOver,
        kind: &str,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let Place { namespace, set } = place;
        let set = set
            .as_ref()
            .map_or(String::new(), |set| format!("set={set};"));
        let over = match over.code() {
            (0, _) => String::new(),
            (_, word) => format!("indextype={word};"),
        };
        let command = format!(
            "sindex-create:ns={namespace};{set}indexname={name};numbins=1;{over}indexdata={bin},{kind};priority=normal"
        );
        match self.command(&command, false).await {
            // A namespace that is not there makes no difference to the original.
            Ok(()) | Err(Failure::Told { code: 20, .. }) => {
                Ok(printer.done(Some("1 index added."))?)
            }
            Err(failure) => Err(failure),
        }
    }

    /// `DROP INDEX`
    pub(super) async fn drop_index(
        &mut self,
        place: &Place,
        name: &str,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let Place { namespace, set } = place;
        let set = set
            .as_ref()
            .map_or(String::new(), |set| format!("set={set};"));
        let command = format!("sindex-delete:ns={namespace};{set}indexname={name}");
        match self.command(&command, false).await {
            Ok(()) | Err(Failure::Told { code: 20 | 201, .. }) => {
                Ok(printer.done(Some("1 index removed."))?)
            }
            Err(failure) => Err(failure),
        }
    }

    /// `TRUNCATE`
    pub(super) async fn truncate(
        &mut self,
        place: &Place,
        until: &Until,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let until = lut(until)?;
        let until = until.map_or(String::new(), |until| format!(";lut={until}"));
        let Place { namespace, set } = place;
        let command = match set {
            Some(set) => format!("truncate:namespace={namespace};set={set}{until}"),
            None => format!("truncate-namespace:namespace={namespace}{until}"),
        };
        self.command(&command, false).await?;
        Ok(printer.done(None)?)
    }

    /// `STAT …`
    pub(super) async fn stat(&mut self, of: &Statistics, printer: &mut Printer<'_>) -> Ran {
        let command = match of {
            Statistics::System => "statistics".to_owned(),
            Statistics::Namespace(namespace) => format!("namespace/{namespace}"),
            Statistics::Index(namespace, index) => format!("sindex/{namespace}/{index}"),
        };
        self.listing(&command, printer, |_, answer| {
            Ok(answer
                .split(';')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let value: Option<Value> = text(value);
                    Row {
                        bins: vec![("name".to_owned(), text(name)), ("value".to_owned(), value)],
                        ..Row::default()
                    }
                })
                .collect())
        })
        .await
    }

    /// `KILL_QUERY`, `KILL_SCAN`: the commands of this age, then those of older servers.
    pub(super) async fn kill(
        &mut self,
        listing: Listing,
        id: &str,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let command = match listing {
            Listing::Scans => format!("scan-abort:id={id}"),
            _ => format!("query-kill:trid={id}"),
        };
        self.command(&command, true).await?;
        Ok(printer.done(None)?)
    }
}

/// The moment as nanoseconds since 1970. `NOW` has none: the command without one means the present.
fn lut(until: &Until) -> Result<Option<String>, Failure> {
    let nanoseconds = match until {
        Until::Now => return Ok(None),
        Until::Nanoseconds(digits) => digits.parse::<u64>().ok(),
        Until::Date(text) => jiff::civil::DateTime::strptime("%b %d %Y %H:%M:%S", text)
            .ok()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .and_then(|date| u64::try_from(date.timestamp().as_nanosecond()).ok()),
    };
    let Some(nanoseconds) = nanoseconds else {
        return Err(Failure::own(
            "Invalid lut, use format \"Dec 18 2017 09:53:20\" or 1513590800000000000.",
        ));
    };
    let now = jiff::Timestamp::now();
    let current = now.as_nanosecond().fit::<u64>();
    if nanoseconds <= LUT_LEAST || nanoseconds >= current {
        return Err(Failure::own(format!(
            "LUT {nanoseconds} out of range. Choose LUT greater than \"Jan 1 2010 00:00:00\" ({LUT_LEAST} ns) and less than current time \"{}\" ({current} ns)",
            now.strftime("%b %d %Y %H:%M:%S")
        )));
    }
    Ok(Some(nanoseconds.to_string()))
}
