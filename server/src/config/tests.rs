//! Whole configurations: what loads, what is refused and with which words.

use std::ffi::OsString;

use super::setting::SettingValue;
use super::table::{SECTIONS, Section};
use super::{Change, Config, SettingKind, state_directory};
use crate::log::target::LogTarget;
use crate::log::{Level, context_position};

/// A configuration that is complete but for `more`.
fn with(more: &str) -> String {
    format!("service {{ work-directory /w }} namespace test {{ }}\n{more}")
}

fn refusal(text: &str) -> String {
    match Config::parse("t.conf", text) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn refuses_with_file_line_and_key() {
    let cases = [
        (
            "namespace test { }\nlogging 3\n".to_owned(),
            "t.conf:2: logging: expected `{`",
        ),
        (
            with("servic {\n}"),
            "t.conf:2: servic: unknown section: expected service, logging, network, namespace or mod-lua",
        ),
        (
            with("service {\n proto-fd-maxx 3\n}"),
            "t.conf:3: service: proto-fd-maxx: unknown key",
        ),
        (
            with("service {\n proto-fd-max many\n}"),
            "t.conf:3: service: proto-fd-max: expected a number with an optional unit K, M, G, T or P, found `many`",
        ),
        (
            with("service {\n proto-fd-max 0\n}"),
            "t.conf:3: service: proto-fd-max: 0 is outside 1 to 2147483647",
        ),
        (
            with("service {\n proto-fd-max 1 2\n}"),
            "t.conf:3: service: proto-fd-max: expected one value, found 2",
        ),
        (
            with("service {\n proto-fd-max\n}"),
            "t.conf:3: service: proto-fd-max: expected one value, found 0",
        ),
        (
            with("service {\n proto-fd-max 1\n proto-fd-max 2\n}"),
            "t.conf:4: service: proto-fd-max: stands twice",
        ),
        (
            with("service x {\n}"),
            "t.conf:2: service: expected `{`, found `x`",
        ),
        (with("service {\n"), "t.conf:2: service: `{` without `}`"),
        (
            with("network {\n hearbeat {\n port 1\n }\n}"),
            "t.conf:3: network: hearbeat: unknown block",
        ),
        (
            with("network {\n service {\n port 65536\n }\n}"),
            "t.conf:4: network: service.port: 65536 is outside 0 to 65535",
        ),
        (
            with("namespace bar {\n storage-engine tape {\n }\n}"),
            "t.conf:3: namespace bar: storage-engine: expected one of memory, device, pmem, found `tape`",
        ),
        (
            with("namespace bar {\n storage-engine memory {\n data-siz 1G\n }\n}"),
            "t.conf:4: namespace bar: storage-engine.data-siz: unknown key",
        ),
        (
            with("namespace bar {\n default-ttl 4000d\n}"),
            "t.conf:3: namespace bar: default-ttl: 345600000 is outside 0 to 315360000",
        ),
        (
            with("namespace bar {\n set demo {\n ttl 3\n }\n}"),
            "t.conf:4: namespace bar: set demo: ttl: unknown key",
        ),
        (
            with("namespace test {\n}"),
            "t.conf:2: namespace test: declared twice",
        ),
        (
            with("namespace {\n}"),
            "t.conf:2: namespace: expected one name",
        ),
        (
            with("namespace a:b {\n}"),
            "t.conf:2: namespace: name `a:b` is longer than 31 bytes or holds one of : ; / , =",
        ),
        (
            "service {\n}\n".to_owned(),
            "t.conf:1: namespace: expected 1 to 32 namespaces, found 0",
        ),
        (
            String::new(),
            "t.conf:1: namespace: expected 1 to 32 namespaces, found 0",
        ),
        (
            with("logging {\n console {\n context any loud\n }\n}"),
            "t.conf:4: logging: console: context: unknown level `loud`: expected critical, warning, info, debug or detail",
        ),
        (
            with("logging {\n console {\n context lua info\n }\n}"),
            "t.conf:4: logging: console: context: unknown log context `lua`",
        ),
        (
            with("logging {\n file {\n }\n}"),
            "t.conf:3: logging: file: expected one path, found 0",
        ),
        (
            with("logging {\n tape {\n }\n}"),
            "t.conf:3: logging: tape: unknown sink: expected `console {` or `file PATH {`",
        ),
        (
            with("mod-lua {\n call-memory-limit 1\n}"),
            "t.conf:3: mod-lua: call-memory-limit: 1 is outside 65536 to 1099511627776",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&text), expected, "{text}");
    }
}

#[test]
fn refuses_texts_that_are_no_names() {
    let long = "n".repeat(64);
    let path = format!("/{}", "p".repeat(255));
    let cases = [
        (
            "service {\n node-id xyz\n}".to_owned(),
            "t.conf:3: service: node-id: expected 1 to 16 hex digits, not all 0",
        ),
        (
            format!("service {{\n cluster-name {long}\n}}"),
            "t.conf:3: service: cluster-name: a cluster name has at most 63 bytes",
        ),
        (
            format!("mod-lua {{\n user-path {path}\n}}"),
            "t.conf:3: mod-lua: user-path: a path for modules has at most 255 bytes",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&with(&text)), expected);
    }
}

#[test]
fn logs_to_the_console_when_nothing_is_said() {
    let config = Config::parse("t", &with("")).unwrap();
    assert_eq!(config.logging.len(), 1);
    assert_eq!(config.logging[0].target, LogTarget::Console);
    assert_eq!(config.logging[0].levels.get(0), Level::Info);
    let silent = Config::parse("t", &with("logging {\n}")).unwrap();
    assert!(silent.logging.is_empty());
}

#[test]
fn names_the_file_that_it_cannot_read() {
    let error = Config::load(std::path::Path::new("no/such.conf")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read the configuration file no/such.conf: ")
    );
}

/// A stock file that needs no home directory; its lines keep their numbers.
fn stock(text: &str) -> String {
    match text.contains("work-directory") {
        true => text.to_owned(),
        false => text.replacen("service {", "service { work-directory /w", 1),
    }
}

#[test]
fn stock_files_load_and_what_has_no_effect_has_a_line_with_its_consequence() {
    let cases = [
        (
            "stock_systemd.conf",
            include_str!("../../tests/data/stock_systemd.conf"),
            &[
                "stock_systemd.conf:22: network: heartbeat.multicast-group: without effect: nodes find each other by `mesh-seed-address-port` only: without one the node stays alone",
                "stock_systemd.conf:36: network: info: without effect: a setting of older servers; nothing of this kind is here",
            ][..],
        ),
        (
            "stock_container.conf",
            include_str!("../../tests/data/stock_container.conf"),
            &[
                "stock_container.conf:58: namespace test: memory-size: without effect: `data-size` of the storage engine is the limit",
            ][..],
        ),
    ];
    for (name, text, ineffective) in cases {
        let config = Config::parse(name, &stock(text));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        for line in ineffective {
            let found = config.ineffective.iter().any(|found| found == line);
            assert!(found, "{line} in {:#?}", config.ineffective);
        }
    }
}

#[test]
fn what_is_asked_for_and_cannot_be_served_refuses_the_start() {
    let enterprise = stock(include_str!("../../tests/data/stock_enterprise.conf"));
    let cases = [
        (
            enterprise.as_str(),
            "c:12: security: this server has no users and logins",
        ),
        (
            "network { tls x {\ncert-file y\n} }",
            "c:1: network: tls: this server has no TLS",
        ),
        (
            "network { service {\ntls-port 4333\n} }",
            "c:2: network: service.tls-port: this server has no TLS",
        ),
        (
            "namespace n {\nstrong-consistency true\n}",
            "c:2: namespace n: strong-consistency: this server has no strong consistency",
        ),
        (
            "namespace n {\nstorage-engine device {\ndevice /dev/sdb\n}\n}",
            "c:2: namespace n: storage-engine device: records would not be kept",
        ),
        (
            "namespace n {\nstorage-engine pmem {\n}\n}",
            "c:2: namespace n: storage-engine pmem: records would not be kept",
        ),
        (
            "namespace n {\nstorage-engine memory {\ncommit-to-device\n}\n}",
            "c:3: namespace n: storage-engine memory: nothing would be synced",
        ),
        (
            "service {\nuser a\nuser b\n}",
            "c:3: service: user: stands twice",
        ),
    ];
    for (text, expected) in cases {
        let error = Config::parse("c", text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let harmless = "service { work-directory /w }\nnetwork { service { tls-port 0 } }\nnamespace n { strong-consistency false\n\
                    storage-engine memory { commit-to-device false } }\nnamespace m { storage-engine pmem { file /f\nfilesize 1G } }";
    assert!(Config::parse("c", harmless).unwrap().ineffective.is_empty());
}

/// The keys of `storage-engine` in stock files of the reference 8.1, and some that older ones have.
const ENGINE_KEYS: &[(&str, &str)] = &[
    ("cache-replica-writes", "true"),
    ("cold-start-empty", "true"),
    ("commit-min-size", "4K"),
    ("commit-to-device", "true"),
    ("compression", "lz4"),
    ("compression-acceleration", "9"),
    ("compression-level", "9"),
    ("data-size", "2G"),
    ("defrag-lwm-pct", "40"),
    ("defrag-queue-min", "9"),
    ("defrag-sleep", "9"),
    ("defrag-startup-minimum", "9"),
    ("direct-files", "true"),
    ("disable-odsync", "true"),
    ("enable-benchmarks-storage", "true"),
    ("encryption", "aes-256"),
    ("encryption-key-file", "/etc/key"),
    ("encryption-old-key-file", "/etc/old"),
    ("evict-used-pct", "60"),
    ("filesize", "4G"),
    ("flush-max-ms", "9"),
    ("flush-size", "128K"),
    ("max-write-cache", "128M"),
    ("post-write-cache", "1G"),
    ("post-write-queue", "99"),
    ("read-page-cache", "true"),
    ("serialize-tomb-raider", "true"),
    ("sindex-startup-device-scan", "true"),
    ("stop-writes-avail-pct", "9"),
    ("stop-writes-used-pct", "80"),
    ("tomb-raider-sleep", "9"),
    ("max-used-pct", "70"),
    ("min-avail-pct", "9"),
    ("data-in-memory", "true"),
    ("scheduler-mode", "noop"),
    ("write-block-size", "128K"),
    ("fsync-max-sec", "9"),
];

/// Of those the ones that are obeyed: with a file, and without.
const OBEYED: [&[&str]; 2] = [
    &[
        "commit-to-device",
        "defrag-lwm-pct",
        "filesize",
        "flush-max-ms",
        "max-write-cache",
        "stop-writes-avail-pct",
        "stop-writes-used-pct",
    ],
    &["data-size", "stop-writes-used-pct"],
];

#[test]
fn every_key_of_a_stock_storage_engine_is_obeyed_or_named_as_without_effect() {
    for (engine, file) in [("memory", "file /f"), ("device", "file /f"), ("memory", "")] {
        let obeyed = if file.is_empty() {
            OBEYED[1]
        } else {
            OBEYED[0]
        };
        for (key, value) in ENGINE_KEYS {
            // Without a file it refuses the start.
            if file.is_empty() && *key == "commit-to-device" {
                continue;
            }
            let text = format!(
                "namespace n {{\nstorage-engine {engine} {{\n{file}\n{key} {value}\n}}\n}}"
            );
            let config = Config::parse("c", &with(&text));
            let config = config.unwrap_or_else(|error| panic!("{engine} {file}: {key}: {error}"));
            let line = format!("namespace n: storage-engine.{key}: without effect: ");
            let named = config.ineffective.iter().any(|said| said.contains(&line));
            assert_eq!(
                named,
                !obeyed.contains(key),
                "{engine} {file}: {key}: {:?}",
                config.ineffective
            );
        }
    }
    // What is obeyed is what the engine is opened with.
    let text = "namespace n {\nstorage-engine device {\nfile /f\ncommit-to-device true\ndefrag-lwm-pct 40\nfilesize 4G\nflush-max-ms 9\n\
                max-write-cache 128M\nstop-writes-avail-pct 9\nstop-writes-used-pct 80\n}\n}";
    let config = Config::parse("c", &with(text)).unwrap();
    let namespace = config
        .namespaces
        .iter()
        .find(|found| found.name() == "n")
        .unwrap();
    assert_eq!(
        (namespace.storage_engine(), namespace.files()),
        ("device", vec!["/f".to_owned()])
    );
    let config = Config::parse("c", &with("mod-lua {\nstream-nil skip\n}")).unwrap();
    assert_eq!(config.mod_lua.stream_nil(), "skip");
    assert!(namespace.commit_to_device());
    assert_eq!(
        (namespace.filesize(), namespace.max_write_cache()),
        (4 << 30, 128 << 20)
    );
    assert_eq!(
        (namespace.defrag_lwm_pct(), namespace.flush_max_ms()),
        (40, 9)
    );
    assert_eq!(
        (
            namespace.stop_writes_avail_pct(),
            namespace.stop_writes_used_pct()
        ),
        (9, 80)
    );
}

#[test]
fn keys_are_found_again_in_messages() {
    let text = "service { work-directory /w\nuser me }\nnetwork { service {\naddress a.invalid\n} }\nnamespace n {}";
    let config = Config::parse("c", text).unwrap();
    assert_eq!(
        config.place_of("network: service.address"),
        "c:4: network: service.address"
    );
    assert_eq!(
        config.place_of("network: admin.address"),
        "network: admin.address"
    );
    assert_eq!(
        (
            config.user.as_deref(),
            config.place_of("service: user").as_str()
        ),
        (Some("me"), "c:2: service: user")
    );
}

#[test]
fn reads_what_a_file_says() {
    let text = include_str!("../../tests/data/stock_container.conf")
        .replace("service-threads 8", "service-threads 8\nwork-directory /w");
    let config = Config::parse("c", &text).unwrap();
    assert_eq!(config.service.service_threads(), 8);
    assert_eq!(
        config.service.pidfile().as_deref(),
        Some("/var/run/aerospike/asd.pid")
    );
    assert_eq!(config.network.service_addresses(), ["any"]);
    assert_eq!(config.network.service_access_addresses(), ["192.0.2.17"]);
    let mut network = String::new();
    config.network.report(&mut network);
    let seeds = "heartbeat.mesh-seed-address-port=192.0.2.18:3002;heartbeat.mesh-seed-address-port=192.0.2.19:3002;";
    assert!(network.contains(seeds), "{network}");
    assert_eq!(
        config.mod_lua.user_path().as_deref(),
        Some("/opt/aerospike/usr/udf/lua")
    );
    let test = &config.namespaces[0];
    assert_eq!(
        (test.name(), test.default_ttl(), test.nsup_period()),
        ("test", 2_592_000, 120)
    );
    let demo = test.set_settings("demo").unwrap();
    assert_eq!(demo.stop_writes_count(), 1_000);
    assert!(test.set_settings("other").is_none());
    assert_eq!(config.logging.len(), 2);
    assert_eq!(
        config.logging[0].target,
        LogTarget::File("/dev/null".into())
    );
    let udf = context_position("udf").unwrap();
    assert_eq!(config.logging[1].levels.get(udf), Level::Debug);
    assert_eq!(config.logging[1].levels.get(0), Level::Info);
}

#[test]
fn built_in_configuration_needs_no_root_and_no_network() {
    let config = Config::parse(
        "built-in",
        &super::DEFAULT.replace("cluster-name", "work-directory /w\ncluster-name"),
    )
    .unwrap();
    assert!(config.ineffective.is_empty());
    assert_eq!(config.network.service_addresses(), ["127.0.0.1"]);
    assert_eq!(config.network.service_port(), 3_000);
    let names: Vec<&str> = config
        .namespaces
        .iter()
        .map(super::NamespaceSettings::name)
        .collect();
    assert_eq!(names, ["test"]);
    assert!(!config.mod_lua.allow_unsafe_lua());
    assert!(config.mod_lua.cache_enabled());
    assert_eq!(
        config.mod_lua.user_path().as_deref(),
        Some("/w/usr/udf/lua")
    );
}

#[test]
fn built_in_configuration_states_the_defaults_of_mod_lua() {
    let text = super::DEFAULT.replace("cluster-name", "work-directory /w\ncluster-name");
    let report = |text: &str| {
        let mut report = String::new();
        let config = Config::parse("c", text).unwrap();
        config.mod_lua.report(&mut report);
        report
    };
    assert_eq!(report(&text), report(&with("")));
}

#[test]
fn finds_the_state_directory_of_the_user() {
    let os = |text: &str| Some(OsString::from(text));
    let cases = [
        (os("/x"), os("/home/u"), Some("/x/asd")),
        (None, os("/home/u"), Some("/home/u/.local/state/asd")),
        (
            os("relative"),
            os("/home/u"),
            Some("/home/u/.local/state/asd"),
        ),
        (None, os(""), None),
        (None, None, None),
    ];
    for (xdg, home, expected) in cases {
        let found = state_directory(xdg, home).ok();
        assert_eq!(found.as_deref(), expected.map(std::path::Path::new));
    }
}

#[test]
fn changes_reach_every_holder_and_static_settings_stay() {
    let config = Config::parse("t", &with("")).unwrap();
    let held = config.namespaces[0].clone();
    config.namespaces[0].change("default-ttl", "2h").unwrap();
    assert_eq!(held.default_ttl(), 7_200);
    let error = config
        .service
        .change("disable-udf-execution", "true")
        .unwrap_err();
    assert!(error.to_string().starts_with("static setting"));
    assert!(config.service.change("no-such", "1").is_err());
    assert!(config.service.check("proto-fd-max", "x").is_err());
}

#[test]
fn every_default_is_a_value_of_its_kind() {
    for (section, table) in SECTIONS {
        for setting in *table {
            let read = setting.kind.read(setting.default);
            let fits = match setting.kind {
                // None is one of no entries.
                SettingKind::List if setting.default.is_empty() => read.is_err(),
                SettingKind::List => read.is_ok(),
                SettingKind::Text => matches!(read, Ok(SettingValue::Text(_))),
                _ => matches!(read, Ok(SettingValue::Number(_))),
            };
            assert!(fits, "{section:?} {}", setting.name);
        }
    }
}

#[test]
fn no_setting_stands_twice_or_is_both_known_and_ignored() {
    for (section, table) in SECTIONS {
        for (at, setting) in table.iter().enumerate() {
            assert!(
                table[..at].iter().all(|other| other.name != setting.name),
                "{}",
                setting.name
            );
            assert!(
                !super::ignored::contains(*section, setting.name),
                "{}",
                setting.name
            );
        }
    }
    let dynamic = SECTIONS.iter().any(|(section, table)| {
        *section == Section::Service
            && table
                .iter()
                .any(|setting| setting.change == Change::Dynamic)
    });
    assert!(dynamic);
}
