//! Older statements on users and roles: only their shape is checked here.

use super::parser::{Parsed, Parser};
use super::statement::Statement;

/// All words of the statement; `least` of them have to be there.
fn words(parser: &mut Parser<'_>, least: usize) -> Parsed<Statement> {
    let words: Vec<String> = parser
        .text()
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
        .map(|word| super::parser::unquoted(word).to_owned())
        .collect();
    match words.len() < least {
        true => Err(parser.older_mistake()),
        false => Ok(Statement::Accounts(words)),
    }
}

fn one_of(parser: &Parser<'_>, known: &[&str]) -> Parsed<()> {
    match known.iter().any(|word| parser.is(word)) {
        true => Ok(()),
        false => Err(parser.older_mistake()),
    }
}

/// `CREATE USER u PASSWORD p ROLE[S] …`, `CREATE ROLE r PRIVILEGE[S] … [WHITELIST …]`
pub(super) fn create(parser: &mut Parser<'_>) -> Parsed<Statement> {
    one_of(parser, &["USER", "ROLE"])?;
    consumed(parser);
    words(parser, 3)
}

/// `DROP USER u`, `DROP ROLE r`
pub(super) fn drop(parser: &mut Parser<'_>) -> Parsed<Statement> {
    one_of(parser, &["USER", "ROLE"])?;
    consumed(parser);
    words(parser, 3)
}

/// `GRANT …` and `REVOKE …` of roles and privileges.
pub(super) fn grant(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    one_of(parser, &["ROLE", "ROLES", "PRIVILEGE", "PRIVILEGES"])?;
    consumed(parser);
    words(parser, 5)
}

/// `SHOW USER[S] [u]`, `SHOW ROLE[S] [r]`
pub(super) fn show(parser: &mut Parser<'_>) -> Parsed<Statement> {
    words(parser, 2)
}

/// `SET PASSWORD p [FOR u]`, `SET WHITELIST … FOR r`
pub(super) fn set(parser: &mut Parser<'_>) -> Parsed<Statement> {
    consumed(parser);
    words(parser, 3)
}

/// Reads on to the end, so that a mistake there names the whole statement.
fn consumed(parser: &mut Parser<'_>) {
    while !parser.at_end() {
        parser.advance();
    }
}
