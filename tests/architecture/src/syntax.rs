//! From text to items and the paths in them, by tokens: what stands in macros counts as well.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// How far an item is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// In its module.
    Private,
    /// In its crate, or a part of it.
    Crate,
    /// Everywhere.
    Public,
}

/// An item of a module.
#[derive(Clone, Debug)]
pub struct Item {
    /// `fn`, `struct`, `use`, `mod`, `impl`, …
    pub keyword: String,
    /// Its name; empty for `use`, `impl` and macro calls.
    pub name: String,
    /// How far it is seen.
    pub visibility: Visibility,
    /// Line of its first token, from 1.
    pub line: usize,
    /// It is there in tests only.
    pub is_test: bool,
    /// It implements a trait, or is an attribute's business: its name is not its own choice.
    pub is_foreign: bool,
    /// Its paths.
    pub paths: Vec<PathUse>,
    /// What it declares under other names: leaves of a `use`.
    pub imports: Vec<Import>,
    /// Names that show to whoever uses it: those of its signature, or of its public fields.
    pub shown: Vec<String>,
    /// Items in its braces: those of an inline module, and the functions of an `impl`.
    pub items: Vec<Item>,
    /// A `mod name;`, whose items stand in a file of their own.
    pub is_outline: bool,
}

/// A path of at least two segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathUse {
    /// Its segments.
    pub segments: Vec<String>,
    /// Line, from 1.
    pub line: usize,
}

/// One leaf of a `use`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The whole path; the last segment is `*` for a glob.
    pub segments: Vec<String>,
    /// The name that it gets here.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
}

/// All that is read from one file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Its items.
    pub items: Vec<Item>,
    /// Every identifier in it, in order.
    pub names: Vec<String>,
    /// The whole file is there in tests only.
    pub is_test: bool,
}

/// Reads a file.
///
/// # Errors
/// Line and reason, when it is no Rust.
pub fn read(text: &str) -> Result<Source, (usize, String)> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| (error.span().start().line, error.to_string()))?;
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut source = Source {
        is_test: is_test_file(&tokens),
        ..Source::default()
    };
    all_names(&tokens, &mut source.names);
    source.items = items(&tokens);
    Ok(source)
}

fn is_test_file(tokens: &[TokenTree]) -> bool {
    tokens.windows(3).any(|window| match window {
        [
            TokenTree::Punct(hash),
            TokenTree::Punct(bang),
            TokenTree::Group(group),
        ] => hash.as_char() == '#' && bang.as_char() == '!' && is_cfg_test(group.stream()),
        _ => false,
    })
}

fn all_names(tokens: &[TokenTree], names: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => names.push(ident.to_string()),
            TokenTree::Group(group) => {
                all_names(&group.stream().into_iter().collect::<Vec<_>>(), names);
            }
            _ => {}
        }
    }
}

fn is_cfg_test(attribute: TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text.starts_with("cfg(test")
        || text.starts_with("cfg(all(test")
        || text == "test"
        || text == "tokio::test"
}

fn items(tokens: &[TokenTree]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = tokens;
    while let Some((item, behind)) = next_item(rest) {
        items.extend(item);
        rest = behind;
    }
    items
}

/// The next item, and what stands behind it; none at the end.
fn next_item(tokens: &[TokenTree]) -> Option<(Option<Item>, &[TokenTree])> {
    let mut is_test = false;
    let mut at = 0;
    // Attributes.
    while let Some(TokenTree::Punct(punct)) = tokens.get(at) {
        if punct.as_char() != '#' {
            break;
        }
        at += 1;
        if matches!(tokens.get(at), Some(TokenTree::Punct(bang)) if bang.as_char() == '!') {
            at += 1;
        }
        if let Some(TokenTree::Group(group)) = tokens.get(at) {
            is_test |= is_cfg_test(group.stream());
            at += 1;
        }
    }
    let start = at;
    let first = tokens.get(start)?;
    let line = first.span().start().line;
    let mut visibility = Visibility::Private;
    let mut keyword = String::new();
    let mut name = String::new();
    // Up to the keyword and the name.
    while let Some(token) = tokens.get(at) {
        let TokenTree::Ident(ident) = token else {
            break;
        };
        let text = ident.to_string();
        at += 1;
        match text.as_str() {
            "pub" => {
                visibility = Visibility::Public;
                if let Some(TokenTree::Group(group)) = tokens.get(at)
                    && group.delimiter() == Delimiter::Parenthesis
                {
                    visibility = Visibility::Crate;
                    at += 1;
                }
            }
            "unsafe" | "async" | "default" => {}
            "extern" => {
                if matches!(tokens.get(at), Some(TokenTree::Literal(_))) {
                    at += 1;
                }
            }
            "const" if matches!(tokens.get(at), Some(TokenTree::Ident(next)) if ["fn", "unsafe", "async", "extern"].contains(&next.to_string().as_str())) =>
                {}
            _ => {
                keyword = text;
                if let Some(TokenTree::Ident(ident)) = tokens.get(at)
                    && keyword != "use"
                    && keyword != "impl"
                {
                    name = ident.to_string();
                }
                break;
            }
        }
    }
    // To its end: a semicolon, or braces where braces end it.
    let braces_end = !matches!(keyword.as_str(), "use" | "const" | "static" | "type");
    let mut end = at;
    let mut body = None;
    while let Some(token) = tokens.get(end) {
        end += 1;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && braces_end => {
                body = Some(group.stream());
                break;
            }
            _ => {}
        }
    }
    let whole = tokens.get(start..end)?;
    let behind = tokens.get(end..)?;
    if whole.is_empty() {
        return None;
    }
    let mut item = Item {
        keyword,
        name,
        visibility,
        line,
        is_test,
        is_foreign: false,
        paths: Vec::new(),
        imports: Vec::new(),
        shown: Vec::new(),
        items: Vec::new(),
        is_outline: false,
    };
    fill(&mut item, whole, body);
    Some((Some(item), behind))
}

fn fill(item: &mut Item, whole: &[TokenTree], body: Option<TokenStream>) {
    match item.keyword.as_str() {
        "use" => {
            if let Some(at) = whole.iter().position(is_word("use")) {
                use_tree(
                    whole.get(at + 1..).unwrap_or_default(),
                    &[],
                    &mut item.imports,
                );
            }
        }
        "mod" => match body {
            Some(body) => item.items = items(&body.into_iter().collect::<Vec<_>>()),
            None => item.is_outline = true,
        },
        "impl" | "trait" => {
            let head: Vec<TokenTree> = whole
                .iter()
                .take(whole.len().saturating_sub(1))
                .cloned()
                .collect();
            paths(&head, item);
            let inner = body
                .map(|body| items(&body.into_iter().collect::<Vec<_>>()))
                .unwrap_or_default();
            let foreign = item.keyword == "impl" && head.iter().any(is_word("for"))
                || item.keyword == "trait";
            item.items = inner
                .into_iter()
                .map(|inner| Item {
                    is_foreign: foreign,
                    ..inner
                })
                .collect();
            if item.keyword == "trait" {
                names_of(whole, &mut item.shown);
            }
        }
        _ => {
            paths(whole, item);
            shown(item, whole);
        }
    }
}

/// Names of a signature, or of the declaration of a type.
fn shown(item: &mut Item, whole: &[TokenTree]) {
    let is_fn = item.keyword == "fn";
    let part: Vec<TokenTree> = whole
        .iter()
        .take_while(|token| !(is_fn && matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)))
        .cloned()
        .collect();
    names_of(&part, &mut item.shown);
}

fn names_of(tokens: &[TokenTree], names: &mut Vec<String>) {
    all_names(tokens, names);
}

fn is_word(word: &'static str) -> impl Fn(&TokenTree) -> bool {
    move |token| matches!(token, TokenTree::Ident(ident) if *ident == word)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// The leaves of a `use`, whose keyword is gone.
fn use_tree(tokens: &[TokenTree], prefix: &[String], imports: &mut Vec<Import>) {
    let mut at = 0;
    while at < tokens.len() {
        let mut segments = prefix.to_vec();
        let mut line = 0;
        if is_colons(tokens, at) {
            at += 2;
        }
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(ident)) => {
                    line = ident.span().start().line;
                    segments.push(ident.to_string());
                    at += 1;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                    line = star.span().start().line;
                    segments.push("*".to_owned());
                    at += 1;
                }
                Some(TokenTree::Group(group)) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    use_tree(&inner, &segments, imports);
                    segments.clear();
                    at += 1;
                }
                _ => {}
            }
            if is_colons(tokens, at) {
                at += 2;
                continue;
            }
            break;
        }
        let mut name = segments.last().cloned().unwrap_or_default();
        if name == "self" && segments.len() > 1 {
            segments.pop();
            name = segments.last().cloned().unwrap_or_default();
        }
        if tokens.get(at).is_some_and(is_word("as")) {
            if let Some(TokenTree::Ident(alias)) = tokens.get(at + 1) {
                name = alias.to_string();
            }
            at += 2;
        }
        if !segments.is_empty() {
            imports.push(Import {
                segments,
                name,
                line,
            });
        }
        // The comma or the semicolon.
        at += 1;
    }
}

/// Collects paths, and the `use`s of function bodies.
fn paths(tokens: &[TokenTree], item: &mut Item) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => {
                paths(&group.stream().into_iter().collect::<Vec<_>>(), item);
                at += 1;
            }
            TokenTree::Ident(ident) if *ident == "use" => {
                let end = tokens
                    .iter()
                    .skip(at)
                    .position(
                        |token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'),
                    )
                    .map_or(tokens.len(), |length| at + length);
                use_tree(
                    tokens.get(at + 1..end).unwrap_or_default(),
                    &[],
                    &mut item.imports,
                );
                at = end;
            }
            TokenTree::Ident(ident) if is_colons(tokens, at + 1) => {
                let line = ident.span().start().line;
                let mut segments = vec![ident.to_string()];
                at += 1;
                while is_colons(tokens, at) {
                    at += 2;
                    match tokens.get(at) {
                        Some(TokenTree::Ident(next)) => {
                            segments.push(next.to_string());
                            at += 1;
                        }
                        _ => break,
                    }
                }
                if segments.len() > 1 {
                    item.paths.push(PathUse { segments, line });
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_their_names_paths_and_imports() {
        let source = read(
            "use crate::a::{self, B as C, d::*};\n\
             pub(crate) const fn f(x: Shown) -> u8 { crate::x::y(); m!(super::z::w); 1 }\n\
             #[cfg(test)] mod tests { use super::*; }\n\
             pub struct S { pub field: Kept }\n\
             impl Tr for S { fn g() { self::h() } }\n\
             pub mod out;\n\
             pub const X: [u8; 1] = { [1] };\n",
        )
        .unwrap();
        let names: Vec<_> = source
            .items
            .iter()
            .map(|item| (item.keyword.as_str(), item.name.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("use", ""),
                ("fn", "f"),
                ("mod", "tests"),
                ("struct", "S"),
                ("impl", ""),
                ("mod", "out"),
                ("const", "X")
            ]
        );
        let imports: Vec<_> = source.items[0]
            .imports
            .iter()
            .map(|import| (import.segments.join("::"), import.name.clone()))
            .collect();
        let expected = [
            ("crate::a", "a"),
            ("crate::a::B", "C"),
            ("crate::a::d::*", "*"),
        ];
        assert_eq!(
            imports,
            expected.map(|(path, name)| (path.to_owned(), name.to_owned()))
        );
        let paths: Vec<_> = source.items[1]
            .paths
            .iter()
            .map(|path| path.segments.join("::"))
            .collect();
        assert_eq!(paths, ["crate::x::y", "super::z::w"]);
        assert!(source.items[1].shown.contains(&"Shown".to_owned()));
        assert!(source.items[2].is_test);
        assert!(source.items[4].items[0].is_foreign);
        assert!(source.items[5].is_outline);
        assert_eq!(source.items[1].visibility, Visibility::Crate);
    }
}
