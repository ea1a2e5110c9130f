//! Calls `add` of the module `counter` on the server of this job.

use aerospike::{Client, ClientPolicy, WritePolicy, as_key, as_val};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ready: serde_json::Value = serde_json::from_reader(std::fs::File::open("asd.json")?)?;
    let address = ready
        .pointer("/addresses/0")
        .and_then(|address| address.as_str());
    let address = address.ok_or("no address")?;
    let client = Client::new(&ClientPolicy::default(), &address).await?;
    let key = as_key!("test", "demo", "rust");
    let arguments = [as_val!("n"), as_val!(7)];
    let policy = WritePolicy::default();
    let sum = client
        .execute_udf(&policy, &key, "counter", "add", &arguments)
        .await?;
    assert_eq!(sum, Some(as_val!(7)));
    client.close().await?;
    Ok(())
}
