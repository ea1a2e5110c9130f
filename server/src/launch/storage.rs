//! Opening what keeps the records of namespaces.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StartError;
use crate::clock::Clock;
use crate::config::{Config, NamespaceSettings};
use crate::record::Namespace;
use crate::storage::file::{FILE_BYTES_MIN, FileEngine, FileOptions};
use crate::storage::{MemoryEngine, StorageEngine};

/// Time between two lines that say how many records are counted.
const PROGRESS: Duration = Duration::from_secs(2);

/// Opens the namespaces of a configuration, with the records that they have.
///
/// # Errors
/// A file cannot be used: which, and why.
pub(crate) async fn open(config: &Config) -> Result<Vec<Arc<Namespace>>, StartError> {
    let mut namespaces = Vec::new();
    for settings in &config.namespaces {
        let begun = Instant::now();
        let engine = match engine_of(config, settings)? {
            Some(open) => tokio::task::spawn_blocking(open).await??,
            None => Box::new(MemoryEngine::default()),
        };
        let settings = Arc::new(settings.clone());
        let name = settings.name().to_owned();
        let namespace = Namespace::with(&name, settings, engine, Clock::default());
        let mut said = begun;
        let counted = namespace.load(|records| {
            if said.elapsed() >= PROGRESS {
                said = Instant::now();
                tracing::info!(target: "drv", "{{{name}}} {records} records are counted");
            }
        });
        counted.await?;
        if namespace.keeps().persisted {
            tracing::info!(
                target: "drv",
                "{{{name}}} {} records were kept; ready after {} ms",
                namespace.usage().objects(),
                begun.elapsed().as_millis()
            );
        }
        namespaces.push(Arc::new(namespace));
    }
    Ok(namespaces)
}

/// Opens an engine; blocks while it reads its file.
type Open = Box<dyn FnOnce() -> Result<Box<dyn StorageEngine>, StartError> + Send>;

/// How the engine of a namespace is opened; none for one in memory.
fn engine_of(config: &Config, settings: &NamespaceSettings) -> Result<Option<Open>, StartError> {
    let files = settings.files();
    let name = settings.name().to_owned();
    let place = |key: &str| config.place_of(&format!("namespace {name}: storage-engine.{key}"));
    let path = match files.as_slice() {
        [] => return Ok(None),
        [path] => path.clone(),
        [_, second, ..] => {
            return Err(format!(
                "{}: {second}: a namespace has one file; give it the size of all",
                place("file")
            )
            .into());
        }
    };
    let bytes = settings.filesize();
    if bytes < FILE_BYTES_MIN {
        let place = match bytes {
            0 => format!("{}: its `filesize`", place("file")),
            _ => place("filesize"),
        };
        return Err(format!(
            "{place}: {bytes}: expected the most bytes that `{path}` may take, at least 16M"
        )
        .into());
    }
    let options = FileOptions {
        in_memory: settings.storage_engine() != "device",
        commit: settings.commit_to_device(),
        flush_after: Duration::from_millis(settings.flush_max_ms().into()),
        write_cache: settings.max_write_cache(),
        clean_below_pct: settings.defrag_lwm_pct(),
    };
    Ok(Some(Box::new(move || {
        let path = Path::new(&path);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| {
                format!(
                    "namespace {name}: cannot make the directory of `{}`: {error}",
                    path.display()
                )
            })?;
        }
        let engine = FileEngine::open(path, bytes, &name, options)
            .map_err(|error| format!("namespace {name}: {error}"))?;
        Ok(Box::new(engine) as Box<dyn StorageEngine>)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_device_is_read_from_its_file_and_memory_is_not() {
        let directory = tempfile::tempdir().unwrap();
        for (engine, file, in_memory, persisted) in [
            ("memory", false, true, false),
            ("memory", true, true, true),
            ("pmem", true, true, true),
            ("device", true, false, true),
        ] {
            let path = directory.path().join(format!("{engine}-{file}"));
            let keys = match file {
                true => format!("file {}\nfilesize 16M\n", path.display()),
                false => String::new(),
            };
            let text = format!(
                "service {{ work-directory /w }}\nnamespace test {{\nstorage-engine {engine} {{\n{keys}}}\n}}"
            );
            let config = Config::parse("c", &text).unwrap();
            let namespaces = open(&config).await.unwrap();
            let keeps = namespaces[0].keeps();
            assert_eq!(
                (keeps.in_memory, keeps.persisted),
                (in_memory, persisted),
                "{engine}"
            );
            namespaces[0].close().await.unwrap();
        }
    }
}
