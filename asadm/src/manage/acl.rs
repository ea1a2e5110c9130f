//! `manage acl`: users and roles, by security messages to the principal.

use protocol::result_code::ResultCode;
use protocol::security::{Command, FIRST_DATA_PRIVILEGE, FieldId, PRIVILEGES};
use tools::login;

use super::{argument, if_confirmed, word};
use crate::command::Acl;
use crate::plan::{Plan, Planned};
use crate::view::Modifiers;

/// A request and what is said about it.
struct Request {
    command: Command,
    fields: Vec<(FieldId, Vec<u8>)>,
    /// `create user`: behind "Failed to".
    what: &'static str,
    /// Behind "Successfully".
    done: String,
}

/// Changes a user or role.
pub(super) fn change(change: Acl, modifiers: &Modifiers, warned: bool) -> Planned {
    let missing: Vec<(&'static str, String)> = passwords(change, argument(modifiers, 0))
        .into_iter()
        .filter(|(keyword, _)| modifiers.keyword(keyword).is_empty())
        .collect();
    with_passwords(change, modifiers.clone(), missing.into_iter(), warned)
}

/// The passwords that a change needs: where they stand in the line, and how they are asked for.
fn passwords(change: Acl, name: &str) -> Vec<(&'static str, String)> {
    match change {
        Acl::CreateUser => vec![("password", format!("Enter password for new user {name}:"))],
        Acl::SetPassword => vec![("password", format!("Enter new password for user {name}:"))],
        Acl::ChangePassword => vec![
            ("old", "Enter old password:".to_owned()),
            ("new", "Enter new password:".to_owned()),
        ],
        _ => Vec::new(),
    }
}

/// Asks for what is missing, one after the other, as if it had stood in the line.
fn with_passwords(
    change: Acl,
    mut modifiers: Modifiers,
    mut missing: std::vec::IntoIter<(&'static str, String)>,
    warned: bool,
) -> Planned {
    let Some((keyword, ask)) = missing.next() else {
        return send(request(change, &modifiers)?, warned);
    };
    Ok(Plan::Password {
        ask,
        next: Box::new(move |typed| {
            modifiers.keywords.insert(keyword, vec![typed]);
            with_passwords(change, modifiers, missing, warned)
        }),
    })
}

fn send(request: Request, warned: bool) -> Planned {
    let failed = format!("Failed to {}", request.what);
    let message = format!("You're about to {}.", request.what);
    if_confirmed(warned, message, move || {
        Ok(Plan::Security {
            command: request.command,
            fields: request.fields,
            next: Box::new(move |result| match result {
                Ok(ResultCode::OK) => Plan::done(format!("Successfully {}.", request.done)),
                Ok(code) => Err(format!("{failed} : {}.", login::reason(code))),
                Err(reason) => Err(format!("{failed} : {reason}.")),
            }),
        })
    })
}

fn request(change: Acl, modifiers: &Modifiers) -> Result<Request, String> {
    let name = argument(modifiers, 0);
    let user = (FieldId::USER, name.as_bytes().to_vec());
    let role = (FieldId::ROLE, name.as_bytes().to_vec());
    let made = |command, fields, what, done: String| {
        Ok(Request {
            command,
            fields,
            what,
            done,
        })
    };
    match change {
        Acl::CreateUser => {
            let password = password(modifiers, "password")?;
            let fields = vec![user, (FieldId::PASSWORD, password), roles(modifiers)?];
            let done = format!("created user {name}");
            made(Command::CREATE_USER, fields, "create user", done)
        }
        Acl::DeleteUser => {
            let done = format!("deleted user {name}");
            made(Command::DROP_USER, vec![user], "delete user", done)
        }
        Acl::SetPassword => {
            let password = password(modifiers, "password")?;
            let fields = vec![user, (FieldId::PASSWORD, password)];
            let done = format!("set password for user {name}");
            made(Command::SET_PASSWORD, fields, "set password", done)
        }
        Acl::ChangePassword => {
            let old = password(modifiers, "old")?;
            let new = password(modifiers, "new")?;
            let fields = vec![user, (FieldId::OLD_PASSWORD, old), (FieldId::PASSWORD, new)];
            let done = format!("changed password for user {name}");
            made(Command::CHANGE_PASSWORD, fields, "change password", done)
        }
        Acl::GrantUser => {
            let fields = vec![user, roles(modifiers)?];
            let done = format!("granted roles to user {name}");
            made(Command::GRANT_ROLES, fields, "grant roles", done)
        }
        Acl::RevokeUser => {
            let fields = vec![user, roles(modifiers)?];
            let done = format!("revoked roles from user {name}");
            made(Command::REVOKE_ROLES, fields, "revoke roles", done)
        }
        Acl::CreateRole => {
            let mut fields = vec![role, privilege(modifiers)?];
            if modifiers.has("allow") {
                fields.push(allowlist(modifiers));
            }
            fields.extend(quotas(modifiers)?);
            let done = format!("created role {name}");
            made(Command::CREATE_ROLE, fields, "create role", done)
        }
        Acl::DeleteRole => {
            let done = format!("deleted role {name}");
            made(Command::DROP_ROLE, vec![role], "delete role", done)
        }
        Acl::GrantRole => {
            let fields = vec![role, privilege(modifiers)?];
            let done = format!("granted privilege to role {name}");
            made(Command::GRANT_PRIVILEGES, fields, "grant privilege", done)
        }
        Acl::RevokeRole => {
            let fields = vec![role, privilege(modifiers)?];
            let done = format!("revoked privilege from role {name}");
            made(Command::REVOKE_PRIVILEGES, fields, "revoke privilege", done)
        }
        Acl::Allowlist => {
            // Without the field the list is cleared.
            let (fields, done) = if modifiers.has("clear") {
                (vec![role], format!("cleared allowlist from role {name}"))
            } else if modifiers.keyword("allow").is_empty() {
                return Err("clear or allow is required".to_owned());
            } else {
                let done = format!("updated allowlist for role {name}");
                (vec![role, allowlist(modifiers)], done)
            };
            made(Command::SET_WHITELIST, fields, "set allowlist", done)
        }
        Acl::Quotas => {
            let found = quotas(modifiers)?;
            let (what, plural) = match found.len() {
                0 => return Err("read or write is required".to_owned()),
                1 => ("set quota", "quota"),
                _ => ("set quotas", "quotas"),
            };
            let fields = std::iter::once(role).chain(found).collect();
            let done = format!("set {plural} for role {name}");
            made(Command::SET_QUOTAS, fields, what, done)
        }
    }
}

/// A password as it is sent.
fn password(modifiers: &Modifiers, keyword: &str) -> Result<Vec<u8>, String> {
    login::hash(word(modifiers, keyword))
        .map(String::into_bytes)
        .map_err(|error| error.to_string())
}

/// Count, then length and name of each.
fn roles(modifiers: &Modifiers) -> Result<(FieldId, Vec<u8>), String> {
    let names = modifiers.keyword("roles");
    let mut data = vec![u8::try_from(names.len()).map_err(|_| "too many roles")?];
    for name in names {
        short(name, &mut data)?;
    }
    Ok((FieldId::ROLES, data))
}

/// Count, then number, and for data also namespace and set.
fn privilege(modifiers: &Modifiers) -> Result<(FieldId, Vec<u8>), String> {
    let name = word(modifiers, "priv");
    let (_, number) = PRIVILEGES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| {
            let known: Vec<_> = PRIVILEGES.iter().map(|(name, _)| *name).collect();
            format!(
                "unknown privilege `{name}`, expected one of {}",
                known.join(", ")
            )
        })?;
    let mut data = vec![1, *number];
    if *number >= FIRST_DATA_PRIVILEGE {
        short(word(modifiers, "ns"), &mut data)?;
        short(word(modifiers, "set"), &mut data)?;
    } else if modifiers.has("ns") {
        return Err(format!(
            "the privilege {name} is for the whole cluster, not for a namespace"
        ));
    }
    Ok((FieldId::PRIVILEGES, data))
}

fn short(text: &str, data: &mut Vec<u8>) -> Result<(), String> {
    let size = u8::try_from(text.len()).map_err(|_| format!("`{text}` is too long"))?;
    data.push(size);
    data.extend(text.bytes());
    Ok(())
}

fn allowlist(modifiers: &Modifiers) -> (FieldId, Vec<u8>) {
    (
        FieldId::WHITELIST,
        modifiers.keyword("allow").join(",").into_bytes(),
    )
}

/// The quotas that are given, records a second.
fn quotas(modifiers: &Modifiers) -> Result<Vec<(FieldId, Vec<u8>)>, String> {
    [
        ("read", FieldId::READ_QUOTA),
        ("write", FieldId::WRITE_QUOTA),
    ]
    .into_iter()
    .filter(|(keyword, _)| modifiers.has(keyword))
    .map(|(keyword, field)| {
        let number: u32 = word(modifiers, keyword)
            .parse()
            .map_err(|_| "Quotas must be integers.".to_owned())?;
        Ok((field, number.to_be_bytes().to_vec()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Action, Manage, Resolved, resolve};

    fn fields(line: &str) -> Result<String, String> {
        let words: Vec<_> = format!("manage acl {line}")
            .split(' ')
            .map(str::to_owned)
            .collect();
        let Resolved::Command(command, rest) = resolve(&words) else {
            panic!("{line} is no command");
        };
        let Action::Manage(Manage::Acl(change)) = command.action else {
            panic!("{line} is another command");
        };
        let request = request(change, &command.modifiers(&rest))?;
        let fields: Vec<_> = request
            .fields
            .iter()
            .map(|(id, data)| format!("{}={}", id.0, data.escape_ascii()))
            .collect();
        Ok(format!("{} {}", request.command.0, fields.join(" ")))
    }

    #[test]
    fn requests_have_the_fields_that_servers_expect() {
        for (line, expected) in [
            ("delete user joe", "2 0=joe"),
            ("grant user joe roles a bc", r"5 0=joe 10=\x02\x01a\x02bc"),
            (
                "create role r priv read ns test write 3",
                r"10 11=r 12=\x01\n\x04test\x00 15=\x00\x00\x00\x03",
            ),
            ("grant role r priv udf-admin", r"12 11=r 12=\x01\x03"),
            ("allowlist role r allow a b", "14 11=r 13=a,b"),
            ("allowlist role r clear", "14 11=r"),
            (
                "quotas role r read 1 write 2",
                r"15 11=r 14=\x00\x00\x00\x01 15=\x00\x00\x00\x02",
            ),
        ] {
            assert_eq!(fields(line).unwrap(), expected, "{line}");
        }
        for line in [
            "quotas role r read many",
            "quotas role r",
            "grant role r priv nosuch",
            "grant role r priv udf-admin ns test",
            "allowlist role r",
        ] {
            assert!(fields(line).is_err(), "{line}");
        }
    }
}
