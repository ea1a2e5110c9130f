//! The commands that are not views, the groups, and what modifiers mean.

use super::{Accounts, Acl, Action, Command, Manage, RosterChange, Scope};
use crate::collect;
use crate::view::Flag;

const fn flag(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes_value: false,
    }
}

const OF_UDF_ADD: &[Flag] = &[flag(&["--no-wait"]), flag(&["--check"])];
const NO_WARN: &[Flag] = &[flag(&["--no-warn"])];

const fn command(
    path: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    action: Action,
) -> Command {
    Command {
        path,
        usage,
        help,
        keywords: &[],
        required: &[],
        words: 0,
        words_max: 0,
        flags: &[],
        action,
    }
}

const fn absent(path: &'static [&'static str], help: &'static str) -> Command {
    command(path, "", help, Action::Absent)
}

const fn accounts(
    path: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    accounts: Accounts,
) -> Command {
    Command {
        keywords: &["like"],
        words_max: 1,
        ..command(path, usage, help, Action::Accounts(accounts))
    }
}

const fn manage(
    path: &'static [&'static str],
    usage: &'static str,
    help: &'static str,
    keywords: &'static [&'static str],
    required: &'static [&'static str],
    action: Manage,
) -> Command {
    Command {
        keywords,
        required,
        ..command(path, usage, help, Action::Manage(action))
    }
}

const fn words(count: usize, command: Command) -> Command {
    Command {
        words: count,
        words_max: count,
        ..command
    }
}

/// So many words more may stand there.
const fn optional(count: usize, command: Command) -> Command {
    Command {
        words_max: command.words.saturating_add(count),
        ..command
    }
}

/// Any number of words may stand there.
const ANY: usize = usize::MAX;

const fn udf_add(command: Command) -> Command {
    Command {
        flags: OF_UDF_ADD,
        ..command
    }
}

const fn no_warn(command: Command) -> Command {
    Command {
        flags: NO_WARN,
        ..command
    }
}

const PARAM: &[&str] = &["param", "to", "with"];
const PARAM_TO: &[&str] = &["param", "to"];

/// All commands that are not views.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        keywords: &["like", "with"],
        ..command(
            &["asinfo"],
            "[-v COMMAND] [-l] [--no_node_name] [like PATTERN...] [with NODE...]",
            "Sends an info command to all nodes, or those of 'with', and shows each answer. Without -v, a summary of each node. -l prints one item a line.",
            Action::AsInfo,
        )
    },
    command(
        &["enable"],
        "[--warn]",
        "Enters privileged mode, in which asinfo and manage work. With --warn, changes have to be confirmed.",
        Action::Enable,
    ),
    command(&["disable"], "", "Leaves privileged mode.", Action::Disable),
    command(&["exit"], "", "Ends the session.", Action::Exit),
    command(&["quit"], "", "Ends the session.", Action::Exit),
    command(&["EOF"], "", "Ends the session.", Action::Exit),
    command(&["help"], "[COMMAND...]", "Shows help.", Action::Help),
    command(
        &["watch"],
        "[--no-diff] [SLEEP] [ITERATIONS] COMMAND...",
        "Repeats a command every SLEEP seconds, 2 if not given, and shows inverse what has changed.",
        Action::Watch,
    ),
    command(
        &["pager"],
        "on|off|scroll",
        "Shows each table through 'less', as it is, or line by line.",
        Action::Pager,
    ),
    Command {
        keywords: collect::SNAPSHOT.keywords,
        flags: collect::FLAGS,
        ..command(
            &["collectinfo"],
            "[-n SNAPSHOTS] [-s SECONDS] [--output-prefix PREFIX] [--asconfig-file FILE] [with NODE...]",
            collect::SNAPSHOT.help,
            Action::Collect,
        )
    },
    absent(
        &["collectlogs"],
        "Collects the logs of the cluster into a file.",
    ),
    accounts(
        &["show", "users"],
        "[USER] [like PATTERN...]",
        "Displays users, their roles and quotas.",
        Accounts::Users,
    ),
    accounts(
        &["show", "users", "statistics"],
        "[USER] [like PATTERN...]",
        "Displays connections and rates of users on each node.",
        Accounts::UsersStatistics,
    ),
    accounts(
        &["show", "roles"],
        "[ROLE] [like PATTERN...]",
        "Displays roles, their privileges, allowlists and quotas.",
        Accounts::Roles,
    ),
    words(
        1,
        manage(
            &["manage", "acl", "create", "user"],
            "USER [password PASSWORD] [roles ROLE...]",
            "Creates a user; asks for the password if none is given.",
            &["password", "roles"],
            &[],
            Manage::Acl(Acl::CreateUser),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "delete", "user"],
            "USER",
            "Deletes a user.",
            &[],
            &[],
            Manage::Acl(Acl::DeleteUser),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "set-password", "user"],
            "USER [password PASSWORD]",
            "Sets the password of a user; asks for it if none is given.",
            &["password"],
            &[],
            Manage::Acl(Acl::SetPassword),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "change-password", "user"],
            "USER [old PASSWORD] [new PASSWORD]",
            "Changes one's own password; asks for what is not given.",
            &["old", "new"],
            &[],
            Manage::Acl(Acl::ChangePassword),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "grant", "user"],
            "USER roles ROLE...",
            "Gives a user roles.",
            &["roles"],
            &["roles"],
            Manage::Acl(Acl::GrantUser),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "revoke", "user"],
            "USER roles ROLE...",
            "Takes roles from a user.",
            &["roles"],
            &["roles"],
            Manage::Acl(Acl::RevokeUser),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "create", "role"],
            "ROLE priv PRIVILEGE [ns NS [set SET]] [allow ADDRESS...] [read N] [write N]",
            "Creates a role.",
            &["priv", "ns", "set", "allow", "read", "write"],
            &["priv"],
            Manage::Acl(Acl::CreateRole),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "delete", "role"],
            "ROLE",
            "Deletes a role.",
            &[],
            &[],
            Manage::Acl(Acl::DeleteRole),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "grant", "role"],
            "ROLE priv PRIVILEGE [ns NS [set SET]]",
            "Gives a role a privilege.",
            &["priv", "ns", "set"],
            &["priv"],
            Manage::Acl(Acl::GrantRole),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "revoke", "role"],
            "ROLE priv PRIVILEGE [ns NS [set SET]]",
            "Takes a privilege from a role.",
            &["priv", "ns", "set"],
            &["priv"],
            Manage::Acl(Acl::RevokeRole),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "allowlist", "role"],
            "ROLE clear | ROLE allow ADDRESS...",
            "Sets or clears the addresses from which a role may connect.",
            &["allow", "clear"],
            &[],
            Manage::Acl(Acl::Allowlist),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "acl", "quotas", "role"],
            "ROLE [read N] [write N]",
            "Sets how many records a second a role may read and write.",
            &["read", "write"],
            &[],
            Manage::Acl(Acl::Quotas),
        ),
    ),
    udf_add(words(
        1,
        manage(
            &["manage", "udfs", "add"],
            "NAME path PATH [--check] [--no-wait]",
            "Registers a UDF module under NAME from the file PATH, and waits until every node lists it. With --check, it is looked through before: a mistake that will fail stops it.",
            &["path"],
            &["path"],
            Manage::UdfAdd,
        ),
    )),
    words(
        2,
        manage(
            &["manage", "udfs", "run"],
            "MODULE FUNCTION on NS[.SET] key K [args VALUE...]",
            "Calls a function of a module on a record and prints what it returns, as JSON. A VALUE is a number, true, false, nil, a list or map in JSON, or text; int(7), float(7), str(7), bool(true) and bytes(<base64>) say which. The key is an integer, text or bytes.",
            &["on", "key", "args"],
            &["on", "key"],
            Manage::UdfRun,
        ),
    ),
    words(
        1,
        manage(
            &["manage", "udfs", "remove"],
            "NAME",
            "Removes a UDF module.",
            &[],
            &[],
            Manage::UdfRemove,
        ),
    ),
    optional(
        1,
        words(
            1,
            manage(
                &["manage", "sindex", "create"],
                "[integer|numeric|string|geo2dsphere|blob] NAME ns NS [set SET] [bin BIN] [in list|mapkeys|mapvalues] [ctx ITEM...|ctx_base64 TEXT|exp_base64 TEXT]",
                "Creates a secondary index; without a type, an index of the records of a set.",
                &["ns", "set", "bin", "in", "ctx", "ctx_base64", "exp_base64"],
                &["ns"],
                Manage::SindexCreate,
            ),
        ),
    ),
    words(
        1,
        manage(
            &["manage", "sindex", "delete"],
            "NAME ns NS [set SET]",
            "Removes a secondary index.",
            &["ns", "set"],
            &["ns"],
            Manage::SindexDelete,
        ),
    ),
    manage(
        &["manage", "config", "logging"],
        "file FILE param CONTEXT to LEVEL [with NODE...]",
        "Changes the level of a context in a log file.",
        &["file", "param", "to", "with"],
        &["file", "param", "to"],
        Manage::Config(Scope::Logging),
    ),
    manage(
        &["manage", "config", "service"],
        "param PARAMETER to VALUE [with NODE...]",
        "Changes a service parameter.",
        PARAM,
        PARAM_TO,
        Manage::Config(Scope::Service),
    ),
    optional(
        0,
        words(
            1,
            manage(
                &["manage", "config", "network"],
                "SUBCONTEXT param PARAMETER to VALUE [with NODE...]",
                "Changes a network parameter.",
                PARAM,
                PARAM_TO,
                Manage::Config(Scope::Network),
            ),
        ),
    ),
    optional(
        1,
        manage(
            &["manage", "config", "security"],
            "[SUBCONTEXT] param PARAMETER to VALUE [with NODE...]",
            "Changes a security parameter.",
            PARAM,
            PARAM_TO,
            Manage::Config(Scope::Security),
        ),
    ),
    optional(
        1,
        words(
            1,
            manage(
                &["manage", "config", "namespace"],
                "NS [SUBCONTEXT] [set SET] param PARAMETER to VALUE [with NODE...]",
                "Changes a parameter of a namespace or of a set in it.",
                &["set", "param", "to", "with"],
                PARAM_TO,
                Manage::Config(Scope::Namespace),
            ),
        ),
    ),
    manage(
        &["manage", "config", "xdr"],
        "param PARAMETER to VALUE [with NODE...]",
        "Changes an XDR parameter.",
        PARAM,
        PARAM_TO,
        Manage::Config(Scope::Xdr),
    ),
    manage(
        &["manage", "config", "xdr", "create"],
        "dc DC [with NODE...]",
        "Creates an XDR data centre.",
        &["dc", "with"],
        &["dc"],
        Manage::Config(Scope::XdrCreate),
    ),
    manage(
        &["manage", "config", "xdr", "delete"],
        "dc DC [with NODE...]",
        "Deletes an XDR data centre.",
        &["dc", "with"],
        &["dc"],
        Manage::Config(Scope::XdrDelete),
    ),
    optional(
        1,
        words(
            1,
            manage(
                &["manage", "config", "xdr", "dc"],
                "DC param P to V | DC namespace NS param P to V | DC add|remove namespace NS [rewind all|N] | DC add|remove node IP:PORT [with NODE...]",
                "Changes an XDR data centre: a parameter, its namespaces, its nodes.",
                &["namespace", "node", "param", "to", "rewind", "with"],
                &[],
                Manage::Config(Scope::XdrDc),
            ),
        ),
    ),
    optional(
        ANY,
        no_warn(manage(
            &["manage", "truncate"],
            "ns NS [set SET] [before TIME iso-8601|unix-epoch] [undo] [--no-warn]",
            "Removes all records of a set or namespace, or those last updated before a time.",
            &["ns", "set", "before", "undo"],
            &["ns"],
            Manage::Truncate,
        )),
    ),
    manage(
        &["manage", "recluster"],
        "",
        "Lets the cluster form anew, as some changes need it.",
        &[],
        &[],
        Manage::Recluster,
    ),
    manage(
        &["manage", "quiesce"],
        "with NODE... [undo]",
        "Takes nodes out of service with the next recluster, or back.",
        &["with", "undo"],
        &["with"],
        Manage::Quiesce { undo: false },
    ),
    manage(
        &["manage", "quiesce", "undo"],
        "with NODE...",
        "Takes nodes back into service with the next recluster.",
        &["with"],
        &["with"],
        Manage::Quiesce { undo: true },
    ),
    manage(
        &["manage", "revive"],
        "ns NS [with NODE...]",
        "Makes the dead partitions of a namespace available.",
        &["ns", "with"],
        &["ns"],
        Manage::Revive,
    ),
    no_warn(manage(
        &["manage", "roster", "add"],
        "nodes NODE_ID... ns NS [--no-warn]",
        "Adds nodes to the pending roster of a namespace.",
        &["nodes", "ns"],
        &["nodes", "ns"],
        Manage::Roster(RosterChange::Add),
    )),
    no_warn(manage(
        &["manage", "roster", "remove"],
        "nodes NODE_ID... ns NS [--no-warn]",
        "Removes nodes from the pending roster of a namespace.",
        &["nodes", "ns"],
        &["nodes", "ns"],
        Manage::Roster(RosterChange::Remove),
    )),
    optional(
        ANY,
        no_warn(manage(
            &["manage", "roster", "stage", "nodes"],
            "NODE_ID... ns NS [--no-warn]",
            "Sets the pending roster of a namespace.",
            &["ns"],
            &["ns"],
            Manage::Roster(RosterChange::Stage),
        )),
    ),
    no_warn(manage(
        &["manage", "roster", "stage", "observed"],
        "ns NS [--no-warn]",
        "Sets the pending roster of a namespace to the nodes that are there.",
        &["ns"],
        &["ns"],
        Manage::Roster(RosterChange::StageObserved),
    )),
    optional(
        ANY,
        words(
            1,
            manage(
                &["manage", "jobs", "kill", "trids"],
                "TRID...",
                "Aborts jobs by their transaction ids.",
                &[],
                &[],
                Manage::KillJobs,
            ),
        ),
    ),
    manage(
        &["manage", "jobs", "kill", "all", "queries"],
        "[with NODE...]",
        "Aborts all queries.",
        &["with"],
        &[],
        Manage::KillQueries,
    ),
    manage(
        &["manage", "jobs", "kill", "all", "scans"],
        "[with NODE...]",
        "Aborts all scans of servers before 6.0.",
        &["with"],
        &[],
        Manage::KillScans,
    ),
    optional(
        ANY,
        words(
            1,
            manage(
                &["manage", "masking", "add"],
                "FUNCTION [KEY VALUE...] namespace NS set SET bin BIN [type TYPE]",
                "Adds a masking rule.",
                &["namespace", "set", "bin", "type"],
                &["namespace", "set", "bin"],
                Manage::MaskingAdd,
            ),
        ),
    ),
    manage(
        &["manage", "masking", "drop"],
        "namespace NS set SET bin BIN [type TYPE]",
        "Removes a masking rule.",
        &["namespace", "set", "bin", "type"],
        &["namespace", "set", "bin"],
        Manage::MaskingDrop,
    ),
];

/// Groups that have no command of their own, and their help.
pub const GROUPS: &[(&[&str], &str)] = &[
    (&[], "Aerospike Admin"),
    (
        &["show"],
        "Displays statistics, configuration and other views of the cluster.",
    ),
    (
        &["manage"],
        "Changes the cluster: modules, indexes, configuration and more.",
    ),
    (&["manage", "acl"], "Manages users and roles."),
    (&["manage", "acl", "create"], "Creates a user or role."),
    (&["manage", "acl", "delete"], "Deletes a user or role."),
    (
        &["manage", "acl", "set-password"],
        "Sets the password of a user.",
    ),
    (
        &["manage", "acl", "change-password"],
        "Changes one's own password.",
    ),
    (
        &["manage", "acl", "grant"],
        "Gives a user roles, or a role a privilege.",
    ),
    (
        &["manage", "acl", "revoke"],
        "Takes roles from a user, or a privilege from a role.",
    ),
    (
        &["manage", "acl", "allowlist"],
        "Sets from where a role may connect.",
    ),
    (&["manage", "acl", "quotas"], "Sets the quotas of a role."),
    (&["manage", "udfs"], "Manages UDF modules."),
    (&["manage", "sindex"], "Manages secondary indexes."),
    (
        &["manage", "config"],
        "Changes the configuration of running nodes.",
    ),
    (&["manage", "roster"], "Manages the roster of a namespace."),
    (&["manage", "roster", "stage"], "Sets the pending roster."),
    (&["manage", "jobs"], "Manages jobs."),
    (&["manage", "jobs", "kill"], "Aborts jobs."),
    (
        &["manage", "jobs", "kill", "all"],
        "Aborts all jobs of a kind.",
    ),
    (&["manage", "masking"], "Manages masking rules."),
];

/// What the common modifiers mean.
pub const MODIFIERS: &[(&str, &str)] = &[
    (
        "with",
        "Only these nodes: address, address:port, name, node id, or the start of one and *.",
    ),
    ("like", "Only names in which one of these patterns occurs."),
    (
        "for",
        "Only this namespace and, if a second word is given, this set.",
    ),
    ("diff", "Only values in which nodes differ."),
    ("ns", "Namespace."),
    ("namespace", "Namespace."),
    ("set", "Set."),
    ("bin", "Bin."),
    (
        "path",
        "File with the source, absolute or from the working directory.",
    ),
    ("param", "Parameter."),
    ("to", "New value."),
    ("before", "Only records last updated before this time."),
    (
        "undo",
        "Forget an earlier truncation at the next cold start; take nodes back that were quiesced.",
    ),
    ("trid", "Only these transaction ids."),
    (
        "where",
        "Only rows in whose FIELD the PATTERN of FIELD=PATTERN occurs.",
    ),
    (
        "in",
        "What of a list or map is indexed: list, mapkeys or mapvalues.",
    ),
    (
        "ctx",
        "The way to a nested value: list_index(0), map_key(a), map_key(int(1)), …",
    ),
    ("ctx_base64", "The same as the server takes it."),
    ("exp_base64", "The expression whose value is indexed."),
    (
        "rewind",
        "How far back records are shipped: all, or seconds.",
    ),
    ("nodes", "Node ids."),
    ("dc", "Data centre."),
    ("file", "Log file, as in the node's configuration."),
];
