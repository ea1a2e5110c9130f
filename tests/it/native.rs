//! Native modules, where the configuration permits what is unsafe.

use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::particle::Particle;
use tests::process::run_to_end;
use tests::records::{CallOptions, RecordKey, put_module};

use crate::server;

/// Makes a library of C, in this directory, with the compiler that the build needs, too.
pub(crate) fn library(directory: &Path, name: &str, text: &str) -> PathBuf {
    let source = directory.join(format!("{name}.c"));
    let library = directory.join(format!("{name}.so"));
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    let built = run_to_end(command).unwrap();
    assert!(built.status.success(), "{built:?}");
    library
}

#[test]
fn native_modules_load_where_unsafe_lua_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path(), "power", include_str!("native.c"));
    let library = std::fs::read(library).unwrap();

    let server = server::start_with(|asd| asd.mod_lua("allow-unsafe-lua true"));
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "power.so", &library).unwrap(),
        "ok"
    );
    let twice = b"function twice(n) return 2 * n end return { twice = twice }";
    assert_eq!(
        put_module(&mut connection, "twice.lua", twice).unwrap(),
        "ok"
    );
    let user = b"function sq(r) return require('power').square(5) + require('twice').twice(8) end";
    assert_eq!(put_module(&mut connection, "user.lua", user).unwrap(), "ok");
    let key = RecordKey::new("test", "native", "one");
    let frame = key
        .apply(b"user", b"sq", &[0x90], CallOptions::default())
        .unwrap();
    let reply = connection.message(&frame).unwrap();
    let text = |particle: &Particle| String::from_utf8_lossy(&particle.data).into_owned();
    assert_eq!(reply.code().0, 0, "{:?}", reply.bin("FAILURE").map(text));
    assert_eq!(reply.bin("SUCCESS"), Some(&Particle::float(41.0)));

    let server = server::start();
    let mut connection = server.connect().unwrap();
    let refused = put_module(&mut connection, "power.so", &library).unwrap();
    assert_eq!(refused, "error=invalid_filename");
}
