//! The one table of commands: words, help, modifiers, flags, privilege, action.
//!
//! What reads is a [`View`] and declared there; everything else stands in `table.rs`. Resolution, help, completion and the
//! manual page read the same table.

mod help;
mod resolve;
mod secret;
mod table;

pub use help::{help, manual};
pub use resolve::{Resolved, children, continues, question, resolve};
pub use secret::{holds_password, without_passwords};
pub use table::{GROUPS, MODIFIERS};

use crate::view::{self, Flag, Modifiers, View};

/// Modifiers with one value that may look like another modifier: `priv read`.
const VERBATIM: &[&str] = &["priv", "key"];

/// The modifier whose values are all that stands behind it, as they are.
const REST: &str = "args";

/// One command.
#[derive(Clone, Copy)]
pub struct Command {
    /// The command words.
    pub path: &'static [&'static str],
    /// What follows them, for the help.
    pub usage: &'static str,
    /// One or two sentences for the help.
    pub help: &'static str,
    /// Modifiers that the command knows.
    pub keywords: &'static [&'static str],
    /// Modifiers that must be there.
    pub required: &'static [&'static str],
    /// How many words must stand before the first modifier.
    pub words: usize,
    /// How many may.
    pub words_max: usize,
    /// Flags that the command knows.
    pub flags: &'static [Flag],
    /// What it does.
    pub action: Action,
}

impl Command {
    /// Whether the command is for privileged mode only.
    pub fn privileged(&self) -> bool {
        self.path.first().is_some_and(|word| privileged(word))
    }

    /// The flags and modifiers behind the command words.
    pub fn modifiers(&self, rest: &[String]) -> Modifiers {
        let begins = |at: &usize| {
            let before = at.checked_sub(1).and_then(|at| rest.get(at));
            let is_value = before.is_some_and(|word| VERBATIM.contains(&word.as_str()));
            rest.get(*at).is_some_and(|word| word == REST) && !is_value
        };
        if let Some(keyword) = self.keywords.iter().find(|keyword| **keyword == REST)
            && let Some(at) = (0..rest.len()).find(begins)
        {
            let (before, values) = rest.split_at(at);
            let mut modifiers = self.modifiers(before);
            let values = values.iter().skip(1).cloned().collect();
            modifiers.keywords.insert(keyword, values);
            return modifiers;
        }
        let taken = rest
            .iter()
            .position(|word| VERBATIM.contains(&word.as_str()))
            .filter(|at| rest.len() > at + 1);
        let keyword = taken
            .and_then(|at| rest.get(at))
            .and_then(|word| self.keywords.iter().find(|keyword| *keyword == word));
        let (Some(at), Some(keyword)) = (taken, keyword) else {
            return Modifiers::parse(rest, self.keywords, self.flags);
        };
        let mut others = rest.to_vec();
        let value = others.drain(at..at + 2).next_back();
        let mut modifiers = Modifiers::parse(&others, self.keywords, self.flags);
        modifiers
            .keywords
            .insert(keyword, value.into_iter().collect());
        modifiers
    }

    /// Whether the root help leaves it out.
    pub fn hidden(&self) -> bool {
        match self.action {
            Action::View(view) => view.hidden,
            _ => matches!(self.path, ["help" | "quit" | "EOF"]),
        }
    }
}

/// Whether the commands that begin with this word are for privileged mode only.
pub fn privileged(word: &str) -> bool {
    matches!(word, "asinfo" | "manage")
}

/// What a command does.
#[derive(Clone, Copy)]
pub enum Action {
    /// Asks nodes and shows what they say.
    View(&'static View),
    /// Sends an info command to nodes.
    AsInfo,
    /// Enters privileged mode.
    Enable,
    /// Leaves privileged mode.
    Disable,
    /// Ends the run.
    Exit,
    /// Shows help.
    Help,
    /// Repeats a command.
    Watch,
    /// Chooses how sheets are shown.
    Pager,
    /// Changes something in the cluster.
    Manage(Manage),
    /// Lists users or roles.
    Accounts(Accounts),
    /// Collects what nodes tell into an archive.
    Collect,
    /// A command of the reference tool that this one does not have: one line says so.
    Absent,
}

/// Lists of users and roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Users and their roles.
    Users,
    /// What users do on each node.
    UsersStatistics,
    /// Roles and what they allow.
    Roles,
}

/// Commands that change something in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manage {
    /// Changes users and roles.
    Acl(Acl),
    /// Registers a module.
    UdfAdd,
    /// Removes a module.
    UdfRemove,
    /// Calls a function of a module on a record.
    UdfRun,
    /// Creates a secondary index.
    SindexCreate,
    /// Removes a secondary index.
    SindexDelete,
    /// Changes a parameter or a data centre.
    Config(Scope),
    /// Removes the records of a set or namespace.
    Truncate,
    /// Lets the cluster form anew.
    Recluster,
    /// Takes nodes out of service, or back.
    Quiesce {
        /// Back.
        undo: bool,
    },
    /// Makes dead partitions available.
    Revive,
    /// Changes the pending roster.
    Roster(RosterChange),
    /// Aborts jobs by transaction id.
    KillJobs,
    /// Aborts all queries.
    KillQueries,
    /// Refused since server 6.0.
    KillScans,
    /// Adds a masking rule.
    MaskingAdd,
    /// Removes a masking rule.
    MaskingDrop,
}

/// What happens to a user or role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acl {
    /// Creates a user.
    CreateUser,
    /// Deletes a user.
    DeleteUser,
    /// Sets somebody's password.
    SetPassword,
    /// Changes one's own password.
    ChangePassword,
    /// Gives a user roles.
    GrantUser,
    /// Takes roles from a user.
    RevokeUser,
    /// Creates a role.
    CreateRole,
    /// Deletes a role.
    DeleteRole,
    /// Gives a role a privilege.
    GrantRole,
    /// Takes a privilege from a role.
    RevokeRole,
    /// Sets or clears the addresses from which a role may connect.
    Allowlist,
    /// Sets the quotas of a role.
    Quotas,
}

/// What a configuration command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Log levels.
    Logging,
    /// The service context.
    Service,
    /// The network context.
    Network,
    /// The security context.
    Security,
    /// A namespace, or a set in it.
    Namespace,
    /// The XDR context.
    Xdr,
    /// Creates a data centre.
    XdrCreate,
    /// Deletes a data centre.
    XdrDelete,
    /// A data centre: parameter, namespaces, nodes.
    XdrDc,
}

/// How the pending roster changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RosterChange {
    /// More nodes.
    Add,
    /// Fewer nodes.
    Remove,
    /// These nodes.
    Stage,
    /// The nodes that are there.
    StageObserved,
}

/// All commands.
pub fn all() -> impl Iterator<Item = Command> {
    table::COMMANDS
        .iter()
        .copied()
        .chain(view::all().map(|view| Command {
            path: view.path,
            usage: "",
            help: view.help,
            keywords: view.keywords,
            required: &[],
            words: 0,
            words_max: view.words,
            flags: view.flags,
            action: Action::View(view),
        }))
}

/// The command of exactly these words.
pub fn find(path: &[&str]) -> Option<Command> {
    all().find(|command| command.path == path)
}
