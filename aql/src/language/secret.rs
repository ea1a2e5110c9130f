//! Passwords in statements, which are kept out of the history and of documents.

use protocol::bounds::Within as _;

/// What stands before a password.
const KEYWORD: &str = "PASSWORD";

/// What a password is shown as.
const HIDDEN: &str = "***";

/// The words of a line with their places: between blanks, a quotation is one.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    let mut quote = None;
    for (at, character) in line.char_indices() {
        let ends = quote.is_none() && (character.is_whitespace() || character == ';');
        match (start, ends) {
            (Some(begun), true) => {
                found.push((begun, line.within(begun..at)));
                start = None;
            }
            (None, false) => start = Some(at),
            _ => {}
        }
        if matches!(character, '\'' | '"') {
            quote = match quote {
                None => Some(character),
                Some(open) if open == character => None,
                open => open,
            };
        }
    }
    if let Some(begun) = start {
        found.push((begun, line.within(begun..)));
    }
    found
}

/// Whether a word is `PASSWORD`, or may be meant to be.
fn announces(word: &str) -> bool {
    let word = word.to_uppercase();
    word == KEYWORD || tools::suggest::nearest(&word, [KEYWORD]).is_some()
}

/// A line with what stands behind `PASSWORD`, however it is spelt, hidden.
#[must_use]
pub fn without_passwords(line: &str) -> String {
    let words = words(line);
    let mut shown = String::new();
    let mut copied = 0;
    let mut secret = false;
    for (at, word) in words {
        if secret {
            shown.push_str(line.within(copied..at));
            shown.push_str(HIDDEN);
            copied = at + word.len();
        }
        // A password may itself be this word.
        secret = !secret && announces(word);
    }
    shown.push_str(line.within(copied..));
    shown
}

/// Whether a password stands, or may stand, in a line.
#[must_use]
pub fn holds_password(line: &str) -> bool {
    words(line).iter().any(|(_, word)| announces(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_however_the_word_is_spelt() {
        for (line, shown) in [
            (
                "create user joe password geheim role read",
                "create user joe password *** role read",
            ),
            (
                "CREATE USER joe Pasword 'ge heim;x' ROLE read",
                "CREATE USER joe Pasword *** ROLE read",
            ),
            ("set password password for joe", "set password *** for joe"),
            (
                "get echo; set password x;get echo",
                "get echo; set password ***;get echo",
            ),
            ("set passwrd \"open", "set passwrd ***"),
        ] {
            assert_eq!(without_passwords(line), shown);
            assert!(holds_password(line), "{line}");
        }
        for line in ["select * from test.demo", "show modules", ""] {
            assert_eq!(without_passwords(line), line);
            assert!(!holds_password(line), "{line}");
        }
    }
}
