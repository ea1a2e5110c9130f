//! The report for machines, as `lcov` and CI servers read it.

use std::fmt::Write;

use super::FileCover;

/// A record a file.
// Writing to a string does not fail.
pub(super) fn text(files: &[FileCover]) -> String {
    let mut out = String::new();
    for file in files {
        let _ = writeln!(out, "TN:asudf\nSF:{}", file.path);
        for function in &file.functions {
            let _ = writeln!(out, "FN:{},{}", function.line, function.name);
        }
        for function in &file.functions {
            let _ = writeln!(out, "FNDA:{},{}", function.hits, function.name);
        }
        let run = file.functions.iter().filter(|function| function.hits > 0);
        let _ = writeln!(out, "FNF:{}\nFNH:{}", file.functions.len(), run.count());
        for (line, hits) in &file.lines {
            let _ = writeln!(out, "DA:{line},{hits}");
        }
        let _ = writeln!(
            out,
            "LF:{}\nLH:{}\nend_of_record",
            file.lines.len(),
            file.covered()
        );
    }
    out
}
