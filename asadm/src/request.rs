//! Info commands made of words that a person typed. A word that would end its place in the command, or begin another
//! one, is refused.

/// An info command with parameters: `NAME:KEY=VALUE;KEY=VALUE`.
#[derive(Clone, Debug)]
pub(crate) struct Builder {
    text: String,
    separator: &'static str,
}

impl Builder {
    /// A command without parameters so far: `truncate:`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            text: format!("{name}:"),
            separator: "",
        }
    }

    /// With a parameter that names something: namespace, set, bin, index, module, node, parameter.
    pub(crate) fn name(self, key: &str, name: &str) -> Result<Self, String> {
        let name = checked_name(key, name)?;
        Ok(self.push(key, name))
    }

    /// With a parameter of which only `;` and line ends are the end.
    pub(crate) fn value(self, key: &str, value: &str) -> Result<Self, String> {
        let value = checked_value(key, value)?;
        Ok(self.push(key, value))
    }

    /// With a parameter whose name was typed, too.
    pub(crate) fn typed(self, key: &str, value: &str) -> Result<Self, String> {
        checked_name("a parameter", key)?;
        self.value(key, value)
    }

    /// With a parameter of the program's own.
    pub(crate) fn fixed(self, key: &str, value: &str) -> Self {
        self.push(key, value)
    }

    fn push(mut self, key: &str, value: &str) -> Self {
        self.text.push_str(self.separator);
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(value);
        self.separator = ";";
        self
    }

    /// The command.
    pub(crate) fn text(self) -> String {
        self.text
    }
}

/// The name, if nothing in it ends a name.
pub(crate) fn checked_name<'a>(what: &str, name: &'a str) -> Result<&'a str, String> {
    refused(what, name, |c| {
        matches!(c, ';' | ':' | '=') || c.is_control()
    })
}

/// The value, if nothing in it ends a value.
pub(crate) fn checked_value<'a>(what: &str, value: &'a str) -> Result<&'a str, String> {
    refused(what, value, |c| c == ';' || c.is_control())
}

fn refused<'a>(what: &str, text: &'a str, ends: impl Fn(char) -> bool) -> Result<&'a str, String> {
    match text.chars().find(|c| ends(*c)) {
        Some(c) => Err(format!(
            "`{}` in {what} would end it, so nothing was sent",
            c.escape_default()
        )),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_begin_another_parameter() {
        for name in [
            "a;lut=1",
            "a:b",
            "a=b",
            "a\nb",
            "a\rb",
            "a\tb",
            "\u{1b}[2J",
            "\u{9b}2J",
        ] {
            let made = Builder::new("truncate").name("set", name);
            assert!(made.is_err(), "{name:?}");
        }
        for value in ["a;b", "a\nb"] {
            assert!(Builder::new("x").value("y", value).is_err(), "{value:?}");
        }
        let made = Builder::new("sindex-create")
            .name("indexname", "i-1")
            .and_then(|made| made.value("context", "kiKkA3ppcA=="))
            .map(Builder::text);
        assert_eq!(
            made.unwrap(),
            "sindex-create:indexname=i-1;context=kiKkA3ppcA=="
        );
        assert!(Builder::new("x").typed("a=1;b", "2").is_err());
    }
}
