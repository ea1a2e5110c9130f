//! Asking nodes: all at the same time, each within the limit.

use std::time::Duration;

use protocol::client::{Client, ClientError};
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId, SecurityError, Unit};
use tokio::task::JoinSet;

use super::Cluster;
use super::look::{connect, short};

/// What a node answered: the values of its commands, or why there are none.
pub type NodeReply = Result<Vec<String>, String>;

/// The connection, and what came of its use.
type Used<T> = (Client, Result<T, ClientError>);

impl Cluster {
    /// Has a question put to each of these nodes, over the connection that is kept or a new one, which is kept then.
    /// Answers are in the order of the questions; of a node that was not reached or failed it is the reason.
    async fn each<Q, T, F>(
        &mut self,
        questions: Vec<(usize, Q)>,
        put: impl Fn(Client, Q, Duration) -> F + Clone + Send + 'static,
    ) -> Vec<Result<T, String>>
    where
        Q: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Used<T>> + Send,
    {
        let mut asking = JoinSet::new();
        let mut answers = Vec::with_capacity(questions.len());
        for (position, (index, question)) in questions.into_iter().enumerate() {
            let member = self.members.get_mut(index);
            let failure = member.as_ref().and_then(|member| member.failure.clone());
            answers.push(Err(failure.unwrap_or_else(|| "not reached".to_owned())));
            let Some(member) = member.filter(|member| member.node.alive) else {
                continue;
            };
            let kept = member.client.take().filter(Client::is_usable);
            let place = member.place();
            let approach = self.approach.clone();
            let put = put.clone();
            asking.spawn(async move {
                let connected = match kept {
                    Some(client) => Ok(client),
                    None => connect(&place, &approach).await,
                };
                match connected {
                    Ok(client) => {
                        let (client, answer) = put(client, question, approach.limit).await;
                        let answer = answer.map_err(|error| short(&error.into()));
                        (position, index, Some(client), answer)
                    }
                    Err(error) => (position, index, None, Err(short(&error))),
                }
            });
        }
        while let Some(done) = asking.join_next().await {
            let Ok((position, index, client, answer)) = done else {
                continue;
            };
            if let Some(member) = self.members.get_mut(index) {
                member.client = client;
            }
            if let Some(slot) = answers.get_mut(position) {
                *slot = answer;
            }
        }
        answers
    }

    /// Asks each node of a list for info commands.
    pub async fn ask(&mut self, asked: Vec<(usize, Vec<String>)>) -> Vec<NodeReply> {
        self.each(
            asked,
            async |mut client: Client, commands: Vec<String>, limit| {
                let answers = client.info(&commands, limit).await;
                (client, answers)
            },
        )
        .await
    }

    /// Asks each node of a list for one info command.
    pub async fn ask_one_each(
        &mut self,
        asked: Vec<(usize, String)>,
    ) -> Vec<Result<String, String>> {
        let asked = asked
            .into_iter()
            .map(|(index, command)| (index, vec![command]))
            .collect();
        let only = |values: Vec<String>| values.into_iter().next().unwrap_or_default();
        let replies = self.ask(asked).await.into_iter();
        replies.map(|reply| reply.map(only)).collect()
    }

    /// The same command to all of these nodes.
    pub async fn ask_all(&mut self, nodes: &[usize], command: &str) -> Vec<Result<String, String>> {
        let one = |index: &usize| (*index, command.to_owned());
        self.ask_one_each(nodes.iter().map(one).collect()).await
    }

    /// The answers of these nodes to a request without any command.
    pub async fn summaries(&mut self, nodes: &[usize]) -> Vec<Result<String, String>> {
        let questions = nodes.iter().map(|index| (*index, ())).collect();
        self.each(questions, async |mut client: Client, (), limit| {
            let answer = crate::ask::summary(&mut client, limit).await;
            (client, answer)
        })
        .await
    }

    /// A list of users or roles from each of these nodes: all of them, or the one of this name. Of each node the list, or
    /// the code with which it refused.
    pub async fn security_lists<T: Send + 'static>(
        &mut self,
        nodes: &[usize],
        command: Command,
        field: FieldId,
        name: Option<&str>,
        read: fn(&Unit<'_>) -> Result<T, SecurityError>,
    ) -> Vec<Result<Result<Vec<T>, ResultCode>, String>> {
        let one = |index: &usize| (*index, name.map(str::to_owned));
        let questions = nodes.iter().map(one).collect();
        self.each(
            questions,
            move |mut client: Client, name: Option<String>, limit| async move {
                let name = name.as_ref().map(|name| (field, name.as_bytes()));
                let list = client
                    .security_list(command, name.as_slice(), limit, read)
                    .await;
                (client, list)
            },
        )
        .await
    }

    /// The result of a security command at the principal.
    pub async fn security(
        &mut self,
        command: Command,
        fields: Vec<(FieldId, Vec<u8>)>,
    ) -> Result<ResultCode, String> {
        let principal = self.principal().ok_or("no node to ask")?;
        let put = move |mut client: Client, fields: Vec<(FieldId, Vec<u8>)>, limit| async move {
            let fields: Vec<(FieldId, &[u8])> = fields
                .iter()
                .map(|(id, data)| (*id, data.as_slice()))
                .collect();
            let result = client
                .security(command, &fields, limit, |unit| unit.result)
                .await;
            (client, result)
        };
        let mut results = self.each(vec![(principal, fields)], put).await;
        results
            .pop()
            .unwrap_or_else(|| Err("no node to ask".to_owned()))
    }
}
