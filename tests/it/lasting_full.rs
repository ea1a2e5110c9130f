//! Records in a file system that is full: a real one, of some megabytes, that a user namespace lets anybody mount.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use tests::asd::Asd;
use tests::connection::Connection;
use tests::process::wait_until;
use tests::records::{RecordKey, WriteOptions};

use crate::server;

const DEADLINE: Duration = Duration::from_secs(240);

/// A small file system, for as long as this lives: a process stands in its namespace.
struct SmallDisk {
    holder: Child,
    /// Where it is mounted, inside.
    inside: PathBuf,
}

impl SmallDisk {
    /// None where the system lets nobody mount one.
    fn mount(directory: &Path) -> Option<Self> {
        let inside = directory.join("small");
        std::fs::create_dir(&inside).unwrap();
        let ready = directory.join("ready");
        let script =
            "mount -t tmpfs -o size=24m,mode=777 small \"$1\" && : > \"$2\" && exec sleep 600";
        let mut holder = Command::new("unshare")
            .args(["-r", "-m", "sh", "-c", script, "sh"])
            .args([&inside, &ready])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mounted = wait_until("a small file system", DEADLINE, || {
            Ok(ready.exists() || !matches!(holder.try_wait(), Ok(None)))
        });
        mounted.unwrap();
        ready.exists().then_some(Self { holder, inside })
    }

    /// A program that runs another one in there.
    fn program(&self, program: &Path, directory: &Path) -> PathBuf {
        let script = directory.join("inside");
        let holder = self.holder.id();
        let text = format!(
            "#!/bin/sh\nexec nsenter --preserve-credentials -U -m -t {holder} {} \"$@\"\n",
            program.display()
        );
        std::fs::write(&script, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, mode).unwrap();
        script
    }

    /// A file of it, as it is reached from outside.
    fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.inside.strip_prefix("/").unwrap()).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}

fn key(number: usize) -> RecordKey {
    RecordKey::new("test", "demo", &format!("{number}"))
}

fn put(connection: &mut Connection, number: usize) -> ResultCode {
    let bins = [("a", &Particle::string(format!("{number}").repeat(20_000)))];
    let frame = key(number).put(bins, WriteOptions::default()).unwrap();
    connection.message(&frame).unwrap().code()
}

fn get(connection: &mut Connection, number: usize) -> ResultCode {
    connection
        .message(&key(number).get().unwrap())
        .unwrap()
        .code()
}

/// How many records a start would find in the file as it is now; none while it is being written.
fn records_in(file: &Path, directory: &Path) -> Option<usize> {
    let (copy, saved) = (directory.join("copy"), directory.join("saved"));
    std::fs::copy(file, &copy).unwrap();
    // There is none before the first look.
    std::fs::remove_file(&saved).ok();
    let salvage = Command::new(server::program())
        .arg("--salvage")
        .arg(&copy)
        .arg("--into")
        .arg(&saved)
        .output()
        .unwrap();
    let told = String::from_utf8(salvage.stdout).unwrap();
    let line = told
        .lines()
        .find_map(|line| line.split_once(" records are saved"))?;
    line.0.parse().ok()
}

#[test]
fn a_full_file_system_answers_8_loses_nothing_and_recovers_by_itself() {
    for (engine, commit) in [
        ("memory", true),
        ("memory", false),
        ("device", true),
        ("device", false),
    ] {
        let (directory, _) = server::prepare();
        let Some(disk) = SmallDisk::mount(directory.path()) else {
            // Not through the macro, whose output nobody sees.
            writeln!(
                std::io::stderr(),
                "NOT TESTED: a full file system. Nobody may mount one here (`unshare -r -m` is refused)"
            )
            .unwrap();
            return;
        };
        let program = disk.program(Path::new(&server::program()), directory.path());
        let block = format!(
            "storage-engine {engine} {{\n        file {}\n        filesize 64M\n        commit-to-device {commit}\n        \
             flush-max-ms 10\n        stop-writes-avail-pct 0\n    }}",
            disk.inside.join("records.dat").display()
        );
        let asd = Asd::new(program, directory.path().join("asd")).storage(&block);
        let mut first = asd.start().unwrap();
        let mut connection = first.connect().unwrap();
        assert_eq!(put(&mut connection, 0), ResultCode::OK);
        // Others fill the rest.
        let ballast = disk.file("ballast");
        std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
        let most = 24_000_000 / 20_000;
        let full = (1..=most).find(|number| put(&mut connection, *number) != ResultCode::OK);
        let full = full.expect("24 MB do not hold more than 24 MB");
        let what = format!("{engine}, commit: {commit}");
        assert_eq!(
            put(&mut connection, full),
            ResultCode::OUT_OF_SPACE,
            "{what}"
        );
        wait_until("a line in the log", DEADLINE, || {
            Ok(first.log().contains("the file system is full"))
        })
        .unwrap();
        for number in 0..full {
            assert_eq!(
                get(&mut connection, number),
                ResultCode::OK,
                "{what}: reads go on"
            );
        }
        for number in 0..3 {
            let deleted = connection.message(&key(number).delete().unwrap()).unwrap();
            assert_eq!(deleted.code(), ResultCode::OK, "{what}: deletes go on");
        }
        // Nothing of it is lost by a kill while it is full.
        wait_until("it is written", DEADLINE, || {
            let info = connection.info("namespace/test")?;
            Ok(info.contains(&format!(";objects={};", full - 3)))
        })
        .unwrap();
        wait_until("what was answered is in the file", DEADLINE, || {
            Ok(records_in(&disk.file("records.dat"), directory.path()) == Some(full - 3))
        })
        .unwrap();
        first.kill().unwrap();
        let second = asd.start().unwrap();
        let mut connection = second.connect().unwrap();
        for number in 0..full {
            let expected = if number < 3 {
                ResultCode::NOT_FOUND
            } else {
                ResultCode::OK
            };
            assert_eq!(get(&mut connection, number), expected, "{what}: {number}");
        }
        // Room is seen when there is some.
        std::fs::remove_file(&ballast).unwrap();
        wait_until("room", DEADLINE, || {
            Ok(put(&mut connection, full) == ResultCode::OK)
        })
        .unwrap();
        for number in full..full + 100 {
            assert_eq!(
                put(&mut connection, number),
                ResultCode::OK,
                "{what}: {number}"
            );
        }
    }
}
