//! Which file names a module may have.
//!
//! A name is also the name of a file in the module directory, so one rule keeps every command inside that directory:
//! no `/`, no NUL, no leading dot. Whatever passes is a plain file name on every file system that Linux
//! serves, and never the name of one of the server's own temporary files, which begin with a dot.

/// Longest file name, bytes.
pub const MAX_FILE_NAME: usize = 127;

/// Name of a native library, which is registered only when unsafe Lua is allowed.
#[must_use]
pub fn is_native_library(file_name: &[u8]) -> bool {
    file_name.ends_with(b".so")
}

/// The name may be asked for: `udf-get` and `udf-remove` take it.
#[must_use]
pub fn stays_inside(file_name: &[u8]) -> bool {
    !file_name.is_empty()
        && file_name.len() <= MAX_FILE_NAME
        && !file_name.starts_with(b".")
        && !file_name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// The name may be registered: it stays inside, and its first dot is neither its first nor its last character.
///
/// Native libraries are refused unless `allow_unsafe_lua`.
#[must_use]
pub fn may_be_registered(file_name: &[u8], allow_unsafe_lua: bool) -> bool {
    let first_dot = file_name.iter().position(|byte| *byte == b'.');
    stays_inside(file_name)
        && first_dot.is_some_and(|dot| dot > 0 && dot + 1 < file_name.len())
        && (allow_unsafe_lua || !is_native_library(file_name))
}

pub use runtime::module::callable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_stay_in_the_directory_are_taken() {
        // (name, may be asked for, may be registered)
        let long = format!("{}.lua", "a".repeat(MAX_FILE_NAME - 4));
        let too_long = format!("a{long}");
        let cases: &[(&str, bool, bool)] = &[
            ("a.lua", true, true),
            ("a.txt", true, true),
            ("a b.lua ", true, true),
            ("q\"u,o:t%20e.lua", true, true),
            ("ñandú_☃.lua", true, true),
            ("x.y.lua", true, true),
            (&long, true, true),
            (&too_long, false, false),
            ("plain", true, false),
            ("a.", true, false),
            ("native.so", true, false),
            ("", false, false),
            (".", false, false),
            ("..", false, false),
            (".lua", false, false),
            ("..lua", false, false),
            ("x..", true, true),
            ("a..lua", true, true),
            ("../x.lua", false, false),
            ("./x.lua", false, false),
            ("/x.lua", false, false),
            ("a/x.lua", false, false),
            ("a/../../x.lua", false, false),
            ("a\0.lua", false, false),
        ];
        for (name, asked, registered) in cases {
            assert_eq!(stays_inside(name.as_bytes()), *asked, "{name:?}");
            assert_eq!(
                may_be_registered(name.as_bytes(), false),
                *registered,
                "{name:?}"
            );
        }
        assert!(may_be_registered(b"native.so", true));
    }

    #[test]
    fn only_lua_files_without_another_dot_are_callable() {
        for (file_name, name) in [
            ("a.lua", Some("a")),
            ("a b.lua", Some("a b")),
            ("a.txt", None),
            ("a.LUA", None),
            ("x.y.lua", None),
            (".lua", None),
        ] {
            assert_eq!(callable(file_name), name, "{file_name}");
        }
    }
}
