//! Records that are on a device and not in memory: whoever waits for the disk waits alone.

use tokio::task::JoinHandle;

use super::background::{ended, query_body};
use super::query::body;
use super::*;
use crate::query::jobs::JobEnd;
use crate::storage::file::FileOptions;
use crate::storage::file::simulated::{SimulatedDisk, eventually, open};

/// A node whose namespace `test` is on this disk, of which nothing is at hand, and `bar` in memory.
fn on_device(disk: &SimulatedDisk, functions: Module) -> Bench {
    let bench = Bench::running(functions);
    let options = FileOptions {
        in_memory: false,
        commit: false,
        flush_after: Duration::from_millis(1),
        write_cache: 1 << 20,
        clean_below_pct: 50,
    };
    let engine = open(disk, "test", 40, 64 << 10, options).unwrap();
    let settings = Arc::new(NamespaceSettings::new("test"));
    settings.set("nsup-period", "5").unwrap();
    let (clock, hand) = Clock::manual(u64::from(NOW) * 1000);
    let test = Namespace::with("test", settings, Box::new(engine), clock);
    Bench {
        namespaces: vec![Arc::new(test), Arc::clone(&bench.namespaces[1])],
        hand,
        ..bench
    }
}

/// Sends from a task, which the one worker runs.
fn begin(bench: &Arc<Bench>, body: Vec<u8>) -> JoinHandle<Vec<Got>> {
    let bench = Arc::clone(bench);
    tokio::spawn(async move { bench.send(&body).await })
}

/// Lets reads go on.
struct Released(SimulatedDisk);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.hold_reads(false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_never_waits_for_a_disk() {
    let disk = SimulatedDisk::default();
    let writing = Module::changing(|_| RecordChange::Write {
        bins: vec![data::record::Bin {
            name: data::record::BinName::new(b"b").unwrap(),
            particle: int(2),
        }],
        ttl: None,
        drop_key: false,
    });
    let bench = Arc::new(on_device(&disk, writing));
    for record in 0..20 {
        assert_eq!(
            bench
                .code(&Ask::put("a", int(record.into())).record(record))
                .await,
            0
        );
        let other = Ask {
            namespace: "bar",
            ..Ask::put("a", int(1)).record(record)
        };
        assert_eq!(bench.code(&other).await, 0);
    }
    bench.test().flush().await.unwrap();
    disk.hold_reads(true);
    // Threads that stand still would keep a test that fails from ending.
    let released = Released(disk.clone());

    // Each of these needs what is on the disk, and has a thread there that stands still.
    let get = begin(&bench, Ask::get().record(1).body());
    let call = begin(&bench, Ask::call().record(2).body());
    let operation = begin(
        &bench,
        Ask::put("c", int(1))
            .read("a")
            .info1(Info1::READ)
            .record(3)
            .body(),
    );
    let scan = Ask::new(Info1::READ, Info2::empty()).info3(Info3::PARTITION_DONE);
    let scan = begin(&bench, body(&scan, 0..4096));
    let job = Ask::call()
        .field(FieldType::UDF_OP, &[2])
        .field(FieldType::TASK_ID, &7_u64.to_be_bytes());
    let started = begin(&bench, query_body(&job));
    eventually(|| disk.waiting_reads() >= 5, "reads that wait").await;
    assert!(started.await.unwrap()[0].result == 0);

    // And all others are answered meanwhile, by the one worker that there is.
    for record in 0..20 {
        let elsewhere = Ask {
            namespace: "bar",
            ..Ask::get().record(record)
        };
        assert_eq!(
            begin(&bench, elsewhere.body()).await.unwrap()[0].bins(),
            [("a", int(1))]
        );
        let new = Ask::put("a", int(7)).record(100 + record);
        assert_eq!(begin(&bench, new.body()).await.unwrap()[0].result, 0);
        let missing = Ask::get().record(200 + record);
        assert_eq!(begin(&bench, missing.body()).await.unwrap()[0].result, 2);
        let call = Ask {
            namespace: "bar",
            ..Ask::call().record(record)
        };
        assert_eq!(begin(&bench, call.body()).await.unwrap()[0].result, 0);
    }
    assert!(disk.waiting_reads() >= 5);
    for waits in [&get, &call, &operation, &scan] {
        assert!(!waits.is_finished(), "it has not read what is held");
    }

    drop(released);
    assert_eq!(get.await.unwrap()[0].bins(), [("a", int(1))]);
    assert_eq!(call.await.unwrap()[0].result, 0);
    assert_eq!(operation.await.unwrap()[0].bins(), [("a", int(3))]);
    let found = scan.await.unwrap();
    assert!(
        found.iter().filter(|got| !got.bins.is_empty()).count() >= 20,
        "{}",
        found.len()
    );
    let (_, end) = ended(&bench, 7).await;
    assert_eq!(end, JobEnd::Done);
}
