//! The values of one section: a cell for each row of its table.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use protocol::bounds::Fit as _;

use super::setting::{Setting, SettingKind, SettingValue, ValueError};

/// A value that can change while the server runs.
#[derive(Debug)]
enum Cell {
    Number(AtomicU64),
    Text(RwLock<Option<String>>),
    List(RwLock<Vec<String>>),
}

/// Values of a section. Reading a number is one relaxed load.
#[derive(Debug)]
pub(crate) struct Values {
    table: &'static [Setting],
    cells: Box<[Cell]>,
}

/// Place of a setting in its table, found at compile time: a name that is not in the table does not compile.
#[expect(clippy::panic, reason = "evaluated by the compiler only")]
pub(crate) const fn position(table: &[Setting], name: &str) -> usize {
    match table {
        [first, rest @ ..] => {
            if same(first.name.as_bytes(), name.as_bytes()) {
                0
            } else {
                1 + position(rest, name)
            }
        }
        [] => panic!("no such setting"),
    }
}

/// Whether an accessor of this name gives what a setting holds: a word of a choice is no text.
pub(crate) const fn is_read_by(setting: &Setting, accessor: &str) -> bool {
    let of = match setting.kind {
        SettingKind::Text => "text",
        SettingKind::List => "list",
        SettingKind::Choice(_) => "word",
        SettingKind::Flag => "flag",
        SettingKind::Number { .. } | SettingKind::Bytes { .. } | SettingKind::Seconds { .. } => {
            let accessor = accessor.as_bytes();
            return same(accessor, b"number")
                || same(accessor, b"number32")
                || same(accessor, b"size")
                || same(accessor, b"port");
        }
    };
    same(accessor.as_bytes(), of.as_bytes())
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([a, left @ ..], [b, right @ ..]) => *a == *b && same(left, right),
        _ => false,
    }
}

impl Values {
    /// The defaults of a table.
    pub(crate) fn new(table: &'static [Setting]) -> Self {
        let cells = table
            .iter()
            .map(
                |setting| match (setting.kind, setting.kind.read(setting.default)) {
                    (SettingKind::List, Ok(SettingValue::Text(entry))) => {
                        Cell::List(RwLock::new(entry.into_iter().collect()))
                    }
                    (SettingKind::List, _) => Cell::List(RwLock::default()),
                    (_, Ok(SettingValue::Number(number))) => Cell::Number(AtomicU64::new(number)),
                    (_, Ok(SettingValue::Text(text))) => Cell::Text(RwLock::new(text)),
                    // A test reads the default of every row, so this stands for nothing that is shipped.
                    (_, Err(_)) => Cell::Number(AtomicU64::new(0)),
                },
            )
            .collect();
        Self { table, cells }
    }

    /// A number, the number of seconds or bytes, or the place of a word in its choice.
    pub(crate) fn number(&self, at: usize) -> u64 {
        match self.cells.get(at) {
            Some(Cell::Number(number)) => number.load(Ordering::Relaxed),
            _ => 0,
        }
    }

    /// A number of a setting whose range ends below 2^32.
    pub(crate) fn number32(&self, at: usize) -> u32 {
        self.number(at).at_most::<u32>()
    }

    /// A number of things in memory.
    pub(crate) fn size(&self, at: usize) -> usize {
        self.number(at).at_most::<usize>()
    }

    /// A port.
    pub(crate) fn port(&self, at: usize) -> u16 {
        self.number(at).fit::<u16>()
    }

    /// The word of a choice.
    pub(crate) fn word(&self, at: usize) -> &'static str {
        let words = match self.table.get(at).map(|setting| setting.kind) {
            Some(SettingKind::Choice(words)) => words,
            _ => &[],
        };
        let place = self.number(at).fit::<usize>();
        words.get(place).copied().unwrap_or_default()
    }

    /// A flag.
    pub(crate) fn flag(&self, at: usize) -> bool {
        self.number(at) != 0
    }

    /// A text, `None` when it is `null`.
    pub(crate) fn text(&self, at: usize) -> Option<String> {
        match self.cells.get(at) {
            Some(Cell::Text(text)) => text.read().clone(),
            _ => None,
        }
    }

    /// The entries of a list.
    pub(crate) fn list(&self, at: usize) -> Vec<String> {
        match self.cells.get(at) {
            Some(Cell::List(list)) => list.read().clone(),
            _ => Vec::new(),
        }
    }

    /// The row of a name.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &'static Setting)> {
        self.table
            .iter()
            .enumerate()
            .find(|(_, setting)| setting.name == name)
    }

    /// Whether a block of that name, ending in `.`, has settings.
    pub(crate) fn has_block(&self, prefix: &str) -> bool {
        self.table
            .iter()
            .any(|setting| setting.name.starts_with(prefix))
    }

    /// Sets a value from its text; a list becomes that one entry.
    ///
    /// # Errors
    /// [`ValueError`] when the text is not a value of the setting.
    pub(crate) fn set(&self, at: usize, text: &str) -> Result<(), ValueError> {
        let Some((setting, cell)) = self.table.get(at).zip(self.cells.get(at)) else {
            return Ok(());
        };
        match (setting.kind.read(text)?, cell) {
            (SettingValue::Number(new), Cell::Number(number)) => {
                number.store(new, Ordering::Relaxed)
            }
            (SettingValue::Text(new), Cell::Text(text)) => *text.write() = new,
            (SettingValue::Text(new), Cell::List(list)) => {
                *list.write() = new.into_iter().collect()
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds an entry to a list; sets any other value.
    ///
    /// # Errors
    /// [`ValueError`] when the text is not a value of the setting.
    pub(crate) fn add(&self, at: usize, text: &str) -> Result<(), ValueError> {
        if let Some(Cell::List(list)) = self.cells.get(at) {
            SettingKind::List.read(text)?;
            list.write().push(text.to_owned());
            return Ok(());
        }
        self.set(at, text)
    }

    /// Appends `name=value;` for each setting in the order of the table, lists with one entry for each value.
    pub(crate) fn report(&self, out: &mut String) {
        for (setting, cell) in self.table.iter().zip(&self.cells) {
            let name = setting.name;
            // Writing to a String cannot fail.
            let _ = match cell {
                Cell::Number(number) => {
                    let number = setting.kind.show(number.load(Ordering::Relaxed));
                    write!(out, "{name}={number};")
                }
                Cell::Text(text) => {
                    let text = text.read();
                    write!(out, "{name}={};", text.as_deref().unwrap_or("null"))
                }
                Cell::List(list) => list
                    .read()
                    .iter()
                    .try_for_each(|entry| write!(out, "{name}={entry};")),
            };
        }
    }
}
