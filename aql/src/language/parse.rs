//! From a text to a statement: the first word says which parser reads the rest.

use super::parser::{ParseError, Parsed, Parser};
use super::statement::Statement;
use super::{accounts, call, indexes, modify, select, settings};

/// Takes a statement apart. None: there is nothing in it.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(text: &str) -> Parsed<Option<Statement>> {
    let mut parser = Parser::new(text);
    if parser.is_empty() {
        return Ok(None);
    }
    let first = parser.word().to_uppercase();
    let begin = match first.as_str() {
        "SELECT" => select::select,
        "EXPLAIN" => select::explain,
        "INSERT" => modify::insert,
        "DELETE" => modify::delete,
        "TRUNCATE" => modify::truncate,
        "EXECUTE" => call::execute,
        "AGGREGATE" => call::aggregate,
        "REGISTER" => call::register,
        "REMOVE" => call::remove,
        "DESC" => call::describe,
        "SHOW" => settings::show,
        "RUN" => settings::run,
        "SET" => settings::set,
        "GET" => settings::get,
        "RESET" => settings::reset,
        "CREATE" => indexes::create,
        "DROP" => indexes::drop,
        "STAT" => indexes::stat,
        "ASINFO" => indexes::asinfo,
        "KILL_QUERY" | "KILL_SCAN" => indexes::kill,
        "GRANT" | "REVOKE" => accounts::grant,
        "PRINT" | "SYSTEM" => settings::print,
        word if word.starts_with("HELP") => settings::help,
        _ => return Err(ParseError::UnknownCommand(parser.first_word())),
    };
    begin(&mut parser).map(Some)
}
