//! What README.md says that programs print is what they print: its code blocks are run, in their order.
//!
//! Blocks for Python and Node are run where `README_PYTHON` names an interpreter that has the official client, and
//! `README_NODE` a directory with a `node_modules` that has it; `.ci/run` sets both. What is left out is named in one line.

mod blocks;
mod compare;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use blocks::Block;
use compare::agree;
use tempfile::TempDir;
use tests::process::{Ended, Process, run_to_end, wait_until};

const README: &str = include_str!("../../../README.md");
const RUST_SNIPPET: &str = include_str!("../../examples/udf_test.rs");

/// How long what a document says may take to come true.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the port is that a document names.
const PORT: &str = "3000";

/// A directory of a person who reads the document, and what has been run so far.
struct Reader {
    directory: TempDir,
    blocks: Vec<Block>,
    /// Lines at which blocks begin that were run.
    run: BTreeSet<usize>,
    /// Names of ports in the document, and the ports that are used here.
    ports: Vec<(String, String)>,
    python: Option<String>,
    node: Option<PathBuf>,
}

impl Reader {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = |name: &str| fs::create_dir(directory.path().join(name)).unwrap();
        own("bin");
        own("home");
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            blocks: blocks::of(README),
            run: BTreeSet::new(),
            ports: Vec::new(),
            python: set("README_PYTHON"),
            node: set("README_NODE").map(PathBuf::from),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The block whose first line begins like that; it counts as run.
    fn block(&mut self, begins: &str) -> Block {
        let found = self
            .blocks
            .iter()
            .find(|block| block.text.starts_with(begins));
        let block = found.unwrap_or_else(|| panic!("README.md has no block `{begins}`"));
        self.run.insert(block.line);
        block.clone()
    }

    /// The block that is to be saved under this name; it is, with the ports that are used here.
    fn save(&mut self, file: &str) {
        let found = self.blocks.iter().find(|block| block.file() == Some(file));
        let block = found.unwrap_or_else(|| panic!("README.md has no block for `{file}`"));
        self.run.insert(block.line);
        let text = self.with_ports(&block.text);
        self.write(file, &text);
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    fn with_ports(&self, text: &str) -> String {
        let replace = |text: String, (name, port): &(String, String)| text.replace(name, port);
        self.ports.iter().fold(text.to_owned(), replace)
    }

    /// What was printed, with the ports and directories of the document.
    fn without_ports(&self, text: &str) -> String {
        let replace = |text: String, (name, port): &(String, String)| text.replace(port, name);
        let home = self.path("home").display().to_string();
        self.ports
            .iter()
            .fold(text.to_owned(), replace)
            .replace(&home, "/home/you")
    }

    /// Names the programs as `PATH` does. Where the document names no host, the tools go to this address, and to its port
    /// where it names none.
    fn programs(&self, address: SocketAddr) {
        for name in ["asd", "asinfo", "asadm", "aql", "asudf"] {
            let program = tests::program::path(name).unwrap();
            let patient = tests::program::patient(name).join(" ");
            let default = match name {
                "asd" | "asudf" => String::new(),
                _ => format!(
                    "case \" $* \" in *' -h '*) ;; *) set -- -h {address} \"$@\" ;; esac\n\
                     for word; do shift; case $word in 127.0.0.[1-3]) word=$word:{} ;; esac; set -- \"$@\" \"$word\"; done\n",
                    address.port()
                ),
            };
            let script = format!(
                "#!/bin/sh\n{default}exec '{}' {patient} \"$@\"\n",
                program.display()
            );
            let file = self.path("bin").join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        if let Some(python) = &self.python {
            let file = self.path("bin").join("python");
            fs::write(
                &file,
                format!("#!/bin/sh\nexec '{python}' -W ignore \"$@\"\n"),
            )
            .unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("NO_COLOR", "1")
            .env_remove("XDG_STATE_HOME");
        command
    }

    fn shell(&self, script: &str) -> Ended {
        let mut command = self.command("bash");
        command.arg("-c").arg(self.with_ports(script));
        run_to_end(command).unwrap()
    }

    /// Runs a command until it prints what the document says.
    fn says(&self, command: &str, prints: &str) {
        let mut printed = String::new();
        let result = wait_until(command, LIMIT, || {
            let ended = self.shell(&format!("{command} 2>&1"));
            printed = self.without_ports(&ended.stdout);
            Ok(agree(prints, &printed))
        });
        assert!(
            result.is_ok(),
            "README.md says that\n$ {command}\nprints\n{prints}\nIt prints\n{printed}"
        );
    }

    /// Runs all commands of a session, once each.
    fn session(&mut self, begins: &str) {
        self.session_of(begins, |_| true);
    }

    /// Runs those of its commands.
    fn session_of(&mut self, begins: &str, wanted: impl Fn(&str) -> bool) {
        let steps = self.block(begins).session();
        for step in steps.iter().filter(|step| wanted(&step.command)) {
            let errors = if step.command.contains("2>") {
                ""
            } else {
                " 2>&1"
            };
            let printed = self.shell(&format!("{}{errors}", step.command));
            let printed = self.without_ports(&printed.stdout);
            assert!(
                agree(&step.prints, &printed),
                "README.md says that\n$ {}\nprints\n{}\nIt prints\n{printed}",
                step.command,
                step.prints
            );
        }
    }

    /// A script of a client in Python, and what it prints; where there is no such client, `instead` does as much.
    fn python(&mut self, file: &str, instead: &str) {
        let begins = format!("$ python {file}\n");
        if self.python.is_some() {
            self.save(file);
            self.session_of(&begins, |command| command.starts_with("python "));
        } else if !instead.is_empty() {
            let ended = self.shell(instead);
            assert!(ended.status.success(), "{instead}: {ended:?}");
        }
    }

    /// Names the blocks that were not run, in one line, which is shown also when all is well.
    fn tell_left_out(&self) {
        let left: Vec<String> = self
            .blocks
            .iter()
            .filter(|block| !self.run.contains(&block.line))
            .map(Block::name)
            .collect();
        let line = format!("README.md: not run here: {}\n", left.join("; "));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// Ports that nobody listens on at three addresses, outside of those that systems hand out.
fn free_ports() -> Vec<(String, String)> {
    let is_free = |port: &u16| {
        (1..=3).all(|last| {
            let address = (Ipv4Addr::new(127, 0, 0, last), *port);
            TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
        })
    };
    let begin = 10_000 + u16::try_from(std::process::id() % 15_000).unwrap();
    let free: Vec<u16> = (begin..30_000).filter(is_free).take(3).collect();
    assert_eq!(free.len(), 3);
    ["3000", "3001", "3002"]
        .iter()
        .zip(free)
        .map(|(name, port)| ((*name).to_owned(), port.to_string()))
        .collect()
}

#[test]
fn the_tour_goes_as_the_readme_says() {
    let mut reader = Reader::new();
    let start = reader
        .block("$ cargo build --release --workspace\n")
        .session();
    let mut command = reader.command(tests::program::path("asd").unwrap().to_str().unwrap());
    command.args(["--port", "0"]);
    let said = reader.path("said");
    let log = fs::File::create(reader.path("asd.log")).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(fs::File::create(&said).unwrap())
        .stderr(log);
    let mut server = Killed(command.spawn().unwrap());
    let listens = |said: &str| said.contains("try: ");
    wait_until("it says where it listens", LIMIT, || {
        Ok(listens(&fs::read_to_string(&said).unwrap()))
    })
    .unwrap();
    let printed = fs::read_to_string(&said).unwrap();
    let address: SocketAddr = printed
        .split_once("listening on ")
        .and_then(|(_, rest)| rest.split(';').next())
        .and_then(|address| address.parse().ok())
        .unwrap();
    reader.ports = vec![(PORT.to_owned(), address.port().to_string())];
    reader.programs(address);
    let asd = start.last().unwrap();
    assert_eq!(asd.command, "asd");
    assert!(
        agree(&asd.prints, &reader.without_ports(&printed)),
        "{printed}"
    );

    reader.save("counter.lua");
    let register = "aql -c \"register module 'counter.lua'\" > /dev/null && ";
    let call =
        "aql -c \"execute counter.add('n', 7) on test.demo where PK = 'visits'\" > /dev/null";
    reader.python(
        "tour.py",
        &format!("{register}for n in 1 2 3; do {call} || exit 1; done"),
    );
    // Lua shortens the paths of deep directories.
    let line = reader.block("Nov 25 2026").text;
    let line = line.replace("/home/you/.local/state/asd", "…");
    let mut log = String::new();
    let logged = wait_until("the log has the script's line", LIMIT, || {
        log = reader.without_ports(&fs::read_to_string(reader.path("asd.log")).unwrap());
        Ok(log.lines().any(|found| agree(&line, found)))
    });
    assert!(logged.is_ok(), "{line} is not in the log:\n{log}");
    reader.python("books.py", "");

    // The contexts of a module are filled beside.
    for step in reader.block("$ asinfo -v udf-list\n").session() {
        reader.says(&step.command, &step.prints);
    }
    reader.session("$ asadm -e \"enable; asinfo -v 'udf-clear-cache:'\"\n");
    reader.write("broken.lua", "function f(rec)\n  return 1 +\nend\n");
    let broken = reader
        .block("$ asadm --enable -e \"manage udfs add broken.lua")
        .session();
    let ended = reader.shell(&broken[0].command);
    assert!(agree(&broken[0].prints, &ended.stderr), "{ended:?}");
    assert_eq!(
        ended.status.code().unwrap().to_string(),
        broken[1].prints.trim()
    );
    typed(&mut reader);
    json(&mut reader);
    indexes(&mut reader);
    reader.python("scores.py", "");
    assert!(
        reader
            .shell("aql -c \"delete from test.demo where PK = 'visits'\"")
            .status
            .success()
    );
    reader.session("$ aql -c \"register module 'counter.lua'; execute");
    reader.session("$ aql --strict -c");
    reader.session("$ aql --format json -c");
    reader.session("$ asadm --enable -e \"manage udfs run counter");
    checked(&mut reader);
    usages(&mut reader);
    configurations(&mut reader);
    three_nodes(&mut reader);
    in_ci(&mut reader);
    reader.tell_left_out();
    server.0.kill().unwrap();
}

/// What a person types at a prompt is what asadm reads from a pipe.
fn typed(reader: &mut Reader) {
    let text = reader.block("$ asadm\n").text;
    let (mut typed, mut prints) = (String::new(), String::new());
    for line in text.lines().skip(1) {
        match line.split_once("> ") {
            Some((prompt, command)) if prompt.starts_with("Admin") => {
                typed += command;
                typed.push('\n');
            }
            _ => {
                prints += line;
                prints.push('\n');
            }
        }
    }
    reader.write("typed", &typed);
    let prompts = "sed -e 's/Admin+*> //g'";
    reader.says(
        &format!("asadm --no-config-file < typed 2>&1 | {prompts}"),
        &prints,
    );
}

/// Members that the document shows of the JSON document are there.
fn json(reader: &mut Reader) {
    let block = reader.block("$ asadm --enable --format json");
    let command = block.session()[0].command.clone();
    let ended = reader.shell(&command);
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let found = found.to_string();
    let member = regex::Regex::new("\"([A-Za-z_]+)\":").unwrap();
    let code = block
        .text
        .lines()
        .map(|line| line.split(" #").next().unwrap());
    for line in code {
        for name in member.captures_iter(line.split("(other").next().unwrap()) {
            // What stands in remarks and in braces of remarks is told of other runs.
            if &name[1] != "text" {
                assert!(found.contains(&name[0]), "{} is not in {found}", &name[0]);
            }
        }
    }
}

fn indexes(reader: &mut Reader) {
    let block = reader.block("asinfo -v 'sindex-create:");
    let module = reader.block("function greet(rec, word)\n").text;
    reader.write("people.lua", &module);
    let before = "register module 'people.lua'; \
                  insert into test.people (PK, age) values (1, 37)";
    let ended = reader.shell(&format!("aql --strict -c \"{before}\""));
    assert!(ended.status.success(), "{ended:?}");
    for line in block.text.lines() {
        let command = line.split("   #").next().unwrap();
        let ended = reader.shell(&command.replace("aql -c", "aql --strict -c"));
        assert!(ended.status.success(), "{command}: {ended:?}");
        if let Some((_, remark)) = line.split_once("   # ") {
            let field = remark.split(':').next().unwrap();
            reader.says(
                &format!("{command} | grep -o '{field}'"),
                &format!("{field}\n"),
            );
        }
    }
    if reader.python.is_some() {
        indexes_from_python(reader);
    }
}

/// The indexes from an application.
fn indexes_from_python(reader: &mut Reader) {
    let script = reader.block("import time\nimport aerospike\nfrom aerospike import predicates\n");
    let ended = reader.shell(
        "asinfo -v 'sindex-delete:namespace=test;set=people;indexname=by_age' && \
         asinfo -v 'sindex-delete:namespace=test;set=people;indexname=by_tag' && \
         aql --strict -c 'truncate test.people'",
    );
    assert!(ended.status.success(), "{ended:?}");
    let text = reader.with_ports(&script.text);
    reader.write("people.py", &text);
    let says: String = text
        .lines()
        .filter(|line| line.starts_with("print("))
        .filter_map(|line| line.split_once("  # ").map(|(_, said)| format!("{said}\n")))
        .collect();
    reader.says("python people.py", &says);
}

/// What a check of a module with that mistake prints.
fn checked(reader: &mut Reader) {
    let block = reader.block("$ asudf check ");
    fs::create_dir(reader.path("project")).unwrap();
    let module = "-- Adds.\n\n\n\n\nfunction add(rec, amount)\n  return amuont\nend\n";
    reader.write("project/counter.lua", module);
    let says = &block.session()[0].prints;
    let printed = reader.shell("cd project && asudf check . 2>&1").stdout;
    assert!(
        agree(says, &printed),
        "README.md says\n{says}\nIt prints\n{printed}"
    );
}

/// Options that usage lines name are options.
fn usages(reader: &mut Reader) {
    let option = regex::Regex::new(r"--[a-z-]+|-[a-zA-Z]\b").unwrap();
    for (program, begins) in [
        ("asd", "asd --salvage"),
        ("asinfo", "asinfo [-h"),
        ("asadm", "asadm [-h"),
        ("aql", "aql [-h"),
    ] {
        let text = reader.block(begins).text;
        let help = reader.shell(&format!("{program} --help")).stdout;
        for option in option.find_iter(&text) {
            assert!(
                help.contains(option.as_str()),
                "{program} has no {}",
                option.as_str()
            );
        }
    }
}

/// Pieces of configuration files are taken.
fn configurations(reader: &mut Reader) {
    let lua = reader.block("mod-lua {\n").text;
    let storage = reader.block("namespace test {\n").text;
    let at = |text: &str| text.replace("/var/lib/asd", reader.directory.path().to_str().unwrap());
    let rest = format!(
        "service {{\n    work-directory {}\n}}\nnetwork {{\n    service {{\n        address 127.0.0.1\n        port 0\n    }}\n}}\n",
        reader.path("configured").display()
    );
    reader.write("asd.conf", &format!("{rest}{}{}", at(&storage), at(&lua)));
    let mut command = reader.command("bin/asd");
    command.args(["--config-file", "asd.conf"]);
    Process::start(command).unwrap();
}

/// A process that does not outlive the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a node of three on the file that the document has made.
fn node(reader: &Reader, number: u8) -> Killed {
    let program = tests::program::path("asd").unwrap();
    let mut command = reader.command(program.to_str().unwrap());
    let log = || {
        let file = reader.path(&format!("node{number}.log"));
        let file = fs::OpenOptions::new().create(true).append(true).open(file);
        Stdio::from(file.unwrap())
    };
    command
        .args(["--config-file", &format!("node{number}.conf")])
        .stdin(Stdio::null())
        .stdout(log())
        .stderr(log());
    Killed(command.spawn().unwrap())
}

fn three_nodes(reader: &mut Reader) {
    let script = reader.block("for n in 1 2 3; do cat > node$n.conf").text;
    // The nodes are started here, so that they end with the test.
    let (files, start) = script.split_once("done\n").unwrap();
    assert!(start.contains("asd --config-file node$n.conf"), "{start}");
    let tour = std::mem::replace(&mut reader.ports, free_ports());
    let ended = reader.shell(&format!("{files}done\n"));
    assert!(ended.status.success(), "{ended:?}");
    let mut nodes: Vec<Killed> = (1..=3).map(|number| node(reader, number)).collect();
    let first = reader.with_ports("127.0.0.1:3000");
    reader.programs(first.parse().unwrap());
    let ready = |reader: &Reader| {
        reader.says(
            "asinfo -h 127.0.0.3 -v cluster-stable:size=3 | grep -c '^[0-9A-F]*$'",
            "1\n",
        );
    };
    ready(reader);
    let register = "asadm -h 127.0.0.1 --enable -e 'manage udfs add counter.lua path counter.lua'";
    let network = r#"asadm -h 127.0.0.1 -e "info network""#;
    let of_three = reader.block("$ python cluster.py\n").session();
    reader.python("cluster.py", &format!("{register} > /dev/null"));
    reader.says(network, &of_three[1].prints);
    nodes.remove(2);
    let after = reader
        .block("$ asadm -h 127.0.0.1 -e \"info network\"\n")
        .session();
    reader.says(network, &after[0].prints);
    let source = fs::read_to_string(reader.path("counter.lua")).unwrap();
    reader.write(
        "counter.lua",
        &source.replace("return value", "return -value"),
    );
    let ended = reader.shell(register);
    assert!(ended.status.success(), "{ended:?}");
    assert!(after[1].command.starts_with("asd --config-file node3.conf"));
    nodes.push(node(reader, 3));
    for step in &after[2..] {
        reader.says(&step.command, &step.prints);
    }
    reader.ports = tour;
}

/// The steps of the jobs that are about tests, with the clients that are here.
fn in_ci(reader: &mut Reader) {
    let repository = reader.path("repository");
    fs::create_dir_all(repository.join("lua")).unwrap();
    let add = |reader: &mut Reader, file: &str, name: &str| {
        reader.save(file);
        fs::rename(reader.path(file), repository.join(name)).unwrap();
    };
    add(reader, "counter.lua", "lua/counter.lua");
    add(reader, "udf_test.rs", "udf_test.rs");
    let snippet = fs::read_to_string(repository.join("udf_test.rs")).unwrap();
    assert_eq!(
        snippet, RUST_SNIPPET,
        "tests/examples/udf_test.rs is what README.md shows"
    );
    let example = example();
    let mut jobs = vec![(
        reader.block("variables:").text,
        "    - ",
        vec![("cargo run".to_owned(), format!("'{}'", example.display()))],
    )];
    if let (Some(_), Some(node)) = (&reader.python, reader.node.clone()) {
        for file in ["udf_test.py", "udf_test.js"] {
            add(reader, file, file);
        }
        let modules = repository.join("node_modules");
        std::os::unix::fs::symlink(node.join("node_modules"), modules).unwrap();
        jobs.push((reader.block("on: push\n").text, "          ", Vec::new()));
    }
    for (text, indent, instead) in jobs {
        let from = text.rfind("asd --nodes").unwrap();
        let begin = text[..from].rfind('\n').unwrap() + 1;
        let mut script = String::from("set -e\ncd repository\n");
        for line in text[begin..].lines() {
            script += line.strip_prefix(indent).unwrap();
            script.push('\n');
        }
        for (words, program) in instead {
            script = script.replace(&words, &program);
        }
        // The clients' own limits are short for a machine that does much else.
        let mut ended = None;
        let result = wait_until("the job succeeds", LIMIT, || {
            ended = Some(reader.shell(&script));
            Ok(ended.as_ref().is_some_and(|ended| ended.status.success()))
        });
        assert!(result.is_ok(), "{script}: {ended:?}");
        wait_until("the server ends with its parent", LIMIT, || {
            Ok(!repository.join("asd.json").exists())
        })
        .unwrap();
    }
}

/// The program of the document in Rust, which is built with the tests.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own
        .ancestors()
        .map(|folder| folder.join("examples/udf_test"))
        .find(|program| Path::exists(program));
    program.expect(
        "`cargo test -p tests` builds tests/examples/udf_test.rs, `--test it` alone does not",
    )
}
