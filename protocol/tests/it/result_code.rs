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
