//! The user and group that the server runs as: `user` and `group` in `service { }` are obeyed when it is started as root.

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setuid};

use super::StartError;
use crate::config::Config;

/// Becomes the configured user and group. To be called before anything is made on disk and before threads are started.
///
/// # Errors
/// They are unknown to the system, or this process may not become them: it is not root, and not them already.
pub(crate) fn assume(config: &Config) -> Result<(), StartError> {
    let (user_at, group_at) = ("service: user", "service: group");
    let user = config
        .user
        .as_deref()
        .map(|name| found_user(config, user_at, name));
    let group = config
        .group
        .as_deref()
        .map(|name| found_group(config, group_at, name));
    let (user, group) = (user.transpose()?, group.transpose()?);
    // A group that is not named stays as it is, as in the reference.
    if let Some(group) = &group
        && getegid() != group.gid
    {
        refuse_without_root(config, group_at, &group.name)?;
        setgid(group.gid).map_err(|error| failed(config, group_at, &group.name, error))?;
    }
    if let Some(user) = &user
        && geteuid() != user.uid
    {
        refuse_without_root(config, user_at, &user.name)?;
        let groups_of = group.as_ref().map_or(user.gid, |group| group.gid);
        let name = std::ffi::CString::new(user.name.as_str())?;
        initgroups(&name, groups_of).map_err(|error| failed(config, user_at, &user.name, error))?;
        setuid(user.uid).map_err(|error| failed(config, user_at, &user.name, error))?;
    }
    Ok(())
}

fn found_user(config: &Config, key: &str, name: &str) -> Result<User, StartError> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let found = found.map_err(|error| failed(config, key, name, error))?;
    found.ok_or_else(|| unknown(config, key, name))
}

fn found_group(config: &Config, key: &str, name: &str) -> Result<Group, StartError> {
    let found = match name.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(name),
    };
    let found = found.map_err(|error| failed(config, key, name, error))?;
    found.ok_or_else(|| unknown(config, key, name))
}

fn refuse_without_root(config: &Config, key: &str, name: &str) -> Result<(), StartError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let place = config.place_of(key);
    Err(format!(
        "{place}: only root can become `{name}`: start as root, as `{name}`, or leave the key out"
    )
    .into())
}

fn unknown(config: &Config, key: &str, name: &str) -> StartError {
    format!("{}: the system knows no `{name}`", config.place_of(key)).into()
}

fn failed(config: &Config, key: &str, name: &str, error: nix::Error) -> StartError {
    format!("{}: cannot become `{name}`: {error}", config.place_of(key)).into()
}
