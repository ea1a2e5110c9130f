//! The report for people: one HTML file, without scripts and without a server.

use std::fmt::Write;

use super::{FileCover, percent};

const STYLE: &str = "body{font:14px sans-serif;margin:2em}pre{margin:0}table{border-collapse:collapse}\
td,th{padding:0 .8em;text-align:right}td.source,th.source{text-align:left}tr.run{background:#e6ffe6}tr.missed{background:#ffe0e0}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The page.
// Writing to a string does not fail.
pub(super) fn text(files: &[FileCover]) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Coverage</title><style>{STYLE}</style>\n\
         <h1>Coverage</h1>\n<table><tr><th class=\"source\">file<th>lines<th>%<th>functions<th>%</tr>\n"
    );
    for (number, file) in files.iter().enumerate() {
        let run = file
            .functions
            .iter()
            .filter(|function| function.hits > 0)
            .count();
        let _ = writeln!(
            out,
            "<tr><td class=\"source\"><a href=\"#f{number}\">{}</a><td>{}/{}<td>{}<td>{run}/{}<td>{}</tr>",
            escaped(&file.path),
            file.covered(),
            file.lines.len(),
            percent(file.covered(), file.lines.len()),
            file.functions.len(),
            percent(run, file.functions.len())
        );
    }
    out.push_str("</table>\n");
    for (number, file) in files.iter().enumerate() {
        let _ = writeln!(
            out,
            "<h2 id=\"f{number}\">{}</h2>\n<table>",
            escaped(&file.path)
        );
        for (line, source) in (1_u32..).zip(file.text.lines()) {
            let (class, hits) = match file.lines.get(&line) {
                None => ("", String::new()),
                Some(0) => (" class=\"missed\"", "0".to_owned()),
                Some(hits) => (" class=\"run\"", hits.to_string()),
            };
            let _ = writeln!(
                out,
                "<tr{class}><td>{line}<td>{hits}<td class=\"source\"><pre>{}</pre></tr>",
                escaped(source)
            );
        }
        out.push_str("</table>\n");
    }
    out.push_str("</html>\n");
    out
}
