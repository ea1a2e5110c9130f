//! asadm at a terminal: keys go in, what the screen shows comes out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tests::process::{signal, wait_until};

use crate::cluster::{mortal_plan, wait_until_formed};
use crate::person::{CTRL_C, CTRL_D, ENTER, LIMIT, RIGHT, Shell, TAB, UP, plain};
use crate::server;

fn module(home: &Path) {
    fs::write(home.join("counter.lua"), "function one(rec) return 1 end\n").unwrap();
}

#[test]
fn a_session_at_a_terminal() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    module(home.path());
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Found 1 nodes");
    shell.wait_for("Admin> ");

    // Without privileges, then with them.
    shell.line("asinfo -v build");
    shell.wait_for("User must be in privileged mode");
    shell.line("enable");
    shell.wait_for("Admin+> ");
    shell.line("manage udfs add counter.lua path counter.lua");
    shell.wait_for("Successfully added UDF counter.lua.");

    // Tab completes words of the table; a hint from the history is taken with the right arrow.
    shell.press("sho");
    shell.press(TAB);
    shell.wait_for("show ");
    shell.press("ud");
    shell.press(TAB);
    shell.wait_for("udfs ");
    shell.press(ENTER);
    shell.wait_for("counter.lua|");
    shell.wait_for("Admin+> ");
    shell.press("manage udfs a");
    shell.wait_for("dd counter.lua path counter.lua");
    shell.press(RIGHT);
    shell.press(ENTER);
    shell.wait_for("Successfully added UDF counter.lua.");

    // A quotation goes on in the next line; what is no info command any more then is not sent.
    shell.line("asinfo -v 'build");
    shell.line("'");
    shell.wait_for("holds a line feed");
    shell.wait_for("Admin+> ");

    // Two lines that are pasted are two commands, and run when Enter is pressed.
    shell.press("\x1b[200~asinfo -v status\rasinfo -v build\x1b[201~");
    shell.wait_for("asinfo -v build");
    assert!(
        !shell.new_text().contains("returned"),
        "{}",
        shell.new_text()
    );
    shell.press(ENTER);
    shell.wait_for("returned:\nok\n");
    shell.wait_for("returned:\n8.1.2.0\n");
    shell.wait_for("Admin+> ");

    // Ctrl-C at the prompt, and the history.
    shell.press("half a line");
    shell.press(CTRL_C);
    shell.wait_for("please run the 'exit' command");
    shell.wait_for("Admin+> ");
    shell.press(UP);
    shell.wait_for("asinfo -v build");
    shell.press(CTRL_C);
    shell.wait_for("Admin+> ");

    shell.line("disable");
    shell.wait_for("Admin> ");
    shell.line("exit");
    // A command of the session was refused.
    assert_eq!(shell.end(), 2);
    let history = home.path().join(".aerospike/admin_live_cluster_history");
    assert!(fs::read_to_string(history).unwrap().contains("show udfs"));
}

#[test]
fn an_interrupt_ends_the_command_and_not_the_shell() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Admin> ");
    shell.line("watch 0.1 info network");
    shell.wait_for("iteration: 2");
    signal(shell.child.id(), "INT").unwrap();
    shell.wait_for("Admin> ");
    shell.line("info network");
    shell.wait_for("Network Information");
    shell.wait_for("Admin> ");
    shell.press(CTRL_D);
    assert_eq!(shell.end(), 0);
}

#[test]
fn lines_that_are_typed_ahead_are_run_one_after_the_other() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Admin> ");
    shell.line("watch 0.3 3 info network");
    shell.wait_for("iteration: 1");
    for line in ["enable", "asinfo -v build", "exit"] {
        shell.press(line);
        // As a terminal in its usual state has it.
        shell.press("\n");
    }
    shell.wait_for("iteration: 3");
    shell.wait_for("Admin> enable");
    shell.wait_for("Admin+> asinfo -v build");
    shell.wait_for("returned:\n8.1.2.0\n");
    shell.wait_for("Admin+> exit");
    assert_eq!(shell.end(), 0);
}

#[test]
fn no_line_is_lost_however_many_come_at_once() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    for (program, statement, answer, leave) in [
        (
            "asadm",
            "enable; asinfo -v nosuch",
            "~~~ asinfo -v nosuch",
            "exit",
        ),
        ("aql", "explode", "COMMAND NOT FOUND : explode", "quit"),
    ] {
        // What Enter gives, and what other programs send.
        for end in ["\r", "\n"] {
            let mut shell = Shell::start_program(program, &address, home.path(), &[], &[]);
            // Before the shell reads, and while it does.
            for numbers in [100..115, 200..215] {
                let lines: String = numbers
                    .clone()
                    .map(|number| format!("{statement}{number}{end}"))
                    .collect();
                shell.press(&lines);
                for number in numbers {
                    shell.wait_for(&format!("{answer}{number}"));
                }
            }
            shell.press(&format!("{leave}{end}"));
            shell.end();
        }
    }
}

#[test]
fn a_question_takes_the_line_that_answers_it_and_no_other() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Admin> ");
    shell.line("enable");
    shell.wait_for("Admin+> ");
    for answer in [CTRL_C, "no\r"] {
        shell.line("manage truncate ns test set demo");
        shell.wait_for("cancel by typing anything else");
        shell.press(answer);
        shell.wait_for("Admin+> ");
        shell.line("asinfo -v build");
        shell.wait_for("returned:\n8.1.2.0\n");
        shell.wait_for("Admin+> ");
    }
    // Interrupted from elsewhere, which is as a Ctrl-C that comes before the question takes keys.
    shell.line("manage truncate ns test set demo");
    shell.wait_for("cancel by typing anything else");
    signal(shell.child.id(), "INT").unwrap();
    shell.wait_for("Admin+> ");
    shell.line("asinfo -v build");
    shell.wait_for("returned:\n8.1.2.0\n");
    shell.wait_for("Admin+> ");
    // All of it at once.
    shell.press("manage truncate ns test set demo\rno\rasinfo -v status\rexit\r");
    shell.wait_for("cancel by typing anything else");
    shell.wait_for("returned:\nok\n");
    shell.end();
}

#[test]
fn colour_is_there_unless_it_is_not_wanted() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    for (environment, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "")], true),
        (&[("NO_COLOR", "1")], false),
    ] {
        let mut shell = Shell::start_with(&address, home.path(), environment);
        shell.wait_for("Admin> ");
        shell.line("info network");
        shell.wait_for("Number of rows: 1");
        let screen = shell.screen.lock().unwrap().clone();
        // Colours, not movements of the cursor.
        assert_eq!(
            screen.contains("\x1b[1;32;92m"),
            coloured,
            "{environment:?} {screen:?}"
        );
        let (_, sheet) = screen.split_once("Network Information").unwrap();
        assert_eq!(
            sheet.contains("\x1b[2m|"),
            coloured,
            "{environment:?} {sheet:?}"
        );
        shell.wait_for("Admin> ");
        shell.line("exit");
        assert_eq!(shell.end(), 0);
    }
}

#[test]
fn a_node_that_goes_is_told_of() {
    let (_directory, plan) = mortal_plan(2);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&nodes[0].address().to_string(), home.path());
    shell.wait_for("Found 2 nodes");
    shell.wait_for("Admin> ");
    // The seed itself.
    let mut gone = nodes.remove(0);
    let address = gone.address().to_string();
    gone.kill().unwrap();
    // The picture is taken anew when it is some seconds old.
    let told = wait_until("the node is missed", LIMIT, || {
        shell.line("info network");
        shell.wait_for("Number of rows");
        shell.wait_for("Admin> ");
        Ok(plain(&shell.screen.lock().unwrap()).contains(" is gone."))
    });
    let screen = plain(&shell.screen.lock().unwrap());
    assert!(told.is_ok(), "{screen}");
    let name = address.replace("127.0.0.1", "localhost");
    let telling = screen.contains(&format!("WARNING: {name} ("))
        || screen.contains(&format!("WARNING: {address} ("));
    assert!(telling, "{screen}");
    shell.line("exit");
    assert_eq!(shell.end(), 0);
}

#[test]
fn files_and_info_commands_complete_and_a_question_mark_helps() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("modules")).unwrap();
    module(&home.path().join("modules"));
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Admin> ");
    shell.line("manage udfs add ?");
    shell.wait_for("Usage:  manage udfs add NAME path PATH");
    shell.wait_for("Admin> ");
    shell.line("show ?");
    shell.wait_for("Usage:  show COMMAND");
    shell.wait_for("Admin> ");
    shell.line("enable");
    shell.wait_for("Admin+> ");
    // A folder is not the end of a path.
    shell.press("manage udfs add counter.lua path mod");
    shell.press(TAB);
    shell.wait_for("modules/");
    shell.press("cou");
    shell.press(TAB);
    shell.wait_for("counter.lua");
    shell.press(ENTER);
    shell.wait_for("Successfully added UDF counter.lua.");
    shell.wait_for("Admin+> ");
    shell.press("asinfo -v udf-li");
    shell.press(TAB);
    shell.wait_for("udf-list");
    shell.press(ENTER);
    shell.wait_for("filename=counter.lua");
    shell.wait_for("Admin+> ");
    // What may have been meant is told, and not run.
    shell.line("asinfo -v udf-lst");
    shell.wait_for("Did you mean `udf-list`?");
    shell.wait_for("Admin+> ");
    shell.press(CTRL_D);
    shell.end();
}

#[test]
fn the_history_is_its_users_and_without_passwords() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(&address, home.path());
    shell.wait_for("Admin> ");
    shell.line("enable");
    shell.wait_for("Admin+> ");
    // This server has no users: it refuses, but was told a password.
    shell.line("manage acl create user joe password sesame1 roles read");
    shell.wait_for("ERROR");
    shell.wait_for("Admin+> ");
    shell.line("show udfs");
    shell.wait_for("Admin+> ");
    // A prompt is painted anew at each key: the next one comes behind what was printed.
    shell.line("info network");
    shell.wait_for("Number of rows");
    shell.wait_for("Admin+> ");
    shell.line("exit");
    shell.end();
    let folder = home.path().join(".aerospike");
    let history = folder.join("admin_live_cluster_history");
    let lines = fs::read_to_string(&history).unwrap();
    assert!(lines.contains("show udfs"), "{lines}");
    assert!(!lines.contains("sesame1"), "{lines}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&history)), (0o700, 0o600));
}

#[test]
fn a_terminal_gets_no_codes_that_are_data_and_no_row_that_is_too_wide() {
    const COLUMNS: usize = 80;
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let columns = COLUMNS.to_string();
    let environment = [("COLUMNS", columns.as_str()), ("NO_COLOR", "1")];
    let run = |line: &str| {
        let shell = Shell::start_words(&address, home.path(), &environment, &["-e", line]);
        let screen = Arc::clone(&shell.screen);
        shell.end();
        let screen = screen.lock().unwrap();
        screen.clone()
    };
    for code in [
        "\u{1b}[31m",
        "\u{1b}]0;title\u{7}",
        "\u{9b}2J",
        "\u{202e}",
        "a\rb",
    ] {
        let screen = run(&format!("asinfo -v 'x{code}'; 'no{code}'"));
        assert!(screen.contains("command not found"), "{screen:?}");
        assert!(!screen.contains(code), "{screen:?}");
    }
    // A long cell is cut, and the rows stay in their lines.
    module(home.path());
    let name = "long".repeat(20);
    let screen = run(&format!(
        "enable; manage udfs add {name}.lua path counter.lua; show udfs"
    ));
    let (_, table) = screen.split_once("Filename|").unwrap();
    let mut rows = table.lines().filter(|line| line.contains('|'));
    assert!(rows.clone().any(|row| row.starts_with("long")), "{screen}");
    assert!(
        rows.all(|row| row.trim_end().chars().count() <= COLUMNS),
        "{screen}"
    );
}
