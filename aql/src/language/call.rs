//! Statements about modules and their functions: `EXECUTE`, `AGGREGATE`, `REGISTER`, `REMOVE`, `DESC`.

use super::lexer::TokenKind;
use super::parser::{Parsed, Parser, unquoted};
use super::select::{checked, conditions, index_over, limit};
use super::statement::{Invocation, Literal, Statement, Target};
use super::value;

/// `EXECUTE module.function(…) ON N[.S] [WHERE …]`
pub(super) fn execute(parser: &mut Parser<'_>) -> Parsed<Statement> {
    invocation(parser, true).map(Statement::Execute)
}

/// `AGGREGATE module.function(…) ON N[.S] [WHERE …]`
pub(super) fn aggregate(parser: &mut Parser<'_>) -> Parsed<Statement> {
    invocation(parser, false).map(Statement::Aggregate)
}

fn invocation(parser: &mut Parser<'_>, one: bool) -> Parsed<Invocation> {
    parser.advance();
    let module = parser.name()?;
    parser.expect(".")?;
    let function = parser.name()?;
    parser.expect("(")?;
    let arguments = arguments(parser)?;
    parser.expect("ON")?;
    let place = parser.place(false)?;
    let mut over = None;
    if parser.take("IN") {
        over = Some(index_over(parser)?);
        if !parser.is("WHERE") {
            return Err(parser.mistake());
        }
    }
    let mut target = Target::All;
    if parser.take("WHERE") {
        if !one
            && ["PK", "DIGEST", "EDIGEST"]
                .iter()
                .any(|word| parser.is(word))
        {
            return Err(parser.mistake());
        }
        target = match value::record_name(parser)? {
            Some(name) => Target::One(checked(name)?),
            None => conditions(parser, over, false)?,
        };
    }
    if !matches!(target, Target::One(_)) {
        // Accepted, and without effect as in the original: the function runs on all records.
        limit(parser)?;
    }
    if !parser.at_end() && !matches!(target, Target::One(_)) {
        return Err(parser.mistake());
    }
    Ok(Invocation {
        module,
        function,
        arguments,
        place,
        target,
    })
}

fn arguments(parser: &mut Parser<'_>) -> Parsed<Vec<Literal>> {
    let mut arguments = Vec::new();
    if parser.take(")") {
        return Ok(arguments);
    }
    loop {
        arguments.push(value::value(parser)?);
        if parser.take(")") {
            return Ok(arguments);
        }
        parser.expect(",")?;
    }
}

fn module_word(parser: &mut Parser<'_>) -> Parsed<()> {
    parser.advance();
    match parser.take("MODULE") || parser.take("PACKAGE") {
        true => Ok(()),
        false => Err(parser.mistake()),
    }
}

/// A module's file name: in quotes, or `name.lua`.
fn file_name(parser: &mut Parser<'_>) -> Parsed<String> {
    let quoted = parser.kind() == Some(TokenKind::Text);
    let mut name = parser.name()?;
    if !quoted && parser.take(".") {
        name.push('.');
        name.push_str(&parser.name()?);
    }
    Ok(name)
}

/// `DESC MODULE F`
pub(super) fn describe(parser: &mut Parser<'_>) -> Parsed<Statement> {
    module_word(parser)?;
    file_name(parser).map(Statement::Describe)
}

/// `REMOVE MODULE F`
pub(super) fn remove(parser: &mut Parser<'_>) -> Parsed<Statement> {
    module_word(parser)?;
    file_name(parser).map(Statement::Remove)
}

/// `REGISTER MODULE 'PATH'`
pub(super) fn register(parser: &mut Parser<'_>) -> Parsed<Statement> {
    module_word(parser)?;
    let path = unquoted(parser.word());
    if parser.kind() != Some(TokenKind::Text) || path.is_empty() {
        return Err(parser.mistake());
    }
    Ok(Statement::Register(path.to_owned()))
}
