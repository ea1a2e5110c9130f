//! `asinfo`: one info command to one node. All that it shares with other programs is in `tools`.

pub mod program;
