//! What a node takes from others, keeps and forgets.

use std::fs;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::catalogue::version::Version;
use server::catalogue::version::{DAY_MS, ERA_MS, LONGEST_OUTAGE_MS, TOMBSTONE_LIFE_MS};
use server::catalogue::{Catalogued as _, Item, ItemError, Origin, StoreError, Stored};
use server::clock::epoch_ms as now_ms;
use server::contexts::service::Service;
use server::modules::kind::MODULES;
use server::modules::registry::PutError;

use crate::fake::{FakeFactory, Fixture, settings, wait_until};

fn item(file_name: &str, generation: u64, source: Option<&str>) -> Item {
    let time_ms = now_ms();
    let version = Version {
        era: time_ms / ERA_MS,
        generation,
        time_ms,
        node: 9,
    };
    let content64 = source.map(|source| STANDARD.encode(source));
    Item::new(&MODULES, file_name, version, content64.as_deref())
}

/// What becomes of one item that another node sends.
fn store(fixture: &Fixture, item: Item) -> Result<Stored, StoreError> {
    let name = item.name.clone();
    let mut outcomes = fixture.service.store(vec![item], Origin::Peer)?;
    let outcome = outcomes.pop().expect("each item has an outcome");
    outcome.map_err(|reason| StoreError::Item { name, reason })
}

/// What a fixture's node serves and has on disk: (name, source).
fn contents(fixture: &Fixture) -> Vec<(String, String)> {
    let set = fixture.service.modules();
    let modules = set.in_order();
    modules
        .iter()
        .map(|module| {
            let source = String::from_utf8(module.source().to_vec()).expect("it is text");
            let copy = fixture
                .directory
                .path()
                .join("lua")
                .join(module.file_name());
            wait_until(|| fs::read_to_string(&copy).is_ok_and(|copy| copy == source));
            (module.file_name().to_owned(), source)
        })
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = expected.iter();
    pairs
        .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
        .collect()
}

#[test]
fn the_newer_is_taken_and_survives_and_the_older_is_answered_with_the_newer() {
    let fixture = Fixture::new();
    let mut changes = fixture.service.shown().changes();
    fixture.put("a.lua", "ours");
    let first = item("a.lua", 2, Some("theirs"));
    let second = item("a.lua", 3, Some("theirs later"));
    assert_eq!(store(&fixture, first.clone()).unwrap(), Stored::Taken);
    assert_eq!(store(&fixture, second.clone()).unwrap(), Stored::Taken);
    assert_eq!(
        store(&fixture, first).unwrap(),
        Stored::Older(second.summary)
    );
    assert_eq!(store(&fixture, second.clone()).unwrap(), Stored::Same);
    wait_until(|| changes.has_changed().unwrap());
    changes.borrow_and_update();
    assert_eq!(fixture.sources("a"), ["theirs later"]);

    let fixture = fixture.restarted();
    assert_eq!(fixture.service.shown().item("a.lua"), Some(second.clone()));
    let removal = item("a.lua", 4, None);
    assert_eq!(store(&fixture, removal.clone()).unwrap(), Stored::Taken);
    assert!(contents(&fixture).is_empty());
    let fixture = fixture.restarted();
    assert_eq!(
        fixture.service.shown().summaries()["a.lua"],
        removal.summary
    );
    assert_eq!(
        store(&fixture, second).unwrap(),
        Stored::Older(removal.summary),
        "a removed module does not come back"
    );
    fixture.put("a.lua", "again");
    assert_eq!(
        fixture.service.shown().summaries()["a.lua"]
            .version
            .generation,
        5
    );
}

#[test]
fn a_version_names_the_node_of_the_put() {
    let fixture = Fixture::with(|settings| settings.node = 0xBB9);
    fixture.put("a.lua", "one");
    assert_eq!(
        fixture.service.shown().summaries()["a.lua"].version.node,
        0xBB9
    );
    let fixture = fixture.restarted();
    assert_eq!(
        fixture.service.shown().summaries()["a.lua"].version.node,
        0xBB9
    );
    fixture.put("a.lua", "one");
    let summary = fixture.service.shown().summaries()["a.lua"];
    assert_eq!(
        summary.version.generation, 1,
        "the same content is no change"
    );
}

#[test]
fn damaged_items_are_refused_and_remembered_until_the_name_is_stored() {
    let fixture = Fixture::new();
    let good = item("a.lua", 1, Some("one"));
    let mut bad = good.clone();
    bad.content = Some(STANDARD.encode("two"));
    let refused = store(&fixture, bad.clone());
    assert!(
        matches!(&refused, Err(StoreError::Item { name, reason: ItemError::Hash }) if name == "a.lua"),
        "{refused:?}"
    );
    assert!(fixture.service.shown().summaries().is_empty());
    assert_eq!(fixture.service.shown().failures()[0].0, "a.lua");
    // One bad item keeps no other from being taken.
    let stored = fixture
        .service
        .store(vec![bad, item("b.lua", 1, Some("one"))], Origin::Peer);
    assert_eq!(stored.unwrap(), [Err(ItemError::Hash), Ok(Stored::Taken)]);
    store(&fixture, good).unwrap();
    assert!(fixture.service.shown().failures().is_empty());
}

#[test]
fn a_module_that_does_not_load_is_stored_and_says_so_to_callers() {
    let fixture = Fixture::new();
    let broken = item("a.lua", 1, Some("syntax error"));
    store(&fixture, broken).unwrap();
    assert_eq!(fixture.service.modules().in_order().len(), 1);
}

#[test]
fn a_foreign_file_keeps_no_item_of_another_node_away() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join("lua/a.lua");
    fs::write(&path, "foreign").unwrap();
    let refused = fixture.try_put("a.lua", "one").unwrap_err();
    assert!(
        matches!(&refused, PutError::Store(StoreError::ForeignFile { path: found }) if *found == path),
        "{refused:?}"
    );
    store(&fixture, item("a.lua", 1, Some("one"))).unwrap();
    assert_eq!(fixture.sources("a"), ["one"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "foreign");
}

#[test]
fn many_items_are_taken_in_one_writing() {
    let fixture = Fixture::new();
    fixture.put("old.lua", "old");
    fixture.put("removed.lua", "old");
    let outcomes = fixture
        .service
        .store(
            vec![
                item("new.lua", 1, Some("1")),
                item("old.lua", 2, Some("2")),
                item("removed.lua", 2, None),
                item("new.lua", 2, Some("3")),
                item("new.lua", 1, Some("4")),
            ],
            Origin::Peer,
        )
        .unwrap();
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes[..4], [Stored::Taken; 4]);
    assert!(matches!(outcomes[4], Stored::Older(_)));
    assert_eq!(
        contents(&fixture),
        pairs(&[("old.lua", "2"), ("new.lua", "3")])
    );
    let fixture = fixture.restarted();
    let stored = fs::read_to_string(fixture.directory.path().join("state/smd/UDF.smd")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored[0][1], 3, "two puts and one writing of many");
}

#[test]
fn concurrent_puts_of_one_name_all_get_versions_of_their_own() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let service = &fixture.service;
            scope.spawn(move || {
                for step in 0..25 {
                    let content = STANDARD.encode(format!("{thread} {step}"));
                    service.put("a.lua", &content).unwrap();
                }
            });
        }
    });
    let last = fixture.service.shown().item("a.lua").unwrap();
    assert_eq!(last.summary.version.generation, 100);
    let fixture = fixture.restarted();
    assert_eq!(fixture.service.shown().item("a.lua"), Some(last));
}

#[test]
fn removed_modules_are_forgotten_when_their_time_is_over_and_not_before() {
    let fixture = Fixture::new();
    let aged = |mut item: Item, age_ms| {
        let version = &mut item.summary.version;
        version.time_ms -= age_ms;
        version.era = version.time_ms / ERA_MS;
        item
    };
    let young = aged(item("young.lua", 2, None), TOMBSTONE_LIFE_MS);
    store(&fixture, young.clone()).unwrap();
    // A node of no past, or a long past one, forgets nothing on its first day.
    let fixture = reopened(fixture, DAY_MS);
    fixture.service.keep_alive().unwrap();
    assert_eq!(fixture.service.shown().summaries().len(), 1);
    let long_ms = TOMBSTONE_LIFE_MS + 2 * DAY_MS;
    let old = aged(item("old.lua", 1, Some("old")), long_ms);
    let removal = aged(item("old.lua", 2, None), long_ms);
    store(&fixture, old).unwrap();
    store(&fixture, removal.clone()).unwrap();
    assert!(contents(&fixture).is_empty());
    let left: Vec<_> = fixture.service.shown().summaries().into_iter().collect();
    assert_eq!(left, [("young.lua".into(), young.summary)]);

    // What is put from then on is newer than the removal, for nodes that still know it.
    fixture.put("old.lua", "new");
    assert!(matches!(
        store(&fixture, removal).unwrap(),
        Stored::Older(_)
    ));
    assert_eq!(fixture.sources("old"), ["new"]);
}

/// A service over a registry that was last alive `age_ms` ago, as one of several nodes.
fn reopened(fixture: Fixture, age_ms: u64) -> Fixture {
    let alive = fixture.directory.path().join("state/smd/.asd-alive");
    fs::write(alive, (now_ms() - age_ms).to_string()).expect("it is written");
    let Fixture {
        directory,
        factory,
        service,
    } = fixture;
    drop(service);
    let mut settings = settings(directory.path());
    settings.clustered = true;
    let service: Service<FakeFactory> =
        Service::open(settings, factory.clone()).expect("it opens again");
    Fixture {
        directory,
        factory,
        service,
    }
}

#[test]
fn a_node_that_was_away_too_long_takes_the_set_of_the_others() {
    let away = || {
        let fixture = Fixture::new();
        fixture.put("kept.lua", "ours");
        fixture.put("removed meanwhile.lua", "ours");
        fixture
    };
    let fixture = reopened(away(), LONGEST_OUTAGE_MS - DAY_MS);
    assert!(fixture.service.shown().is_settled());
    assert_eq!(fixture.service.shown().summaries().len(), 2);

    let fixture = reopened(away(), LONGEST_OUTAGE_MS + DAY_MS);
    assert!(!fixture.service.shown().is_settled());
    assert!(
        fixture.service.shown().summaries().is_empty(),
        "nothing is offered"
    );
    let early = store(&fixture, item("kept.lua", 1, Some("theirs")));
    assert!(matches!(early, Err(StoreError::Unsettled)), "{early:?}");
    fixture.service.settle(vec![0, now_ms()]).unwrap();
    assert!(fixture.service.shown().is_settled());
    assert!(contents(&fixture).is_empty());
    store(&fixture, item("kept.lua", 1, Some("theirs"))).unwrap();
    let fixture = fixture.restarted();
    assert_eq!(contents(&fixture), pairs(&[("kept.lua", "theirs")]));

    // All of them were away, this one not longer than the others.
    let fixture = reopened(away(), LONGEST_OUTAGE_MS + DAY_MS);
    let until_ms = fixture.service.shown().alive_until_ms();
    fixture.service.settle(vec![0, until_ms + DAY_MS]).unwrap();
    assert_eq!(fixture.service.shown().summaries().len(), 2);
    assert_eq!(contents(&fixture).len(), 2);
}

#[test]
fn a_registry_carried_over_is_as_old_as_its_file() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "ours");
    let fixture = fixture.restarted();
    let path = fixture.directory.path().join("state/smd/UDF.smd");
    let old = SystemTime::now() - Duration::from_millis(LONGEST_OUTAGE_MS + DAY_MS);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let mut settings = settings(fixture.directory.path());
    drop(fixture.service);
    // A node on its own believes what it has.
    let service: Service<FakeFactory> =
        Service::open(settings.clone(), FakeFactory::default()).unwrap();
    assert!(service.shown().is_settled());
    assert!(service.shown().alive_until_ms() < now_ms() - LONGEST_OUTAGE_MS);
    assert_eq!(service.shown().summaries().len(), 1);
    drop(service);
    // It said that it is alive.
    settings.clustered = true;
    let service: Service<FakeFactory> = Service::open(settings, FakeFactory::default()).unwrap();
    assert!(service.shown().is_settled());
    assert!(service.shown().alive_until_ms() > now_ms() - DAY_MS);
}
