//! The official Rust client: what an application does to bins in a day, and filters.

use std::sync::{Arc, Mutex};

use aerospike::expressions::{self as exp, ExpType, Expression};
use aerospike::operations::bitwise::{self, BitPolicy};
use aerospike::operations::cdt_context::ctx_map_key_create;
use aerospike::operations::exp::{ExpReadFlags, ExpWriteFlags, read_exp, write_exp};
use aerospike::operations::hll::{self, HllPolicy};
use aerospike::operations::{MapOrder, lists, maps};
use aerospike::query::PartitionFilter;
use aerospike::{
    Bins, Client, ErrorKind, Key, ListOrderType, ListPolicy, ListReturnType, ListSortFlags,
    ListWriteFlags, MapPolicy, MapReturnType, MapWriteFlags, QueryPolicy, ReadPolicy, RegexFlags,
    ResultCode, Statement, Value, as_bin, as_key, as_list, as_val,
};

use crate::official_client::{connect, writing};
use crate::server;

fn key(number: i64) -> Key {
    as_key!("test", "day", number)
}

/// The results of operations on a record; those of writes that give none are left out.
async fn operate(
    client: &Client,
    key: &Key,
    operations: &[aerospike::operations::Operation],
) -> Vec<Value> {
    let record = client.operate(&writing(), key, operations).await.unwrap();
    let results = record.results.unwrap();
    results
        .into_iter()
        .filter(|result| *result != Value::Nil)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_lists_maps_bits_and_sketches() {
    let server = server::start();
    let client = connect(&server).await;
    let key = key(0);

    let by_key = MapPolicy::new(MapOrder::KeyOrdered, MapWriteFlags::DEFAULT);
    let scores = [("ann", 71), ("bob", 64), ("cleo", 90)]
        .map(|(name, score)| maps::put(&by_key, "scores", as_val!(name), as_val!(score)));
    assert_eq!(
        operate(&client, &key, &scores).await,
        [1, 2, 3].map(|size| as_val!(size))
    );
    let changes = [
        maps::increment_value(&by_key, "scores", as_val!("bob"), as_val!(20)),
        maps::get_by_rank_range("scores", -2, 2, MapReturnType::KEY),
        maps::remove_by_key("scores", as_val!("ann"), MapReturnType::VALUE),
        maps::size("scores"),
    ];
    assert_eq!(
        operate(&client, &key, &changes).await,
        [
            as_val!(84),
            as_list!("bob", "cleo"),
            as_val!(71),
            as_val!(2)
        ]
    );

    let unique = ListWriteFlags::ADD_UNIQUE | ListWriteFlags::NO_FAIL;
    let unique = ListPolicy::new(ListOrderType::Unordered, unique);
    let visits = [
        lists::append(&unique, "visits", as_val!("cleo")),
        lists::append(&unique, "visits", as_val!("ann")),
        lists::append(&unique, "visits", as_val!("ann")),
        lists::sort("visits", ListSortFlags::DEFAULT),
        lists::get_by_rank("visits", -1, ListReturnType::VALUES),
        lists::get_by_index_range_count("visits", 0, 2, ListReturnType::VALUES),
    ];
    assert_eq!(
        operate(&client, &key, &visits).await,
        [
            as_val!(1),
            as_val!(2),
            as_val!(2),
            as_val!("cleo"),
            as_list!("ann", "cleo")
        ]
    );

    // A list inside of a map, made on the way.
    let way = vec![ctx_map_key_create(as_val!("2026"), MapOrder::KeyOrdered)];
    let plain = ListPolicy::default();
    let log = [
        lists::append(&plain, "log", as_val!("started")).context(way.clone()),
        lists::append(&plain, "log", as_val!("ended")).context(way),
        maps::get_by_key("log", as_val!("2026"), MapReturnType::VALUE),
    ];
    assert_eq!(
        operate(&client, &key, &log).await,
        [as_val!(1), as_val!(2), as_list!("started", "ended")]
    );

    client
        .put(&writing(), &key, &[as_bin!("flags", vec![0_u8, 0])])
        .await
        .unwrap();
    let flags = [
        bitwise::not("flags", 4, 4, &BitPolicy::default()),
        bitwise::count("flags", 0, 16),
    ];
    assert_eq!(operate(&client, &key, &flags).await, [as_val!(4)]);

    let users: Vec<Value> = (0..500).map(|n| as_val!(format!("user {n}"))).collect();
    let seen = [
        hll::add_with_index(&HllPolicy::default(), "seen", users, 12),
        hll::get_count("seen"),
    ];
    assert_eq!(
        operate(&client, &key, &seen).await.last(),
        Some(&as_val!(501))
    );
}

/// A price below so much, and a title that is one of `Book 1` to `Book 9`.
fn cheap(price: i64) -> Expression {
    exp::and(vec![
        exp::lt(exp::int_bin("price"), exp::int_val(price)),
        exp::regex_compare(
            "^Book [1-9]$",
            RegexFlags::EXTENDED,
            exp::string_bin("title"),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_filters_and_expressions() {
    let server = server::start();
    let client = connect(&server).await;
    for number in 0..12 {
        let bins = [
            as_bin!("price", number * 5),
            as_bin!("title", format!("Book {number}")),
            as_bin!("tags", as_list!("new", number)),
        ];
        client.put(&writing(), &key(number), &bins).await.unwrap();
    }

    let mut policy = QueryPolicy::default();
    policy.base_policy.filter_expression = Some(cheap(20));
    let statement = Statement::new("test", "day", Bins::All);
    let prices = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&prices);
    let mut query = client
        .query_foreach(&policy, PartitionFilter::all(), statement, move |record| {
            found
                .lock()
                .unwrap()
                .push(record.unwrap().bins["price"].clone());
            std::future::ready(true)
        })
        .await
        .unwrap();
    query.wait().await.unwrap();
    let mut prices = prices.lock().unwrap().clone();
    prices.sort_by_key(|price| format!("{:0>3}", price.to_string()));
    assert_eq!(prices, [5, 10, 15].map(|price| as_val!(price)));

    // A filter that does not hold is an answer of its own, and nothing happens.
    let mut filtered = writing();
    filtered.base_policy.filter_expression = Some(cheap(20));
    let refused = client.delete(&filtered, &key(11)).await.unwrap_err();
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Server {
                rc: ResultCode::FilteredOut,
                ..
            }
        ),
        "{refused:?}"
    );
    let reading = ReadPolicy::default();
    assert!(client.exists(&reading, &key(11)).await.unwrap());
    assert!(client.delete(&filtered, &key(1)).await.unwrap());

    let double = || exp::num_mul(vec![exp::int_bin("price"), exp::int_val(2)]);
    let tags = exp::lists::size(exp::list_bin("tags"), &[]);
    let last = exp::lists::get_by_index(
        ListReturnType::VALUES,
        ExpType::Int,
        exp::int_val(-1),
        exp::list_bin("tags"),
        &[],
    );
    let operations = [
        write_exp("price", double(), ExpWriteFlags::DEFAULT),
        read_exp("double", double(), ExpReadFlags::DEFAULT),
        read_exp("tags", tags, ExpReadFlags::DEFAULT),
        read_exp("last", last, ExpReadFlags::DEFAULT),
    ];
    assert_eq!(
        operate(&client, &key(3), &operations).await,
        [60, 2, 3].map(|value| as_val!(value))
    );
}
