//! Help texts and the manual, from the table.

use tools::manual::roff;

use super::resolve::group_help;
use super::{Command, MODIFIERS, all, children, find};

/// Width of descriptions.
const WIDTH: usize = 80;

/// The help of a command or group; of the root if there is none of that name.
pub fn help(path: &[&str]) -> String {
    let own = find(path);
    let names = children(path);
    if own.is_none() && names.is_empty() {
        return help(&[]);
    }
    let description = own.map_or_else(|| group_help(path).unwrap_or_default(), |own| own.help);
    let mut text = String::from("\n");
    for line in wrap(description) {
        text += &format!("{line}\n");
    }
    text += "\n";
    let words = path.join(" ");
    if !names.is_empty() {
        let gap = if words.is_empty() { "" } else { " " };
        text += &format!("Usage:  {words}{gap}COMMAND\n");
        if own.is_some() {
            text += "or\n";
        }
    }
    if let Some(own) = &own {
        text += format!("Usage:  {words} {}", usage(own)).trim_end();
        text += "\n";
        text += &modifiers(own);
    }
    if !names.is_empty() {
        text += &commands(path, &names, own.as_ref());
    }
    text + "\n"
}

/// What follows the command words.
fn usage(command: &Command) -> String {
    if !command.usage.is_empty() {
        return command.usage.to_owned();
    }
    let mut parts: Vec<String> = command
        .flags
        .iter()
        .filter_map(|flag| {
            let name = flag.names.first()?;
            Some(if flag.takes_value {
                format!("[{name} N]")
            } else {
                format!("[{name}]")
            })
        })
        .collect();
    parts.extend(command.keywords.iter().map(|keyword| match *keyword {
        "with" => "[with NODE...]".to_owned(),
        "like" => "[like PATTERN...]".to_owned(),
        "for" => "[for NAMESPACE [SET]]".to_owned(),
        other => format!("[{other}]"),
    }));
    parts.join(" ")
}

fn modifiers(command: &Command) -> String {
    let known: Vec<_> = command
        .keywords
        .iter()
        .filter_map(|keyword| MODIFIERS.iter().find(|(name, _)| name == keyword))
        .collect();
    let width = known.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 5;
    let mut text = String::new();
    for (index, (name, meaning)) in known.iter().enumerate() {
        if index == 0 {
            text += "\n";
        }
        text += &format!("        {name:width$}- {meaning}\n");
    }
    text
}

fn commands(path: &[&str], names: &[&'static str], own: Option<&Command>) -> String {
    let shown: Vec<_> = names
        .iter()
        .filter(|name| !path.is_empty() || find(&[name]).is_none_or(|command| !command.hidden()))
        .map(|name| {
            let path: Vec<_> = path.iter().copied().chain([*name]).collect();
            let help = find(&path).map_or_else(
                || group_help(&path).unwrap_or_default(),
                |command| command.help,
            );
            (*name, help)
        })
        .collect();
    let width = shown
        .iter()
        .map(|(name, _)| name.len())
        .chain([7])
        .max()
        .unwrap_or(0)
        + 5;
    let mut text = String::from("\nCommands:\n");
    if let Some(own) = own {
        text += &format!("    {:width$}{}\n", "Default", own.help);
    }
    for (name, help) in shown {
        text += &format!("    {name:width$}{help}\n");
    }
    let words = path.join(" ");
    let gap = if words.is_empty() { "" } else { " " };
    text + &format!("\nRun 'help {words}{gap}COMMAND' for more information on a command.\n")
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// All commands in roff, for the manual page.
pub fn manual() -> String {
    let mut commands: Vec<_> = all().filter(|command| !command.hidden()).collect();
    commands.sort_by_key(|command| command.path);
    let mut text = String::from(".SH COMMANDS\n");
    for command in commands {
        let line = format!("{} {}", command.path.join(" "), usage(&command));
        text += &format!(
            ".TP\n\\fB{}\\fR\n{}\n",
            roff(line.trim_end()),
            roff(command.help)
        );
    }
    text
}
