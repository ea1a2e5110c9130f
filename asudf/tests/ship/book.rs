//! The page about shipping: its file and its commands are tried.

use super::Bench;

/// What stands in the first block of this kind.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_file_and_the_commands_of_the_page_do_what_it_says() {
    let page = include_str!("../../SHIPPING.md");
    assert_eq!(page.matches("```").count(), 4, "a block that is not tried");
    let bench = Bench::new(&[("counter.lua", "function add(rec) return 1 end")]);
    let near = format!("127.0.0.1:{}", bench.cluster.ports[0]);
    let file = block(page, "toml").replace("127.0.0.1:3000", &near);
    bench.write("asudf.toml", &file);
    let mut out = String::new();
    for line in block(page, "console").lines() {
        if let Some(command) = line.strip_prefix("$ asudf ") {
            let words: Vec<&str> = command.split(' ').collect();
            let ran = bench.run(&words);
            assert_ne!(ran.status, Some(2), "{line}\n{}", ran.err);
            out = ran.out;
        } else {
            assert!(out.contains(line), "no line `{line}` in\n{out}");
        }
    }
    // The other cluster asks for what only its network has: the file is understood, the variable is missing.
    let ran = bench.expect(2, &["status", "live"]);
    assert!(ran.err.contains("UDF_PASSWORD"), "{}", ran.err);
}
