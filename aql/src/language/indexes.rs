//! Older statements: indexes, statistics, info commands, jobs.

use super::accounts;
use super::lexer::TokenKind;
use super::parser::{Parsed, Parser, unquoted};
use super::select::index_over;
use super::statement::{IndexOver, Listing, Statement, Statistics};

/// Statements about an index or a user begin with the same words.
fn is_index(parser: &Parser<'_>) -> bool {
    ["INDEX", "LIST", "MAPKEYS", "MAPVALUES"]
        .iter()
        .any(|word| parser.is(word))
        || parser.at_end()
}

/// `CREATE [LIST|MAPKEYS|MAPVALUES] INDEX I ON N[.S] (B) TYPE`, or of a user or role.
pub(super) fn create(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if !is_index(parser) {
        return accounts::create(parser);
    }
    index(parser).map_err(|_| parser.older_mistake())
}

fn index(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let over = match parser.is("INDEX") {
        true => IndexOver::Bin,
        false => index_over(parser)?,
    };
    parser.expect("INDEX")?;
    let name = parser.name()?;
    parser.expect("ON")?;
    let place = parser.place(false)?;
    parser.expect("(")?;
    let bin = parser.name()?;
    parser.expect(")")?;
    let kind = parser.word().to_uppercase();
    if !matches!(kind.as_str(), "NUMERIC" | "STRING" | "GEO2DSPHERE") {
        return Err(parser.mistake());
    }
    Ok(Statement::CreateIndex {
        name,
        place,
        bin,
        over,
        kind,
    })
}

/// `DROP INDEX N[.S] I`, or a user or role.
pub(super) fn drop(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if !is_index(parser) {
        return accounts::drop(parser);
    }
    let parsed = (|| {
        parser.expect("INDEX")?;
        let place = parser.place(false)?;
        Ok(Statement::DropIndex(place, parser.name()?))
    })();
    parsed.map_err(|_: super::parser::ParseError| parser.older_mistake())
}

/// `STAT SYSTEM`, `STAT NAMESPACE N`, `STAT INDEX N I`
pub(super) fn stat(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    let parsed = (|| {
        let subject = parser.word().to_uppercase();
        if !matches!(subject.as_str(), "SYSTEM" | "NAMESPACE" | "INDEX") {
            return Err(parser.mistake());
        }
        parser.advance();
        Ok(Statement::Stat(match subject.as_str() {
            "SYSTEM" => Statistics::System,
            "NAMESPACE" => Statistics::Namespace(parser.name()?),
            _ => Statistics::Index(parser.name()?, parser.name()?),
        }))
    })();
    parsed.map_err(|_: super::parser::ParseError| parser.older_mistake())
}

/// `ASINFO 'COMMAND'`
pub(super) fn asinfo(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    match parser.kind() {
        Some(TokenKind::Text) => Ok(Statement::Asinfo(unquoted(parser.word()).to_owned())),
        _ => Err(parser.older_mistake()),
    }
}

/// `KILL_QUERY id` and `KILL_SCAN id`
pub(super) fn kill(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let listing = match parser.is("KILL_SCAN") {
        true => Listing::Scans,
        false => Listing::Queries,
    };
    parser.advance();
    match parser.at_end() {
        true => Err(parser.older_mistake()),
        false => Ok(Statement::Kill(listing, parser.name()?)),
    }
}
