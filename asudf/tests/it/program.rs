//! Running the program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// What a run has printed, and its exit status.
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: i32,
}

/// Runs `asudf` in a folder.
pub(crate) fn asudf(folder: &Path, words: &[&str]) -> Ran {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_asudf"))
        .current_dir(folder)
        .args(words)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        out: text(output.stdout),
        err: text(output.stderr),
        status: output.status.code().unwrap(),
    }
}

/// The same, of files in a folder that goes again.
pub(crate) fn asudf_over(files: &[(&str, &str)], words: &[&str]) -> Ran {
    asudf(folder(files).path(), words)
}

#[test]
fn completions_and_manual_know_all_commands() {
    let nowhere = folder(&[]);
    let manual = asudf(nowhere.path(), &["--manual"]).out;
    let completions = asudf(nowhere.path(), &["--completions", "bash"]).out;
    let help = asudf(nowhere.path(), &["--help"]).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 12, "{commands:?}");
    for command in commands {
        assert!(manual.contains(&format!("asudf {command}")), "{command}");
        assert!(completions.contains(command), "{command}");
    }
    assert!(manual.contains("EXIT STATUS"));
}

#[test]
fn the_help_of_each_command_says_what_its_exit_statuses_mean() {
    let nowhere = folder(&[]);
    for (command, statuses) in [
        ("new", &["0", "2", "130"][..]),
        ("check", &["0", "1", "2", "130"]),
        ("test", &["0", "1", "2", "130"]),
        ("run", &["0", "1", "2", "130"]),
        ("watch", &["0", "2", "130"]),
        ("convert", &["0", "2", "130"]),
        ("diff", &["0", "3", "2", "130"]),
        ("status", &["0", "3", "2", "130"]),
        ("apply", &["0", "1", "3", "2", "130"]),
        ("rollback", &["0", "1", "3", "2", "130"]),
        ("import", &["0", "1", "3", "2", "130"]),
        ("export", &["0", "2", "130"]),
    ] {
        let help = asudf(nowhere.path(), &[command, "--help"]);
        assert_eq!(help.status, 0, "{command}: {}", help.err);
        let (_, told) = help.out.split_once("Exit status:\n").unwrap();
        let found: Vec<&str> = told
            .lines()
            .filter_map(|line| line.trim().split(' ').next())
            .filter(|word| word.parse::<u8>().is_ok())
            .collect();
        assert_eq!(found, statuses, "{command}: {told}");
    }
}

#[test]
fn what_cannot_be_done_ends_with_2_and_says_what() {
    let empty = folder(&[]);
    let broken = folder(&[("asudf.toml", "[tset]\n")]);
    let one = folder(&[("a_test.lua", "t.test('a', function() end)")]);
    for (folder, words, expected) in [
        (&empty, &["test"][..], "no files `*_test.lua`"),
        (&broken, &["test"], "asudf.toml:1:2: unknown field `tset`"),
        (&one, &["test", "--filter", "b"], "no test has `b`"),
        (&one, &["test", "--format", "x"], "invalid value"),
        (&one, &["test", "nowhere"], "nowhere"),
    ] {
        let ran = asudf(folder.path(), words);
        assert_eq!(ran.status, 2, "{words:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
    }
}
