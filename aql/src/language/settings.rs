//! `SHOW`, settings, files, help, and the two old statements that only print.

use super::accounts;
use super::lexer::TokenKind;
use super::parser::{Parsed, Parser, unquoted};
use super::statement::{Listing, Statement};

/// `SHOW …`
pub(super) fn show(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    let listing = match parser.word().to_uppercase().as_str() {
        "NAMESPACES" => Listing::Namespaces,
        "SETS" => Listing::Sets,
        "BINS" => Listing::Bins,
        "MODULES" | "PACKAGES" => Listing::Modules,
        "QUERIES" => Listing::Queries,
        "SCANS" => Listing::Scans,
        "INDEXES" => {
            parser.advance();
            let namespace = match parser.at_end() {
                true => None,
                false => Some(parser.name()?),
            };
            return Ok(Statement::ShowIndexes(namespace));
        }
        "USER" | "USERS" | "ROLE" | "ROLES" => return accounts::show(parser),
        _ => return Err(parser.mistake()),
    };
    Ok(Statement::Show(listing))
}

/// `SET NAME VALUE`; `SET PASSWORD` and `SET WHITELIST` are older statements.
pub(super) fn set(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if parser.is("PASSWORD") || parser.is("WHITELIST") {
        return accounts::set(parser);
    }
    let name = parser.name()?;
    if parser.at_end() {
        return Err(parser.mistake());
    }
    let known = crate::settings::find(&name);
    let Some(setting) = known else {
        return Err(parser.mistake());
    };
    let word = parser.word().to_owned();
    if !setting.takes(&word, parser.kind() == Some(TokenKind::Text)) {
        return Err(parser.mistake());
    }
    Ok(Statement::Set(name, word))
}

/// `GET NAME`
pub(super) fn get(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if parser.is("ALL") {
        return Ok(Statement::Get(None));
    }
    named(parser).map(|name| Statement::Get(Some(name)))
}

/// `RESET NAME`
pub(super) fn reset(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    named(parser).map(Statement::Reset)
}

fn named(parser: &mut Parser<'_>) -> Parsed<String> {
    match crate::settings::find(parser.word()) {
        Some(setting) => Ok(setting.name.to_owned()),
        None => Err(parser.mistake()),
    }
}

/// `RUN 'PATH'`
pub(super) fn run(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if parser.kind() != Some(TokenKind::Text) {
        return Err(parser.mistake());
    }
    Ok(Statement::Run(unquoted(parser.word()).to_owned()))
}

/// `HELP [word]`
pub(super) fn help(parser: &mut Parser<'_>) -> Parsed<Statement> {
    // It is known by its first four letters; what stands behind them in the same word is the word asked for.
    let word = parser.word();
    if let Some(rest) = word.get(4..).filter(|rest| !rest.is_empty()) {
        return Ok(Statement::Help(Some(rest.to_owned())));
    }
    parser.advance();
    let word = parser.word();
    Ok(Statement::Help((!word.is_empty()).then(|| word.to_owned())))
}

/// `PRINT text` and `SYSTEM command`: the rest of the statement as it is written.
pub(super) fn print(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let is_print = parser.is("PRINT");
    let rest = parser.rest();
    let rest = rest.trim_start().to_owned();
    Ok(match is_print {
        true => Statement::Print(rest),
        false => Statement::System(rest),
    })
}
