use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{
    Asked, ConnectionCounts, Fabric, FabricError, FabricHandler, Gatekeeper, QuestionKind, serve,
};
use crate::cluster::ownership::Run;
use crate::cluster::secret::Secret;
use crate::config::node_id::NodeId;

/// Answers with who asked and what; refuses to give, never answers drops, and truncates when it is told to.
#[derive(Default)]
struct Echo {
    truncate: Arc<Notify>,
}

impl FabricHandler for Echo {
    async fn answer(
        &self,
        from: NodeId,
        kind: QuestionKind,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        match kind {
            QuestionKind::Take => Err("nothing here".to_owned()),
            QuestionKind::Drop => std::future::pending().await,
            QuestionKind::Truncate => {
                self.truncate.notified().await;
                Ok(b"at last".to_vec())
            }
            _ => Ok([from.to_string().as_bytes(), b" ", &body].concat()),
        }
    }
}

fn node(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

/// The word by which 0xA is known.
const WORD: u64 = 77;

/// A node 0xB of the cluster `blue`, which has the first start of 0xA for a member.
struct Blue {
    secret: Option<Secret>,
    /// 0xA is no member any more.
    forgot: AtomicBool,
    connections: Arc<ConnectionCounts>,
}

impl Gatekeeper for Blue {
    fn run(&self) -> Run {
        (node(0xB), 1)
    }

    fn cluster_name(&self) -> &'static str {
        "blue"
    }

    fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    fn connections(&self) -> &Arc<ConnectionCounts> {
        &self.connections
    }

    fn is_member(&self, run: Run, word: u64) -> bool {
        (run, word) == ((node(0xA), 1), WORD) && !self.forgot.load(Ordering::SeqCst)
    }
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.as_bytes()).unwrap())
}

/// Such a node, which echoes, and its address.
async fn echoing_with(secret: Option<Secret>) -> (SocketAddr, Arc<Blue>) {
    let (address, blue, _) = started(secret, Echo::default()).await;
    (address, blue)
}

async fn started(secret: Option<Secret>, echo: Echo) -> (SocketAddr, Arc<Blue>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let blue = Arc::new(Blue {
        secret,
        forgot: AtomicBool::new(false),
        connections: Arc::default(),
    });
    let serving = tokio::spawn(serve(listener, Arc::clone(&blue), Arc::new(echo)));
    (address, blue, serving)
}

async fn echoing() -> SocketAddr {
    echoing_with(None).await.0
}

fn asking(run: Run, cluster: &str, secret: Option<Secret>) -> Fabric {
    Fabric::new(run, cluster, None, secret)
}

fn a() -> Fabric {
    asking((node(0xA), 1), "blue", None)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn questions_are_answered_on_connections_that_stay() {
    let (address, blue) = echoing_with(None).await;
    let fabric = Arc::new(a());
    fabric.set_members([(node(0xB), address, WORD)]);
    let mut asked = Vec::new();
    for number in 0..50_usize {
        let fabric = Arc::clone(&fabric);
        asked.push(tokio::spawn(async move {
            let body = vec![b'x'; number * 10_000];
            let answer = fabric
                .call(node(0xB), QuestionKind::Forward, &body, soon())
                .await
                .unwrap();
            assert_eq!(answer, [b"A ", body.as_slice()].concat());
        }));
    }
    for asked in asked {
        asked.await.unwrap();
    }
    let (opened, closed) = fabric.connections.get();
    assert!((1..=50).contains(&opened) && closed == 0);
    assert_eq!(blue.connections.get(), (opened, 0));
    fabric.set_members([]);
    assert_eq!(fabric.connections.get(), (opened, opened));
    let until = soon();
    while blue.connections.get() != (opened, opened) {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn failures_say_what_happened() {
    let address = echoing().await;
    let ask = async |fabric: &Fabric, to, kind, deadline| {
        let error = fabric.call(to, kind, b"", deadline).await.unwrap_err();
        (error.to_string(), error.nothing_happened())
    };
    let fabric = a();
    fabric.set_members([(node(0xB), address, WORD), (node(0xC), address, WORD)]);
    let refused = ask(&fabric, node(0xB), QuestionKind::Take, soon()).await;
    assert_eq!(refused, ("B refuses: nothing here".to_owned(), true));
    let other = ask(&fabric, node(0xC), QuestionKind::Forward, soon()).await;
    assert_eq!(other, (format!("C refuses: {address} is B"), true));
    let unknown = ask(&fabric, node(0xD), QuestionKind::Forward, soon()).await;
    assert_eq!(
        unknown,
        ("D is no live member of the cluster".to_owned(), true)
    );
    let shortly = Instant::now() + Duration::from_millis(50);
    let late = ask(&fabric, node(0xB), QuestionKind::Drop, shortly).await;
    assert_eq!(late, ("B did not answer in time".to_owned(), false));
    // The connection whose answer may still come is not used again.
    let answer = fabric
        .call(node(0xB), QuestionKind::Forward, b"after", soon())
        .await;
    assert_eq!(answer.unwrap(), b"A after");

    let foreign = asking((node(0xA), 1), "red", None);
    foreign.set_members([(node(0xB), address, WORD)]);
    let refused = ask(&foreign, node(0xB), QuestionKind::Forward, soon()).await;
    let words = "B refuses: this node belongs to cluster `blue`, not `red`";
    assert_eq!(refused, (words.to_owned(), true));

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    fabric.set_members([(node(0xB), nobody.local_addr().unwrap(), WORD)]);
    drop(nobody);
    let down = fabric
        .call(node(0xB), QuestionKind::Forward, b"", soon())
        .await;
    assert!(matches!(down, Err(FabricError::Connect { .. })), "{down:?}");
}

#[tokio::test]
async fn nonsense_ends_its_connection_only() {
    let address = echoing().await;
    let cases: [&[u8]; 5] = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xFF, 0xFF, 0xFF, 0xFF, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 0, b'{', b'}'],
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // The end may come as a reset, where bytes were left unread.
        let _ = stream.read_to_end(&mut rest).await;
    }
    let fabric = a();
    fabric.set_members([(node(0xB), address, WORD)]);
    let answer = fabric
        .call(node(0xB), QuestionKind::Forward, b"!", soon())
        .await;
    assert_eq!(answer.unwrap(), b"A !");
}

#[tokio::test]
async fn only_members_are_let_in_each_under_its_own_name() {
    let (address, blue) = echoing_with(None).await;
    let member = a();
    let cases = [
        ((node(0xA), 1), WORD, true),
        // Who does not receive at the member's address, who has started since, and who is no member.
        ((node(0xA), 1), WORD + 1, false),
        ((node(0xA), 2), WORD, false),
        ((node(0xD), 1), WORD, false),
    ];
    for (run, word, is_let_in) in cases {
        let fabric = asking(run, "blue", None);
        fabric.set_members([(node(0xB), address, word)]);
        let answer = fabric
            .call(node(0xB), QuestionKind::Forward, b"", soon())
            .await;
        assert_eq!(answer.is_ok(), is_let_in, "{run:?} {answer:?}");
    }
    member.set_members([(node(0xB), address, WORD)]);
    let ask = || member.call(node(0xB), QuestionKind::Forward, b"", soon());
    assert!(ask().await.is_ok());
    // Its connection is of no use once it is no member any more.
    blue.forgot.store(true, Ordering::SeqCst);
    let refused = ask().await.unwrap_err();
    assert!(refused.nothing_happened(), "{refused}");
}

#[tokio::test]
async fn both_ends_prove_that_they_know_the_secret() {
    let cases = [
        (secret("0123456789abcdef"), secret("0123456789abcdef"), true),
        (
            secret("0123456789abcdef"),
            secret("0123456789abcdeF"),
            false,
        ),
        (secret("0123456789abcdef"), None, false),
        (None, secret("0123456789abcdef"), false),
    ];
    for (theirs, ours, is_let_in) in cases {
        let (address, _blue) = echoing_with(theirs).await;
        let fabric = asking((node(0xA), 1), "blue", ours);
        fabric.set_members([(node(0xB), address, WORD)]);
        let answer = fabric
            .call(node(0xB), QuestionKind::Forward, b"", soon())
            .await;
        assert_eq!(answer.is_ok(), is_let_in, "{answer:?}");
    }
}

#[tokio::test]
async fn strangers_take_neither_memory_nor_all_connections() {
    let address = echoing().await;
    // A frame that is larger than any greeting ends the connection before its body is read.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&(1_u32 << 20).to_be_bytes())
        .await
        .unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    // Those that say nothing are few; whoever comes then is turned away, and let in once they are gone.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let fabric = a();
    fabric.set_members([(node(0xB), address, WORD)]);
    let turned_away = fabric
        .call(node(0xB), QuestionKind::Forward, b"", soon())
        .await;
    assert!(turned_away.is_err());
    drop(silent);
    let deadline = soon();
    while fabric
        .call(node(0xB), QuestionKind::Forward, b"", soon())
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

/// Asks without the runtime, as a thread that has nothing else to do.
async fn ask_at_once(fabric: &Arc<Fabric>, kind: QuestionKind, body: &'static [u8]) -> Heard {
    let fabric = Arc::clone(fabric);
    let asking = tokio::task::spawn_blocking(move || {
        let ready = fabric.ready(node(0xB), body)?;
        Some(match ready.ask(&fabric, kind, body) {
            Ok(asked) => asked.wait(&fabric),
            Err(error) => Ok(Err(error)),
        })
    });
    asking.await.unwrap()
}

/// None without a connection; what was heard, or who goes on waiting.
type Heard = Option<Result<Result<Vec<u8>, FabricError>, Asked>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_push_is_asked_and_answered_without_the_runtime() {
    let echo = Echo::default();
    let truncate = Arc::clone(&echo.truncate);
    let (address, blue, serving) = started(None, echo).await;
    let fabric = Arc::new(a());
    fabric.set_members([(node(0xB), address, WORD)]);
    let push = || fabric.call(node(0xB), QuestionKind::Push, b"1", soon());
    assert!(
        ask_at_once(&fabric, QuestionKind::Push, b"0")
            .await
            .is_none()
    );
    assert_eq!(push().await.unwrap(), b"A 1");
    // A busy machine may take longer than a thread waits.
    let heard = async |kind, body| match ask_at_once(&fabric, kind, body).await {
        Some(Ok(heard)) => heard,
        Some(Err(asked)) => asked.rest(&fabric, soon()).await,
        None => panic!("there is a connection"),
    };
    for _ in 0..3 {
        assert_eq!(heard(QuestionKind::Push, b"2").await.unwrap(), b"A 2");
    }
    let refused = heard(QuestionKind::Take, b"").await.unwrap_err();
    assert_eq!(refused.to_string(), "B refuses: nothing here");
    assert_eq!(fabric.of_catalogues.asked.load(Ordering::SeqCst), 4);
    assert_eq!(
        (fabric.connections.get(), blue.connections.get()),
        ((1, 0), (1, 0))
    );
    // What is long, or asked of a stranger, is not asked so.
    assert!(fabric.ready(node(0xB), &[0; 64 << 10]).is_none());
    assert!(fabric.ready(node(0xC), b"").is_none());

    // An answer that takes longer than a thread waits is heard all the same, and its connection stays.
    let late = ask_at_once(&fabric, QuestionKind::Truncate, b"").await;
    let Some(Err(asked)) = late else {
        panic!("nobody has answered")
    };
    truncate.notify_one();
    assert_eq!(asked.rest(&fabric, soon()).await.unwrap(), b"at last");
    // That of one that is given up goes with it: its answer is never taken for another.
    assert_eq!(push().await.unwrap(), b"A 1");
    let given_up = ask_at_once(&fabric, QuestionKind::Drop, b"").await;
    let Some(Err(asked)) = given_up else {
        panic!("nobody answers")
    };
    let timed_out = asked.rest(&fabric, Instant::now()).await.unwrap_err();
    assert!(matches!(timed_out, FabricError::TimedOut(_)), "{timed_out}");
    assert_eq!(push().await.unwrap(), b"A 1");
    assert_eq!(heard(QuestionKind::Push, b"3").await.unwrap(), b"A 3");

    // Who is no member any more is told so; its connection ends.
    blue.forgot.store(true, Ordering::SeqCst);
    assert!(
        heard(QuestionKind::Push, b"4")
            .await
            .unwrap_err()
            .nothing_happened()
    );
    blue.forgot.store(false, Ordering::SeqCst);
    let broken = heard(QuestionKind::Push, b"5").await.unwrap_err();
    assert!(matches!(broken, FabricError::Broken { .. }), "{broken}");

    // Threads end with what serves.
    assert_eq!(push().await.unwrap(), b"A 1");
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    let until = soon();
    let is_closed = || {
        let (opened, closed) = blue.connections.get();
        opened == closed
    };
    while !is_closed() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(heard(QuestionKind::Push, b"6").await.is_err());
}
