//! Formats of `info()`, its siblings and `string.format`, against what is passed to them.

use protocol::bounds::Within as _;

use super::Module;
use super::calls::is_open;
use crate::finding::Findings;
use crate::model::kinds::Kinds;
use crate::syntax::tree::{ExpressionId, Shape};

const WITH_FORMAT: [&str; 5] = ["trace", "debug", "info", "warn", "string.format"];

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let tree = module.facts.tree;
    for (_, expression) in tree.all() {
        let (path, format, arguments) = match &expression.shape {
            Shape::Call { callee, arguments } => {
                let Some(path) = module.facts.path(*callee) else {
                    continue;
                };
                let Some((format, arguments)) = arguments.split_first() else {
                    continue;
                };
                (path, *format, arguments)
            }
            Shape::Method {
                object,
                name,
                arguments,
                ..
            } if name.text == "format" => {
                ("string.format".to_owned(), *object, arguments.as_slice())
            }
            _ => continue,
        };
        if WITH_FORMAT.contains(&path.as_str())
            && let Some(text) = tree.text(tree.bare(format))
        {
            check(module, &path, format, text, arguments, found);
        }
    }
}

fn check(
    module: &Module<'_, '_>,
    path: &str,
    format: ExpressionId,
    text: &[u8],
    arguments: &[ExpressionId],
    found: &mut Findings,
) {
    let span = module.facts.tree.span(format);
    let wanted = match conversions(text) {
        Ok(wanted) => wanted,
        Err(bad) => {
            found.add(
                "log-format",
                span,
                format!("`{path}` fails at `{bad}` in its format"),
            );
            found.help("write `%%` for a percent sign".to_owned());
            return;
        }
    };
    let open = arguments.last().is_some_and(|last| is_open(module, *last));
    if arguments.len() < wanted.len() && !open {
        let text = format!(
            "the format of `{path}` wants {} more than the {} passed",
            values(wanted.len() - arguments.len()),
            arguments.len()
        );
        found.add("log-format", span, text);
    } else if arguments.len() > wanted.len() && !(open && arguments.len() == wanted.len() + 1) {
        let Some(first) = arguments.get(wanted.len()) else {
            return;
        };
        let surplus = module.facts.tree.span(*first);
        let text = format!("the format of `{path}` has no place for this");
        found.add("unused-format-argument", surplus, text);
        found.help("add `%s` to the format".to_owned());
    }
    for (argument, conversion) in arguments.iter().zip(&wanted) {
        let kinds = module.facts.kinds(*argument);
        let numeric = b"diuoxXcaAeEfgG".contains(conversion);
        let integer = b"diuoxXc".contains(conversion);
        let mut accepted = match (numeric, conversion) {
            (true, _) => Kinds::NUMBER | Kinds::TEXT,
            (false, b'q') => Kinds::NIL | Kinds::BOOLEAN | Kinds::NUMBER | Kinds::TEXT,
            _ => Kinds::ANY,
        };
        if numeric && module.facts.is_text_of_no_number(*argument) {
            accepted = Kinds::NUMBER;
        }
        let fraction = match module.facts.tree.shape(*argument) {
            Shape::Float(value) => integer && value.fract() != 0.0,
            _ => false,
        };
        if kinds.is_never(accepted) || fraction {
            let what = if fraction {
                "not an integer".to_owned()
            } else {
                kinds.describe()
            };
            let text = format!("`%{}` fails on this: it is {what}", char::from(*conversion));
            found.add("log-format", module.facts.tree.span(*argument), text);
            found.help("`%s` takes anything".to_owned());
        }
    }
}

fn values(count: usize) -> String {
    match count {
        1 => "one value".to_owned(),
        _ => format!("{count} values"),
    }
}

/// The conversions of a format, or the first that Lua refuses.
fn conversions(format: &[u8]) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        rest = rest.within(at + 1..);
        if let Some(after) = rest.strip_prefix(b"%") {
            rest = after;
            continue;
        }
        let length = rest
            .iter()
            .take_while(|byte| b"-+#0 123456789.".contains(byte))
            .count();
        let shown = |end: usize| {
            let text = rest.get(..end).unwrap_or(rest);
            format!("%{}", String::from_utf8_lossy(text))
        };
        let (spec, conversion) = (rest.within(..length), rest.get(length));
        match conversion {
            Some(conversion) if fits(*conversion, spec) => all.push(*conversion),
            _ => return Err(shown(length + 1)),
        }
        rest = rest.within(length + 1..);
    }
    Ok(all)
}

/// Whether Lua takes these flags, width and precision before this letter.
fn fits(conversion: u8, spec: &[u8]) -> bool {
    let flags: &[u8] = match conversion {
        b'd' | b'i' => b"-+0 ",
        b'u' => return false,
        b'a' | b'A' | b'e' | b'E' | b'f' | b'g' | b'G' => b"-+#0 ",
        b'o' | b'x' | b'X' => b"-#0",
        b'c' | b's' | b'p' => b"-",
        b'q' => return spec.is_empty(),
        _ => return false,
    };
    let flag_count = spec.iter().take_while(|byte| flags.contains(byte)).count();
    let rest = spec.within(flag_count..);
    let digits = |text: &[u8]| text.len() <= 2 && text.iter().all(u8::is_ascii_digit);
    match rest.iter().position(|byte| *byte == b'.') {
        None => digits(rest),
        Some(_) if matches!(conversion, b'c' | b'p') => false,
        Some(dot) => {
            let (width, precision) = rest.split_at(dot);
            digits(width) && digits(precision.within(1..))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::conversions;

    #[test]
    fn conversions_are_those_of_lua() {
        for (format, wanted) in [
            ("x %d %5.2f %-10s %% %q %i", Ok(&b"dfsqi"[..])),
            ("100%", Err("%")),
            ("50% of", Err("% o")),
            ("%y", Err("%y")),
            ("%u", Err("%u")),
            ("%.100f", Err("%.100f")),
            ("%5q", Err("%5q")),
            ("%#x %+d % d", Ok(b"xdd")),
        ] {
            let read = conversions(format.as_bytes());
            let read = read.as_deref().map_err(String::as_str);
            assert_eq!(read, wanted, "{format}");
        }
    }
}
