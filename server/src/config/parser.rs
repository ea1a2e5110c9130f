//! The grammar of `aerospike.conf`.
//!
//! ```text
//! file      = { statement }
//! statement = key { word } ( end of line | block )
//! block     = "{" { statement } "}"
//! ```
//!
//! Words are separated by blanks; `#` starts a comment that runs to the end of the line.

use protocol::bounds::Within as _;

/// Blocks in blocks at most; Aerospike's own grammar needs three.
const DEPTH_MAX: usize = 8;
/// Words of a statement at most.
const WORDS_MAX: usize = 64;

/// A key with its words and, if it opens one, its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Line of the key, from 1.
    pub(crate) line: usize,
    /// The first word.
    pub(crate) key: String,
    /// The other words.
    pub(crate) words: Vec<String>,
    /// The statements between `{` and `}`.
    pub(crate) block: Option<Vec<Statement>>,
}

/// Why a text is not a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The key in question; empty if none.
    pub(crate) key: String,
    /// What was expected or found.
    pub(crate) message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    EndOfLine,
}

fn tokens(text: &str) -> impl Iterator<Item = (usize, Token<'_>)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        let line = line.split_once('#').map_or(line, |(code, _)| code);
        let mut found = Vec::new();
        for piece in line.split_whitespace() {
            let mut rest = piece;
            while let Some(at) = rest.find(['{', '}']) {
                let (word, tail) = rest.split_at(at);
                if !word.is_empty() {
                    found.push(Token::Word(word));
                }
                found.push(if tail.starts_with('{') {
                    Token::Open
                } else {
                    Token::Close
                });
                rest = tail.within(1..);
            }
            if !rest.is_empty() {
                found.push(Token::Word(rest));
            }
        }
        found.push(Token::EndOfLine);
        found.into_iter().map(move |token| (index + 1, token))
    })
}

/// Takes a text apart.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    // The statements of the blocks that are open, innermost last; below each the statement that opened it.
    let mut outer: Vec<(Statement, Vec<Statement>)> = Vec::new();
    let mut statements = Vec::new();
    let mut current: Option<Statement> = None;
    for (line, token) in tokens(text) {
        match token {
            Token::Word(word) => match &mut current {
                None => {
                    current = Some(Statement {
                        line,
                        key: word.to_owned(),
                        words: Vec::new(),
                        block: None,
                    });
                }
                Some(statement) if statement.words.len() < WORDS_MAX => {
                    statement.words.push(word.to_owned());
                }
                Some(statement) => {
                    return Err(error(
                        line,
                        &statement.key,
                        format!("more than {WORDS_MAX} words"),
                    ));
                }
            },
            Token::EndOfLine => statements.extend(current.take()),
            Token::Open => {
                let Some(statement) = current.take() else {
                    return Err(error(line, "", "expected a key before `{`"));
                };
                if outer.len() >= DEPTH_MAX {
                    return Err(error(
                        line,
                        &statement.key,
                        format!("more than {DEPTH_MAX} blocks in one another"),
                    ));
                }
                outer.push((statement, std::mem::take(&mut statements)));
            }
            Token::Close => {
                statements.extend(current.take());
                let Some((mut statement, before)) = outer.pop() else {
                    return Err(error(line, "", "`}` without `{`"));
                };
                statement.block = Some(std::mem::replace(&mut statements, before));
                statements.push(statement);
            }
        }
    }
    match outer.pop() {
        None => Ok(statements),
        Some((statement, _)) => Err(error(statement.line, &statement.key, "`{` without `}`")),
    }
}

fn error(line: usize, key: &str, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        line,
        key: key.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// A compact picture of the statements.
    fn picture(text: &str) -> String {
        fn draw(statements: &[super::Statement]) -> String {
            let parts: Vec<String> = statements
                .iter()
                .map(|statement| {
                    let words: Vec<&str> = std::iter::once(statement.key.as_str())
                        .chain(statement.words.iter().map(String::as_str))
                        .collect();
                    let block = statement
                        .block
                        .as_ref()
                        .map_or_else(String::new, |block| format!("[{}]", draw(block)));
                    format!("{}:{}{block}", statement.line, words.join(" "))
                })
                .collect();
            parts.join(",")
        }
        match parse(text) {
            Ok(statements) => draw(&statements),
            Err(error) => format!("{}:{}: {}", error.line, error.key, error.message),
        }
    }

    #[test]
    fn takes_texts_apart() {
        let cases = [
            ("", ""),
            ("# only\n\n", ""),
            ("a 1 # b\nc 2", "1:a 1,2:c 2"),
            ("service {\n\tx 1\n}\n", "1:service[2:x 1]"),
            (
                "console { context any info }",
                "1:console[1:context any info]",
            ),
            ("a{b 1}c 2", "1:a[1:b 1],1:c 2"),
            (
                "namespace test {\n storage-engine memory {\n data-size 1G\n }\n}",
                "1:namespace test[2:storage-engine memory[3:data-size 1G]]",
            ),
            ("a {\r\n b 1\r\n}\r\n", "1:a[2:b 1]"),
            ("}", "1:: `}` without `{`"),
            ("a 1\n{", "2:: expected a key before `{`"),
            ("a {\nb {\n}\n", "1:a: `{` without `}`"),
            (
                "a{a{a{a{a{a{a{a{a{",
                "1:a: more than 8 blocks in one another",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(picture(text), expected, "{text:?}");
        }
    }
}
