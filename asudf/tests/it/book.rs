//! The book: each of its files and commands is tried.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::program::folder;

/// A block of a page.
struct Block {
    kind: String,
    text: String,
    line: usize,
}

fn blocks(book: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in book.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(kind) if !inside => {
                inside = true;
                blocks.push(Block {
                    kind: kind.to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            Some(_) => inside = false,
            None if inside => {
                let block = blocks.last_mut().unwrap();
                block.text += line;
                block.text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn the_files_and_commands_of_the_book_do_what_it_says() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let book = fs::read_to_string(book).unwrap();
    let place = folder(&[]);
    let program = Path::new(env!("CARGO_BIN_EXE_asudf")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut commands = 0;
    // Pages go on where the one before ended: in the project that the first makes.
    let mut current = place.path().to_owned();
    for block in blocks(&book) {
        match block.kind.as_str() {
            "lua" | "toml" | "json" => {
                let first = block.text.lines().next().unwrap();
                let name = first.trim_start_matches(['-', '#', '/', ' ']);
                fs::write(current.join(name), &block.text).unwrap();
            }
            "console" => {
                let mut out = String::new();
                for line in block.text.lines() {
                    let Some(command) = line.strip_prefix("$ ") else {
                        assert!(
                            out.contains(line.trim()),
                            "README.md:{}: no line `{line}` in\n{out}",
                            block.line
                        );
                        continue;
                    };
                    if let Some(directory) = command.strip_prefix("cd ") {
                        current = current.join(directory);
                        continue;
                    }
                    let output = Command::new("sh")
                        .args(["-c", &format!("{command} 2>&1")])
                        .current_dir(&current)
                        .env("PATH", &path)
                        .output()
                        .unwrap();
                    out = String::from_utf8(output.stdout).unwrap();
                    commands += 1;
                }
            }
            other => panic!(
                "README.md:{}: a block of kind `{other}` is not tried",
                block.line
            ),
        }
    }
    assert!(commands >= 15, "{commands}");
}
