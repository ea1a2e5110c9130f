//! Manual pages: what the definitions of the options say, then what they cannot.

use std::fmt::Write;

/// A section behind the options: its name, and terms with what they mean.
pub type Section<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Where the tools look for defaults, for the section FILES.
pub const CONFIG_FILES: [(&str, &str); 2] = [
    (
        "/etc/aerospike/astools.conf",
        "Defaults of the options, for all users of this machine.",
    ),
    (
        "~/.aerospike/astools.conf",
        "The same of one user. It wins over the file above.",
    ),
];

/// The page in roff; `commands` is roff that follows the options.
pub fn page(program: clap::Command, commands: &str, sections: &[Section<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(program).render(&mut text);
    let mut rest = commands.to_owned();
    for (name, entries) in sections {
        let _ = writeln!(rest, ".SH {name}");
        for (term, meaning) in *entries {
            let _ = writeln!(rest, ".TP\n\\fB{}\\fR\n{}", roff(term), roff(meaning));
        }
    }
    text.extend(rest.into_bytes());
    text
}

/// Plain text as roff has it.
pub fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_meanings_are_plain_text() {
        let sections: &[Section<'_>] = &[("FILES", &[("a-b", ".c\\d")])];
        let page = String::from_utf8(page(clap::Command::new("x"), "", sections)).unwrap();
        assert!(
            page.ends_with(".SH FILES\n.TP\n\\fBa\\-b\\fR\n\\&.c\\ed\n"),
            "{page}"
        );
    }
}
