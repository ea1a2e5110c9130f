//! `INSERT`, `DELETE` and `TRUNCATE`.

use super::lexer::TokenKind;
use super::parser::{Parsed, Parser, check_bin, unquoted};
use super::select::checked;
use super::statement::{Statement, Until};
use super::value;

/// `INSERT INTO N[.S] (PK, B, …) VALUES (K, V, …)`
pub(super) fn insert(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    parser.expect("INTO")?;
    let place = parser.place(true)?;
    parser.expect("(")?;
    let mut names = Vec::new();
    while !parser.is(")") {
        let name = parser.name()?;
        if name.contains([':', ';']) {
            return Err(parser.illegal_here(&name));
        }
        check_bin(&name)?;
        names.push(name);
        if parser.at_end() {
            return Err(parser.mistake());
        }
        if !parser.is(")") {
            parser.expect(",")?;
        }
    }
    let has_key = names
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case("PK"));
    if !has_key || names.len() < 2 {
        return Err(parser.mistake());
    }
    parser.advance();
    parser.expect("VALUES")?;
    parser.expect("(")?;
    let mut values = Vec::new();
    while !parser.is(")") {
        let literal = match values.is_empty() {
            true => value::key(parser)?,
            false => value::value(parser)?,
        };
        values.push(literal);
        if parser.at_end() {
            return Err(parser.mistake());
        }
        if !parser.is(")") {
            parser.expect(",")?;
        }
    }
    if values.len() != names.len() {
        return Err(parser.mistake());
    }
    parser.advance();
    let mut values = values.into_iter();
    let Some(key) = values.next() else {
        return Err(parser.mistake());
    };
    let bins = names.into_iter().skip(1).zip(values).collect();
    Ok(Statement::Insert { place, key, bins })
}

/// `DELETE FROM N[.S] WHERE PK = K`
pub(super) fn delete(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    parser.expect("FROM")?;
    let place = parser.place(false)?;
    parser.expect("WHERE")?;
    match value::record_name(parser)? {
        Some(name) => Ok(Statement::Delete(place, checked(name)?)),
        None => Err(parser.mistake()),
    }
}

/// `TRUNCATE N[.S] [UPTO LUT]`
pub(super) fn truncate(parser: &mut Parser<'_>) -> Parsed<Statement> {
    parser.advance();
    if parser.at_end() {
        return Err(parser.older_mistake());
    }
    let place = parser.place(false)?;
    let mut until = Until::Now;
    if parser.take("UPTO") {
        until = match parser.kind() {
            Some(TokenKind::Text) => Until::Date(unquoted(parser.word()).to_owned()),
            Some(_) => Until::Nanoseconds(parser.word().to_owned()),
            None => return Err(parser.older_mistake()),
        };
        parser.advance();
    }
    match parser.at_end() {
        true => Ok(Statement::Truncate(place, until)),
        false => Err(parser.older_mistake()),
    }
}

impl Parser<'_> {
    /// A bin's name with a character that cannot be in it: told where the list goes on.
    fn illegal_here(&mut self, name: &str) -> super::parser::ParseError {
        let character = if name.contains(':') { ':' } else { ';' };
        super::parser::ParseError::Explained {
            text: format!("Error: (-1) Illegal character - '{character}'"),
            then: Some(Box::new(self.mistake())),
        }
    }
}
