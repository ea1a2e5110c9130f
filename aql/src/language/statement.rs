//! What statements say.

use protocol::value::Value;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// No value: removes a bin, or is a nil argument.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without a fraction.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// In quotes.
    Text(String),
    /// JSON that becomes a list or a map.
    Json(JsonKind, String),
    /// GeoJSON, not checked here.
    GeoJson(String),
    /// A value that only a cast has words for.
    Exact(Value),
}

/// Which collections a JSON text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// A list or a map.
    Either,
    /// A list.
    List,
    /// A map.
    Map,
}

impl JsonKind {
    /// As messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Either => "JSON",
            Self::List => "LIST",
            Self::Map => "MAP",
        }
    }
}

/// Namespace and set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Set; none for records without.
    pub set: Option<String>,
}

/// How one record is named.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordName {
    /// `PK = …`
    Key(Literal),
    /// `DIGEST = '…'`: 40 hexadecimal digits.
    Digest(String),
    /// `EDIGEST = '…'`: the digest in base64.
    EncodedDigest(String),
}

/// What an index is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexOver {
    /// The bin's value.
    #[default]
    Bin,
    /// The elements of a list.
    List,
    /// The keys of a map.
    MapKeys,
    /// The values of a map.
    MapValues,
}

impl IndexOver {
    /// Its number in queries, and its word in info commands.
    #[must_use]
    pub fn code(self) -> (u8, &'static str) {
        match self {
            Self::Bin => (0, "DEFAULT"),
            Self::List => (1, "LIST"),
            Self::MapKeys => (2, "MAPKEYS"),
            Self::MapValues => (3, "MAPVALUES"),
        }
    }
}

/// A condition on a bin.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// `B = V`
    Equal(Literal),
    /// `B BETWEEN A AND B`, both included.
    Between(i64, i64),
    /// `B WITHIN GEOJSON(…)`
    Within(String),
    /// `B CONTAINS GEOJSON(…)`
    Contains(String),
}

/// A bin with its condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// The bin.
    pub bin: String,
    /// What its value must be.
    pub condition: Condition,
}

/// What a statement is about: all records, some, or one.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One record.
    One(RecordName),
    /// All of the namespace or set.
    All,
    /// Those that an index finds.
    Where {
        /// What the index is over.
        over: IndexOver,
        /// One clause, or two.
        clauses: Vec<Clause>,
    },
}

/// Which bins are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bins {
    /// `*`
    All,
    /// These, in this order.
    Named(Vec<String>),
}

/// `SELECT`
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Which bins.
    pub bins: Bins,
    /// Where.
    pub place: Place,
    /// Which records.
    pub target: Target,
    /// Records at most, as written.
    pub limit: Option<u64>,
}

/// A call of a UDF.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Module without extension.
    pub module: String,
    /// Function.
    pub function: String,
    /// Arguments.
    pub arguments: Vec<Literal>,
    /// Where.
    pub place: Place,
    /// On which records.
    pub target: Target,
}

/// Which list `SHOW` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Namespaces.
    Namespaces,
    /// Sets.
    Sets,
    /// Bins.
    Bins,
    /// Modules.
    Modules,
    /// Queries that run.
    Queries,
    /// Scans that run.
    Scans,
}

/// What `STAT` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The node.
    System,
    /// A namespace.
    Namespace(String),
    /// An index of a namespace.
    Index(String, String),
}

/// The moment up to which records are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Now.
    Now,
    /// Nanoseconds since 1970, as written.
    Nanoseconds(String),
    /// A date, as written.
    Date(String),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `INSERT INTO … (PK, …) VALUES (…)`
    Insert {
        /// Where.
        place: Place,
        /// The key.
        key: Literal,
        /// Bins with their values.
        bins: Vec<(String, Literal)>,
    },
    /// `DELETE FROM …`
    Delete(Place, RecordName),
    /// `SELECT …`
    Select(Select),
    /// `EXPLAIN SELECT … WHERE PK = …`
    Explain(Select),
    /// `EXECUTE …`
    Execute(Invocation),
    /// `AGGREGATE …`
    Aggregate(Invocation),
    /// `SHOW …`
    Show(Listing),
    /// `SHOW INDEXES`, of a namespace or of all.
    ShowIndexes(Option<String>),
    /// `DESC MODULE F`
    Describe(String),
    /// `REGISTER MODULE 'PATH'`
    Register(String),
    /// `REMOVE MODULE F`
    Remove(String),
    /// `CREATE INDEX …`
    CreateIndex {
        /// Its name.
        name: String,
        /// Where.
        place: Place,
        /// The bin.
        bin: String,
        /// What it is over.
        over: IndexOver,
        /// NUMERIC, STRING or GEO2DSPHERE.
        kind: String,
    },
    /// `DROP INDEX …`
    DropIndex(Place, String),
    /// `TRUNCATE …`
    Truncate(Place, Until),
    /// `STAT …`
    Stat(Statistics),
    /// `ASINFO '…'`
    Asinfo(String),
    /// `KILL_QUERY id` and `KILL_SCAN id`: the command and the number.
    Kill(Listing, String),
    /// Statements on users and roles, by their words.
    Accounts(Vec<String>),
    /// `SET NAME VALUE`
    Set(String, String),
    /// `GET NAME`, or all.
    Get(Option<String>),
    /// `RESET NAME`
    Reset(String),
    /// `RUN 'PATH'`
    Run(String),
    /// `HELP [word]`
    Help(Option<String>),
    /// `PRINT text`
    Print(String),
    /// `SYSTEM command`
    System(String),
}

impl Statement {
    /// Whether it needs no node.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Set(..)
                | Self::Get(_)
                | Self::Reset(_)
                | Self::Run(_)
                | Self::Help(_)
                | Self::Print(_)
                | Self::System(_)
        )
    }
}
