//! Statements on users and roles, which older versions had: security messages to a node.

use bytes::BytesMut;
use protocol::client::ClientError;
use protocol::result_code::ResultCode;
use protocol::security::{Command, FIRST_DATA_PRIVILEGE, FieldId, PRIVILEGES, Role, User};
use protocol::value::Value;
use tools::login;

use super::info::text;
use super::session::Session;
use super::{Failure, Ran};
use crate::show::{Printer, Row};

/// A request: its command and fields.
type Request = (Command, Vec<(FieldId, Vec<u8>)>);

impl Session {
    /// Runs a statement on users or roles, by its words.
    pub(super) async fn accounts(&mut self, words: &[String], printer: &mut Printer<'_>) -> Ran {
        let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        match upper.as_slice() {
            ["SHOW", "USER" | "USERS", ..] => {
                let users = self
                    .list(
                        Command::QUERY_USERS,
                        FieldId::USER,
                        words.get(2),
                        User::parse,
                    )
                    .await?;
                let row = |user: User| ("user", user.name, "roles", user.roles.join(", "));
                self.print_accounts(users.into_iter().map(row), printer)
            }
            ["SHOW", ..] => {
                let roles = self
                    .list(
                        Command::QUERY_ROLES,
                        FieldId::ROLE,
                        words.get(2),
                        Role::parse,
                    )
                    .await?;
                let row = |role: Role| {
                    let privileges: Vec<String> =
                        role.privileges.iter().map(ToString::to_string).collect();
                    ("role", role.name, "privileges", privileges.join(", "))
                };
                self.print_accounts(roles.into_iter().map(row), printer)
            }
            // Without a login there is nobody whose own password could change.
            ["SET", "PASSWORD", _] if self.records.user().is_none() => {
                printer.text("\n")?;
                Err(Failure::own("Aerospike security not enabled"))
            }
            _ => {
                let (command, fields) = request(words, &upper, self.records.user())?;
                let fields: Vec<(FieldId, &[u8])> = fields
                    .iter()
                    .map(|(id, data)| (*id, data.as_slice()))
                    .collect();
                let limit = self.settings.limit();
                match self.records.security(command, &fields, limit).await? {
                    ResultCode::OK => Ok(printer.done(None)?),
                    code => Err(refused(code)),
                }
            }
        }
    }

    async fn list<T>(
        &mut self,
        command: Command,
        field: FieldId,
        name: Option<&String>,
        read: impl Fn(&protocol::security::Unit<'_>) -> Result<T, protocol::security::SecurityError>,
    ) -> Result<Vec<T>, Failure> {
        let fields: Vec<(FieldId, &[u8])> =
            name.iter().map(|name| (field, name.as_bytes())).collect();
        let limit = self.settings.limit();
        let listed: Result<Result<Vec<T>, ResultCode>, ClientError> = self
            .records
            .security_list(command, &fields, limit, read)
            .await;
        listed?.map_err(refused)
    }

    fn print_accounts(
        &self,
        rows: impl Iterator<Item = (&'static str, String, &'static str, String)>,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let begun = std::time::Instant::now();
        printer.begin(&[])?;
        for (first, name, second, list) in rows {
            let list: Option<Value> = text(&list);
            printer.row(Row {
                bins: vec![(first.to_owned(), text(&name)), (second.to_owned(), list)],
                ..Row::default()
            })?;
        }
        printer.end(None, begun.elapsed())?;
        Ok(printer.done(None)?)
    }
}

fn refused(code: ResultCode) -> Failure {
    Failure::answer(code, None)
}

fn shape() -> Failure {
    Failure::own("The statement is not complete; see HELP")
}

/// The request of a statement that changes something.
fn request(words: &[String], upper: &[&str], user: Option<&str>) -> Result<Request, Failure> {
    let word = |at: usize| words.get(at).map(|word| word.as_bytes().to_vec());
    let needed = |at: usize| word(at).ok_or_else(shape);
    let after = |marks: &[&str]| upper.iter().position(|word| marks.contains(word));
    let hashed = |at: usize| -> Result<Vec<u8>, Failure> {
        let password = words.get(at).ok_or_else(shape)?;
        login::hash(password)
            .map(String::into_bytes)
            .map_err(|error| Failure::own(error.to_string()))
    };
    // The words between two marks, or to the end.
    let between = |from: usize, until: &[&str]| -> Vec<String> {
        let rest = upper.iter().zip(words).skip(from + 1);
        rest.take_while(|(word, _)| !until.contains(*word))
            .map(|(_, word)| word.clone())
            .collect()
    };
    Ok(match upper {
        ["CREATE", "USER", ..] => {
            let mut fields = vec![(FieldId::USER, needed(2)?)];
            let password = after(&["PASSWORD"]);
            fields.push((
                FieldId::PASSWORD,
                match password {
                    Some(at) => hashed(at + 1)?,
                    None => login::hash("")
                        .map(String::into_bytes)
                        .map_err(|error| Failure::own(error.to_string()))?,
                },
            ));
            let roles = after(&["ROLE", "ROLES"]).map(|at| between(at, &[]));
            fields.push((FieldId::ROLES, names(&roles.unwrap_or_default())?));
            (Command::CREATE_USER, fields)
        }
        ["CREATE", "ROLE", ..] => {
            let mut fields = vec![(FieldId::ROLE, needed(2)?)];
            let privileges =
                after(&["PRIVILEGE", "PRIVILEGES"]).map(|at| between(at, &["WHITELIST"]));
            fields.push((
                FieldId::PRIVILEGES,
                encoded(&privileges.unwrap_or_default())?,
            ));
            if let Some(at) = after(&["WHITELIST"]) {
                fields.push((FieldId::WHITELIST, between(at, &[]).join(",").into_bytes()));
            }
            (Command::CREATE_ROLE, fields)
        }
        ["DROP", "USER", ..] => (Command::DROP_USER, vec![(FieldId::USER, needed(2)?)]),
        ["DROP", ..] => (Command::DROP_ROLE, vec![(FieldId::ROLE, needed(2)?)]),
        ["SET", "PASSWORD", ..] => {
            let of = match after(&["FOR"]) {
                Some(at) => needed(at + 1)?,
                None => user.ok_or_else(shape)?.as_bytes().to_vec(),
            };
            (
                Command::SET_PASSWORD,
                vec![(FieldId::USER, of), (FieldId::PASSWORD, hashed(2)?)],
            )
        }
        ["SET", ..] => {
            let at = after(&["FOR"]).ok_or_else(shape)?;
            let list = between(1, &["FOR"]).join(",");
            (
                Command::SET_WHITELIST,
                vec![
                    (FieldId::ROLE, needed(at + 1)?),
                    (FieldId::WHITELIST, list.into_bytes()),
                ],
            )
        }
        [verb @ ("GRANT" | "REVOKE"), kind, ..] => {
            let mark = if *verb == "GRANT" { "TO" } else { "FROM" };
            let at = after(&[mark]).ok_or_else(shape)?;
            let list = between(1, &[mark]);
            let of = needed(at + 1)?;
            match (*verb, kind.starts_with("ROLE")) {
                (verb, true) => (
                    if verb == "GRANT" {
                        Command::GRANT_ROLES
                    } else {
                        Command::REVOKE_ROLES
                    },
                    vec![(FieldId::USER, of), (FieldId::ROLES, names(&list)?)],
                ),
                (verb, false) => (
                    if verb == "GRANT" {
                        Command::GRANT_PRIVILEGES
                    } else {
                        Command::REVOKE_PRIVILEGES
                    },
                    vec![(FieldId::ROLE, of), (FieldId::PRIVILEGES, encoded(&list)?)],
                ),
            }
        }
        _ => return Err(shape()),
    })
}

/// A count, then length and bytes of each name.
fn names(list: &[String]) -> Result<Vec<u8>, Failure> {
    let mut out = BytesMut::new();
    out.extend_from_slice(&[count(list.len())?]);
    for name in list {
        out.extend_from_slice(&[count(name.len())?]);
        out.extend_from_slice(name.as_bytes());
    }
    Ok(out.to_vec())
}

fn count(length: usize) -> Result<u8, Failure> {
    u8::try_from(length).map_err(|_| Failure::own("a list or name is longer than 255"))
}

/// `read.test.demo, …`: a count, then number, and for data privileges namespace and set.
fn encoded(list: &[String]) -> Result<Vec<u8>, Failure> {
    let mut out = vec![count(list.len())?];
    for text in list {
        let mut parts = text.splitn(3, '.');
        let name = parts.next().unwrap_or("");
        let number = PRIVILEGES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, number)| *number)
            .ok_or_else(|| Failure::own(format!("there is no privilege `{name}`")))?;
        out.push(number);
        if number >= FIRST_DATA_PRIVILEGE {
            for _ in 0..2 {
                let limit = parts.next().unwrap_or("");
                out.push(count(limit.len())?);
                out.extend_from_slice(limit.as_bytes());
            }
        } else if parts.next().is_some() {
            return Err(Failure::own(format!(
                "`{name}` cannot be limited to a namespace"
            )));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Request {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        request(&words, &upper, Some("me")).unwrap()
    }

    #[test]
    fn statements_become_requests() {
        let (command, found) = fields("grant roles read write to u");
        assert_eq!(command, Command::GRANT_ROLES);
        assert_eq!(found[0], (FieldId::USER, b"u".to_vec()));
        assert_eq!(
            found[1],
            (FieldId::ROLES, b"\x02\x04read\x05write".to_vec())
        );
        let (command, found) =
            fields("create role r privileges read.test.demo sys-admin whitelist 10.0.0.1");
        assert_eq!(command, Command::CREATE_ROLE);
        assert_eq!(found[1].1, b"\x02\x0a\x04test\x04demo\x01");
        assert_eq!(found[2], (FieldId::WHITELIST, b"10.0.0.1".to_vec()));
        assert_eq!(
            fields("set password p").1[0],
            (FieldId::USER, b"me".to_vec())
        );
        assert_eq!(fields("drop user u").0, Command::DROP_USER);
    }
}
