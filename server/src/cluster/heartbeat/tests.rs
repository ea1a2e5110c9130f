//! Heartbeats over real sockets of the loopback.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::datagram::{Body, Datagram, Head, News};
use super::{Heartbeat, HeartbeatSettings, HeartbeatSocket};
use crate::catalogue::simulation::random::Random;
use crate::cluster::member::name;
use crate::cluster::ownership::{Beat, MemberState, Run, Times};
use crate::cluster::rule::Rule;
use crate::cluster::secret::Secret;
use crate::config::node_id::NodeId;

/// Whatever is waited for takes far less.
const DEADLINE: Duration = Duration::from_secs(30);

struct Node {
    heartbeat: Arc<Heartbeat>,
    rule: Arc<Rule>,
    address: SocketAddr,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.heartbeat.end();
    }
}

fn id(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A node that serves, and greets these addresses.
fn node(number: u64, seeds: &[SocketAddr], secret: Option<&str>) -> Node {
    let socket = HeartbeatSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.address();
    let run = (id(number), 1);
    let times = Times {
        silent: Duration::from_secs(2),
        dead: Duration::from_secs(10),
    };
    let rule = Arc::new(Rule::new(run, times, false));
    rule.with(|ownership, _| ownership.set_state(MemberState::Ready));
    let settings = HeartbeatSettings {
        run,
        cluster: "bars".to_owned(),
        address,
        interval: Duration::from_millis(20),
        secret: secret.map(|secret| Secret::new(secret.as_bytes()).unwrap()),
    };
    let heartbeat = Heartbeat::new(settings, socket, Arc::clone(&rule), Box::new(|_| {}));
    let heartbeat = Arc::new(heartbeat);
    heartbeat.publish([(name::FABRIC, Some("127.0.0.1:1"))]);
    seeds.iter().for_each(|seed| heartbeat.add_seed(*seed));
    let running = Arc::clone(&heartbeat);
    std::thread::spawn(move || running.run());
    Node {
        heartbeat,
        rule,
        address,
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn sizes(nodes: &[Node]) -> Vec<usize> {
    let size = |node: &Node| node.heartbeat.members().borrow().len() + 1;
    nodes.iter().map(size).collect()
}

fn three(secret: Option<&str>) -> Vec<Node> {
    let first = node(0xA1, &[], secret);
    let second = node(0xA2, &[first.address], secret);
    let third = node(0xA3, &[second.address], secret);
    let nodes = vec![first, second, third];
    wait_until("three nodes find each other", || sizes(&nodes) == [3, 3, 3]);
    nodes
}

/// What a stranger sends that knows the name of the cluster, in the name of a run.
fn forged(
    run: Run,
    address: SocketAddr,
    echo: u64,
    state: MemberState,
    random: &mut Random,
) -> Datagram {
    let large = |random: &mut Random| match random.percent(30) {
        true => u64::MAX - random.between(0, 2),
        false => random.between(0, 1 << 40),
    };
    let beat = Beat {
        run,
        sequence: large(random),
        heard: large(random),
        state,
        epoch: large(random),
        key: large(random),
        settled: random.percent(50),
        asks: random.percent(50),
        keeps: random.percent(50),
        missing: vec![((id(0xA1), 1), Duration::from_secs(100))],
    };
    let news = News {
        clock_ms: large(random),
        members: vec!["127.0.0.1:9".parse().unwrap()],
        have: large(random),
        after: 0,
        texts: vec![(1 << 40, name::FABRIC.to_owned(), None)],
    };
    Datagram {
        head: Head {
            cluster: "bars".to_owned(),
            run,
            address,
            word: large(random),
            echo,
        },
        body: match random.between(0, 4) {
            0 => Body::Greeting,
            1 => Body::Refusal(super::Why::TakenIdentity, address),
            _ => Body::Beat(beat, news),
        },
    }
}

#[test]
fn forged_and_damaged_datagrams_change_nothing() {
    let nodes = three(None);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = stranger.local_addr().unwrap();
    let mut random = Random::new(1);
    let states = [
        MemberState::Joining,
        MemberState::Ready,
        MemberState::Leaving,
        MemberState::Left,
    ];
    for number in 0..20_000_usize {
        let victim = &nodes[number % 3];
        // In the name of the victim, of another member, of a later start of either, and of made-up nodes.
        let member = &nodes[random.index(3)];
        let (run, address) = match random.between(0, 3) {
            0 => ((id(0xA1 + (number % 3) as u64), 1), member.address),
            1 => ((id(0xA1 + random.between(0, 2)), 1), member.address),
            2 => ((id(0xA1 + random.between(0, 2)), 2), member.address),
            _ => ((id(random.between(1, u64::MAX - 1)), 1), own),
        };
        let state = states[random.index(4)];
        let echo = random.between(0, u64::MAX - 1);
        let mut bytes = forged(run, address, echo, state, &mut random).bytes(None);
        for _ in 0..random.between(0, 3) {
            let at = random.index(bytes.len());
            match random.between(0, 2) {
                0 => bytes[at] ^= 1 << random.between(0, 7),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, 0xFF),
            }
        }
        // The system may refuse a datagram while its buffers are full.
        let _ = stranger.send_to(&bytes, victim.address);
        if number.is_multiple_of(64) {
            std::thread::yield_now();
        }
    }
    wait_until("the cluster is whole", || {
        let agreed = |node: &Node| node.rule.with(|ownership, _| ownership.is_agreed());
        sizes(&nodes) == [3, 3, 3] && nodes.iter().all(agreed)
    });
    // Nobody was admitted, and nobody was taken for dead.
    for node in &nodes {
        let state = node.heartbeat.state.lock();
        assert_eq!(state.known.len(), 2);
        assert!(node.rule.with(|ownership, _| ownership.deaths()) == 0);
    }
}

#[test]
fn whoever_receives_at_its_address_can_say_nothing_in_the_name_of_another() {
    let nodes = three(None);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(DEADLINE)).unwrap();
    let own = stranger.local_addr().unwrap();
    let mut random = Random::new(2);
    // The stranger greets, and so gets the word for its own address.
    let run = (id(0xDEAD), 1);
    let mut greeting = forged(run, own, 0, MemberState::Joining, &mut random);
    greeting.body = Body::Greeting;
    stranger
        .send_to(&greeting.bytes(None), nodes[0].address)
        .unwrap();
    let mut buffer = [0; 2_000];
    let (length, _) = stranger.recv_from(&mut buffer).unwrap();
    let word = Datagram::read(&buffer[..length], None).unwrap().head.word;
    // With that it is still not A2: neither at its own address nor at that of A2.
    for address in [own, nodes[1].address] {
        for incarnation in [1, 2] {
            for _ in 0..50 {
                let run = (id(0xA2), incarnation);
                let left = forged(run, address, word, MemberState::Left, &mut random);
                stranger
                    .send_to(&left.bytes(None), nodes[0].address)
                    .unwrap();
            }
        }
    }
    let seen = |node: &Node| {
        node.heartbeat
            .traffic()
            .received
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = seen(&nodes[0]);
    wait_until("heartbeats go on", || seen(&nodes[0]) > before + 20);
    assert_eq!(sizes(&nodes), [3, 3, 3]);
}

#[test]
fn without_the_secret_nobody_gets_in() {
    let nodes = three(Some("a secret of the cluster"));
    let others = [
        node(0xB1, &[nodes[0].address], None),
        node(0xB2, &[nodes[0].address], Some("a secret of another one")),
    ];
    let refused = || {
        nodes[0]
            .heartbeat
            .traffic()
            .refused
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    wait_until("both are refused", || refused() > 20);
    assert_eq!(sizes(&nodes), [3, 3, 3]);
    assert_eq!(sizes(&others), [1, 1]);
}

#[test]
fn a_second_node_of_an_identity_is_told_where_the_first_is() {
    let nodes = three(None);
    let socket = HeartbeatSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    drop(socket);
    let copy = node(0xA2, &[nodes[2].address], None);
    copy.rule
        .with(|ownership, _| ownership.set_state(MemberState::Joining));
    wait_until("it is told", || {
        *copy.heartbeat.taken().borrow() == Some(nodes[1].address)
    });
    assert_eq!(sizes(&nodes), [3, 3, 3]);
}

#[test]
fn the_heartbeat_goes_on_after_it_died() {
    let first = node(0xA1, &[], None);
    // A list that cannot be told of kills the thread once.
    let socket = HeartbeatSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.address();
    let run = (id(0xA2), 1);
    let times = Times {
        silent: Duration::from_secs(2),
        dead: Duration::from_secs(10),
    };
    let rule = Arc::new(Rule::new(run, times, false));
    let settings = HeartbeatSettings {
        run,
        cluster: "bars".to_owned(),
        address,
        interval: Duration::from_millis(20),
        secret: None,
    };
    let died = std::sync::atomic::AtomicBool::new(false);
    let before_notice = Box::new(move |_: &super::Members| {
        assert!(died.swap(true, std::sync::atomic::Ordering::SeqCst), "once");
    });
    let heartbeat = Arc::new(Heartbeat::new(settings, socket, rule, before_notice));
    heartbeat.publish([(name::FABRIC, Some("127.0.0.1:1"))]);
    heartbeat.add_seed(first.address);
    let running = Arc::clone(&heartbeat);
    let thread = std::thread::spawn(move || running.run());
    wait_until("they find each other", || {
        let found = heartbeat.members().borrow().len() == 1;
        // A change makes the list anew.
        first
            .heartbeat
            .publish([("more", Some(if found { "a" } else { "b" }))]);
        first.heartbeat.publish([("more", None)]);
        found
    });
    heartbeat.end();
    thread.join().unwrap();
}
