//! Modules of a run on a cluster.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Way;
use crate::engine::code::{Code, Source};
use crate::project::TEST_SUFFIX;
use crate::status::Failure;

/// How long nodes may take until they serve a module.
const SERVED_TIME: Duration = Duration::from_secs(30);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

impl Way {
    /// One info command to one node.
    fn ask(&self, node: usize, command: &str) -> Result<String, Failure> {
        let nodes = self.records.picture().nodes();
        let node = nodes
            .get(node)
            .ok_or_else(|| Failure("the cluster has no nodes".to_owned()))?;
        self.runtime
            .block_on(self.records.info(node, command))
            .map_err(Failure::of)
    }

    /// What is registered under a file name, base64.
    fn registered(&self, node: usize, file_name: &str) -> Result<Option<String>, Failure> {
        let listed = self.ask(node, "udf-list")?;
        if !listed
            .split(';')
            .any(|entry| entry.starts_with(&format!("filename={file_name},hash=")))
        {
            return Ok(None);
        }
        let got = self.ask(node, &format!("udf-get:filename={file_name}"))?;
        Ok(got
            .split(';')
            .find_map(|part| part.strip_prefix("content="))
            .map(str::to_owned))
    }

    pub(super) fn register(&mut self, code: &Code) -> Result<(), Failure> {
        // A module may require another one, which has to be there first: those that are refused are tried again.
        let mut left: Vec<_> = code
            .sources()
            .values()
            .filter(|source| !source.file_name.ends_with(TEST_SUFFIX))
            .collect();
        loop {
            let mut refused = Vec::new();
            let before = left.len();
            for source in left {
                let name = &source.file_name;
                let content = STANDARD.encode(&source.text);
                match self.registered(0, name)? {
                    Some(known) if known == content => continue,
                    Some(_) if !self.modules.contains(name) => {
                        return Err(Failure(format!(
                            "the cluster has another module `{name}`, which the tests would replace: run against a cluster of tests"
                        )));
                    }
                    _ => {}
                }
                let command = format!(
                    "udf-put:filename={name};content={content};content-len={};udf-type=LUA;",
                    content.len()
                );
                let answer = self.ask(0, &command)?;
                match answer.as_str() {
                    "ok" => {
                        self.modules.insert(name.clone());
                        self.wait_until_served(name, &content)?;
                    }
                    _ => refused.push((source, answer)),
                }
            }
            if refused.is_empty() {
                return Ok(());
            }
            if refused.len() == before {
                // Such a module fails offline too, at its first call, and the tests say what is expected of it.
                return Ok(());
            }
            left = refused.into_iter().map(|(source, _)| source).collect();
        }
    }

    pub(super) fn replace(&self, source: &Source) -> Result<(), Failure> {
        let (name, content) = (&source.file_name, STANDARD.encode(&source.text));
        let command = format!(
            "udf-put:filename={name};content={content};content-len={};udf-type=LUA;",
            content.len()
        );
        let answer = self.ask(0, &command)?;
        if answer != "ok" {
            return Err(Failure(format!("registering `{name}`: {answer}")));
        }
        self.wait_until_served(name, &content)
    }

    fn wait_until_served(&self, name: &str, content: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + SERVED_TIME;
        for node in 0..self.records.picture().nodes().len() {
            while self.registered(node, name)?.as_deref() != Some(content) {
                if Instant::now() > deadline {
                    return Err(Failure(format!("a node does not get the module `{name}`")));
                }
                self.runtime
                    .block_on(async { tokio::time::sleep(PAUSE).await });
            }
        }
        Ok(())
    }

    pub(super) fn unregister(&mut self) -> Result<(), Failure> {
        for name in std::mem::take(&mut self.modules) {
            let answer = self.ask(0, &format!("udf-remove:filename={name}"))?;
            if answer != "ok" {
                return Err(Failure(format!("removing the module `{name}`: {answer}")));
            }
        }
        Ok(())
    }
}
