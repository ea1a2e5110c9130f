//! An answer as `asinfo` prints it.

/// The command that is sent for the text of `-v`: without quote characters at its ends, and with the one alias.
pub fn command(text: &str) -> &str {
    match text.trim_matches(['\'', '"']) {
        "stats" => "statistics",
        command => command,
    }
}

/// The value as printed, without the last line feed: outer `;` and white space removed, and for `lines` one item a line,
/// split at the first of `;`, `:` and `,` that occurs.
pub fn shown(value: &str, lines: bool) -> String {
    let value = value.trim_matches(';').trim();
    let separator = [';', ':', ','].into_iter().find(|c| value.contains(*c));
    match separator {
        Some(separator) if lines => value.replace(separator, "\n"),
        _ => value.to_owned(),
    }
}

/// The body of a reply to a request without any command, as a numbered list, ending with a line feed.
pub fn summary(body: &str) -> String {
    body.lines()
        .enumerate()
        .map(|(index, line)| {
            let (name, value) = line.split_once('\t').unwrap_or((line, ""));
            format!("{} :  {name}\n     {value}\n", index + 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_separator_that_occurs() {
        for (value, plain, lines) in [
            ("", "", ""),
            (";;a=1;;b=2;;", "a=1;;b=2", "a=1\n\nb=2"),
            ("a,b", "a,b", "a\nb"),
            ("a:b,c:d", "a:b,c:d", "a\nb,c\nd"),
            ("ns=a:b=c;ns=d", "ns=a:b=c;ns=d", "ns=a:b=c\nns=d"),
            ("  padded  ", "padded", "padded"),
        ] {
            assert_eq!(shown(value, false), plain);
            assert_eq!(shown(value, true), lines);
        }
    }

    #[test]
    fn removes_quotes_and_knows_the_alias() {
        for (text, expected) in [
            ("'build'", "build"),
            ("\"stats\"", "statistics"),
            (" build ", " build "),
            ("", ""),
        ] {
            assert_eq!(command(text), expected);
        }
    }

    #[test]
    fn numbers_the_summary() {
        assert_eq!(
            summary("node\tBB9\nbuild\t8\n"),
            "1 :  node\n     BB9\n2 :  build\n     8\n"
        );
    }
}
