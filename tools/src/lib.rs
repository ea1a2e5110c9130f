//! What the command-line programs share: options and configuration files, TLS and login, the picture of the cluster and
//! questions to its nodes, sheets and their text, output and exit status, and the interactive line.
//!
//! A program reads as: its options with those of [`options`] flattened in → [`config`] → [`connection`] → [`cluster`] (or
//! one node, by [`ask`]) → [`sheet`]s and text through [`output`] → [`exit`]. A shell takes its lines from
//! [`terminal::line`]. Nothing here knows the commands of a program.

pub mod answer;
pub mod ask;
pub mod bin_json;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod document;
pub mod exit;
pub mod functions;
pub mod hosts;
pub mod json;
pub mod login;
pub mod manual;
pub mod options;
pub mod output;
pub mod records;
pub mod render;
pub mod secret;
pub mod sheet;
pub mod suggest;
pub mod terminal;
pub mod tls;
pub mod value;
