//! Result codes: the numbers with which every kind of reply says how a request ended.

use std::fmt;

/// How a request ended, as one byte on the wire. Numbers without a name are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResultCode(pub u8);

macro_rules! result_codes {
    ($($number:literal = $name:ident: $sentence:literal,)*) => {
        impl ResultCode {
            $(#[doc = concat!("Code ", stringify!($number), ": ", $sentence, ".")]
            pub const $name: Self = Self($number);)*

            /// Every code with a name, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self($number),)*];

            /// The name in capitals, as in the Aerospike documentation.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// What it means, in a few words without a full stop.
            pub fn sentence(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($sentence),)*
                    _ => None,
                }
            }
        }
    };
}

result_codes! {
    0 = OK: "the request succeeded",
    1 = UNKNOWN: "internal error, or a list or map that cannot be stored",
    2 = NOT_FOUND: "the record, set or job does not exist",
    3 = GENERATION: "the record's generation is not the expected one",
    4 = PARAMETER: "the request is malformed or its parts contradict each other",
    5 = RECORD_EXISTS: "the record exists already",
    6 = BIN_EXISTS: "the bin exists already",
    7 = CLUSTER_KEY_MISMATCH: "the cluster is not in the expected state",
    8 = OUT_OF_SPACE: "the server is out of storage or has stopped writes",
    9 = TIMEOUT: "the request took too long",
    11 = UNAVAILABLE: "the partition is not available on this node",
    12 = INCOMPATIBLE_TYPE: "the operation does not fit the type of the bin",
    13 = RECORD_TOO_BIG: "the record is larger than the server stores",
    14 = KEY_BUSY: "too many requests wait for this record",
    15 = QUERY_ABORT: "the query was aborted",
    16 = UNSUPPORTED_FEATURE: "the server does not support this request",
    17 = BIN_NOT_FOUND: "the bin does not exist",
    18 = DEVICE_OVERLOAD: "the storage device cannot keep up",
    19 = KEY_MISMATCH: "the stored key differs from the key sent",
    20 = NAMESPACE: "the namespace is missing or unknown",
    21 = BIN_NAME: "a bin name is too long or there are too many bins",
    22 = FORBIDDEN: "the server's configuration forbids the request",
    23 = ELEMENT_NOT_FOUND: "the element of the list or map does not exist",
    24 = ELEMENT_EXISTS: "the element of the list or map exists already",
    25 = ENTERPRISE_ONLY: "only the Enterprise Edition supports the request",
    26 = OP_NOT_APPLICABLE: "the operation cannot be applied to the bin's value",
    27 = FILTERED_OUT: "the filter expression is false for the record",
    28 = LOST_CONFLICT: "the write lost a conflict between data centres",
    32 = XDR_KEY_BUSY: "the record is being shipped to another data centre",
    50 = SEC_OK_LAST: "end of a list of users or roles",
    51 = SEC_NOT_SUPPORTED: "the server does not support security",
    52 = SEC_NOT_CONFIGURED: "security is not enabled on the server",
    53 = SEC_SCHEME: "unknown security scheme",
    54 = SEC_COMMAND: "unknown security command",
    55 = SEC_FIELD: "unknown or malformed security field",
    56 = SEC_STATE: "security commands came in an unexpected order",
    60 = SEC_USER: "the user is missing or unknown",
    61 = SEC_USER_EXISTS: "the user exists already",
    62 = SEC_PASSWORD: "the password is missing or malformed",
    63 = SEC_EXPIRED_PASSWORD: "the password has expired",
    64 = SEC_FORBIDDEN_PASSWORD: "the password may not be used",
    65 = SEC_CREDENTIAL: "the credential is wrong",
    66 = SEC_EXPIRED_SESSION: "the login session has expired",
    70 = SEC_ROLE: "the role is missing or unknown",
    71 = SEC_ROLE_EXISTS: "the role exists already",
    72 = SEC_PRIVILEGE: "the privilege is missing or unknown",
    73 = SEC_WHITELIST: "the list of allowed addresses is malformed",
    74 = SEC_QUOTAS_NOT_ENABLED: "quotas are not enabled on the server",
    75 = SEC_QUOTA: "the quota is malformed",
    80 = SEC_NOT_AUTHENTICATED: "the connection is not authenticated",
    81 = SEC_ROLE_VIOLATION: "the user has no permission for the request",
    82 = SEC_NOT_WHITELISTED: "the user may not connect from this address",
    83 = SEC_QUOTA_EXCEEDED: "the user's quota is used up",
    90 = SEC_LDAP_NOT_ENABLED: "external authentication is not enabled",
    91 = SEC_LDAP_SETUP: "external authentication cannot be set up",
    92 = SEC_LDAP_TLS_SETUP: "TLS to the external authentication cannot be set up",
    93 = SEC_LDAP_AUTHENTICATION: "external authentication failed",
    94 = SEC_LDAP_QUERY: "a query for external authentication failed",
    100 = UDF_EXECUTION: "the UDF failed",
    120 = MRT_BLOCKED: "the record is locked by another transaction",
    121 = MRT_VERSION_MISMATCH: "the record's version changed during the transaction",
    122 = MRT_EXPIRED: "the transaction has expired",
    123 = MRT_TOO_MANY_WRITES: "the transaction has too many writes",
    124 = MRT_COMMITTED: "the transaction is committed already",
    125 = MRT_ABORTED: "the transaction is aborted already",
    126 = MRT_ALREADY_LOCKED: "the record is locked by this transaction already",
    127 = MRT_MONITOR_EXISTS: "the transaction has begun already",
    150 = BATCH_DISABLED: "batch requests are disabled on the server",
    151 = BATCH_MAX_REQUESTS: "the batch has too many rows",
    152 = BATCH_QUEUES_FULL: "the queues for batch requests are full",
    160 = GEO_INVALID_GEOJSON: "the value is not valid GeoJSON",
    200 = SINDEX_FOUND: "an index with this name exists already",
    201 = SINDEX_NOT_FOUND: "no index fits the request",
    203 = SINDEX_NOT_READABLE: "the index is still being built",
    204 = SINDEX_GENERIC: "the index cannot be used",
    206 = SINDEX_MAX_COUNT: "the namespace has as many indexes as it may have",
}

impl ResultCode {
    /// Whether this is [`ResultCode::OK`].
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }
}

impl From<ResultCode> for u8 {
    fn from(code: ResultCode) -> u8 {
        code.0
    }
}

impl From<u8> for ResultCode {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.sentence()) {
            (Some(name), Some(sentence)) => write!(f, "{} {name}: {sentence}", self.0),
            _ => write!(f, "{} (unknown result code)", self.0),
        }
    }
}
