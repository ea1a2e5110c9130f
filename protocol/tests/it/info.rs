use bytes::BytesMut;
use proptest::prelude::*;
use protocol::info::{
    Command, Failure, InfoError, Params, ReplyError, ReplyWriter, commands, parse_replies,
    write_request,
};
use protocol::result_code::ResultCode;

use crate::hex;

#[test]
fn the_worked_request_and_reply_are_written() {
    let mut out = BytesMut::new();
    write_request(&mut out, &["build"]).unwrap();
    assert_eq!(out, hex::bytes(hex::INFO_REQUEST));

    let mut out = BytesMut::new();
    let mut reply = ReplyWriter::new(&mut out);
    commands(&hex::body(hex::INFO_REQUEST)).for_each(|command| reply.answer(&command, "8.1.2.0"));
    reply.finish().unwrap();
    assert_eq!(out, hex::bytes(hex::INFO_REPLY));
    assert_eq!(
        parse_replies(&hex::body(hex::INFO_REPLY), &["build"]),
        Ok(vec!["8.1.2.0"])
    );
}

#[test]
fn a_body_is_split_at_line_feeds_and_nothing_else() {
    let cases: [(&[u8], &[&[u8]]); 8] = [
        (b"", &[]),
        (b"node", &[]),
        (b"node\nbuild", &[b"node"]),
        (b"node\nbuild\n", &[b"node", b"build"]),
        (b"\n", &[b""]),
        (b"node\r\n", &[b"node\r"]),
        (b"no\0de\nbuild\n", &[b"no", b"build"]),
        (b"\0\n", &[b""]),
    ];
    for (body, texts) in cases {
        let found: Vec<_> = commands(body).map(|command| command.text).collect();
        assert_eq!(found, texts, "{}", body.escape_ascii());
    }
}

#[test]
fn the_first_separator_ends_the_name() {
    let cases: [(&str, &str, Option<u8>, &str); 9] = [
        ("build", "build", None, ""),
        ("build:", "build", Some(b':'), ""),
        ("build/", "build", Some(b'/'), ""),
        ("a;b:c/d", "a", Some(b';'), "b:c/d"),
        ("sets/test/demo", "sets", Some(b'/'), "test/demo"),
        (
            "udf-put:filename=a.lua;content=eA==",
            "udf-put",
            Some(b':'),
            "filename=a.lua;content=eA==",
        ),
        (" build", " build", None, ""),
        ("BUILD", "BUILD", None, ""),
        ("", "", None, ""),
    ];
    for (text, name, separator, params) in cases {
        let command = Command::parse(text.as_bytes());
        let found = (command.name, command.separator, command.params.text);
        assert_eq!(found, (name, separator, params.as_bytes()), "{text}");
        assert_eq!(command.text, text.as_bytes());
    }
    assert_eq!(
        Command::parse(b"b\xffild:x=y").name,
        "",
        "a name that is not UTF-8 is no name"
    );
}

#[test]
fn a_value_belongs_to_the_first_exact_key() {
    let params = Params {
        text: b"id=7;content=eA==;id=8;empty=;xid=9;bare;bad=\xff",
    };
    let cases = [
        ("id", Some("7")),
        ("content", Some("eA==")),
        ("empty", Some("")),
        ("xid", Some("9")),
        ("bare", None),
        ("i", None),
        ("ID", None),
        ("bad", Some("")),
    ];
    for (key, value) in cases {
        assert_eq!(params.get(key), value, "{key}");
    }
    assert_eq!(params.bytes("bad"), Some(&b"\xff"[..]));
    assert_eq!(params.pairs().count(), 7);
    let path = Params {
        text: b"test//demo/",
    };
    assert_eq!(path.path().collect::<Vec<_>>(), ["test", "demo"]);
}

#[test]
fn rejects_missing_empty_and_long_values_in_the_servers_words() {
    let params = Params {
        text: b"empty=;long=abcdef;ok=abc",
    };
    assert_eq!(params.required_at_most("ok", 3), Ok("abc"));
    let cases = [
        ("absent", "missing 'absent'"),
        ("empty", "missing 'empty' value"),
        ("long", "'long' value too long"),
    ];
    for (key, text) in cases {
        let error = params.required_at_most(key, 5).unwrap_err();
        assert_eq!(error.to_string(), format!("ERROR:4:{text}"));
    }
    assert_eq!(
        InfoError::new(ResultCode::UNKNOWN, "no luck").to_string(),
        "ERROR::no luck"
    );
    assert_eq!(
        InfoError::unrecognized_command().to_string(),
        "ERROR:4:unrecognized command"
    );
    assert_eq!(
        InfoError::enterprise_only().to_string(),
        "ERROR:25:enterprise only"
    );
    assert_eq!(
        InfoError::namespace_not_found().to_string(),
        "ERROR:20:namespace not found on node"
    );
}

#[test]
fn replies_are_found_by_the_exact_repetition() {
    let asked = ["node", "no", "sets/test", "node"];
    let body = b"node\tA\nno\tB\nsets/test\t\nnode\tC\n";
    assert_eq!(parse_replies(body, &asked), Ok(vec!["A", "B", "", "C"]));
    assert_eq!(
        parse_replies(b"node\n", &["node"]),
        Ok(vec![""]),
        "an answer without a tab is empty"
    );
    assert_eq!(
        parse_replies(b"a\t1\n2\nb\t3\n\n", &["a", "b"]),
        Ok(vec!["1\n2", "3\n"]),
        "line feeds in values"
    );
    assert_eq!(parse_replies::<&str>(b"", &[]), Ok(vec![]));
}

#[test]
fn rejects_replies_that_do_not_answer_the_request() {
    let missing = |command: &str| Err(ReplyError::Missing(command.into()));
    assert_eq!(parse_replies(b"", &["node"]), missing("node"));
    assert_eq!(parse_replies(b"nodes\tA\n", &["node"]), missing("node"));
    assert_eq!(
        parse_replies(b"build\tA\nnode\tB\n", &["node", "build"]),
        missing("node")
    );
    assert_eq!(
        parse_replies(b"node\tA\n", &["node", "build"]),
        missing("build")
    );
    assert_eq!(
        parse_replies::<&str>(b"node\tA\n", &[]),
        Err(ReplyError::Trailing)
    );
    assert_eq!(
        parse_replies(b"node\t\xff\n", &["node"]),
        Err(ReplyError::NotText("node".into()))
    );
    for (text, code) in [("ERROR:80:not authenticated", 80), ("ERROR:9:timeout", 9)] {
        let error = parse_replies(format!("{text}\n").as_bytes(), &["node", "build"]).unwrap_err();
        assert!(
            matches!(&error, ReplyError::Refused(failure) if failure.code.0 == code),
            "{error:?}"
        );
    }
}

#[test]
fn rejects_requests_that_would_be_read_as_others() {
    for command in ["node\nbuild", "no\0de"] {
        let mut out = BytesMut::new();
        assert!(write_request(&mut out, &["ok", command]).is_err());
        assert!(out.is_empty());
    }
}

#[test]
fn every_form_of_error_is_told_from_values() {
    let plain = |code: u8, text: &str| Failure {
        code: ResultCode(code),
        text: text.into(),
        file: None,
        line: None,
        message: None,
    };
    let compile = |code: u8, text: &str| Failure {
        file: Some("a.lua".into()),
        line: Some(3),
        message: Some("<eof> expected".into()),
        ..plain(code, text)
    };
    let cases = [
        (
            "ERROR:4:unrecognized command",
            plain(4, "unrecognized command"),
        ),
        ("ERROR::no luck", plain(1, "no luck")),
        ("ERROR:201", plain(201, "")),
        ("ERROR", plain(1, "")),
        ("error:2:job not found", plain(2, "job not found")),
        ("FAIL:7:a:b", plain(7, "a:b")),
        ("FAIL", plain(1, "")),
        ("fail=4=text", plain(4, "text")),
        ("error=not_found", plain(1, "not_found")),
        ("ERROR:999:beyond a byte", plain(1, "999:beyond a byte")),
        (
            "error=compile_error;file=a.lua;line=3;message=PGVvZj4gZXhwZWN0ZWQ=",
            compile(1, "compile_error"),
        ),
        (
            "ERROR:100:failed;file=a.lua;line=3;message=PGVvZj4gZXhwZWN0ZWQ=",
            compile(100, "failed"),
        ),
        (
            "error=x;message=not base64",
            Failure {
                message: Some("not base64".into()),
                ..plain(1, "x")
            },
        ),
    ];
    for (value, failure) in cases {
        assert_eq!(Failure::of(value), Some(failure), "{value}");
    }
    for value in [
        "",
        "ok",
        "errors=3",
        "ERRORS",
        "failed:1",
        "the ERROR:1:x",
        "erro",
        "é",
    ] {
        assert_eq!(Failure::of(value), None, "{value}");
    }
    let shown =
        Failure::of("error=compile_error;file=a.lua;line=3;message=PGVvZj4gZXhwZWN0ZWQ=").unwrap();
    assert_eq!(
        shown.to_string(),
        "compile_error at a.lua:3: <eof> expected"
    );
    assert_eq!(Failure::of("ERROR:4:bad").unwrap().to_string(), "bad (4)");
}

proptest! {
    #[test]
    fn any_commands_and_values_come_back(
        pairs in prop::collection::vec(("[a-z/:;=-]{0,12}", "[ -~]{0,20}"), 0..6),
    ) {
        let (asked, values): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
        let mut request = BytesMut::new();
        write_request(&mut request, &asked).unwrap();
        let mut out = BytesMut::new();
        let mut reply = ReplyWriter::new(&mut out);
        for (command, value) in commands(&request[8..]).zip(&values) {
            reply.answer(&command, value);
        }
        reply.finish().unwrap();
        let found = parse_replies(&out[8..], &asked).unwrap();
        prop_assert_eq!(found, values);
    }
}
