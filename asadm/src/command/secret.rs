//! Passwords in command lines, which are kept out of histories and documents.

use super::{Resolved, resolve};

/// What stands before a password.
const KEYWORDS: [&str; 3] = ["password", "old", "new"];

/// For each word whether it is, or may be, a password.
fn hidden(words: &[String]) -> impl Iterator<Item = bool> {
    // What is not understood may be a password that was meant for a command that is.
    let harmless = matches!(
        resolve(words),
        Resolved::Command(command, _) if !command.path.contains(&"acl") && command.path != ["watch"]
    );
    let before = std::iter::once(None).chain(words.iter().map(Some));
    words.iter().zip(before).map(move |(_, before)| {
        !harmless && before.is_some_and(|word| KEYWORDS.contains(&word.as_str()))
    })
}

/// The words of a command, with what stands behind words for passwords hidden.
pub fn without_passwords(words: &[String]) -> String {
    let shown: Vec<&str> = words
        .iter()
        .zip(hidden(words))
        .map(|(word, hides)| if hides { "***" } else { word })
        .collect();
    shown.join(" ")
}

/// Whether a password stands, or may stand, in a command.
pub fn holds_password(words: &[String]) -> bool {
    hidden(words).any(|hides| hides)
}
