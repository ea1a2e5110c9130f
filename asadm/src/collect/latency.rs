//! Latencies as the archive holds them: columns and values.

use std::collections::BTreeMap;

use serde::Serialize;

/// Histograms by name.
pub(super) type Latencies = BTreeMap<String, Histogram>;

/// One histogram: of each namespace, or of the node.
#[derive(Debug, Default, Serialize)]
pub(super) struct Histogram {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    namespace: BTreeMap<String, Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Data>,
}

#[derive(Debug, Serialize)]
struct Data {
    /// `ops/sec`, then `>1ms`, `>2ms`, …
    columns: Vec<String>,
    /// One line for each span of time; servers tell one.
    values: Vec<Vec<f64>>,
}

/// Reads `{NS}-NAME:UNIT,OPS,P0,…;…`. Histograms without numbers are left out.
pub(super) fn of(answer: &str) -> Latencies {
    let mut histograms = Latencies::new();
    for entry in answer.split(';') {
        let Some((name, rest)) = entry.split_once(':') else {
            continue;
        };
        let Some((unit, numbers)) = rest.split_once(',') else {
            continue;
        };
        let unit = if unit == "usec" { "us" } else { "ms" };
        let Ok(values) = numbers
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<f64>, _>>()
        else {
            continue;
        };
        let bounds = (0..values.len().saturating_sub(1)).map(|exponent| {
            let bound = u32::try_from(exponent)
                .ok()
                .and_then(|by| 1_u64.checked_shl(by));
            format!(">{}{unit}", bound.unwrap_or(u64::MAX))
        });
        let data = Data {
            columns: std::iter::once("ops/sec".to_owned())
                .chain(bounds)
                .collect(),
            values: vec![values],
        };
        match name
            .strip_prefix('{')
            .and_then(|name| name.split_once("}-"))
        {
            Some((namespace, name)) => {
                let histogram = histograms.entry(name.to_owned()).or_default();
                histogram.namespace.insert(namespace.to_owned(), data);
            }
            None => histograms.entry(name.to_owned()).or_default().total = Some(data),
        }
    }
    histograms
}

#[cfg(test)]
mod tests {
    #[test]
    fn histograms_have_columns_and_values() {
        let found = super::of("batch-index:;{test}-read:msec,10.5,1.00,0.50;x:usec,1,2");
        let shown = serde_json::to_string(&found).unwrap();
        assert_eq!(
            shown,
            r#"{"read":{"namespace":{"test":{"columns":["ops/sec",">1ms",">2ms"],"values":[[10.5,1.0,0.5]]}}},"x":{"total":{"columns":["ops/sec",">1us"],"values":[[1.0,2.0]]}}}"#
        );
    }
}
