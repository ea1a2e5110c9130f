//! What one heartbeat holds. Numbers are big-endian.
//!
//! ```text
//! head:     "asdh" │ version u8 │ kind u8 │ cluster name: u8 + text │ sender: node u64, incarnation u64, address
//!           │ word u64 │ echo u64
//! greeting: nothing else
//! refusal:  why u8 │ address of the node meant
//! beat:     sequence, heard, epoch, key u64 │ state, flags u8 │ clock u64, ms since 1970
//!           │ missing: u8 × (node u64, incarnation u64, ms u32) │ members: u8 × address
//!           │ have u64 │ after u64 │ texts: u16 × (version u64, name: u16 + text, present u8, value: u16 + text)
//! address:  4 or 6, u8 │ 4 or 16 bytes │ port u16
//! tag:      32 bytes, where the cluster has a secret
//! ```
//!
//! *word* is for the receiver, who shows it as *echo* from then on: a beat counts only if it shows the word that was sent to
//! the very address that its sender names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BufMut};
use protocol::bounds::Fit as _;

use super::super::ownership::{Beat, MemberState, Run};
use super::super::secret::{Secret, TAG_BYTES};
use crate::config::node_id::NodeId;

/// Largest datagram, bytes.
pub(super) const MAX_DATAGRAM: usize = 65_000;

/// Bytes of texts in one beat, about; the rest follows in the next.
const TEXT_BYTES: usize = 16 << 10;

const MAGIC: &[u8; 4] = b"asdh";
const VERSION: u8 = 1;

const SETTLED: u8 = 1;
const ASKS: u8 = 2;
const KEEPS: u8 = 4;

/// States in the order of their numbers.
const STATES: [MemberState; 4] = [
    MemberState::Joining,
    MemberState::Ready,
    MemberState::Leaving,
    MemberState::Left,
];

/// Why a node does not want another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It belongs to another cluster.
    OtherCluster,
    /// Its identity is that of another live node.
    TakenIdentity,
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) cluster: String,
    pub(super) run: Run,
    /// Where it receives heartbeats.
    pub(super) address: SocketAddr,
    pub(super) word: u64,
    pub(super) echo: u64,
}

/// A change of a text: its version, name and value, no value if it is deleted.
pub(super) type Text = (u64, String, Option<String>);

/// What a beat says besides ownership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) clock_ms: u64,
    pub(super) members: Vec<SocketAddr>,
    /// Version of the receiver's texts that the sender has.
    pub(super) have: u64,
    /// The texts follow after this version.
    pub(super) after: u64,
    pub(super) texts: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Greeting,
    Refusal(Why, SocketAddr),
    Beat(Beat, News),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) head: Head,
    pub(super) body: Body,
}

/// Why bytes are no heartbeat of this cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is no heartbeat of this version")]
    NoHeartbeat,
    #[error("it is not authenticated with the cluster's secret")]
    NotAuthentic,
    #[error("it cannot be read")]
    Unreadable,
}

impl Datagram {
    /// The bytes to send.
    pub(super) fn bytes(&self, secret: Option<&Secret>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(match &self.body {
            Body::Greeting => 1,
            Body::Refusal(..) => 2,
            Body::Beat(..) => 3,
        });
        let head = &self.head;
        let name = head.cluster.as_bytes();
        // Names are cut at what one byte counts, at both ends alike.
        let name = name.get(..255).unwrap_or(name);
        out.put_u8(name.len().fit::<u8>());
        out.put_slice(name);
        put_run(head.run, &mut out);
        put_address(head.address, &mut out);
        out.put_u64(head.word);
        out.put_u64(head.echo);
        match &self.body {
            Body::Greeting => {}
            Body::Refusal(why, address) => {
                out.put_u8(match why {
                    Why::OtherCluster => 1,
                    Why::TakenIdentity => 2,
                });
                put_address(*address, &mut out);
            }
            Body::Beat(beat, news) => put_beat(beat, news, &mut out),
        }
        if let Some(secret) = secret {
            let tag = secret.tag(&[&out]);
            out.put_slice(&tag);
        }
        out
    }

    /// Reads what came.
    pub(super) fn read(bytes: &[u8], secret: Option<&Secret>) -> Result<Self, Malformed> {
        let mut rest = bytes
            .strip_prefix(MAGIC.as_slice())
            .ok_or(Malformed::NoHeartbeat)?;
        if rest.try_get_u8() != Ok(VERSION) {
            return Err(Malformed::NoHeartbeat);
        }
        if let Some(secret) = secret {
            let length = bytes.len().saturating_sub(TAG_BYTES);
            let (signed, tag) = bytes
                .split_at_checked(length)
                .ok_or(Malformed::NotAuthentic)?;
            if !secret.is_tag(&[signed], tag) {
                return Err(Malformed::NotAuthentic);
            }
            let body = rest.len().checked_sub(TAG_BYTES);
            rest = body
                .and_then(|length| rest.get(..length))
                .ok_or(Malformed::NotAuthentic)?;
        }
        let read = Self::rest(&mut rest).filter(|_| rest.is_empty());
        read.ok_or(Malformed::Unreadable)
    }

    fn rest(rest: &mut &[u8]) -> Option<Self> {
        let kind = rest.try_get_u8().ok()?;
        let length = rest.try_get_u8().ok()?;
        let cluster = text(rest, length.into())?;
        let head = Head {
            cluster,
            run: run(rest)?,
            address: address(rest)?,
            word: rest.try_get_u64().ok()?,
            echo: rest.try_get_u64().ok()?,
        };
        let body = match kind {
            1 => Body::Greeting,
            2 => {
                let why = match rest.try_get_u8().ok()? {
                    1 => Why::OtherCluster,
                    2 => Why::TakenIdentity,
                    _ => return None,
                };
                Body::Refusal(why, address(rest)?)
            }
            3 => {
                let (beat, news) = beat(head.run, rest)?;
                Body::Beat(beat, news)
            }
            _ => return None,
        };
        Some(Self { head, body })
    }
}

/// How many of these texts go into one beat.
pub(super) fn fitting<'t>(texts: impl IntoIterator<Item = (&'t str, Option<&'t str>)>) -> usize {
    let mut bytes = 0;
    texts
        .into_iter()
        .take_while(|(name, value)| {
            bytes += 13 + name.len() + value.map_or(0, str::len);
            bytes <= TEXT_BYTES
        })
        .count()
}

fn put_run((node, incarnation): Run, out: &mut Vec<u8>) {
    out.put_u64(node.number());
    out.put_u64(incarnation);
}

fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(6);
            out.put_slice(&ip.octets());
        }
    }
    out.put_u16(address.port());
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
    out.put_u16(bytes.len().fit::<u16>());
    out.put_slice(bytes);
}

fn put_beat(beat: &Beat, news: &News, out: &mut Vec<u8>) {
    out.put_u64(beat.sequence);
    out.put_u64(beat.heard);
    out.put_u64(beat.epoch);
    out.put_u64(beat.key);
    let state = STATES.iter().position(|state| *state == beat.state);
    out.put_u8(state.map_or(u8::MAX, |at| at.fit()));
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(beat.settled, SETTLED) | flag(beat.asks, ASKS);
    out.put_u8(flags | flag(beat.keeps, KEEPS));
    out.put_u64(news.clock_ms);
    let few = beat.missing.len().min(255);
    out.put_u8(few.fit::<u8>());
    for (run, age) in beat.missing.iter().take(few) {
        put_run(*run, out);
        out.put_u32(age.as_millis().at_most::<u32>());
    }
    let few = news.members.len().min(255);
    out.put_u8(few.fit::<u8>());
    news.members
        .iter()
        .take(few)
        .for_each(|address| put_address(*address, out));
    out.put_u64(news.have);
    out.put_u64(news.after);
    out.put_u16(news.texts.len().fit::<u16>());
    for (version, name, value) in news.texts.iter().take(u16::MAX.into()) {
        out.put_u64(*version);
        put_text(name, out);
        out.put_u8(u8::from(value.is_some()));
        put_text(value.as_deref().unwrap_or_default(), out);
    }
}

fn run(rest: &mut &[u8]) -> Option<Run> {
    let node = NodeId::new(rest.try_get_u64().ok()?)?;
    Some((node, rest.try_get_u64().ok()?))
}

fn address(rest: &mut &[u8]) -> Option<SocketAddr> {
    let ip: IpAddr = match rest.try_get_u8().ok()? {
        4 => {
            let mut octets = [0; 4];
            rest.try_copy_to_slice(&mut octets).ok()?;
            octets.into()
        }
        6 => {
            let mut octets = [0; 16];
            rest.try_copy_to_slice(&mut octets).ok()?;
            octets.into()
        }
        _ => return None,
    };
    Some((ip, rest.try_get_u16().ok()?).into())
}

fn text(rest: &mut &[u8], length: usize) -> Option<String> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(std::str::from_utf8(head).ok()?.to_owned())
}

fn beat(run_of_sender: Run, rest: &mut &[u8]) -> Option<(Beat, News)> {
    let sequence = rest.try_get_u64().ok()?;
    let heard = rest.try_get_u64().ok()?;
    let epoch = rest.try_get_u64().ok()?;
    let key = rest.try_get_u64().ok()?;
    let state = *STATES.get(usize::from(rest.try_get_u8().ok()?))?;
    let flags = rest.try_get_u8().ok()?;
    let clock_ms = rest.try_get_u64().ok()?;
    let mut missing = Vec::new();
    for _ in 0..rest.try_get_u8().ok()? {
        let missed = run(rest)?;
        let age = Duration::from_millis(rest.try_get_u32().ok()?.into());
        missing.push((missed, age));
    }
    let mut members = Vec::new();
    for _ in 0..rest.try_get_u8().ok()? {
        members.push(address(rest)?);
    }
    let have = rest.try_get_u64().ok()?;
    let after = rest.try_get_u64().ok()?;
    let mut texts: Vec<Text> = Vec::new();
    let mut last = after;
    for _ in 0..rest.try_get_u16().ok()? {
        let version = rest.try_get_u64().ok()?;
        // Versions only grow, and never to where they could not grow any more.
        if version <= last || version > u64::MAX / 2 {
            return None;
        }
        last = version;
        let length = rest.try_get_u16().ok()?;
        let name = text(rest, length.into())?;
        let is_present = rest.try_get_u8().ok()? != 0;
        let length = rest.try_get_u16().ok()?;
        let value = text(rest, length.into())?;
        texts.push((version, name, is_present.then_some(value)));
    }
    let beat = Beat {
        run: run_of_sender,
        sequence,
        heard,
        state,
        epoch,
        key,
        settled: flags & SETTLED != 0,
        asks: flags & ASKS != 0,
        keeps: flags & KEEPS != 0,
        missing,
    };
    let news = News {
        clock_ms,
        members,
        have,
        after,
        texts,
    };
    Some((beat, news))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(body: Body) -> Datagram {
        Datagram {
            head: Head {
                cluster: "demo".to_owned(),
                run: (NodeId::new(0xA1).unwrap(), 7),
                address: "127.0.0.1:3002".parse().unwrap(),
                word: 1,
                echo: 2,
            },
            body,
        }
    }

    fn all() -> Vec<Datagram> {
        let beat = Beat {
            run: (NodeId::new(0xA1).unwrap(), 7),
            sequence: 9,
            heard: 8,
            state: MemberState::Ready,
            epoch: 3,
            key: 4,
            settled: true,
            asks: false,
            keeps: true,
            missing: vec![((NodeId::new(5).unwrap(), 6), Duration::from_millis(7))],
        };
        let news = News {
            clock_ms: 1 << 40,
            members: vec!["[::1]:1".parse().unwrap(), "10.0.0.1:2".parse().unwrap()],
            have: 5,
            after: 10,
            texts: vec![
                (11, "name".to_owned(), Some("value".to_owned())),
                (12, "gone".to_owned(), None),
            ],
        };
        vec![
            datagram(Body::Greeting),
            datagram(Body::Refusal(
                Why::TakenIdentity,
                "127.0.0.9:1".parse().unwrap(),
            )),
            datagram(Body::Beat(beat, news)),
        ]
    }

    #[test]
    fn what_is_sent_is_read_and_nothing_else() {
        let secret = Secret::new(b"0123456789abcdef").unwrap();
        let other = Secret::new(b"0123456789abcdeF").unwrap();
        for sent in all() {
            for secret in [None, Some(&secret)] {
                let bytes = sent.bytes(secret);
                assert_eq!(Datagram::read(&bytes, secret).as_ref(), Ok(&sent));
                for end in 0..bytes.len() {
                    assert!(Datagram::read(&bytes[..end], secret).is_err(), "{end}");
                }
            }
            let signed = sent.bytes(Some(&secret));
            assert!(Datagram::read(&signed, None).is_err());
            let plain = sent.bytes(None);
            let refused = [
                Datagram::read(&plain, Some(&secret)),
                Datagram::read(&signed, Some(&other)),
            ];
            assert!(
                refused
                    .iter()
                    .all(|read| *read == Err(Malformed::NotAuthentic))
            );
            for at in 5..signed.len() {
                let mut changed = signed.clone();
                changed[at] ^= 1;
                assert_eq!(
                    Datagram::read(&changed, Some(&secret)),
                    Err(Malformed::NotAuthentic)
                );
            }
        }
    }

    #[test]
    fn versions_that_do_not_grow_are_refused() {
        for versions in [[11, 11], [12, 11], [10, 11], [11, u64::MAX]] {
            let Some(Datagram {
                head,
                body: Body::Beat(beat, mut news),
            }) = all().pop()
            else {
                panic!("a beat")
            };
            for (text, version) in news.texts.iter_mut().zip(versions) {
                text.0 = version;
            }
            let sent = Datagram {
                head,
                body: Body::Beat(beat, news),
            };
            assert_eq!(
                Datagram::read(&sent.bytes(None), None),
                Err(Malformed::Unreadable)
            );
        }
    }
}
