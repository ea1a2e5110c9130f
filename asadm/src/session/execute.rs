//! Carrying plans out.

use tokio::time::{Instant, sleep};
use tools::terminal::prompt;

use super::Session;
use crate::outcome::Outcome;
use crate::plan::{Plan, Planned, Polled, Reply, Request};

impl Session {
    /// Goes from step to step until the plan is done.
    pub(super) async fn execute(&mut self, first: Planned) -> Outcome {
        let mut planned = first;
        loop {
            let plan = match planned {
                Ok(plan) => plan,
                Err(text) => return self.fail(Outcome::Failed, &text),
            };
            planned = match plan {
                Plan::Send(requests, next) => next(self.send(requests).await),
                Plan::Poll(mut poll) => {
                    let end = Instant::now() + poll.limit;
                    loop {
                        let replies = self.send(poll.requests).await;
                        match (poll.judge)(replies, Instant::now() >= end) {
                            Polled::Again(requests) => poll.requests = requests,
                            Polled::Next(planned) => break planned,
                        }
                        sleep(poll.pause).await;
                    }
                }
                Plan::Security {
                    command,
                    fields,
                    next,
                } => next(self.cluster.security(command, fields).await),
                Plan::Call { call, next } => next(self.call(&call).await),
                Plan::Confirm { message, next } => {
                    if !self.confirm(&message).await {
                        return Outcome::Cancelled;
                    }
                    next()
                }
                Plan::Password { ask, next } => match self.password(ask).await {
                    Ok(password) => next(password),
                    Err(reason) => Err(reason),
                },
                Plan::Tell(events, next) => {
                    self.tell(events).await;
                    Ok(*next)
                }
                Plan::Done(events) => return self.tell(events).await,
            };
        }
    }

    async fn send(&mut self, requests: Vec<Request>) -> Vec<Reply> {
        // Several requests to one node go over one connection, one after the other.
        let mut replies: Vec<Reply> = Vec::with_capacity(requests.len());
        let mut rest = requests.as_slice();
        while !rest.is_empty() {
            let mut nodes = Vec::new();
            let own = |request: &&Request| {
                let first = !nodes.contains(&request.node);
                nodes.push(request.node);
                first
            };
            let count = rest.iter().take_while(own).count();
            let (now, later) = rest.split_at(count.max(1));
            let asked = now
                .iter()
                .map(|request| (request.node, request.command.clone()))
                .collect();
            replies.extend(self.cluster.ask_one_each(asked).await);
            rest = later;
        }
        replies
    }

    /// Shows a message and a code that has to be typed.
    async fn confirm(&mut self, message: &str) -> bool {
        let code = code();
        let shown = self.out.bold(&code);
        let message = self.out.safe(message).into_owned();
        let gap = if message.is_empty() { "" } else { "\n" };
        self.out.question(&format!(
            "{message}{gap}Confirm that you want to proceed by typing {shown}, or cancel by typing anything else.\n"
        ));
        prompt::answer()
            .await
            .is_some_and(|line| line.trim() == code)
    }

    async fn password(&mut self, ask: String) -> Result<String, String> {
        let ask = self.out.safe(&ask).into_owned();
        let typed = prompt::password_of_session(ask).await;
        typed.map_err(|error| error.to_string())
    }
}

/// Six hexadecimal digits that nobody can type by habit.
fn code() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The keys of every RandomState are random; nothing secret depends on this code.
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    format!("{:06x}", random & 0xff_ffff)
}
