//! What is found.

use serde::{Deserialize, Serialize};

use crate::syntax::tree::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not looked for.
    Off,
    /// Worth knowing.
    Note,
    /// Likely a mistake.
    Warning,
    /// It will fail, or lose data, whenever it is reached.
    Error,
}

impl Level {
    /// Its name, as in `asudf.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The level of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Off, Self::Note, Self::Warning, Self::Error];
        all.into_iter().find(|level| level.name() == name)
    }
}

/// A change of the text that mends what was found and changes nothing else that the module does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is replaced, in order, and by what.
    pub edits: Vec<(Span, String)>,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is here.
    pub level: Level,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// What mends it.
    pub fix: Option<Fix>,
}

/// Collects findings.
#[derive(Debug, Default)]
pub struct Findings {
    /// So far.
    pub all: Vec<Finding>,
}

impl Findings {
    /// Something was found; its level is that of the rule until the settings say otherwise.
    pub fn add(&mut self, rule: &'static str, span: Span, message: impl Into<String>) {
        self.all.push(Finding {
            rule,
            level: Level::Error,
            span,
            message: message.into(),
            help: None,
            fix: None,
        });
    }

    /// The last one has this advice, if there is any.
    pub fn help(&mut self, help: impl Into<Option<String>>) {
        if let (Some(last), Some(help)) = (self.all.last_mut(), help.into()) {
            last.help = Some(help);
        }
    }

    /// The last one is mended by these edits.
    pub fn fix(&mut self, edits: Vec<(Span, String)>) {
        if let Some(last) = self.all.last_mut() {
            last.fix = Some(Fix { edits });
        }
    }
}
