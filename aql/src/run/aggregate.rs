//! AGGREGATE: nodes run the first part of a stream UDF, and the last reduce runs here, in the very engine of the server.
//!
//! The module is taken from the module directory, the working directory, or else from the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::bounds::Fit as _;
use protocol::message::{Info1, MessageHeader};
use protocol::particle::Particle;
use protocol::value::Value;
use runtime::call::stream::{StreamCall, StreamSource, StreamStep};
use runtime::context::{Context, Limits, LuaFactory};
use runtime::host::{Alone, Host, Lane, ScriptLine};
use runtime::module::{Chunk, Modules};

use super::query::Query;
use super::session::Session;
use super::{Failure, Ran, convert};
use crate::language::parser::unquoted;
use crate::language::statement::Invocation;
use crate::show::{Printer, Row};

/// The code of an error inside a function.
const UDF_FAILED: i64 = 100;

/// Longest name of a function that is a column as it is.
const COLUMN_BYTES_MAX: usize = 15;

/// Where scripts that run here are hosted: what they log is not shown, as in the original.
#[derive(Debug)]
struct Here;

impl Host for Here {
    fn unix_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis().fit::<u64>())
    }

    fn line(&self, _line: &ScriptLine<'_>) {}

    fn warn(&self, _text: &str) {
        // What failed is in the reply, which is printed.
    }

    fn lane(&self) -> &'static dyn Lane {
        &Alone
    }
}

/// Modules by the name that `require` knows them by.
struct Found {
    factory: LuaFactory,
    sources: BTreeMap<String, Vec<u8>>,
    compiled: Mutex<BTreeMap<String, Chunk>>,
}

impl Modules for Found {
    fn find(&self, require_name: &[u8]) -> Option<Chunk> {
        let name = std::str::from_utf8(require_name).ok()?;
        let source = self.sources.get(name)?;
        let Ok(mut compiled) = self.compiled.lock() else {
            return None;
        };
        if let Some(chunk) = compiled.get(name) {
            return Some(chunk.clone());
        }
        let file_name = format!("{name}.lua");
        let chunk = Chunk {
            compiled: self.factory.compile(&file_name, source).map_err(|failure| {
                String::from_utf8_lossy(&failure.message)
                    .into_owned()
                    .into()
            }),
            file_name: file_name.into(),
        };
        compiled.insert(name.to_owned(), chunk.clone());
        Some(chunk)
    }
}

impl Session {
    /// `AGGREGATE`
    pub(super) async fn aggregate(&mut self, call: &Invocation, printer: &mut Printer<'_>) -> Ran {
        let begun = Instant::now();
        let arguments = convert::arguments(&call.arguments)?;
        let range = self.range(&call.place, &call.target).await?;
        let query = Query {
            place: &call.place,
            range,
            header: MessageHeader {
                info1: Info1::READ,
                ..MessageHeader::default()
            },
            bins: &[],
            limit: None,
            records_per_second: 0,
            call: Some((&call.module, &call.function, &arguments, 1)),
        };
        let mut values = Vec::new();
        let gathered = self
            .values(&query, |row| {
                for (name, value) in row.bins {
                    match name.as_str() {
                        "SUCCESS" => {
                            let value = value.unwrap_or(Value::Nil);
                            let particle = value
                                .to_particle()
                                .map_err(|error| Failure::own(error.to_string()))?;
                            values.push(particle);
                        }
                        _ => {
                            let text = match value {
                                Some(Value::String(bytes)) => {
                                    String::from_utf8_lossy(&bytes).into_owned()
                                }
                                Some(other) => format!("{other:?}"),
                                None => "the function failed, without saying how".to_owned(),
                            };
                            return Err(Failure::Told {
                                code: UDF_FAILED,
                                text,
                            });
                        }
                    }
                }
                Ok(())
            })
            .await;
        if let Err(failure) = gathered {
            printer.begin(&[])?;
            match failure {
                // What a node refuses is an empty result before it is an error, as in the original.
                Failure::Told { code, .. } if code > 0 && code != UDF_FAILED => {
                    printer.end(None, begun.elapsed())?;
                }
                _ => printer.cut_off()?,
            }
            return Err(failure);
        }
        let results = match values.is_empty() {
            true => Vec::new(),
            false => self.reduced(call, &arguments, values).await?,
        };
        printer.begin(&[])?;
        for value in results {
            let column = match call.function.get(..COLUMN_BYTES_MAX - 3) {
                Some(front) if call.function.len() > COLUMN_BYTES_MAX => format!("{front}..."),
                _ => call.function.clone(),
            };
            printer.row(Row {
                bins: vec![(column, (value != Value::Nil).then_some(value))],
                ..Row::default()
            })?;
        }
        printer.end(None, begun.elapsed())?;
        Ok(printer.done(None)?)
    }

    /// The client's part of the function over the values of all nodes.
    async fn reduced(
        &mut self,
        call: &Invocation,
        arguments: &[u8],
        values: Vec<Particle>,
    ) -> Result<Vec<Value>, Failure> {
        let sources = self.sources(&call.module).await?;
        let user_path = self.module_directory();
        let host: Arc<dyn Host> = Arc::new(Here);
        let factory = LuaFactory::new(
            &user_path.display().to_string(),
            false,
            false,
            Limits::default(),
            host,
        );
        let modules = Arc::new(Found {
            factory: factory.clone(),
            sources,
            compiled: Mutex::default(),
        });
        let failed = |text: String| Failure::Told { code: -1, text };
        let chunk = modules
            .find(call.module.as_bytes())
            .ok_or_else(|| Failure::own(format!("Cannot find module {}", call.module)))?;
        let bytecode = chunk
            .compiled
            .map_err(|reason| failed(reason.to_string()))?;
        let mut context = factory
            .create(&call.module, &bytecode, modules)
            .map_err(|failure| failed(failure.reason))?;
        let ran = run(&mut context, call, arguments, values, self.settings.limit());
        context.end_stream();
        ran.map_err(|text| failed(String::from_utf8_lossy(&text).into_owned()))
    }

    /// The directory of modules, without the quotes that it may have been written in.
    fn module_directory(&self) -> PathBuf {
        PathBuf::from(unquoted(&self.settings.lua_userpath))
    }

    /// The module and all others that lie where it does; those of the cluster where they are not.
    async fn sources(&mut self, module: &str) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let mut sources = BTreeMap::new();
        for folder in [PathBuf::from("."), self.module_directory()] {
            add_folder(&folder, &mut sources);
        }
        if sources.contains_key(module) {
            return Ok(sources);
        }
        let Some(node) = self.records.picture().nodes().first().cloned() else {
            return Err(Failure::own("no node to ask"));
        };
        let list = self.records.info(&node, "udf-list").await?;
        let files = list
            .split(';')
            .filter_map(|entry| entry.strip_prefix("filename=")?.split(',').next())
            .filter_map(|file| file.strip_suffix(".lua"));
        for name in files {
            let answer = self
                .records
                .info(&node, &format!("udf-get:filename={name}.lua"))
                .await?;
            let content = answer
                .split(';')
                .find_map(|pair| STANDARD.decode(pair.strip_prefix("content=")?).ok());
            // One that was removed meanwhile has none. The module itself has to be read.
            match content {
                Some(content) => drop(sources.entry(name.to_owned()).or_insert(content)),
                None if name == module => {
                    return Err(Failure::own(format!(
                        "the node's answer about {name}.lua cannot be read: {answer}"
                    )));
                }
                None => {}
            }
        }
        Ok(sources)
    }
}

fn add_folder(folder: &Path, sources: &mut BTreeMap<String, Vec<u8>>) {
    // A folder that is not there has no modules.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let is_lua = path.extension().is_some_and(|extension| extension == "lua");
        let name = path.file_stem().and_then(|name| name.to_str());
        if let (true, Some(name)) = (is_lua, name)
            && let Ok(source) = std::fs::read(&path)
        {
            sources.insert(name.to_owned(), source);
        }
    }
}

fn run(
    context: &mut Context,
    call: &Invocation,
    arguments: &[u8],
    values: Vec<Particle>,
    limit: Duration,
) -> Result<Vec<Value>, Vec<u8>> {
    let mut values = values.into_iter();
    context.begin_stream(StreamCall {
        function: call.function.as_bytes(),
        arguments,
        source: StreamSource::Values(Box::new(move || values.next())),
        time_per_record: limit,
        now: 0,
    })?;
    let mut results = Vec::new();
    loop {
        match context.next_value() {
            StreamStep::Value(particle) => results
                .push(Value::from_particle(particle.as_ref()).map_err(|error| error.to_string())?),
            StreamStep::End => return Ok(results),
            StreamStep::Failure(text) => return Err(text),
        }
    }
}
