use protocol::result_code::ResultCode;

#[test]
fn names_are_found_by_number_and_others_are_kept() {
    assert_eq!(ResultCode::NOT_FOUND, ResultCode(2));
    assert_eq!(ResultCode::NOT_FOUND.name(), Some("NOT_FOUND"));
    assert_eq!(ResultCode::from(100), ResultCode::UDF_EXECUTION);
    assert_eq!(
        ResultCode::UDF_EXECUTION.to_string(),
        "100 UDF_EXECUTION: the UDF failed"
    );
    assert_eq!(ResultCode(202).to_string(), "202 (unknown result code)");
    assert_eq!(u8::from(ResultCode(202)), 202);
    assert!(ResultCode::OK.is_ok() && !ResultCode::TIMEOUT.is_ok());
}

#[test]
fn the_table_is_sorted_and_says_something_of_each() {
    assert!(ResultCode::ALL.is_sorted());
    for code in ResultCode::ALL {
        assert!(code.name().is_some());
        assert!(
            code.sentence()
                .is_some_and(|sentence| !sentence.ends_with('.') && !sentence.is_empty())
        );
    }
}

#[test]
fn tables_of_numbers_are_printed_with_their_names() {
    use protocol::message::{FieldType, Info1, OpCode};
    use protocol::particle_type::ParticleType;
    use protocol::security::Command;

    let shown = [
        format!("{:?}", ResultCode::GENERATION),
        format!("{:?}", ResultCode(202)),
        format!("{:?}", FieldType::SET),
        FieldType(200).to_string(),
        OpCode::CDT_READ.to_string(),
        OpCode(99).to_string(),
        Command::LOGIN.to_string(),
        ParticleType::MAP.to_string(),
        ParticleType(99).to_string(),
        format!("{:?}", Info1::READ | Info1::GET_ALL),
    ];
    let expected = [
        "3 GENERATION",
        "202",
        "1 SET",
        "200 (unknown field type)",
        "3 CDT_READ: read from a list or map",
        "99 (unknown operation)",
        "20 LOGIN: log in, for a session token",
        "map",
        "particle type 99",
        "Info1(READ | GET_ALL)",
    ];
    assert_eq!(shown, expected);
}
