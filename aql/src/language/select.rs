//! `SELECT` and `EXPLAIN`, and the conditions that other statements share.

use super::lexer::TokenKind;
use super::parser::{ParseError, Parsed, Parser, explained};
use super::statement::{
    Bins, Clause, Condition, IndexOver, Literal, RecordName, Select, Statement, Target,
};
use super::value;

/// `SELECT … FROM …`
pub(super) fn select(parser: &mut Parser<'_>) -> Parsed<Statement> {
    body(parser).map(Statement::Select)
}

/// `EXPLAIN SELECT … WHERE PK = …`
pub(super) fn explain(parser: &mut Parser<'_>) -> Parsed<Statement> {
    const WHAT: &str =
        "Error: (-127) \"Explain\" supports a primary-key operation. Type help for syntax.";
    parser.advance();
    if parser.at_end() {
        return Err(parser.mistake());
    }
    let refused = |parser: &Parser<'_>| ParseError::Explained {
        text: WHAT.to_owned(),
        then: Some(Box::new(parser.mistake())),
    };
    if !parser.is("SELECT") {
        return Err(refused(parser));
    }
    let select = body(parser)?;
    match select.target {
        Target::One(_) => Ok(Statement::Explain(select)),
        _ => Err(refused(parser)),
    }
}

fn body(parser: &mut Parser<'_>) -> Parsed<Select> {
    parser.advance();
    let bins = match parser.take("*") {
        true => {
            parser.expect("FROM")?;
            Bins::All
        }
        false => Bins::Named(names(parser)?),
    };
    let place = parser.place(false)?;
    // A limit before the condition is accepted as well.
    let mut limit = limit(parser)?;
    let mut over = None;
    if parser.take("IN") {
        over = Some(index_over(parser)?);
        if !parser.is("WHERE") {
            return Err(parser.mistake());
        }
    }
    let mut target = Target::All;
    if parser.take("WHERE") {
        target = match value::record_name(parser)? {
            // Whatever stands behind the key is not looked at.
            Some(name) => {
                return Ok(Select {
                    bins,
                    place,
                    target: Target::One(checked(name)?),
                    limit,
                });
            }
            None => conditions(parser, over, true)?,
        };
        if let Some(found) = self::limit(parser)? {
            limit = Some(found);
        }
    }
    if !parser.at_end() {
        return Err(parser.mistake());
    }
    Ok(Select {
        bins,
        place,
        target,
        limit,
    })
}

/// Names up to `FROM`; any word can stand for a name.
fn names(parser: &mut Parser<'_>) -> Parsed<Vec<String>> {
    let mut names = Vec::new();
    loop {
        names.push(parser.name()?);
        if parser.take("FROM") {
            return Ok(names);
        }
        parser.expect(",")?;
    }
}

/// A limit; one below 0 is none.
pub(super) fn limit(parser: &mut Parser<'_>) -> Parsed<Option<u64>> {
    if !parser.take("LIMIT") {
        return Ok(None);
    }
    if parser.kind() != Some(TokenKind::Integer) {
        return Err(parser.mistake());
    }
    let number = value::integer(parser.word());
    parser.advance();
    Ok(Some(u64::try_from(number).unwrap_or(0)))
}

/// What an index is over, behind `IN`.
pub(super) fn index_over(parser: &mut Parser<'_>) -> Parsed<IndexOver> {
    let over = match parser.word().to_uppercase().as_str() {
        "LIST" => IndexOver::List,
        "MAPKEYS" => IndexOver::MapKeys,
        "MAPVALUES" => IndexOver::MapValues,
        _ => return Err(parser.mistake()),
    };
    parser.advance();
    Ok(over)
}

/// A digest must be one: the original reads whatever is in memory behind a short one.
pub(super) fn checked(name: RecordName) -> Parsed<RecordName> {
    let wrong = match &name {
        RecordName::Digest(text) => {
            text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        RecordName::EncodedDigest(text) => text.len() != 28,
        RecordName::Key(_) => false,
    };
    match wrong {
        true => Err(explained(
            "Error: (-1) Invalid digest: expected 40 hexadecimal digits, or 28 characters of base64"
                .to_owned(),
        )),
        false => Ok(name),
    }
}

/// One clause, or two with `AND`, behind `WHERE`. `both` says whether two are possible in this statement.
pub(super) fn conditions(
    parser: &mut Parser<'_>,
    over: Option<IndexOver>,
    both: bool,
) -> Parsed<Target> {
    let mut clauses = vec![clause(parser)?];
    if !parser.at_end() && !parser.is("LIMIT") {
        let is_and = parser.is("AND");
        parser.advance();
        if !is_and || parser.at_end() {
            return Err(parser.mistake());
        }
        if over.is_some() {
            return Err(ParseError::Clauses(
                "\"IN <indextype>\" not supported with double where clause.",
            ));
        }
        clauses.push(clause(parser)?);
        let equal = |clause: &Clause| matches!(clause.condition, Condition::Equal(_));
        if parser.is("AND") || !clauses.iter().all(equal) {
            return Err(ParseError::Clauses(
                "Double where clause only supports '=' expressions.",
            ));
        }
        if !both {
            return Err(explained(
                "Error: (-1) Error: Double where clause not supported for this operation"
                    .to_owned(),
            ));
        }
        let simple = |clause: &Clause| {
            matches!(
                clause.condition,
                Condition::Equal(Literal::Integer(_) | Literal::Text(_))
            )
        };
        if !clauses.iter().all(simple) {
            return Err(ParseError::Unsent(
                "Error: (-1) Error: Equality match is only available for int and string bins"
                    .to_owned(),
            ));
        }
    }
    if let [only] = clauses.as_slice()
        && let Condition::Equal(literal) = &only.condition
    {
        let told = match literal {
            Literal::Integer(_) | Literal::Text(_) => None,
            Literal::GeoJson(_) => Some("Unknown GeoJSON query type: 1".to_owned()),
            _ => Some(format!("Unsupported query data type for bin: {}", only.bin)),
        };
        if let Some(told) = told {
            let told = format!("Error: (-1) Error: {told}");
            return Err(match both {
                true => ParseError::Unsent(told),
                false => explained(told),
            });
        }
    }
    Ok(Target::Where {
        over: over.unwrap_or_default(),
        clauses,
    })
}

fn clause(parser: &mut Parser<'_>) -> Parsed<Clause> {
    let bin = parser.name()?;
    if parser.at_end() {
        return Err(parser.mistake());
    }
    let operator = parser.word().to_uppercase();
    parser.advance();
    if parser.at_end() || !matches!(operator.as_str(), "=" | "BETWEEN" | "WITHIN" | "CONTAINS") {
        return Err(parser.mistake());
    }
    let condition = match operator.as_str() {
        "=" => Condition::Equal(compared(parser)?),
        "BETWEEN" => {
            let from = compared(parser)?;
            if parser.at_end() {
                return Err(parser.mistake());
            }
            let is_and = parser.is("AND");
            parser.advance();
            if !is_and || parser.at_end() {
                return Err(parser.mistake());
            }
            let to = compared(parser)?;
            match (from, to) {
                (Literal::Integer(from), Literal::Integer(to)) => Condition::Between(from, to),
                _ => return Err(parser.mistake()),
            }
        }
        region => match compared(parser)? {
            Literal::GeoJson(text) if region == "WITHIN" => Condition::Within(text),
            Literal::GeoJson(text) => Condition::Contains(text),
            _ => return Err(parser.mistake()),
        },
    };
    Ok(Clause { bin, condition })
}

/// A value that a bin is compared with: what is wrong with it is told behind it.
fn compared(parser: &mut Parser<'_>) -> Parsed<Literal> {
    match value::value(parser) {
        Err(ParseError::Unexpected { .. }) if !parser.at_end() => {
            parser.advance();
            Err(parser.mistake())
        }
        found => found,
    }
}
