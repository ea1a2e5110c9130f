//! `show users` and `show roles`: lists that nodes give on security messages.

use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId, Role, SecurityError, Unit, User};
use tools::login;

use super::Session;
use crate::command::Accounts;
use crate::outcome::Outcome;
use crate::view::{Context, Event, Modifiers, accounts};

/// A list, or the code with which a node refused it.
type Answer<T> = Result<T, ResultCode>;

impl Session {
    pub(super) async fn accounts(&mut self, accounts: Accounts, modifiers: Modifiers) -> Outcome {
        let context = self.context(modifiers);
        let what = match accounts {
            Accounts::Users | Accounts::UsersStatistics => "users",
            Accounts::Roles => "roles",
        };
        let shown = match accounts {
            Accounts::Users => self.users(&context).await,
            Accounts::UsersStatistics => self.users_statistics(&context).await,
            Accounts::Roles => self.roles(&context).await,
        };
        match shown {
            Ok((event, missed)) => {
                let told = self.tell(vec![event]).await;
                if missed == Outcome::Unheard {
                    missed
                } else {
                    told
                }
            }
            Err(reason) => {
                let text = format!("Failed to query {what} : {reason}.");
                self.fail(Outcome::Failed, &text)
            }
        }
    }

    async fn users(&mut self, context: &Context) -> Result<(Event, Outcome), String> {
        let users = self
            .list_of_principal(Command::QUERY_USERS, FieldId::USER, context, User::parse)
            .await?;
        Ok((accounts::users(&users, context), Outcome::Done))
    }

    async fn roles(&mut self, context: &Context) -> Result<(Event, Outcome), String> {
        let roles = self
            .list_of_principal(Command::QUERY_ROLES, FieldId::ROLE, context, Role::parse)
            .await?;
        Ok((accounts::roles(&roles, context), Outcome::Done))
    }

    async fn users_statistics(&mut self, context: &Context) -> Result<(Event, Outcome), String> {
        let nodes: Vec<usize> = (0..self.cluster.members.len()).collect();
        let name = context.modifiers.words.first().map(String::as_str);
        let lists = self
            .cluster
            .security_lists(
                &nodes,
                Command::QUERY_USERS,
                FieldId::USER,
                name,
                User::parse,
            )
            .await;
        let mut known = Vec::new();
        let mut failed = Vec::new();
        let mut refused = None;
        for (node, list) in context.nodes.iter().zip(lists) {
            match list {
                Ok(Ok(users)) => known.push((node, users)),
                Ok(Err(code)) => {
                    refused.get_or_insert(code);
                    failed.push(format!("{}: {}", node.name, login::reason(code)));
                }
                Err(reason) => failed.push(format!("{}: {reason}", node.name)),
            }
        }
        if known.is_empty() {
            return Err(refused.map_or_else(|| failed.join("; "), login::reason));
        }
        let missed = self.tell_missed(&failed, context.nodes.len());
        Ok((accounts::users_statistics(&known, context), missed))
    }

    async fn list_of_principal<T: Send + 'static>(
        &mut self,
        command: Command,
        field: FieldId,
        context: &Context,
        read: fn(&Unit<'_>) -> Result<T, SecurityError>,
    ) -> Result<Vec<T>, String> {
        let principal = self.cluster.principal().ok_or("no node to ask")?;
        let name = context.modifiers.words.first().map(String::as_str);
        let lists = self
            .cluster
            .security_lists(&[principal], command, field, name, read)
            .await;
        let list: Result<Answer<Vec<T>>, String> = lists
            .into_iter()
            .next()
            .unwrap_or_else(|| Err("no node to ask".to_owned()));
        list?.map_err(login::reason)
    }
}
