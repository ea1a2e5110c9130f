//! What info answers have in common: error forms, versions.

/// True if an answer is one of the server's error forms.
pub fn is_error(text: &str) -> bool {
    let start = text.get(..5).unwrap_or(text).to_ascii_lowercase();
    start == "error" || start.starts_with("fail:") || start == "fail"
}

/// True if a version is at least `wanted`; false if it is no version.
pub fn at_least(build: &str, wanted: &[u32]) -> bool {
    let parts: Vec<u32> = build
        .split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect();
    !parts.is_empty() && parts.as_slice() >= wanted
}

/// The reason in an error answer: of `error…` the text after the first `=` up to the next `=`, or without `=` the third
/// part between `:`; of `fail…` the third part.
pub fn reason(answer: &str) -> String {
    let third = || answer.splitn(3, ':').nth(2).unwrap_or(answer);
    let reason = if answer.to_ascii_lowercase().starts_with("error") && answer.contains('=') {
        answer.split('=').nth(1).unwrap_or(answer)
    } else {
        third()
    };
    reason
        .trim_matches(|c: char| c == ' ' || c == '.')
        .to_owned()
}
