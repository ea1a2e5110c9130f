//! Rules of the renderer that no recorded case shows.

use asadm::view::Modifiers;
use tools::render::{Style, print};
use tools::sheet::{
    Aggregate, Column, Convert, Dynamic, Field, KEEP, Layout, Marker, NODE, Record, Sheet, Value,
    byte_count, count, decimal, group, integer, node, percentage, seconds, share, text,
};

const PLAIN: Style = Style {
    json: false,
    colour: false,
    columns: 80,
    safe: true,
    cut: false,
};

fn record(fields: &[(&'static str, &str)]) -> Record {
    fields
        .iter()
        .fold(Record::default(), |record, (key, value)| {
            record.with(*key, Value::text(*value))
        })
}

fn one(field: Field, value: Value) -> String {
    let sheet = Sheet::new("T", vec![text("Name", "name").into(), field])
        .records(vec![record(&[("name", "x")]).with("value", value)]);
    print(&sheet, &PLAIN)
        .lines()
        .nth(2)
        .expect("a row")
        .to_owned()
}

#[test]
fn values_are_written_in_the_form_of_their_column() {
    let cases: &[(Field, &str, &str)] = &[
        (count("C", "value").into(), "0", "x   |0.000  "),
        (count("C", "value").into(), "999", "x   |999.000  "),
        (count("C", "value").into(), "1000", "x   |1.000 K"),
        (count("C", "value").into(), "2293", "x   |2.293 K"),
        (
            count("C", "value").into(),
            "1234567890123456789",
            "x   |1234.568 P",
        ),
        (byte_count("C", "value").into(), "0", "x   |0.000 B "),
        (byte_count("C", "value").into(), "1024", "x   |1.000 KB"),
        (byte_count("C", "value").into(), "-2048", "x   |-2.000 KB"),
        (percentage("C", "value").into(), "90", "x   |90.0 %"),
        (seconds("C", "value").into(), "360061", "x   |100:01:01"),
        (seconds("C", "value").into(), "-5", "x   |00:00:00"),
        (integer("C", "value").into(), "12.9", "x   |12"),
        (integer("C", "value").into(), "soon", "x   |soon"),
        (integer("C", "value").into(), "1e999", "x   |1e999"),
        (integer("C", "value").into(), "nan", "x   |nan"),
        (
            Column::new("C", "value", Convert::Decimal).into(),
            "7",
            "x   |7.0",
        ),
        (
            Column::new("C", "value", Convert::Boolean).into(),
            "FALSE",
            "x   |False",
        ),
        (
            Column::new("C", "value", Convert::Boolean).into(),
            "no",
            "x   |True",
        ),
        (text("C", "value").into(), "", "x   | "),
    ];
    for (field, value, row) in cases {
        assert_eq!(one(field.clone(), Value::text(*value)), *row, "{value}");
    }
    assert_eq!(
        one(share("C", "value").into(), Value::Decimal(0.12345)),
        "x   |12.35 %"
    );
    assert_eq!(
        one(text("C", "value").into(), Value::List(Vec::new())),
        "x   |--"
    );
    assert_eq!(one(text("C", "value").into(), Value::Error), "x   |~~");
}

#[test]
fn decimals_read_back_equal() {
    for (number, written) in [
        (0.0, "0.0"),
        (0.01, "0.01"),
        (1230.8, "1230.8"),
        (0.1 + 0.2, "0.30000000000000004"),
        (3.7e-5, "3.7e-05"),
        (1e16, "1e+16"),
    ] {
        assert_eq!(decimal(number), written);
        assert_eq!(written.parse::<f64>(), Ok(number));
    }
}

#[test]
fn sheets_without_records_or_fields_print_nothing() {
    let dynamic = Field::Dynamic(Dynamic {
        convert: |_| None,
        total: false,
    });
    let fields = vec![node().into(), dynamic];
    let only_a_node = Record::default().with(NODE, Value::text("a"));
    assert_eq!(print(&Sheet::new("T", fields.clone()), &PLAIN), "");
    assert_eq!(
        print(
            &Sheet::new("T", fields.clone()).records(vec![only_a_node.clone()]),
            &PLAIN
        ),
        ""
    );
    let kept = only_a_node.with(KEEP, Value::Boolean(true));
    assert!(
        print(&Sheet::new("T", fields).records(vec![kept]), &PLAIN).contains("Number of rows: 1")
    );
}

#[test]
fn columns_without_an_entry_are_left_out() {
    let fields = vec![
        text("Name", "name").into(),
        group("Group", vec![integer("A", "a"), integer("B", "b")]),
    ];
    let sheet = Sheet::new("T", fields).records(vec![
        record(&[("name", "x"), ("b", "1")]),
        record(&[("name", "y")]),
    ]);
    assert_eq!(
        print(&sheet, &PLAIN),
        "~~~~~T~~~~~~\nName|~Group~\n    |      B\nx   |      1\ny   |     --\nNumber of rows: 2\n\n"
    );
}

#[test]
fn a_title_wider_than_its_table_keeps_one_tilde_on_each_side() {
    let sheet = Sheet::new("A long title", vec![text("N", "n").into()])
        .records(vec![record(&[("n", "x")])]);
    assert_eq!(
        print(&sheet, &PLAIN),
        "~A long title~\nN\nx\nNumber of rows: 1\n\n"
    );
}

#[test]
fn the_title_of_a_wide_table_is_repeated_on_demand() {
    let wide = "w".repeat(200);
    let mut sheet =
        Sheet::new("T", vec![text("N", "n").into()]).records(vec![record(&[("n", &wide)])]);
    let title = |sheet: &Sheet| {
        print(sheet, &PLAIN)
            .lines()
            .next()
            .expect("a title")
            .to_owned()
    };
    assert_eq!(title(&sheet).matches('T').count(), 1);
    sheet.repeat_title = true;
    assert_eq!(title(&sheet).matches('T').count(), 2);
    assert_eq!(title(&sheet).len(), 200);
}

#[test]
fn aggregates_add_average_and_pass_errors_on() {
    let fields = || -> Vec<Field> {
        vec![
            text("G", "g").into(),
            integer("Sum", "sum").sum().into(),
            share("Mean", "mean")
                .below(Aggregate::Average("weight"))
                .into(),
        ]
    };
    let row = |group: &'static str, sum: Value, mean: f64, weight: i128| {
        record(&[("g", group)])
            .with("sum", sum)
            .with("mean", Value::Decimal(mean))
            .with("weight", Value::Integer(weight))
    };
    let sheet = Sheet::new("T", fields()).grouped(&["g"]).records(vec![
        row("b", Value::text("1"), 0.5, 0),
        row("a", Value::text("2"), 0.1, 1),
        row("a", Value::Missing, 0.4, 3),
        row("c", Value::Error, 0.0, 1),
    ]);
    let rows: Vec<String> = print(&sheet, &PLAIN)
        .lines()
        .skip(2)
        .map(ToOwned::to_owned)
        .collect();
    let wanted = [
        "a|  2|  10.0 %",
        "a| --|  40.0 %",
        "a|  2| 32.5 %",
        "b|  1|  50.0 %",
        "b|  1| 0.0 %",
        "c| ~~|   0.0 %",
        "c| ~~|  0.0 %",
    ];
    let squeeze = |line: &str| line.replace(' ', "");
    assert_eq!(
        rows.iter()
            .take(wanted.len())
            .map(|line| squeeze(line))
            .collect::<Vec<_>>(),
        wanted.map(squeeze).to_vec()
    );
}

#[test]
fn row_style_draws_a_rule_between_groups() {
    let mut sheet = Sheet::new(
        "T",
        vec![text("Group", "g").into(), integer("N", "n").into()],
    )
    .grouped(&["g"])
    .records(vec![
        record(&[("g", "b"), ("n", "10")]),
        record(&[("g", "a"), ("n", "200")]),
    ]);
    sheet.layout = Layout::Rows;
    assert_eq!(
        print(&sheet, &PLAIN),
        "~~~~~T~~~~~\nGroup|a  \nN    |200\n-----------\nGroup|b \nN    |10\nNumber of rows: 4\n\n"
    );
}

#[test]
fn json_escapes_what_is_not_ascii_and_keeps_markers_out_of_raw_values() {
    let fields = vec![node().into(), text("Te\"xt", "text").into()];
    let sheet = Sheet::new("T", fields).records(vec![
        Record::default()
            .with(NODE, Value::Node("a:1".to_owned(), Marker::This))
            .with("text", Value::text("ä\u{1f600}\t\u{1b}")),
    ]);
    let json = print(
        &sheet,
        &Style {
            json: true,
            ..PLAIN
        },
    );
    assert!(json.contains(r#""Te\"xt": {"#), "{json}");
    assert!(
        json.contains(r#""raw": "\u00e4\ud83d\ude00\t\u001b""#),
        "{json}"
    );
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let node = &parsed["groups"][0]["records"][0]["Node"];
    assert_eq!(node["raw"], "a:1");
    assert_eq!(node["converted"], "@a:1");
    assert_eq!(node["format"], "bold-cyan-alert");
}

#[test]
fn colour_adds_codes_and_nothing_else() {
    let sheet = Sheet::new("T", vec![text("N", "n").into(), text("M", "m").into()])
        .records(vec![record(&[("n", "x")]).with("m", Value::Error)]);
    let coloured = print(
        &sheet,
        &Style {
            colour: true,
            ..PLAIN
        },
    );
    let codes = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    assert_eq!(codes.replace_all(&coloured, ""), print(&sheet, &PLAIN));
    assert!(
        coloured.contains("\u{1b}[35;95m~~\u{1b}[0m"),
        "{coloured:?}"
    );
}

#[test]
fn modifiers_take_words_up_to_the_next_keyword_and_flags_anywhere() {
    use asadm::view::Flag;
    const FLAGS: &[Flag] = &[
        Flag {
            names: &["--flip", "-flip"],
            takes_value: false,
        },
        Flag {
            names: &["-e"],
            takes_value: true,
        },
    ];
    let parse = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        Modifiers::parse(&words, &["like", "with"], FLAGS)
    };
    let modifiers = parse("file -e 5 like a, a, b -flip with c,d extra");
    assert_eq!(modifiers.words, ["file"]);
    assert_eq!(modifiers.number("-e"), Ok(Some(5)));
    assert!(modifiers.flag("--flip"));
    assert_eq!(modifiers.keyword("like"), ["a", "b"]);
    assert_eq!(modifiers.keyword("with"), ["c,d", "extra"]);
    assert_eq!(parse("like a,").keyword("like"), ["a,"]);
    assert_eq!(parse("-e").number("-e"), Err(""));
    assert_eq!(parse("-e x").number("-e"), Err("x"));
    assert_eq!(parse("").number("-e"), Ok(None));
    assert!(!parse("").has("like"));
}
