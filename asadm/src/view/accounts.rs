//! The sheets of `show users`, `show users statistics` and `show roles`.

use protocol::security::{Rates, Role, User};

use super::filter::Filter;
use super::read::{name, stamped};
use super::{Context, Event, Node};
use tools::sheet::{
    Format, Record, Rule, Sheet, Value, group, integer, node, percentage, right, text,
};

const USER: &str = "user";
const ROLE: &str = "role";

/// The users, as one node knows them.
pub fn users(users: &[User], context: &Context) -> Event {
    let columns = vec![
        text("User", USER).into(),
        right("Roles", "roles").into(),
        group("Read", vec![integer("Quota", "read quota")]),
        group("Write", vec![integer("Quota", "write quota")]),
    ];
    let records = |like: &Filter| {
        users
            .iter()
            .filter(|user| like.matches(&user.name))
            .map(user_record)
            .collect::<Vec<_>>()
    };
    sheet("Users", columns, &[USER], context, records)
}

const NEAR: &[Rule] = &[
    Rule(Format::RedAlert, |value, _| {
        value.number().is_some_and(|percent| percent >= 90.0)
    }),
    Rule(Format::YellowAlert, |value, _| {
        value.number().is_some_and(|percent| percent >= 75.0)
    }),
];

/// What users do on each node.
pub fn users_statistics(nodes: &[(&Node, Vec<User>)], context: &Context) -> Event {
    let rates = |title, keys: [&'static str; 5]| {
        let [quota, usage, single, limited, limitless] = keys;
        group(
            title,
            vec![
                integer("Quota", quota),
                percentage("Usage%", usage).rules(NEAR),
                integer("Single Record TPS", single),
                integer("PI/SI Query Limited RPS", limited),
                integer("PI/SI Query Limitless", limitless),
            ],
        )
    };
    let columns = vec![
        text("User", USER).into(),
        node().into(),
        integer("Connections", "connections").into(),
        rates("Read", READ),
        rates("Write", WRITE),
    ];
    let records = |like: &Filter| {
        let mut records = Vec::new();
        for (node, users) in nodes {
            for user in users.iter().filter(|user| like.matches(&user.name)) {
                records.push(user_record(user).with(tools::sheet::NODE, name(node)));
            }
        }
        records
    };
    match sheet(
        "Users Statistics",
        columns,
        &[tools::sheet::NODE],
        context,
        records,
    ) {
        Event::Sheet(sheet) => Event::sheet(sheet.grouped(&[USER])),
        piece => piece,
    }
}

/// The roles, as one node knows them.
pub fn roles(roles: &[Role], context: &Context) -> Event {
    let columns = vec![
        text("Role", ROLE).into(),
        text("Privileges", "privileges").into(),
        text("Allowlist", "allowlist").into(),
        group(
            "Quotas",
            vec![
                integer("Read", "read quota"),
                integer("Write", "write quota"),
            ],
        ),
    ];
    let records = |like: &Filter| {
        roles
            .iter()
            .filter(|role| like.matches(&role.name))
            .map(role_record)
            .collect::<Vec<_>>()
    };
    sheet("Roles", columns, &[ROLE], context, records)
}

fn sheet(
    title: &str,
    columns: Vec<tools::sheet::Field>,
    order: &[&'static str],
    context: &Context,
    records: impl Fn(&Filter) -> Vec<Record>,
) -> Event {
    match Filter::of(context, "like") {
        Ok(like) => Event::sheet(
            Sheet::new(stamped(title, context), columns)
                .ordered(order)
                .records(records(&like)),
        ),
        Err(piece) => piece,
    }
}

/// Keys of a direction: quota, usage, commands on single records, records of queries with a limit, queries without.
const READ: [&str; 5] = [
    "read quota",
    "read usage",
    "read single",
    "read limited",
    "read limitless",
];
const WRITE: [&str; 5] = [
    "write quota",
    "write usage",
    "write single",
    "write limited",
    "write limitless",
];

fn user_record(user: &User) -> Record {
    let mut record = Record::default()
        .with(USER, Value::Text(user.name.clone()))
        .with("roles", Value::List(user.roles.clone()));
    if let Some(connections) = user.connections {
        record.set("connections", Value::Integer(connections.into()));
    }
    for (rates, keys) in [(user.read, READ), (user.write, WRITE)] {
        if let Some(rates) = rates {
            set_rates(&mut record, rates, keys);
        }
    }
    record
}

fn set_rates(record: &mut Record, rates: Rates, keys: [&'static str; 5]) {
    let [quota, usage, single, limited, limitless] = keys;
    for (key, number) in [
        (quota, rates.quota),
        (single, rates.single),
        (limited, rates.limited),
        (limitless, rates.limitless),
    ] {
        record.set(key, Value::Integer(number.into()));
    }
    if rates.quota > 0 {
        let used = f64::from(rates.single) + f64::from(rates.limited);
        let share = used / f64::from(rates.quota) * 100.0;
        record.set(usage, Value::Decimal(share));
    }
}

fn role_record(role: &Role) -> Record {
    let privileges = role.privileges.iter().map(ToString::to_string).collect();
    let mut record = Record::default()
        .with(ROLE, Value::Text(role.name.clone()))
        .with("privileges", Value::List(privileges))
        .with("allowlist", Value::List(role.allowlist.clone()));
    for (key, quota) in [
        ("read quota", role.read_quota),
        ("write quota", role.write_quota),
    ] {
        if let Some(quota) = quota {
            record.set(key, Value::Integer(quota.into()));
        }
    }
    record
}
