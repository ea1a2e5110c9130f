//! Passwords in command lines, which are kept out of histories and documents.

use super::{Resolved, resolve};

/// What stands before a password.
const KEYWORDS: [&str; 3] = ["password", "old", "new"];

/// The same in a line that was meant for a system shell.
const OPTIONS: [&str; 2] = ["-P", "--password"];

/// For each word whether it is, or may be, a password.
fn hidden(words: &[String]) -> impl Iterator<Item = bool> {
    // What is not understood may be a password that was meant for a command that is.
    let harmless = matches!(
        resolve(words),
        Resolved::Command(command, _) if !command.path.contains(&"acl") && command.path != ["watch"]
    );
    let before = std::iter::once(None).chain(words.iter().map(Some));
    words.iter().zip(before).map(move |(word, before)| {
        let after = |known: &[&str]| before.is_some_and(|word| known.contains(&word.as_str()));
        !harmless && after(&KEYWORDS)
            || after(&OPTIONS)
            // With the password in the same word.
            || OPTIONS.iter().any(|option| word.starts_with(option) && word != option)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_they_stand() {
        for (line, shown) in [
            (
                "manage acl create user joe password geheim roles a",
                "manage acl create user joe password *** roles a",
            ),
            (
                "man ac ch u joe old a new b",
                "man ac ch u joe old *** new ***",
            ),
            (
                "manag acl create usr joe password geheim",
                "manag acl create usr joe password ***",
            ),
            ("asadm -U joe -P geheim", "asadm -U joe -P ***"),
            ("asadm -Pgeheim", "asadm ***"),
            ("asadm --password=geheim", "asadm ***"),
            (
                "watch manage acl set-password user joe password x",
                "watch manage acl set-password user joe password ***",
            ),
            (
                "show config like password old new",
                "show config like password old new",
            ),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(without_passwords(&words), shown);
            assert_eq!(holds_password(&words), line != shown, "{line}");
        }
    }
}
